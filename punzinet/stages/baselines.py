"""What the networks are compared with."""

from punzinet.stages.features import FEATURES
from punzinet.stages.options import Context, console
from punzinet.stages.stage import Stage, Written
from punzinet.stages.train import TRAIN


def _run(context: Context) -> Written:
    """Boosted trees, rectangular cuts, the significance loss; uncertain background; features.

    Needs the networks of `punzinet train`. Tables and figures go to baselines/ of the output.

    Example: punzinet baselines --output output
    """
    from punzinet.plots.baselines import write_figures
    from punzinet.plots.report import tables
    from punzinet.plots.style import labelled
    from punzinet.processors.runs.baselines import run_baselines

    manifest, output, resume = context.manifest, context.output, context.options.resume
    done = run_baselines(manifest, output, context.execution, resume=resume)
    written, comparison, systematics, ranking = done
    about = "baselines", "punzinet baselines", tables.baselines_tables
    for path in written:
        console.print(*map(tables.in_terminal, tables.read_tables(path, *about, path.stem)))
    with labelled(manifest):
        search = manifest.search.resolved
        written += write_figures(output.baselines, comparison, systematics, ranking, search)
    console.print(f"baselines: {len(written)} files in {output.baselines}")
    return written


BASELINES = Stage(
    name="baselines",
    run=_run,
    reads=("label", "figures", "figure_of_merit", "training", "baselines"),
    after=(FEATURES, TRAIN),
    files=lambda on: on.manifest.figures.files,
    writes=("baselines/baselines.json",),
    further_options=("resume",),
)
