"""The single cut on all ntuples, and spectra before and behind it."""

from punzinet.stages import features
from punzinet.stages.options import Context, console
from punzinet.stages.stage import Stage, Written
from punzinet.stages.train import TRAIN, network_files


def _run(context: Context) -> Written:
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


SELECT = Stage(
    name="select",
    run=_run,
    reads=("systematics",),
    also=lambda on: {"network": on.options.network, **features.ntuple_settings(on.manifest, on)},
    after=(features.FEATURES, features.VARIATIONS, features.DATA, TRAIN),
    files=network_files,
    writes=("selection/histograms.root", "selection/cutflow.json"),
    options=("network", *features.NTUPLE_OPTIONS),
    prepare=features.check_unblind,
)
