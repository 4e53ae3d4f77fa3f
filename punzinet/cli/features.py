"""`punzinet features`: windows and training tensors."""

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import load_manifest
from punzinet.cli.options import (
    MANIFEST,
    OUTPUT,
    WORKERS,
    AllowMissingOption,
    DryRunOption,
    Executor,
    ExecutorOption,
    ForceOption,
    LimitChunksOption,
    LimitFilesOption,
    ManifestOption,
    OutputOption,
    ScaleOption,
    SchedulerOption,
    UnblindOption,
    WorkersOption,
    check_unblind,
    console,
    nothing_to_do,
    say_seen,
    say_trial,
)
from punzinet.cli.tables import cutflow_table
from punzinet.processors.stages import data_stage, features_stage
from punzinet.processors.trial import Trial


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    executor: ExecutorOption = Executor.FUTURES,
    workers: WorkersOption = WORKERS,
    scheduler: SchedulerOption = None,
    unblind: UnblindOption = False,
    allow_missing: AllowMissingOption = False,
    limit_files: LimitFilesOption = None,
    limit_chunks: LimitChunksOption = None,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
) -> None:
    """Turn ntuples into mass windows and training tensors, and count every event.

    Example: punzinet features --manifest my_manifest.yaml --workers 2

    To try a new manifest: punzinet features --manifest my_manifest.yaml --limit-files 1
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    check_unblind(settings, unblind)
    trial = Trial(limit_files, limit_chunks)
    stage = features_stage(settings, folder, allow_missing=allow_missing, trial=trial)
    if not nothing_to_do(stage, force, dry_run):
        from punzinet.processors.executors import Execution
        from punzinet.processors.features_stage import run_features

        execution = Execution(executor, workers, scheduler)
        stage.finish(
            run_features(settings, folder, execution, allow_missing=allow_missing, trial=trial)
        )
        console.print(cutflow_table(folder.features_cutflow, settings))
        if trial:
            say_trial("features", trial)
        console.print(f"features: windows in {folder.windows}, tensors in {folder.tensors}")
    if not settings.has_data:
        return
    stage = data_stage(settings, folder, unblind=unblind, allow_missing=allow_missing, trial=trial)
    if nothing_to_do(stage, force, dry_run):
        return
    from punzinet.processors.data_stage import run_data
    from punzinet.processors.executors import Execution

    execution = Execution(executor, workers, scheduler)
    stage.finish(
        run_data(
            settings,
            folder,
            execution,
            unblind=unblind,
            allow_missing=allow_missing,
            trial=trial,
        )
    )
    console.print(cutflow_table(folder.data_cutflow, settings))
    say_seen(settings, unblind)
    console.print(f"data: features in {folder.data_tensors}")
