"""The command line, on top of everything: `punzinet --help`."""

import gc
import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from typer import Option
from typer.main import get_command

from punzinet.analysis.io.files import InputError, Interrupted, cannot_write, is_full_or_read_only
from punzinet.analysis.io.output import versions
from punzinet.analysis.io.workers import heard_once
from punzinet.cli import tools
from punzinet.stages import STAGES
from punzinet.stages.options import PLAIN, SHARED, SILENT, Context, Options, console
from punzinet.stages.run import run_command

app = typer.Typer(
    name="punzinet",
    help=(
        "Search for a particle of unknown mass with one network, one loss and one cut.\n\n"
        "The stages run in the order below. One whose inputs have not changed does nothing; one "
        "that was cut off goes on; one that follows a stage out of date says so, and "
        "[b]--upstream[/b] runs that first.\n\n"
        "Exit codes: 0 done, 1 something is wrong (one sentence says what; [b]--debug[/b] shows "
        "where), 2 wrong usage, 130 interrupted.\n\n"
        "Example: punzinet simulate, then punzinet -v features --workers 2, and so on. "
        "punzinet --install-completion completes commands and options in your shell."
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


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
_add_command("status", tools.status, tools.status.__doc__, *tools.READ)
_add_command("export", tools.export, tools.export.__doc__, "network", *tools.READ)
_add_command("predict", tools.predict, tools.predict.__doc__, "network", *tools.READ)

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
    signal.signal(
        signal.SIGINT, heard_once(partial(signal.default_int_handler, signal.SIGINT, None))
    )
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
