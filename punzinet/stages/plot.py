"""All figures of what the other stages left, and everything on one page."""

from pathlib import Path

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.stages.features import FEATURES
from punzinet.stages.limits import LIMITS, SHAPE, known_tables
from punzinet.stages.options import Context, console
from punzinet.stages.paper import BASELINES, everything
from punzinet.stages.select import SELECT
from punzinet.stages.stage import Stage, Written
from punzinet.stages.train import TRAIN, network_files
from punzinet.stages.validate import PUBLISHED, VALIDATE


def _prepare(context: Context) -> None:
    if network_files(context):
        raise InputError(
            f"--network {context.options.network}: figures show how a network was trained beside "
            f"others, so it has to be one of {context.output.network('')}; choose one of those."
        )


def _run(context: Context) -> Written:
    """Draw all figures of what the other stages left, as PDF, PNG and SVG.

    Upper limits are drawn if `punzinet limits` has run; observed ones, too, if it observed any.
    What fits gain is drawn if `punzinet shape` has run.

    Example: punzinet plot --output output
    """
    from punzinet.plots.make import make_plots

    about = context.manifest, context.options.network
    written = make_plots(context.output, *about, own=PLOT.found(context))
    console.print(f"plot: {len(written)} files in {context.output.plots}")
    return written


PLOT: Stage = Stage(
    name="plot",
    run=_run,
    reads=("label", "processes", "figures"),
    also=lambda on: {"network": on.options.network},
    after=(FEATURES, TRAIN, SELECT),
    files=lambda on: on.manifest.figures.files,
    shows=lambda _: (LIMITS, SHAPE),
    writes=("plots",),
    options=("network",),
    prepare=_prepare,
)


def _prepare_report(context: Context) -> None:
    """Refuse another run whose σ_min and figures are not of its settings."""
    if context.options.compare:
        other = OutputFolder(Path(context.options.compare))
        TRAIN.check(other)
        TRAIN.check_order(other)
        if PLOT.has_begun(other):
            PLOT.check_order(other)


def _run_report(context: Context) -> Written:
    """Show all results on one page, report.html, that needs no network and no other file.

    With --compare it shows another run beside this one: settings that differ, and what they change.

    Example: punzinet report --output output
    """
    from punzinet.plots.report.page import make_report

    output, times = context.output, []
    for name in (path.stem for path in output.stages.glob("*.json")):
        if name != "networks":  # which is no record
            record = Stage(name=name, run=_run_report).record(output)
            times.append((record.started, record.seconds, name))
    network, other, compared = context.options.network, context.options.compare, None
    if other:
        from punzinet.plots.report.other_run import compare_runs  # and matplotlib

        parameter = context.manifest.search.resolved.parameter
        compared = compare_runs(output, OutputFolder(Path(other)), network, parameter)
    about = output, context.manifest, network
    own = REPORT.found(context)
    written = make_report(*about, own=own, times=times, compared=compared)
    written += compared.figures if compared else []
    console.print(f"report: open {output.report} in a browser")
    return written


def _compared(folder: str | None) -> list[str]:
    """Files of another run that are shown beside this one."""
    other = OutputFolder(Path(folder)) if folder else None
    return [str(path) for path in (other.sensitivity, other.histograms)] if other else []


REPORT: Stage = Stage(
    name="report",
    run=_run_report,
    also=lambda context: (
        {**context.manifest.content, "network": context.options.network}
        | ({"compare": context.options.compare} if context.options.compare else {})
    ),
    after=(FEATURES, TRAIN, SELECT, PLOT),
    # Nobody has to have these, but those that are there must be of the same settings.
    shows=lambda context: (LIMITS, BASELINES, *everything(context), PUBLISHED, VALIDATE),
    parts=lambda _: (PUBLISHED, REPORT),  # the first costs seconds
    writes=("report.html",),
    files=lambda on: [*known_tables(on), *_compared(on.options.compare)],
    options=("network", "compare"),
    prepare=_prepare_report,
)
