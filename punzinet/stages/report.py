"""Everything on one page."""

from punzinet.stages.baselines import BASELINES
from punzinet.stages.features import FEATURES
from punzinet.stages.limits import LIMITS
from punzinet.stages.options import Context, console
from punzinet.stages.paper import everything
from punzinet.stages.plot import PLOT
from punzinet.stages.select import SELECT
from punzinet.stages.stage import Stage, Written
from punzinet.stages.train import TRAIN
from punzinet.stages.validate import VALIDATE


def _run(context: Context) -> Written:
    """Show all results on one page, report.html, that needs no network and no other file.

    Example: punzinet report --output output
    """
    from punzinet.plots.report.page import make_report

    written = make_report(context.output, context.manifest, context.options.network)
    console.print(f"report: open {context.output.report} in a browser")
    return written


def _files(context: Context) -> list[str]:
    """Records of the stages, for their times, and results of whatever else is shown."""
    output = context.output
    records = [path for path in output.stages.glob("*.json") if path.stem != "report"]
    folders = (output.paper, output.baselines, output.limits.parent)
    results = [path for folder in folders for path in folder.glob("*.*")]
    return sorted(str(path) for path in [*records, *results, *output.simulation.glob("*.json")])


REPORT = Stage(
    name="report",
    run=_run,
    also=lambda context: {"manifest": context.manifest.digest, "network": context.options.network},
    after=(FEATURES, TRAIN, SELECT, PLOT),
    # Nobody has to have these, but those that are there must be of the same settings.
    shows=lambda context: (LIMITS, BASELINES, *everything(context), VALIDATE),
    files=_files,
    writes=("report.html",),
    options=("network",),
)
