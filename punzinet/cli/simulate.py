"""`punzinet simulate`: the default data."""

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import load_manifest
from punzinet.cli.options import (
    MANIFEST,
    OUTPUT,
    WORKERS,
    DryRunOption,
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
from punzinet.processors.stages import simulate_stage


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    executor: ExecutorOption = Executor.FUTURES,
    workers: WorkersOption = WORKERS,
    scheduler: SchedulerOption = None,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
) -> None:
    """Make the default data: one ROOT file for every dataset with `simulate` in the manifest.

    Example: punzinet simulate --scale paper
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    if not any(dataset.simulate for dataset in settings.datasets.values()):
        console.print("simulate: nothing to do, every dataset has its own files")
        return
    stage = simulate_stage(settings, folder, scale)
    if nothing_to_do(stage, force, dry_run):
        return
    from punzinet.processors.executors import Execution
    from punzinet.processors.simulation import simulate

    written = simulate(settings, scale, folder, Execution(executor, workers, scheduler))
    stage.finish(written)
    console.print(f"simulate: wrote {len(written)} files to {folder.simulation_record.parent}")
