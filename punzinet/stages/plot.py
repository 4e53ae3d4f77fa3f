"""Results to look at: the figures, and everything on one page."""

from collections.abc import Sequence
from pathlib import Path

from punzinet.stages import paper
from punzinet.stages.baselines import BASELINES
from punzinet.stages.features import FEATURES
from punzinet.stages.limits import LIMITS
from punzinet.stages.options import Context, console
from punzinet.stages.select import SELECT
from punzinet.stages.stage import Stage
from punzinet.stages.train import TRAIN
from punzinet.stages.validate import VALIDATE


def _run_plot(context: Context) -> Sequence[Path]:
    """Draw all figures of what the other stages left, as PDF, PNG and SVG.

    Upper limits are drawn if `punzinet limits` has run.

    Example: punzinet plot --output output
    """
    from punzinet.plots.make import make_plots

    output = context.output
    limits = LIMITS.has_run(output)
    written = make_plots(output, context.manifest, context.options.network, limits=limits)
    console.print(f"plot: {len(written)} files in {output.plots}")
    return written


def _run_report(context: Context) -> Sequence[Path]:
    """Show all results on one page, report.html, that needs no network and no other file.

    Example: punzinet report --output output
    """
    from punzinet.plots.report.page import make_report

    written = make_report(context.output, context.manifest, context.options.network)
    console.print(f"report: open {context.output.report} in a browser")
    return written


def _report_files(context: Context) -> list[str]:
    """Records of the stages, for their times, and results of whatever else is shown."""
    output = context.output
    records = [path for path in output.stages.glob("*.json") if path.stem != "report"]
    folders = (output.paper, output.baselines, output.limits.parent)
    results = [path for folder in folders for path in folder.glob("*.*")]
    return sorted(str(path) for path in [*records, *results, *output.simulation.glob("*.json")])


PLOT = Stage(
    name="plot",
    run=_run_plot,
    reads=("processes",),
    also=lambda context: {"network": context.options.network},
    after=(FEATURES, TRAIN, SELECT),
    shows=lambda _: (LIMITS,),
    options=("network",),
    kept=("network",),
)
REPORT = Stage(
    name="report",
    run=_run_report,
    also=lambda context: {
        "manifest": context.manifest.digest,
        "network": context.options.network,
    },
    after=(FEATURES, TRAIN, SELECT, PLOT),
    # Nobody has to have these, but those that are there must be of the same settings.
    shows=lambda context: (LIMITS, BASELINES, *paper.everything(context), VALIDATE),
    files=_report_files,
    writes=("report.html",),
    options=("network",),
    kept=("network",),
)
