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

    output, shown = context.output, REPORT.before(context)
    own = {output.root / name for one in shown for name in one.record(output).outputs}
    for path in output.stages.glob("*.json"):
        if path.stem != "networks":  # which is no record
            Stage(name=path.stem, run=_run).record(output)
    written = make_report(output, context.manifest, context.options.network, own=own)
    console.print(f"report: open {output.report} in a browser")
    return written


REPORT = Stage(
    name="report",
    run=_run,
    also=lambda context: {"manifest": context.manifest.digest, "network": context.options.network},
    after=(FEATURES, TRAIN, SELECT, PLOT),
    # Nobody has to have these, but those that are there must be of the same settings.
    shows=lambda context: (LIMITS, BASELINES, *everything(context), VALIDATE),
    writes=("report.html",),
    options=("network",),
)
