"""Everything on one page."""

from pathlib import Path

from punzinet.analysis.io.output import OutputFolder
from punzinet.stages.baselines import BASELINES
from punzinet.stages.features import FEATURES
from punzinet.stages.limits import LIMITS
from punzinet.stages.options import Context, console
from punzinet.stages.paper import everything
from punzinet.stages.plot import PLOT
from punzinet.stages.select import SELECT
from punzinet.stages.stage import Stage, Written
from punzinet.stages.train import TRAIN
from punzinet.stages.validate import PUBLISHED, VALIDATE


def _run(context: Context) -> Written:
    """Show all results on one page, report.html, that needs no network and no other file.

    With --compare it shows another run beside this one: settings that differ, and what they change.

    Example: punzinet report --output output
    """
    from punzinet.plots.report.page import make_report

    output, shown = context.output, REPORT.before(context)
    own = {output.root / name for one in shown for name in one.record(output).outputs}
    for path in output.stages.glob("*.json"):
        if path.stem != "networks":  # which is no record
            Stage(name=path.stem, run=_run).record(output)
    network, other, compared = context.options.network, context.options.compare, None
    if other:
        from punzinet.plots.report.other_run import compare_runs  # and matplotlib

        parameter = context.manifest.search.resolved.parameter
        compared = compare_runs(output, OutputFolder(Path(other)), network, parameter)
    written = make_report(output, context.manifest, network, own=own, compared=compared)
    written += compared.figures if compared else []
    console.print(f"report: open {output.report} in a browser")
    return written


def _compared(folder: str | None) -> list[str]:
    """Files of another run that are shown beside this one."""
    other = OutputFolder(Path(folder)) if folder else None
    return [str(path) for path in (other.sensitivity, other.histograms)] if other else []


REPORT: Stage = Stage(
    name="report",
    run=_run,
    also=lambda context: (
        {"manifest": context.manifest.digest, "network": context.options.network}
        | ({"compare": context.options.compare} if context.options.compare else {})
    ),
    after=(FEATURES, TRAIN, SELECT, PLOT),
    # Nobody has to have these, but those that are there must be of the same settings.
    shows=lambda context: (LIMITS, BASELINES, *everything(context), PUBLISHED, VALIDATE),
    parts=lambda _: (PUBLISHED, REPORT),  # the first costs seconds
    writes=("report.html",),
    files=lambda on: _compared(on.options.compare),
    options=("network", "compare"),
)
