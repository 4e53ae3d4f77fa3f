"""How far a stage is, from the plans and records of its ledger; without coffea, to be quick."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import is_file, read_content, read_json
from punzinet.analysis.io.output import command_of

RECORD: Final = ".safetensors"
FAILURE: Final = ".failed.json"


class _Planned(NamedTuple):
    """A piece of work as a plan lists it."""

    name: str
    key: str
    dataset: str
    what: str
    entries: int


@dataclass(frozen=True)
class Progress:
    """How far a step of a stage is with one dataset.

    Attributes:
        step: Name of the step.
        dataset: Name of the dataset.
        chunks: Pieces of work.
        done: Those with a record.
        entries: Entries of all of them.
        entries_done: Entries of those with a record.
        failures: What is wrong, by file.
    """

    step: str
    dataset: str
    chunks: int
    done: int
    entries: int
    entries_done: int
    failures: dict[str, str]


def read_progress(folder: Path) -> list[Progress]:
    """Find out how far a stage is, while it runs or afterwards.

    Args:
        folder: Its ledger.

    Returns:
        One item for each step and dataset; none if the stage has never run.

    Raises:
        InputError: If a plan is damaged.
    """
    found = []
    for plan in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
        content = read_json(plan, f"punzinet {command_of(folder.name)}")
        try:
            works = [_planned(*row) for row in content["works"]]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{plan} is damaged ({error!r}); delete it and run `punzinet "
                f"{command_of(folder.name)}` again."
            ) from error
        for dataset in dict.fromkeys(work.dataset for work in works):
            own = [work for work in works if work.dataset == dataset]
            found.append(_progress_of(folder / plan.stem, plan.stem, dataset, own))
    return found


def _planned(name: str, key: str, dataset: str, what: str, entries: int) -> _Planned:
    """A piece of work as a plan lists it.

    Raises:
        ValueError: If it is none.
    """
    if not all(isinstance(text, str) for text in (name, key, dataset, what)):
        raise ValueError(f"{[name, key, dataset, what]} is no piece of work")
    if type(entries) is not int or entries < 0:
        raise ValueError(f"{name} has {entries!r} entries")
    return _Planned(name, key, dataset, what, entries)


def _progress_of(folder: Path, step: str, dataset: str, works: Sequence[_Planned]) -> Progress:
    """Count the records of one dataset."""
    done = []
    failures = {}
    for work in works:
        content = read_content(folder / f"{work.name}{RECORD}")
        if content is not None and content.get("key") == work.key:
            done.append(work)
        elif is_file(path := folder / f"{work.name}{FAILURE}"):
            failure = read_json(path, f"punzinet {command_of(folder.parent.name)}")
            if isinstance(failure, dict) and failure.get("key") == work.key:
                failures[work.what] = str(failure.get("reason"))
    return Progress(
        step=step,
        dataset=dataset,
        chunks=len(works),
        done=len(done),
        entries=sum(work.entries for work in works),
        entries_done=sum(work.entries for work in done),
        failures=failures,
    )
