"""`punzinet select`: recoil-mass histograms behind the single cut."""

from analysis.manifest import load_manifest
from analysis.output import OutputFolder
from processors.cli.options import (
    MANIFEST,
    NETWORK,
    OUTPUT,
    WORKERS,
    Executor,
    ExecutorOption,
    ForceOption,
    ManifestOption,
    NetworkOption,
    OutputOption,
    ScaleOption,
    WorkersOption,
    console,
    nothing_to_do,
)
from processors.stages import select_stage


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    network: NetworkOption = NETWORK,
    executor: ExecutorOption = Executor.FUTURES,
    workers: WorkersOption = WORKERS,
    force: ForceOption = False,
) -> None:
    """Apply the single cut of the Punzi-net to all ntuples and fill recoil-mass histograms.

    Example: punzinet select --manifest my_manifest.yaml --workers 2
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    stage = select_stage(folder, network)
    if nothing_to_do(stage, force):
        return
    from processors.selection_stage import run_selection

    stage.finish(run_selection(settings, folder, executor, workers, network))
    console.print(f"select: histograms in {folder.histograms}")
