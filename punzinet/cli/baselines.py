"""`punzinet baselines`: what the networks are compared with."""

from typing import Annotated

import typer
from rich.table import Table

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
from punzinet.processors.stages import baselines_stage


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    executor: ExecutorOption = Executor.FUTURES,
    workers: WorkersOption = WORKERS,
    scheduler: SchedulerOption = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--restart", help="continue an interrupted training, or throw it away"
        ),
    ] = True,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
) -> None:
    """Boosted trees, rectangular cuts, the significance loss; uncertain background; features.

    Needs the networks of `punzinet train`. Tables and figures go to baselines/
    in the output folder.

    Example: punzinet baselines --output output
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    stage = baselines_stage(settings, folder)
    if nothing_to_do(stage, force, dry_run):
        return
    from punzinet.plots.baselines import write_figures
    from punzinet.processors.baselines_stage import run_baselines
    from punzinet.processors.executors import Execution

    execution = Execution(executor, workers, scheduler)
    written, comparison, systematics, ranking = run_baselines(
        settings, folder, execution, resume=resume
    )
    search = settings.search.resolved
    written += write_figures(folder.baselines, comparison, systematics, ranking, search)
    stage.finish(written)
    for results in (comparison, systematics):
        low = (results.mass >= 1) & (results.mass <= 4)
        table = Table("selection", "mean σ_min, trained masses (fb)", "other masses", "1-4 GeV")
        for baseline in results.baselines.values():
            trained = f"{baseline.mean(results.training):.4g} ± {baseline.mean_error:.2g}"
            others = (baseline.mean(chosen) for chosen in (~results.training, low))
            table.add_row(baseline.label, trained, *(f"{value:.4g}" for value in others))
        console.print(table)
    table = Table("rank", "observable", "importance", "gain", "alone (AUC)")
    columns = zip(ranking.names, ranking.importance, ranking.gain, ranking.separation, strict=True)
    for rank, (name, importance, gain, area) in enumerate(columns, 1):
        table.add_row(str(rank), name, f"{importance:.4f}", f"{gain:.1%}", f"{area:.3f}")
    console.print(table)
    console.print(f"baselines: {len(written)} files in {folder.baselines}")
