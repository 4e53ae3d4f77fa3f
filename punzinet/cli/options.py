"""Options that several commands share."""

import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import remove_partial_files
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors.lock import lock
from punzinet.processors.stage import Stage
from punzinet.processors.trial import Trial, trial_of

#: Says what there is to say; of several processes, started by torchrun, only in the first.
SILENT = os.environ.get("RANK", "0") != "0"
console = Console(highlight=False, quiet=SILENT)
LOG = logging.getLogger(__name__)
held = ExitStack()
"""What a command holds until it ends, such as the lock of its output folder."""
_locked: set[Path] = set()
"""Output folders whose lock is held."""


class Executor(StrEnum):
    """Coffea executors that run the chunks."""

    ITERATIVE = "iterative"
    FUTURES = "futures"
    DASK = "dask"
    PARSL = "parsl"


ManifestOption = Annotated[
    Path, typer.Option("--manifest", "-m", help="what is analysed, and with which settings")
]
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="folder for all results")]
ScaleOption = Annotated[
    str, typer.Option(help="size of the default data, default or paper; no effect on your own")
]
ExecutorOption = Annotated[
    Executor,
    typer.Option(
        help="iterative: this process; futures: one process a worker; dask, parsl: likewise, or "
        "on a cluster"
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(help="running Dask cluster to join, e.g. tcp://host:8786, with --executor dask"),
]
AllowMissingOption = Annotated[
    bool,
    typer.Option(
        "--allow-missing",
        help="go on without files and chunks that cannot be read, and rescale normalisations",
    ),
]
UnblindOption = Annotated[
    bool,
    typer.Option(
        "--unblind", help="see all of the data, not only what `blinding` in the manifest allows"
    ),
]
WorkersOption = Annotated[int, typer.Option(min=1, help="number of worker processes")]
LimitFilesOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="trial run: only the first files of every dataset, scaled up to all of it"
    ),
]
LimitChunksOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="trial run: only the first chunks of every dataset, scaled up to all of it"
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="say whether the stage would run and why, and do nothing")
]
ForceOption = Annotated[bool, typer.Option("--force", help="run even if nothing has changed")]
NetworkOption = Annotated[str, typer.Option(help="network whose single cut is used")]

MANIFEST = Path("data_manifest.yaml")
OUTPUT = Path("output")
NETWORK = "punzi-00"
#: As many as this process may use, where the system tells.
WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def nothing_to_do(stage: Stage, force: bool, dry_run: bool = False) -> bool:
    """Say so and return True if the stage is up to date; else forget its last run.

    A stage that has to run has the output folder to itself until the command ends.

    Args:
        stage: The stage that is asked for.
        force: Run it in any case, and from its beginning.
        dry_run: Only say what would happen.

    Raises:
        InputError: If another run is at work in the output folder, or it cannot be written to.
    """
    if dry_run:
        _explain(stage, force)
        return True
    _warn_of_trial(stage)
    if not force and stage.is_up_to_date():
        console.print(f"{stage.name}: up to date")
        return True
    if LOG.isEnabledFor(logging.INFO):
        for reason in stage.reasons():
            LOG.info("%s runs: %s", stage.name, reason)
    root = stage.output.root.absolute()
    if root not in _locked:
        held.enter_context(lock(root, stage.name))
        held.callback(_locked.discard, root)
        _locked.add(root)
        remove_partial_files(root)
    if force:
        shutil.rmtree(stage.output.ledger(stage.name), ignore_errors=True)
    stage.begin()

    def note(_kind: object, error: BaseException | None, _trace: object) -> None:
        """Leave word of what went wrong."""
        if isinstance(error, InputError):
            stage.fail(str(error))

    held.push(note)
    return False


def _explain(stage: Stage, force: bool) -> None:
    """Say whether a stage would run, and why."""
    try:
        why = stage.reasons()
    except InputError as error:
        console.print(f"{stage.name}: cannot run: {error}", markup=False)
        return
    if force:
        why.insert(0, "--force asks for it")
    console.print(f"{stage.name}: {'would run' if why else 'up to date'}")
    for reason in why:
        console.print(f"  because {reason}", markup=False)


def _warn_of_trial(stage: Stage) -> None:
    """Say so if a stage reads what a trial run left."""
    for name in ("features", "select"):
        if name in stage.after and (trial := trial_of(stage.output, name)):
            say_trial(name, trial)


def check_unblind(manifest: Manifest, unblind: bool) -> None:
    """Make sure that there is something to be unblinded.

    Raises:
        InputError: If there is not.
    """
    if unblind and not manifest.has_data:
        raise InputError(
            "--unblind: there is no data; give the manifest a dataset with `process: data`, or "
            "leave the option out."
        )


def say_seen(manifest: Manifest, unblind: bool) -> None:
    """Say what is seen of data, if there is any."""
    if not manifest.has_data:
        return
    if unblind:
        console.print("[yellow]Unblinded[/yellow]: all of the data is seen.")
    else:
        console.print(f"Blinded: only {manifest.blinding} is seen; --unblind shows all.")


def say_trial(stage: str, trial: Trial) -> None:
    """Say that the results of a stage are those of a trial run.

    Args:
        stage: The stage.
        trial: How much of every dataset it processed.
    """
    given = {"--limit-files": trial.files, "--limit-chunks": trial.chunks}
    options = " ".join(f"{name} {value}" for name, value in given.items() if value is not None)
    console.print(
        f"[yellow]Trial run[/yellow]: `punzinet {stage}` processed only a part of the events "
        f"({options}) and scaled it up to all (signal of several "
        "masses in one dataset is taken whole); it is no result to quote.",
        soft_wrap=True,
    )


def entries_progress() -> Progress:
    """A bar for every file, with the number of its entries that are done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def targets_of(files: Sequence[str], to: Path | None, what: str) -> list[Path]:
    """Where what is made of each file goes.

    Args:
        files: Paths or URLs.
        to: A file, or a folder for several; this folder if not given.
        what: Stands in names before ``.root``.

    Raises:
        InputError: If two of them, or a file and what is made of it, would be the same.
    """
    if to is not None and len(files) == 1 and not to.is_dir():
        targets = [to]
    else:
        targets = [(to or Path()) / f"{Path(name).stem}.{what}.root" for name in files]
    for target in targets:
        if targets.count(target) > 1:
            raise InputError(
                f"Two of the files would both be written to {target}; take them one by one with "
                "--to."
            )
        if any(target.resolve() == Path(name).resolve() for name in files):
            raise InputError(f"--to {target} is one of the inputs; write to another file.")
    return targets
