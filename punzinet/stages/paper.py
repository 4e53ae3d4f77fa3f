"""The figures and claims of the paper, from ensembles of networks, and what they are compared with.

Every ensemble is a stage of its own (a study), so that one that is up to date is not trained again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from punzinet.analysis.io.files import InputError, read_json
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.paper.studies import VARIATION, Study, paper_studies, variations
from punzinet.stages.features import FEATURES, MEASURED, measured
from punzinet.stages.options import Context, console
from punzinet.stages.stage import Stage, Written, reasons
from punzinet.stages.train import TRAIN


def _manifest(context: Context) -> Manifest:
    manifest, networks = context.manifest, context.options.networks
    if networks is None:
        return manifest
    if networks < 2:
        raise InputError("--networks 1: the ensembles of the paper need two networks or more.")
    paper = manifest.paper.model_copy(update={"networks": networks})
    return manifest.model_copy(update={"paper": paper})


def _main(context: Context) -> list[Study]:
    manifest = _manifest(context)
    return paper_studies(manifest.training, manifest.paper)


def _possible(context: Context) -> dict[str, Study]:
    """Every variation of the recipe, by what it is called on the command line."""
    manifest = _manifest(context)
    processes = {dataset.process for dataset in manifest.datasets.values()}
    backgrounds = sorted(processes & set(manifest.processes) - {SIGNAL_PROCESS})
    studies = variations(manifest.training, manifest.paper, backgrounds)
    return {study.name.removeprefix(VARIATION): study for study in studies}


def _chosen(context: Context) -> list[Study]:
    possible = _possible(context)
    names = [*possible] if context.options.studies else context.options.vary or []
    for name in names:
        if name not in possible:
            known = ", ".join(possible)
            raise InputError(f"--vary {name}: there is no such variation, only {known}.")
    return [study for name, study in possible.items() if name in names]


def _stage(context: Context, study: Study) -> Stage:
    """One ensemble, which may begin with the pretrained networks of the main study."""

    def run(context: Context) -> Sequence[Path]:
        from punzinet.processors.runs.training import run_study

        console.print(f"{name}: {study.label}, {study.settings.networks} networks")
        return run_study(_manifest(context), context.output, study, resume=context.options.resume)

    name, study_folder = f"paper {study.name}", f"paper/studies/{study.name}"
    begins_with = () if study.pretrains else (main_study(context),)
    varied = study.name.removeprefix(VARIATION)
    return Stage(
        name=name,
        command="paper" if varied == study.name else f"paper --vary {varied}",
        run=run,
        reads=("figure_of_merit", "luminosity"),
        also=lambda on: {
            **study.recipe(),
            "simulation_seed": on.manifest.simulation.seed,
            **measured(on),
        },
        after=(FEATURES, MEASURED, *begins_with),
        writes=(f"{study_folder}/study.json", f"{study_folder}/judgement.safetensors"),
        options=("networks",),
    )


def _stages(context: Context, studies: Iterable[Study]) -> list[Stage]:
    return [_stage(context, study) for study in studies]


def main_study(context: Context) -> Stage:
    """The ensembles of the paper's own recipe."""
    return _stage(context, _main(context)[0])


def _varied(context: Context) -> list[Study]:
    """Variations asked for or up to date, and other batch sizes, which figures need anyway."""
    (_, *further), asked = _main(context), _chosen(context)

    def shown(study: Study) -> bool:
        return study in asked or not reasons(_stage(context, study), context)

    return [*further, *filter(shown, _possible(context).values())]


def _parts(context: Context) -> Iterator[Stage]:
    """Main studies and their claims, then the variations that are asked for."""
    context.manifest.search.require_recoil("punzinet paper")
    asked = _chosen(context)
    yield from (*_stages(context, _main(context)), PAPER)
    if asked:
        yield from (*_stages(context, asked), VARIATIONS)


def everything(context: Context) -> Iterator[Stage]:
    """All stages of which there may be results, as they were run last."""
    context = PAPER.of_last_run(context)
    yield from _stages(context, [*_main(context), *_possible(context).values()])
    yield from (PAPER, VARIATIONS)


def _run(context: Context) -> Sequence[Path]:
    """Train the ensembles, draw the paper's figures and put its claims into numbers.

    Example: punzinet paper --networks 5
    """
    from punzinet.plots.paper import make_paper_figures
    from punzinet.plots.report.tables import claims_tables, in_terminal
    from punzinet.processors.runs.training import write_claims

    manifest, output, studies = _manifest(context), context.output, _main(context)
    written = write_claims(manifest, output, [study.name for study in studies])
    written += make_paper_figures(output, manifest, studies)
    console.print(*map(in_terminal, claims_tables(read_json(output.claims, "punzinet paper"))))
    console.print(f"paper: claims in {output.claims}, figures in {output.paper}")
    return written


def _run_variations(context: Context) -> Sequence[Path]:
    from punzinet.plots.paper import variations_figure
    from punzinet.plots.style import labelled, save
    from punzinet.processors.runs.training import write_effects

    output = context.output
    effects = write_effects(_manifest(context), output, _varied(context))
    with labelled(context.manifest):
        drawn = save(variations_figure([*effects.values()]), output.paper, "variations")
    console.print(f"paper: variations in {output.variations}")
    return [output.variations, *drawn]


PAPER = Stage(
    name="paper",
    run=_run,
    reads=("label", "processes", "figures"),
    files=lambda on: on.manifest.figures.files,
    also=lambda context: {"studies": [one.name for one in _main(context)]},
    after=(FEATURES,),
    shows=lambda context: _stages(context, _main(context)),
    writes=("paper/claims.json",),
    options=("networks",),
    further_options=("studies", "vary", "resume"),
    parts=_parts,
)
VARIATIONS = replace(
    PAPER,
    name="paper studies",
    command="paper --vary NAME",
    run=_run_variations,
    also=lambda context: {"studies": [one.name for one in _varied(context)]},
    shows=lambda context: _stages(context, _varied(context)),
    writes=("paper/variations.json",),
    further_options=(),
    parts=None,
)


def _run_baselines(context: Context) -> Written:
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
    run=_run_baselines,
    reads=("label", "figures", "figure_of_merit", "training", "baselines"),
    also=measured,
    after=(FEATURES, MEASURED, TRAIN),
    files=lambda on: on.manifest.figures.files,
    writes=("baselines/baselines.json",),
    further_options=("resume",),
)
