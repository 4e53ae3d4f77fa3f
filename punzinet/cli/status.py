"""`punzinet status`: what is done, out of date, missing and failed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Column, Table

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.processors.progress import read_progress
from punzinet.stages import CHAIN, STAGES
from punzinet.stages.chain import out_of_date, reasons
from punzinet.stages.features import say_trial
from punzinet.stages.options import Context, Options, console
from punzinet.stages.run import holder_of
from punzinet.stages.stage import Stage

NOT_RUN = "not run"


def show_status(ctx: typer.Context) -> None:
    """Show how far every stage is with every dataset, what is out of date, and what went wrong.

    Also while a stage runs.

    Example: punzinet status --output output
    """
    context = Context(Options(**ctx.obj))
    output = context.output
    holder = holder_of(output.root) or {}
    stages = Table("stage", Column("state", overflow="fold"))
    dataset = Column("dataset", overflow="fold")
    chunks = Table("stage", "step", dataset, box=SIMPLE_HEAD, padding=0)
    for name in ("chunks done", "entries done", "of", "failed"):
        chunks.add_column(name, justify="right", no_wrap=True)
    failures: list[str] = []
    damaged: list[str] = []
    for stage in STAGES:
        with _noting(damaged):
            failures += _add_chunks(stage, output, chunks)
        failed = len(failures)
        with _noting(damaged):
            failures += [f"{stage.name}: {why}" for why in stage.failure(output)]
        state = _state(stage, context, holder, damaged, failed=len(failures) > failed)
        if stage.name in CHAIN or state != NOT_RUN:
            stages.add_row(stage.name, escape(state))
    console.print(stages)
    if chunks.row_count:
        console.print(chunks)
    for name in ("features", "select"):
        with _noting(damaged):
            say_trial(output, name)
    incomplete: list[str] = []
    for path in (output.completeness, output.data_completeness):
        with _noting(damaged):
            incomplete += _incomplete(path)
    for line in dict.fromkeys([*incomplete, *failures, *damaged]):
        console.print(line, markup=False)


def _add_chunks(stage: Stage, output: OutputFolder, table: Table) -> list[str]:
    """Add how many chunks of a stage are done to a table; returns why others failed."""
    failures = []
    for row in read_progress(output.ledger(stage.name)):
        counts = (row.entries_done, row.entries, len(row.failures))
        done = f"{row.done:,}/{row.chunks:,}"
        table.add_row(stage.name, row.step, escape(row.dataset), done, *map("{:,}".format, counts))
        failures += [f"{stage.name}: {why}" for why in row.failures.values()]
    return failures


@contextmanager
def _noting(damaged: list[str]) -> Iterator[None]:
    """Keep the sentence about a damaged file, so that everything else is shown."""
    try:
        yield
    except InputError as error:
        damaged.append(str(error))


def _state(
    stage: Stage, context: Context, holder: dict[str, Any], damaged: list[str], *, failed: bool
) -> str:
    """Whether a stage is running, finished, out of date (and why), failed or cut off."""
    output = context.output
    if str(holder.get("stage", "")).split(" ")[0] == stage.name:
        return f"running (process {holder.get('pid')} on {holder.get('host')})"
    if stage.has_run(output):
        with _noting(damaged):
            last = stage.of_last_run(context, network=True)
            before = [f"`{one.stage.typed}` is out of date" for one in out_of_date(stage, last)]
            if why := [*reasons(stage, last), *before]:
                return f"out of date: {why[0]}"
        return "finished"
    if failed:
        return "failed"
    begun = stage.has_begun(output) or any(output.ledger(stage.name).glob("*.json"))
    return "cut off; the same command continues" if begun else NOT_RUN


def _incomplete(path: Path) -> list[str]:
    """What the features stage says is missing or double; nothing if it has not run.

    Raises:
        InputError: If what it wrote down is damaged.
    """
    if not path.exists():
        return []
    content = read_json(path, "punzinet features")
    try:
        missing = content.get("missing", [])
        lines = [f"features: allowed to be missing: {row['reason']}" for row in missing]
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
