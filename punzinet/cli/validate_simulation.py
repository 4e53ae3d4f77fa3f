"""`punzinet validate-simulation`: the default data against what is known."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import load_manifest
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
from punzinet.processors.stages import validate_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from punzinet.analysis.simulation.comparison import Comparison
    from punzinet.analysis.simulation.spectrum_comparison import SpectrumComparison


def command(
    manifest: ManifestOption = MANIFEST,
    output: OutputOption = OUTPUT,
    scale: ScaleOption = "default",
    dry_run: DryRunOption = False,
    force: ForceOption = False,
) -> None:
    """Compare the default data with published numbers and with Pythia 8.

    Writes validation.json and figures to the folder simulation/ of the output.
    Pythia takes three minutes; without the package pythia8mc its part is left out.

    Example: punzinet validate-simulation --output output
    """
    folder = OutputFolder(output)
    settings = load_manifest(manifest, folder, scale)
    settings.search.require_recoil("punzinet validate-simulation")
    pythia = find_spec("pythia8mc") is not None
    stage = validate_stage(settings, folder, pythia)
    if not dry_run:
        stage.fingerprint()  # refuses before anything is forgotten if a stage before has not run
    if nothing_to_do(stage, force, dry_run):
        return
    from punzinet.analysis.io.files import write_json
    from punzinet.analysis.io.provenance import provenance
    from punzinet.analysis.simulation.validation import compare
    from punzinet.plots.validation import make_validation_plots

    with console.status("Comparing with published numbers"):
        rows = compare(settings, folder)
    spectra = _spectra(settings.beams.sqrt_s, settings.simulation.seed) if pythia else []
    missing = {
        "missing": "The comparison with Pythia 8 needs the package pythia8mc: install it with "
        "`pip install --only-binary pythia8mc pythia8mc` or `pip install --group dev`."
    }
    origin = provenance(
        settings.digest, stage=stage.name, scale=scale, seed=settings.simulation.seed
    )
    content: dict[str, Any] = {
        "provenance": origin,
        **{row.quantity: row.to_json() for row in rows},
        "spectra": {one.process: one.to_json() for one in spectra} if pythia else missing,
    }
    if not any(row.quantity.startswith("sigma_min") for row in rows):
        content["note"] = (
            "No published sigma_min is compared: neither `punzinet paper` nor `punzinet train` "
            "has run."
        )
    write_json(folder.validation, content)
    written = [folder.validation, *make_validation_plots(folder, settings, rows, spectra)]
    stage.finish(written)
    _print(rows, spectra)
    for note in (content.get("note"), content["spectra"].get("missing")):
        if note:
            console.print(note, markup=False)
    console.print(f"validate-simulation: {len(written)} files in {folder.simulation}")


def _spectra(sqrt_s: float, seed: int) -> "list[SpectrumComparison]":
    """All spectra of both generators."""
    from punzinet.analysis.simulation.spectrum_comparison import (
        EVENTS,
        PROCESSES,
        compare_with_pythia,
    )

    spectra = []
    for process in PROCESSES:
        with console.status(f"Comparing {EVENTS[process]} events of {process} with Pythia 8"):
            spectra.append(compare_with_pythia(process, sqrt_s, seed, EVENTS[process]))
    return spectra


def _print(rows: "Sequence[Comparison]", spectra: "Sequence[SpectrumComparison]") -> None:
    """Print a table of all comparisons, and what became of the spectra."""
    from rich.table import Table

    table = Table(title="Default data against published values")
    table.add_column("quantity", no_wrap=True)
    for heading in ("ours", "published", "ratio", "met"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        ours = "-" if row.ours is None else f"{row.ours:.4g}"
        if row.error:
            ours += f" ± {row.error:.1g}"
        ratio = "-" if row.ratio is None else f"{row.ratio:.3f}"
        met = {True: "yes", False: "[red]no[/red]", None: "-"}[row.met]
        table.add_row(row.title.replace("[", r"\["), ours, f"{row.published:g}", ratio, met)
    console.print(table)
    for one in spectra:
        bins = [s for spectrum in one.spectra.values() for s in spectrum.deviations.tolist()]
        console.print(
            f"{one.process}: {one.ours / one.theirs:.3f} of Pythia's cross-section; largest "
            f"difference of the spectra {max(bins):.1%}, in {len(bins)} bins with enough events",
            markup=False,
        )
