"""`punzinet select`: recoil-mass histograms behind the single cut."""

from analysis.manifest import load_manifest
from analysis.output import OutputFolder
from processors.cli.options import (
    MANIFEST,
    NETWORK,
    OUTPUT,
    WORKERS,
    AllowMissingOption,
    Executor,
    ExecutorOption,
    ForceOption,
    ManifestOption,
    NetworkOption,
    OutputOption,
    ScaleOption,
    SchedulerOption,
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
    scheduler: SchedulerOption = None,
    allow_missing: AllowMissingOption = False,
    force: ForceOption = False,
) -> None:
    """Apply the single cut of the Punzi-net to all ntuples and fill recoil-mass histograms.

    Example: punzinet select --manifest my_manifest.yaml --workers 2
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    stage = select_stage(folder, network, allow_missing=allow_missing)
    if nothing_to_do(stage, force):
        return
    from processors.executors import Execution
    from processors.selection_stage import run_selection

    execution = Execution(executor, workers, scheduler)
    stage.finish(run_selection(settings, folder, execution, network, allow_missing=allow_missing))
    console.print(f"select: histograms in {folder.histograms}")
