"""What the networks are compared with."""

from rich.table import Table

from punzinet.stages.features import FEATURES
from punzinet.stages.options import Context, console
from punzinet.stages.stage import Stage, Written
from punzinet.stages.train import TRAIN


def _run(context: Context) -> Written:
    """Boosted trees, rectangular cuts, the significance loss; uncertain background; features.

    Needs the networks of `punzinet train`. Tables and figures go to baselines/
    in the output folder.

    Example: punzinet baselines --output output
    """
    from punzinet.plots.baselines import write_figures
    from punzinet.plots.style import labelled
    from punzinet.processors.runs.baselines import run_baselines

    manifest, output, resume = context.manifest, context.output, context.options.resume
    done = run_baselines(manifest, output, context.execution, resume=resume)
    written, comparison, systematics, ranking = done
    search = manifest.search.resolved
    with labelled(manifest):
        written += write_figures(output.baselines, comparison, systematics, ranking, search)
    for results in (comparison, systematics):
        low = (results.mass >= 1) & (results.mass <= 4)
        table = Table("selection", "average σ_min, trained masses (fb)", "other masses", "1-4 GeV")
        for baseline in results.baselines.values():
            chosen = results.training, ~results.training, low
            sigma = (baseline.selection.sigma_min[masses] for masses in chosen)
            first, *others = map(results.figure_of_merit.averaged, sigma)
            trained = f"{first:.4g} ± {baseline.mean_error:.2g}"
            table.add_row(baseline.label, trained, *(f"{value:.4g}" for value in others))
        console.print(table)
    table = Table("rank", "observable", "importance", "alone (AUC)")
    columns = zip(ranking.names, ranking.importance, ranking.separation, strict=True)
    for rank, (name, importance, area) in enumerate(columns, 1):
        table.add_row(str(rank), name, f"{importance:.4f}", f"{area:.3f}")
    console.print(table)
    console.print(f"baselines: {len(written)} files in {output.baselines}")
    return written


BASELINES = Stage(
    name="baselines",
    run=_run,
    reads=("label", "figure_of_merit", "training", "baselines"),
    after=(FEATURES, TRAIN),
    writes=("baselines/baselines.json",),
    further_options=("resume",),
)
