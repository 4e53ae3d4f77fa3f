"""The ledger: every finished piece of work of a stage has a record, so that none is done twice.

Workers leave the record of a piece of work when it is finished, with all there is to say about
it; whoever started them collects the records. A stage that was killed goes on from the records
it left. A record counts only while everything its result depends on is as it was: that is its
key. Under ``output/.ledger/<stage>`` there are, for each step of the stage, ``<step>.json`` with
all pieces of work and a folder with their records and failures.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from boost_histogram.serialization import from_uhi, to_uhi
from coffea.processor import CheckpointerABC
from coffea.processor.executor import ExecutorBase
from coffea.util import coffea_console
from hist import Hist

from punzinet.analysis.io.errors import InputError, OutputError
from punzinet.analysis.io.files import (
    Arrays,
    Record,
    is_file,
    read_content,
    read_record,
    write_json,
    write_record,
)
from punzinet.processors.chunks import ChunkProcessor
from punzinet.processors.progress import FAILURE, RECORD

LOG = logging.getLogger(__name__)
ROUNDS: Final = 4
"""How often work is handed out anew when workers died under it."""
_LOST_WORKERS: Final = frozenset(
    {"CommClosedError", "FutureCancelledError", "KilledWorker", "ManagerLost", "WorkerLost"}
)
"""Names of the exceptions with which Dask and Parsl say that workers are gone."""

Result = TypeVar("Result")


class Work(NamedTuple):
    """A chunk of a file, or of a simulation, that is worked on.

    Attributes:
        name: Its name, unique in its step: a relative path without suffix.
        key: Digest of everything its result depends on.
        dataset: The dataset it belongs to.
        what: The file, or whatever it is a part of.
        entries: Entries it is responsible for.
        payload: What the function that does it takes.
    """

    name: str
    key: str
    dataset: str
    what: str
    entries: int
    payload: Any = None


def _leave_record(
    work: Work, function: Callable[[Any], Record], folder: Path
) -> dict[str, str | None]:
    """Do some work and leave its record; what is wrong with the input is handed back.

    Raises:
        OutputError: If nothing can be written, which is no fault of the input.
    """
    try:
        content, arrays = function(work.payload)
        record = Record({"key": work.key, "result": content}, arrays)
        write_record(folder / f"{work.name}{RECORD}", record)
    except OutputError:
        raise
    except InputError as error:
        failure = {"key": work.key, "reason": str(error)}
        write_json(folder / f"{work.name}{FAILURE}", failure)
        return {work.name: str(error)}
    return {work.name: None}


@dataclass(frozen=True)
class Step:
    """One step of a stage, after it has run.

    Attributes:
        folder: Where its records lie.
        works: All its work.
        problems: What is wrong with the input, by name of the work that has no record.
    """

    folder: Path
    works: Sequence[Work]
    problems: Mapping[str, str]

    def read(self, work: Work) -> Record:
        """The record of a piece of work.

        Raises:
            InputError: If the work could not be done, or the record is not there any more.
        """
        if work.name in self.problems:
            raise InputError(self.problems[work.name])
        record = _read(self.folder, work)
        if record is None:
            raise InputError(
                f"The record of {work.name} in {self.folder} is gone or damaged; run the same "
                "command again."
            )
        return record

    def thin(self, note: str) -> None:
        """Throw the arrays of all records away, which say so under the key `note`."""
        for work in self.works:
            content = {"key": work.key, "result": {**self.read(work).content, note: True}}
            write_record(self.folder / f"{work.name}{RECORD}", Record(content, {}))


class Ledger:
    """All records of a stage, in a folder that is made when it is needed."""

    def __init__(self, folder: Path) -> None:
        # Workers of a cluster may run in another folder.
        self.folder = folder.absolute()

    def run(
        self,
        step: str,
        works: Sequence[Work],
        function: Callable[[Any], Record],
        executor: ExecutorBase,
        *,
        title: str,
        keep: Callable[[Record], bool] = lambda _: True,
    ) -> Step:
        """Do what is missing of a step that reads no files.

        Args:
            step: Name of the step.
            works: All its work, each under another name.
            function: Takes a payload and returns the record of what was done.
            executor: Where to do it, one of coffea's.
            title: What the progress bar says.
            keep: Whether the record of an earlier run still holds, given all it says.

        Raises:
            InputError: If workers die again and again, or the folder cannot be written to.
        """
        folder = self.folder / step
        self.plan(step, works)
        todo = [work for work in works if not _is_done(folder, work, keep)]
        say_how_far(title, works, todo)
        problems: dict[str, str] = {}

        def attempt() -> None:
            todo[:] = [work for work in todo if not _is_done(folder, work, lambda _: True)]
            if todo:
                leave = partial(_leave_record, function=function, folder=folder)
                said, _ = executor.copy(desc=title)(todo, leave, {})
                problems.update({name: what for name, what in said.items() if what is not None})

        survive(attempt, folder, works, title)
        return Step(folder, works, problems)

    def plan(self, step: str, works: Sequence[Work]) -> Path:
        """Write down all work of a step, and remove what other work left.

        Returns:
            Where its records go.
        """
        folder = self.folder / step
        write_json(self.folder / f"{step}.json", {"works": [work[:5] for work in works]})
        names = {work.name for work in works}
        for path in [*folder.rglob(f"*{RECORD}"), *folder.rglob(f"*{FAILURE}")]:
            name = str(path.relative_to(folder)).removesuffix(RECORD).removesuffix(FAILURE)
            if name not in names or path.name.endswith(FAILURE):
                path.unlink(missing_ok=True)
        for name in {str(Path(name).parent) for name in names}:
            (folder / name).mkdir(parents=True, exist_ok=True)
        return folder


class ChunkRecords(CheckpointerABC):  # type: ignore[misc]  # coffea has no types
    """Records of the chunks of a step, which coffea's `Runner` leaves and finds again.

    A chunk has its ``name`` and its ``key`` in its metadata.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder of the step."""
        self._folder = folder

    def missing(self, works: Sequence[Work]) -> list[Work]:
        """Work that has no record of its own."""
        contents = (read_content(self._folder / f"{work.name}{RECORD}") for work in works)
        return [
            work
            for work, content in zip(works, contents, strict=True)
            if content is None or content.get("key") != work.key
        ]

    def load(self, metadata: Any, processor_instance: ChunkProcessor) -> dict[str, Any] | None:
        """The output of an earlier run, if it still holds (called by coffea)."""
        path = self._folder / f"{metadata['name']}{RECORD}"
        record = read_record(path)
        if record is not None and record.content.get("key") == metadata["key"]:
            result = _unpack(record.content["result"], record.arrays)
            if processor_instance.still_holds(result):
                out = processor_instance.output(metadata, result)
                return {"out": out, "processed": set()}
        path.unlink(missing_ok=True)
        return None

    def save(
        self, output: dict[str, Any], metadata: Any, _processor_instance: ChunkProcessor
    ) -> None:
        """Leave the output of a chunk, or what is wrong with it (called by coffea)."""
        path = self._folder / metadata["name"]
        for problem in output["out"]["problems"].values():
            write_json(
                path.with_name(path.name + FAILURE), {"key": metadata["key"], "reason": problem}
            )
        for result in output["out"]["chunks"].values():
            arrays: Arrays = {}
            content = {"key": metadata["key"], "result": _pack(result, arrays)}
            write_record(path.with_name(path.name + RECORD), Record(content, arrays))


def _pack(value: Any, arrays: Arrays) -> Any:
    """A result as JSON can express it; its arrays are put aside."""
    if isinstance(value, np.ndarray):
        arrays[str(len(arrays))] = value
        return {"array": str(len(arrays) - 1)}
    if isinstance(value, dict):
        return {"dict": {name: _pack(inner, arrays) for name, inner in value.items()}}
    if isinstance(value, Hist):
        return {"hist": _pack(to_uhi(value), arrays)}
    if isinstance(value, list | tuple):
        return [_pack(inner, arrays) for inner in value]
    return value


def _unpack(value: Any, arrays: Arrays) -> Any:
    """The result that `_pack` was given."""
    if isinstance(value, list):
        return [_unpack(inner, arrays) for inner in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "array":
        return arrays[inner]
    if kind == "hist":
        return Hist(from_uhi(_unpack(inner, arrays)))
    return {name: _unpack(one, arrays) for name, one in inner.items()}


def _read(folder: Path, work: Work) -> Record | None:
    """The record of a piece of work, None if there is none of this very work."""
    record = read_record(folder / f"{work.name}{RECORD}")
    if record is None or record.content.get("key") != work.key:
        return None
    return Record(record.content["result"], record.arrays)


def _is_done(folder: Path, work: Work, keep: Callable[[Record], bool]) -> bool:
    """Whether there is a good record; one that is not good is removed."""
    record = _read(folder, work)
    if record is not None and keep(record):
        return True
    (folder / f"{work.name}{RECORD}").unlink(missing_ok=True)
    return False


def say_how_far(title: str, works: Sequence[Work], todo: Sequence[Work]) -> None:
    """Say how much of the work is done already, and name the rest."""
    LOG.info("%s: %d of %d chunks are done already", title, len(works) - len(todo), len(works))
    for work in todo:
        LOG.debug("%s: %s", title, work.name)


def is_lost_worker(error: BaseException) -> bool:
    """Whether an exception means that workers are gone, and not that something is wrong."""
    return (
        isinstance(error, BrokenExecutor | CancelledError)
        or type(error).__name__ in _LOST_WORKERS
        or "KilledWorker" in str(error)
    )


def survive(
    attempt: Callable[[], Result], folder: Path, works: Sequence[Work], title: str
) -> Result:
    """Do something in worker processes, and again if they die; what is finished has its record.

    Args:
        attempt: Does whatever has no record.
        folder: Where records are.
        works: All that there is to do.
        title: What it is called in messages.

    Raises:
        InputError: If workers die again and again.
    """
    reason = ""
    for _ in range(ROUNDS):
        try:
            with _progress():
                return attempt()
        except (Exception, CancelledError) as error:
            if not is_lost_worker(error):
                raise
            reason = next(iter(str(error).splitlines()), type(error).__name__)
    missing = sum(not is_file(folder / f"{work.name}{RECORD}") for work in works)
    raise InputError(
        f"{title}: worker processes die again and again ({reason}); {missing} of "
        f"{len(works)} chunks are missing. The same command continues: with fewer "
        "--workers or a smaller `features.chunk_size` if memory runs out."
    )


@contextmanager
def _progress() -> Iterator[None]:
    """Let coffea show its progress on stderr unless the command is to be quiet.

    Tracebacks of exceptions that coffea prints, and raises as well, are silenced.
    """
    quiet = coffea_console.quiet
    coffea_console.quiet = not LOG.isEnabledFor(logging.WARNING)
    coffea_console.file = sys.stderr
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        coffea_console.quiet = quiet
        coffea_console.file = None
