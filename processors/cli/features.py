"""`punzinet features`: windows and training tensors."""

from analysis.manifest import load_manifest
from analysis.output import OutputFolder
from processors.cli.options import (
    MANIFEST,
    OUTPUT,
    WORKERS,
    AllowMissingOption,
    Executor,
    ExecutorOption,
    ForceOption,
    ManifestOption,
    OutputOption,
    ScaleOption,
    SchedulerOption,
    WorkersOption,
    console,
    nothing_to_do,
)
from processors.stages import features_stage


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    executor: ExecutorOption = Executor.FUTURES,
    workers: WorkersOption = WORKERS,
    scheduler: SchedulerOption = None,
    allow_missing: AllowMissingOption = False,
    force: ForceOption = False,
) -> None:
    """Turn ntuples into recoil-mass windows and training tensors, and count every event.

    Example: punzinet features --manifest my_manifest.yaml --workers 2
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    stage = features_stage(settings, folder, allow_missing=allow_missing)
    if nothing_to_do(stage, force):
        return
    from processors.executors import Execution
    from processors.features_stage import run_features

    execution = Execution(executor, workers, scheduler)
    stage.finish(run_features(settings, folder, execution, allow_missing=allow_missing))
    console.print(f"features: windows in {folder.windows}, tensors in {folder.tensors}")
