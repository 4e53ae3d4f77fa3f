"""The command line, on top of everything: `punzinet --help`."""

import gc
import inspect
import itertools
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import Progress
from rich.table import Column, Table
from typer import Option
from typer.main import get_command

from punzinet.analysis.io.files import (
    InputError,
    Interrupted,
    cannot_write,
    file_digest,
    is_full_or_read_only,
    read_result,
)
from punzinet.analysis.io.output import versions
from punzinet.analysis.io.workers import heard_once, interrupt
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors.ledger import read_progress
from punzinet.stages import CHAIN, STAGES
from punzinet.stages.features import say_trial
from punzinet.stages.limits import what_is_observed
from punzinet.stages.options import PLAIN, SHARED, SILENT, Context, Options, console
from punzinet.stages.run import holder_of, run_command
from punzinet.stages.stage import Stage, out_of_date, reasons
from punzinet.stages.train import TRAIN, network_files

if TYPE_CHECKING:
    from punzinet.analysis.manifest.datasets import Dataset

READ = ("manifest", "output", "scale")  # options of commands that change no results
NOT_RUN, NOTHING = "not run", "nothing to do"

app = typer.Typer(
    name="punzinet",
    help=(
        "Search for a particle of unknown mass with one network, one loss and one cut.\n\n"
        "The stages from simulate, which your own ntuples replace, to report follow one another; "
        "paper, baselines, shape and validate-simulation stand beside them. A stage whose inputs "
        "have not changed does nothing; one that was cut off goes on; one that follows a stage out "
        "of date says so, and [b]--upstream[/b] runs that first.\n\n"
        "Exit codes: 0 done, 1 something is wrong (one sentence says what; [b]--debug[/b] shows "
        "where), 2 wrong usage, 130 interrupted.\n\n"
        "Example: punzinet simulate, then punzinet -v features --workers 2, and so on. "
        "punzinet --install-completion completes commands and options in your shell."
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def status(context: Context) -> None:
    """Show how far every stage is with every dataset, what is out of date, and what went wrong.

    Also while a stage runs.

    Example: punzinet status --output output
    """
    folder = context.output
    holder = holder_of(folder.root)
    stages = Table("stage", Column("state", overflow="fold"))
    names = ("chunks done", "entries done", "of", "failed")
    numbers = (Column(name, justify="right", no_wrap=True) for name in names)
    dataset = Column("dataset", overflow="fold")
    chunks = Table("stage", "step", dataset, *numbers, box=SIMPLE_HEAD, padding=0)
    failures, damaged, incomplete = list[str](), list[str](), list[str]()
    for stage in STAGES:
        why: list[str] = []
        with _noting(damaged):
            for row in read_progress(folder.ledger(stage.name)):
                why += row.failures.values()
                counts = map("{:,}".format, (row.entries_done, row.entries, len(row.failures)))
                done = f"{row.done:,}/{row.chunks:,}"
                chunks.add_row(stage.name, row.step, row.dataset, done, *counts)
        with _noting(damaged):
            why += stage.failure(folder)
        failures += [f"{stage.name}: {one}" for one in why]
        state = _state(stage, context, holder, damaged, failed=bool(why))
        # What a command of the chain runs besides is waited for, where it is wanted.
        optional = (NOTHING,) if stage.command in CHAIN else (NOT_RUN, NOTHING)
        if stage.name in CHAIN or state not in optional:
            stages.add_row(stage.name, state)
    console.print(stages)
    if chunks.row_count:
        console.print(chunks)
    for name in ("features", "select"):
        with _noting(damaged):
            say_trial(folder, name)
    for path in (folder.completeness, folder.varied_completeness, folder.data_completeness):
        with _noting(damaged):
            incomplete += _incomplete(path)
    with _noting(damaged):
        incomplete += what_is_observed(folder)
    for line in dict.fromkeys([*incomplete, *failures, *damaged]):
        console.print(line, soft_wrap=True)


@contextmanager
def _noting(damaged: list[str]) -> Iterator[None]:
    """Keep the sentence about a damaged file: everything else is shown."""
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
        said = ["cannot be told, see below"]
        with _noting(damaged):
            last = stage.of_last_run(context, network=True)
            before = [f"`{one.stage.typed}` is out of date" for one in out_of_date(stage, last)]
            why = [*reasons(stage, last), *before]
            said += [f"out of date: {why[0]}" if why else "finished"]
        return said[-1]
    if failed:
        return "failed"
    begun = stage.has_begun(output) or any(output.ledger(stage.name).glob("*.json"))
    if begun:
        return "cut off; the same command continues"
    said = [NOT_RUN if stage.name in CHAIN else NOTHING]  # without a manifest that can be read
    with _noting(damaged):
        said.append(NOT_RUN if stage.wanted(context.manifest) else NOTHING)
    return said[-1]


def _incomplete(path: Path) -> list[str]:
    """What the features stage says is missing or double; nothing if it has not run."""
    if not path.exists():
        return []
    with read_result(path, "counts", "punzinet features") as content:
        missing = content.get("missing", [])
        said = [f"features: allowed to be missing: {row['reason']}" for row in missing]
        return said + [f"features: {line}" for line in content.get("twice", [])]


def export(
    context: Context,
    file: Annotated[
        Path | None, typer.Argument(help="the ONNX file; by default beside the network")
    ] = None,
) -> None:
    """Write a network as ONNX, with scaling and sigmoid inside and the cut in its metadata.

    Example: punzinet export --network punzi-00 punzi.onnx
    """
    from punzinet.analysis.saved_network import WEIGHTS_FILE, load_network

    folder = _network(context)
    saved = load_network(folder)
    try:
        from punzinet.analysis.io.export import write_onnx
    except ModuleNotFoundError as error:
        raise InputError(
            f"`punzinet export` needs {error.name}: run `pip install 'punzinet[export]'`."
        ) from error
    # Another network of the same name has another one.
    path = file or folder / f"network-{file_digest(folder / WEIGHTS_FILE)[:8]}.onnx"
    write_onnx(saved, path)
    console.print(f"export: {path}")


def predict(
    context: Context,
    files: Annotated[list[str], typer.Argument(help="ROOT files, paths or URLs")],
    dataset: Annotated[
        str | None,
        Option(
            help="dataset of the manifest that the files are like in tree, branch names, frame and "
            "missing values; needed where datasets differ in these"
        ),
    ] = None,
    to: Annotated[
        Path | None, Option(help="file to write, or folder for several; by default this folder")
    ] = None,
) -> None:
    """Evaluate a network on ntuples and write its output as a friend tree `punzinet`.

    Files are read like a dataset of the manifest. Their friends have an entry
    for each of theirs, in the same order; `punzinet_selected` asks for nothing
    but the output: neither for one candidate an event, nor for opposite charges.

    Example: punzinet predict data.root --network punzi-00 --to data.punzinet.root
    """
    from punzinet.analysis.saved_network import load_network
    from punzinet.processors.datasets import describe_datasets
    from punzinet.processors.friends import predict_file
    from punzinet.processors.preflight import inspect_file

    like = _like(context.manifest, dataset)
    alone = context.manifest.model_copy(update={"datasets": {like.name: like}})
    saved = load_network(_network(context))
    inputs = [inspect_file(like, path, Path(path).stem, saved.search.columns) for path in files]
    with Progress(console=console, disable=not console.is_terminal) as progress:
        for file, target in zip(inputs, _targets(files, to), strict=True):
            task = progress.add_task(escape(file.stem), total=file.entries)
            done = predict_file(
                file, saved, describe_datasets(alone, [file])[like.name], target,
                chunk_size=alone.features.chunk_size, advance=partial(progress.advance, task),
            )  # fmt: skip
            said = f"predict: {target}: {done.entries} entries, {done.selected} selected"
            if done.undefined:
                said += f", {done.undefined} without output (input is not a number)"
            console.print(said)


def _network(context: Context) -> Path:
    """Folder of a network; InputError if it is in the output folder, and not as train left it."""
    if not network_files(context):
        TRAIN.check(context.output)
    return context.output.network(context.options.network)


def _like(manifest: Manifest, name: str | None) -> "Dataset":
    """The dataset that says how files are read: the named one, or any if all say the same."""

    def reading(one: str) -> dict[str, Any]:
        said = manifest.datasets[one].model_dump(include={"branches", "tree", "frame", "missing"})
        said["branches"].pop("generated_mass", None)
        return said

    if name is None:
        name, *others = manifest.datasets
        for other, setting in itertools.product(others, reading(name)):
            if reading(other)[setting] != reading(name)[setting]:
                raise InputError(
                    f"Datasets {name} and {other} differ in `{setting}`: say with --dataset which "
                    "of them the files are like."
                )
    if name not in manifest.datasets:
        raise InputError(f"--dataset {name}: the manifest only has {', '.join(manifest.datasets)}.")
    # Of whatever mass the events are, nothing needs to know.
    return manifest.datasets[name].model_copy(update={"mass": 1.0, "variation_of": None})


def _targets(files: Sequence[str], to: Path | None) -> list[Path]:
    """Where the friend of each file goes: to a file, or a folder, by default this one."""
    targets = [(to or Path()) / f"{Path(name).stem}.punzinet.root" for name in files]
    if to is not None and len(files) == 1 and not to.is_dir():
        targets = [to]
    for target in targets:
        if targets.count(target) > 1:
            raise InputError(
                f"Two files would be written to {target}; give each a --to of its own."
            )
        if any(target.resolve() == Path(name).resolve() for name in files):
            raise InputError(f"--to {target} is one of the inputs; write to another file.")
    return targets


def _add_command(name: str, run: Callable[..., None], text: str | None, *names: str) -> None:
    """Add a command of a context with these options, and with whatever else it takes."""

    def command(**given: Any) -> None:
        options = Options(**{name: given.pop(name) for name in names})
        try:
            run(Context(options), **given)
        except KeyboardInterrupt:  # of which typer would say nothing
            raise Interrupted("interrupted; the same command goes on.") from None

    every = inspect.signature(Options).parameters
    _, *own = inspect.signature(run).parameters.values()
    parameters = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in (*own, *(every[name] for name in names))
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    app.command(name, help=text)(command)


for _stage in STAGES:
    if not _stage.command:
        _names = (*_stage.options, *_stage.further_options, *SHARED)
        _run = partial(run_command, _stage)
        _add_command(_stage.name, _run, inspect.getdoc(_stage.run), *_names)
_add_command("status", status, status.__doc__, *READ)
_add_command("export", export, export.__doc__, "network", *READ)
_add_command("predict", predict, predict.__doc__, "network", *READ)


_VERBOSE = "say why a stage runs and what it goes on from; -vv: name every chunk"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"punzinet {versions()['punzinet']}")
        raise typer.Exit


@app.callback()
def _talk(
    verbose: Annotated[int, Option("--verbose", "-v", count=True, help=_VERBOSE)] = 0,
    quiet: Annotated[
        bool, Option("--quiet", "-q", help="say nothing but errors, and show no progress")
    ] = False,
    debug: Annotated[
        bool, Option("--debug", help="show the traceback of whatever goes wrong")
    ] = False,
    _version: Annotated[
        bool, Option("--version", callback=_show_version, is_eager=True, help="print it and end")
    ] = False,
) -> None:
    """Settle how much is said, before any command runs; messages of libraries are theirs."""
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    console.quiet = quiet = quiet or SILENT
    handler = RichHandler(console=Console(stderr=True), show_path=verbose > 1, show_time=False)
    logger = logging.getLogger("punzinet")
    logger.handlers = [handler]
    logger.setLevel(logging.ERROR if quiet else levels[min(verbose, 2)])
    if debug:
        sys.excepthook = sys.__excepthook__


def main() -> None:
    """Run a command; whatever goes wrong ends in one sentence and an exit code, see `app`."""
    handler = heard_once(interrupt)
    for number in (signal.SIGINT, signal.SIGTERM):  # the second one from batch systems
        signal.signal(number, handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=PLAIN)
    sys.excepthook = _say
    try:
        get_command(app)()  # past the exceptions that Typer writes itself
    except Interrupted as stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _say(Interrupted, stop, None)
        sys.exit(130)
    finally:
        gc.freeze()  # the process ends: looking for garbage among all figures took a second more


def _say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say in one sentence what went wrong, in place of Python's traceback."""
    del trace
    said = str(error)
    if isinstance(error, OSError) and is_full_or_read_only(error):
        cache = os.environ.get("NUMBA_CACHE_DIR", "its cache")
        anywhere = f"results, compiled code (in {cache}) or what is printed"
        said = cannot_write(Path(error.filename or anywhere), error)
    elif isinstance(error, MemoryError):
        said = "there is not enough memory: give it more, or fewer --workers."
    elif not isinstance(error, InputError | Interrupted):
        what = " ".join(f"{kind.__name__}: {error}".split())
        said = f"unexpected error: {what}; run with --debug (punzinet --debug ...) and report it."
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    errors.print("[bold red]punzinet:[/bold red]", end=" ")
    errors.print(said, markup=False)
