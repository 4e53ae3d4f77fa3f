"""`punzinet features`: windows and training tensors."""

from analysis.manifest import load_manifest
from analysis.output import OutputFolder
from processors.cli.options import (
    MANIFEST,
    OUTPUT,
    WORKERS,
    Executor,
    ExecutorOption,
    ForceOption,
    ManifestOption,
    OutputOption,
    ScaleOption,
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
    force: ForceOption = False,
) -> None:
    """Turn ntuples into recoil-mass windows and training tensors, and count every event.

    Example: punzinet features --manifest my_manifest.yaml --workers 2
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    stage = features_stage(settings, folder)
    if nothing_to_do(stage, force):
        return
    from processors.features_stage import run_features

    stage.finish(run_features(settings, folder, executor, workers))
    console.print(f"features: windows in {folder.windows}, tensors in {folder.tensors}")
