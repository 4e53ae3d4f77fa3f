"""`punzinet paper`: the figures and claims of the paper."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.datasets import SIGNAL
from punzinet.analysis.manifest.manifest import Manifest, load_manifest
from punzinet.analysis.paper.studies import VARIATION, Study, paper_studies, variations
from punzinet.cli.options import (
    MANIFEST,
    OUTPUT,
    DryRunOption,
    ForceOption,
    ManifestOption,
    OutputOption,
    ScaleOption,
    console,
    nothing_to_do,
)
from punzinet.processors.stages import paper_stage, study_stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    networks: Annotated[
        int | None,
        typer.Option(min=2, help="networks of the main study; no other study has more"),
    ] = None,
    studies: Annotated[
        bool, typer.Option("--studies", help="vary the recipe, one thing at a time, as well")
    ] = False,
    vary: Annotated[
        list[str] | None,
        typer.Option(help="one of these variations only, such as wide or seed; repeat it"),
    ] = None,
    combine: Annotated[
        list[Path] | None,
        typer.Option(help="average the claims of these output folders instead; repeat it"),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--restart", help="continue interrupted trainings, or throw them away"
        ),
    ] = True,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
) -> None:
    """Train the ensembles, draw the paper's figures and put its claims into numbers.

    Example: punzinet paper --networks 5, or for several simulation seeds afterwards
    punzinet paper --combine seed1/output --combine seed2/output
    """
    folder = OutputFolder(output)
    if combine:
        _combine(folder, combine)
        return
    settings = load_manifest(manifest, folder, scale)
    settings.search.require_recoil("punzinet paper")
    if networks is not None:
        paper = settings.paper.model_copy(update={"networks": networks})
        settings = settings.model_copy(update={"paper": paper})
    possible = _variations_of(settings)
    varied = possible if studies else _chosen(possible, vary or [])
    main = paper_studies(settings.training, settings.paper)
    _run(settings, folder, main, resume=resume, force=force, dry_run=dry_run)
    _claims(settings, folder, main, force=force, dry_run=dry_run)
    if varied:
        _run(settings, folder, varied, resume=resume, force=force, dry_run=dry_run)
        finished = [
            study
            for study in possible
            if study in varied or study_stage(settings, folder, study).is_up_to_date()
        ]
        # Other batch sizes are variations as well, which the figures of the paper need anyway.
        _variations(settings, folder, [*main[1:], *finished], force=force, dry_run=dry_run)


def _variations_of(settings: Manifest) -> "list[Study]":
    """Every variation of the recipe."""
    processes = {dataset.process for dataset in settings.datasets.values()}
    backgrounds = sorted(processes & set(settings.processes) - {SIGNAL})
    return variations(settings.training, settings.paper, backgrounds)


def _chosen(possible: "Sequence[Study]", names: "Sequence[str]") -> "list[Study]":
    """Variations by their names.

    Raises:
        InputError: If there is none of such a name.
    """
    by_name = {study.name.removeprefix(VARIATION): study for study in possible}
    for name in names:
        if name not in by_name:
            known = ", ".join(by_name)
            raise InputError(f"--vary {name}: there is no such variation, only {known}.")
    return [study for name, study in by_name.items() if name in names]


def _run(
    settings: Manifest,
    folder: OutputFolder,
    studies: "Sequence[Study]",
    *,
    resume: bool,
    force: bool,
    dry_run: bool,
) -> None:
    """Run all studies that are not up to date."""
    for study in studies:
        stage = study_stage(settings, folder, study)
        if nothing_to_do(stage, force, dry_run):
            continue
        from punzinet.analysis.training.progress import ProgressBar
        from punzinet.processors.paper_stage import run_study

        console.print(f"{stage.name}: {study.label}, {study.settings.networks} networks")
        with ProgressBar(quiet=console.quiet) as progress:
            written = run_study(settings, folder, study, resume=resume, reporters=[progress])
        stage.finish(written)


def _claims(
    settings: Manifest,
    folder: OutputFolder,
    studies: "Sequence[Study]",
    *,
    force: bool,
    dry_run: bool,
) -> None:
    """Claims and figures, if they are not up to date."""
    stage = paper_stage(settings, folder, [study.name for study in studies], variations=False)
    if nothing_to_do(stage, force, dry_run):
        return
    from punzinet.analysis.io.files import read_json
    from punzinet.plots.make_paper import make_paper_figures
    from punzinet.processors.paper_stage import write_claims

    written = write_claims(settings, folder, [study.name for study in studies])
    written += make_paper_figures(folder, settings, studies)
    stage.finish(written)
    console.print(_table(read_json(folder.claims, "punzinet paper")))
    console.print(f"paper: claims in {folder.claims}, figures in {folder.paper}")


def _variations(
    settings: Manifest,
    folder: OutputFolder,
    studies: "Sequence[Study]",
    *,
    force: bool,
    dry_run: bool,
) -> None:
    """What the variations change, and its figure, if they are not up to date."""
    stage = paper_stage(settings, folder, [study.name for study in studies], variations=True)
    if nothing_to_do(stage, force, dry_run):
        return
    from punzinet.plots.make_paper import make_variations_figure
    from punzinet.processors.paper_stage import write_effects

    written = write_effects(settings, folder, studies) + make_variations_figure(folder)
    stage.finish(written)
    console.print(f"paper: variations in {folder.variations}")


def _combine(folder: OutputFolder, folders: "Sequence[Path]") -> None:
    """Average the claims of several folders, say so and write it."""
    from punzinet.analysis.paper.combination import combine_claims

    combined = combine_claims(folders)
    path = folder.paper / "combined.json"
    write_json(path, combined)
    console.print(_table(combined))
    console.print(f"paper: claims of {len(folders)} folders in {path}")


def _table(claims: "Mapping[str, Mapping[str, Any]]") -> Table:
    """Claims as a table."""
    several = any("values" in claim for claim in claims.values())
    table = Table()
    for column in ("claim", *(["each"] if several else []), "value", "error", "target", "met"):
        table.add_column(column, overflow="fold")
    for name, claim in claims.items():
        each = [" ".join(map(_number, claim["values"].values()))] if several else []
        met = {True: "yes", False: "no", None: ""}[claim["met"]]
        value, error = _number(claim["value"]), _number(claim["error"])
        table.add_row(name, *each, value, error, claim["target"] or "", met)
    return table


def _number(value: float | None) -> str:
    """A number for a table."""
    return "–" if value is None else f"{value:.3g}"
