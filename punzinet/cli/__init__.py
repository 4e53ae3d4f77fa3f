"""The command line, on top of everything: `punzinet --help`."""

import gc
import inspect
import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from typer import Option

from punzinet.analysis.io.files import InputError, Interrupted, cannot_write, is_full_or_read_only
from punzinet.analysis.io.output import versions
from punzinet.cli import tools
from punzinet.stages import STAGES
from punzinet.stages.options import SHARED, SILENT, Context, Options, console
from punzinet.stages.run import run_command

app = typer.Typer(
    name="punzinet",
    help=(
        "Search for a particle of unknown mass with one network, one loss and one cut.\n\n"
        "The stages run in this order: [b]simulate[/b] makes the default ntuples (skip it with "
        "your own), [b]features[/b] turns ntuples into mass windows and training tensors, "
        "[b]train[/b] trains the networks, [b]select[/b] applies the single cut and fills "
        "histograms, [b]limits[/b] works out upper limits, [b]plot[/b] draws the figures, "
        "[b]report[/b] shows everything on one page. "
        "[b]paper[/b], after features, reproduces the paper with ensembles of networks; "
        "[b]baselines[/b], after train, compares them with other methods; "
        "[b]validate-simulation[/b] compares the default data with what is known. A stage whose "
        "inputs have not changed does nothing; one that was cut off goes on; one that follows a "
        "stage out of date says so ([b]--upstream[/b] runs that first). [b]status[/b] shows "
        "what is done, out of date, missing and failed. Trained networks go elsewhere by "
        "[b]export[/b] and [b]predict[/b]; [b]rebasket[/b] makes ntuples of basf2 faster to "
        "read.\n\n"
        "Exit codes: 0 done, 1 something is wrong with an input (one sentence says what), "
        "2 wrong usage, 130 interrupted.\n\n"
        "Example: punzinet simulate, then punzinet -v features --workers 2, and so on; "
        "[b]--dry-run[/b] says what a command would do and why. "
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
        run(Context(options), **given)

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
app.command()(tools.rebasket)


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


def main() -> None:
    """Run a command; a wrong input ends in one sentence and exit code 1, not in a traceback."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app()
    except InputError as error:
        errors.print("[bold red]punzinet:[/bold red]", end=" ")
        errors.print(str(error), markup=False)
        sys.exit(1)
    except OSError as error:
        if not is_full_or_read_only(error):
            raise
        where = Path(error.filename or "output")
        errors.print(f"punzinet: {cannot_write(where, error)}", markup=False)
        sys.exit(1)
    except (Interrupted, KeyboardInterrupt) as stop:
        what = str(stop) or "interrupted; the same command goes on."
        errors.print(f"punzinet: {what}", markup=False)
        sys.exit(130)
    finally:
        gc.freeze()  # the process ends: looking for garbage among all figures took a second more
