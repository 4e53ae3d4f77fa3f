"""What networks and ntuples give: spectra, limits, figures, and everything on one page."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from punzinet.stages import features, paper
from punzinet.stages.options import Context, console
from punzinet.stages.stage import Stage
from punzinet.stages.train import BASELINES, TRAIN
from punzinet.stages.validate import VALIDATE

#: Masses that the table of limits shows, as shares of the way through all of them.
SHOWN = (0.0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)


def _network(context: Context) -> dict[str, str]:
    return {"network": context.options.network}


def _run_selection(context: Context) -> Sequence[Path]:
    """Apply the single cut of the Punzi-net to all ntuples and fill histograms of the mass.

    Example: punzinet select --manifest my_manifest.yaml --workers 2

    Data is blinded; when the analysis is final: punzinet select --unblind
    """
    from punzinet.processors.runs.selection import run_selection

    manifest, output, network = context.manifest, context.output, context.options.network
    written = run_selection(manifest, output, context.execution, network, **context.reading)
    features.say_cutflow(output.selection_cutflow, manifest)
    features.say_trial(output, "select")
    features.say_seen(context)
    console.print(f"select: histograms in {output.histograms}")
    return written


def _run_limits(context: Context) -> Sequence[Path]:
    """Work out expected upper limits on the cross-section and on g' for every mass.

    Example: punzinet limits --network punzi-00
    """
    from punzinet.processors.runs.limits import run_limits

    output = context.output
    written, limits = run_limits(context.manifest, output, context.options.network)
    level = f"{100 * limits.confidence_level:g} % CL"
    table = Table(
        "mass (GeV)", "background", f"σ·B at {level} (fb)", "exact sums (fb)", "g'",
        title="Expected limits of the single cut",
    )  # fmt: skip
    single = limits.selections["single"]
    coupling = limits.coupling(single.asymptotic)[:, 2]
    for i in sorted({round(share * (len(limits.mass) - 1)) for share in SHOWN}):
        low, median, high = single.asymptotic[i, 1:4]
        band = f"{median:.3g} ({low:.3g} to {high:.3g})"
        numbers = f"{single.background[i]:.3g}", band, f"{single.counting[i, 2]:.3g}"
        strength = f"{coupling[i]:.2g}" if np.isfinite(coupling[i]) else "-"
        table.add_row(f"{limits.mass[i]:g}", *numbers, strength)
    console.print(table)
    console.print(f"limits: {len(written)} files in {output.limits.parent}")
    return written


def _run_plot(context: Context) -> Sequence[Path]:
    """Draw all figures of what the other stages left, as PDF, PNG and SVG.

    Upper limits are drawn if `punzinet limits` has run.

    Example: punzinet plot --output output
    """
    from punzinet.plots.make import make_plots

    output, limits = context.output, LIMITS.has_run(context.output)
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


SELECT = Stage(
    name="select",
    run=_run_selection,
    also=lambda on: {**_network(on), **features.ntuple_settings(on.manifest, on)},
    after=(features.FEATURES, features.DATA, TRAIN),
    writes=("selection/histograms.root", "selection/cutflow.json"),
    options=("network", *features.NTUPLE_OPTIONS),
    prepare=features.check_unblind,
)
LIMITS = Stage(
    name="limits",
    run=_run_limits,
    reads=("figure_of_merit", "limits"),
    also=_network,
    after=(features.FEATURES, TRAIN),
    # The user's table, if there is one.
    files=lambda context: list(filter(None, [context.manifest.limits.cross_sections])),
    writes=("limits/limits.json",),
    options=("network",),
)
PLOT = Stage(
    name="plot",
    run=_run_plot,
    reads=("processes",),
    also=_network,
    after=(features.FEATURES, TRAIN, SELECT),
    shows=lambda _: (LIMITS,),
    options=("network",),
)
REPORT = Stage(
    name="report",
    run=_run_report,
    also=lambda context: {"manifest": context.manifest.digest, **_network(context)},
    after=(features.FEATURES, TRAIN, SELECT, PLOT),
    # Nobody has to have these, but those that are there must be of the same settings.
    shows=lambda context: (LIMITS, BASELINES, *paper.everything(context), VALIDATE),
    files=_report_files,
    writes=("report.html",),
    options=("network",),
)
