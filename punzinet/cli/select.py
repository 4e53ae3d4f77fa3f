"""`punzinet select`: histograms of the window variable behind the single cut."""

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import load_manifest
from punzinet.cli.options import (
    MANIFEST,
    NETWORK,
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
    NetworkOption,
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
from punzinet.processors.stages import select_stage
from punzinet.processors.trial import Trial


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    network: NetworkOption = NETWORK,
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
    """Apply the single cut of the Punzi-net to all ntuples and fill histograms of the mass.

    Example: punzinet select --manifest my_manifest.yaml --workers 2

    Data is blinded; when the analysis is final: punzinet select --unblind
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    check_unblind(settings, unblind)
    trial = Trial(limit_files, limit_chunks)
    stage = select_stage(
        settings, folder, network, unblind=unblind, allow_missing=allow_missing, trial=trial
    )
    if nothing_to_do(stage, force, dry_run):
        return
    from punzinet.processors.executors import Execution
    from punzinet.processors.selection_stage import run_selection

    execution = Execution(executor, workers, scheduler)
    stage.finish(
        run_selection(
            settings,
            folder,
            execution,
            network,
            unblind=unblind,
            allow_missing=allow_missing,
            trial=trial,
        )
    )
    console.print(cutflow_table(folder.selection_cutflow, settings))
    if trial:
        say_trial("select", trial)
    say_seen(settings, unblind)
    console.print(f"select: histograms in {folder.histograms}")
