"""`punzinet status`: what is done, missing and failed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Column, Table

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.cli.options import OUTPUT, OutputOption, console, say_trial
from punzinet.processors.lock import holder_of
from punzinet.processors.stage import failure_of, is_finished
from punzinet.processors.stages import STAGES
from punzinet.processors.trial import trial_of

NOT_RUN = "not run"


def command(output: OutputOption = OUTPUT) -> None:
    """Show how far every stage is with every dataset, and what went wrong; also while one runs.

    Example: punzinet status --output output
    """
    from punzinet.processors.ledger import Progressed, read_progress

    folder = OutputFolder(output)
    holder = holder_of(folder.root)
    stages = Table("stage", "state")
    chunks = Table(
        "stage", "step", Column("dataset", overflow="fold"), box=SIMPLE_HEAD, padding=0
    )  # fmt: skip
    for name in ("chunks done", "entries done", "of", "failed"):
        chunks.add_column(name, justify="right", no_wrap=True)
    failures: list[str] = []
    damaged: list[str] = []
    # What `features` does with data, for those who have any.
    for stage in (*STAGES[:2], "data", *STAGES[2:]):
        found: list[Progressed] = []
        with _noting(damaged):
            found = read_progress(folder.ledger(stage))
        for row in found:
            chunks.add_row(
                stage,
                row.step,
                escape(row.dataset),
                f"{row.done:,}/{row.chunks:,}",
                f"{row.entries_done:,}",
                f"{row.entries:,}",
                f"{len(row.failures):,}",
            )
            failures += [f"{stage}: {why}" for why in row.failures.values()]
        failed: list[str] = []
        with _noting(damaged):
            failed = failure_of(folder, stage)
        failures += [f"{stage}: {why}" for why in failed]
        state = _state(folder, stage, holder, failed=bool(failed))
        if stage != "data" or state != NOT_RUN:
            stages.add_row(stage, state)
    console.print(stages)
    if chunks.row_count:
        console.print(chunks)
    for name in ("features", "select"):
        with _noting(damaged):
            if trial := trial_of(folder, name):
                say_trial(name, trial)
    incomplete: list[str] = []
    # What the features stage says is missing or double, of simulation and of data.
    for path in (folder.completeness, folder.data_completeness):
        with _noting(damaged):
            incomplete += _incomplete(path)
    for line in dict.fromkeys([*incomplete, *failures, *damaged]):
        console.print(line, markup=False)


@contextmanager
def _noting(damaged: list[str]) -> Iterator[None]:
    """Keep the sentence about a damaged file, so that everything else is shown.

    Args:
        damaged: Sentences so far.
    """
    try:
        yield
    except InputError as error:
        damaged.append(str(error))


def _state(
    folder: OutputFolder, stage: str, holder: dict[str, object] | None, *, failed: bool
) -> str:
    """Whether a stage is running, finished, failed or cut off."""
    if holder is not None and holder.get("stage") == stage:
        return f"running (process {holder.get('pid')} on {holder.get('host')})"
    if is_finished(folder, stage):
        return "finished"
    if failed:
        return "failed"
    begun = any(folder.ledger(stage).glob("*.json"))
    return "cut off; the same command continues" if begun else NOT_RUN


def _incomplete(path: Path) -> list[str]:
    """What the features stage says is missing or double; nothing if it has not run.

    Args:
        path: What it wrote down of what it has read.

    Raises:
        InputError: If that is damaged.
    """
    if not path.exists():
        return []
    content = read_json(path, "punzinet features")
    try:
        lines = [
            f"features: allowed to be missing: {row['reason']}"
            for row in content.get("missing", [])
        ]
        for name, dataset in content["datasets"].items():
            for file, count in dataset["duplicates"]["by_file"].items():
                lines.append(
                    f"features: dataset {name}: {file} repeats {count} events that are in it or "
                    "in an earlier file"
                )
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is damaged ({error!r}); delete it and run `punzinet features` again."
        ) from error
    return lines
