"""The command line, on top of everything: `punzinet --help`."""

import sys
from pathlib import Path

import typer
from rich.console import Console

from punzinet.analysis.io.errors import InputError, Interrupted
from punzinet.analysis.io.files import cannot_write, is_full_or_read_only
from punzinet.cli import (
    baselines,
    export,
    features,
    limits,
    messages,
    paper,
    plot,
    predict,
    rebasket,
    report,
    select,
    simulate,
    status,
    train,
    validate_simulation,
)
from punzinet.cli.options import OUTPUT, held

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
        "inputs have not changed does nothing; one that was cut off goes on. [b]status[/b] shows "
        "what is done, missing and failed. Trained networks go elsewhere by [b]export[/b] and "
        "[b]predict[/b]; [b]rebasket[/b] makes ntuples of basf2 faster to read.\n\n"
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
app.callback()(messages.options)
app.command("simulate")(simulate.command)
app.command("features")(features.command)
app.command("train")(train.command)
app.command("select")(select.command)
app.command("limits")(limits.command)
app.command("plot")(plot.command)
app.command("report")(report.command)
app.command("paper")(paper.command)
app.command("baselines")(baselines.command)
app.command("status")(status.command)
app.command("validate-simulation")(validate_simulation.command)
app.command("export")(export.command)
app.command("predict")(predict.command)
app.command("rebasket")(rebasket.command)


def main() -> None:
    """Run a command; a wrong input ends in one sentence and exit code 1, not in a traceback."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        with held:
            app()
    except InputError as error:
        errors.print("[bold red]punzinet:[/bold red]", end=" ")
        errors.print(str(error), markup=False)
        sys.exit(1)
    except OSError as error:
        if not is_full_or_read_only(error):
            raise
        errors.print(
            f"punzinet: {cannot_write(Path(error.filename or OUTPUT), error)}", markup=False
        )
        sys.exit(1)
    except (Interrupted, KeyboardInterrupt) as stop:
        what = str(stop) or "interrupted; the same command goes on."
        errors.print(f"punzinet: {what}", markup=False)
        sys.exit(130)
