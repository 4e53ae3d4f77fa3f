"""The default data against what is known."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table
from rich.text import Text

from punzinet.analysis.io.files import write_json
from punzinet.analysis.io.output import provenance
from punzinet.stages.features import FEATURES
from punzinet.stages.options import Context, console
from punzinet.stages.paper import main_study
from punzinet.stages.simulate import SIMULATE
from punzinet.stages.stage import Stage, Written
from punzinet.stages.train import TRAIN

if TYPE_CHECKING:
    from punzinet.analysis.simulation.published import PublishedNumber
    from punzinet.analysis.simulation.pythia import PythiaComparison


def _has_pythia() -> bool:
    return find_spec("pythia8mc") is not None


def _run(context: Context) -> Written:
    """Compare the default data with published numbers and with Pythia 8.

    Writes validation.json and figures to the folder simulation/ of the output.
    Pythia takes three minutes; without the package pythia8mc its part is left out.

    Example: punzinet validate-simulation --output output
    """
    from punzinet.analysis.paper.claims import curve_rows
    from punzinet.analysis.simulation import pythia
    from punzinet.analysis.simulation.published import PublishedNumber, compare_with_published
    from punzinet.plots.validation import make_validation_plots

    output, manifest = context.output, context.manifest
    seed, scale = manifest.simulation.seed, context.options.scale
    with console.status("Comparing with published numbers"):
        rows = compare_with_published(manifest, output)
        rows += [PublishedNumber(*row) for row in curve_rows(output)]
    about = provenance(manifest.digest, stage=VALIDATE.name, scale=scale, seed=seed)
    content: dict[str, Any] = {"provenance": about}
    content |= {row.quantity: row.to_json() for row in rows}
    content["spectra"] = {"missing": pythia.MISSING}
    spectra: list[PythiaComparison] = []
    if _has_pythia():
        for process, events in pythia.EVENTS.items():
            with console.status(f"Comparing {events} events of {process} with Pythia 8"):
                found = pythia.compare_with_pythia(process, manifest.beams.sqrt_s, seed, events)
                spectra.append(found)
        content["spectra"] = {one.process: one.to_json() for one in spectra}
    if not any(row.quantity.startswith("sigma_min") for row in rows):
        none_ran = "neither `punzinet paper` nor `punzinet train` has run."
        content["note"] = f"No published sigma_min is compared: {none_ran}"
    write_json(output.validation, content)
    written = [output.validation, *make_validation_plots(output, manifest, rows, spectra)]
    _print(rows, spectra)
    for note in filter(None, (content.get("note"), content["spectra"].get("missing"))):
        console.print(note)
    console.print(f"validate-simulation: {len(written)} files in {output.simulation}")
    return written


def _print(rows: "list[PublishedNumber]", spectra: "list[PythiaComparison]") -> None:
    """Print a table of all comparisons, and what became of the spectra."""
    headings = ("ours", "published", "ratio", "met")
    numbers = (Column(heading, justify="right", no_wrap=True) for heading in headings)
    quantity = Column("quantity", no_wrap=True)
    table = Table(quantity, *numbers, title="Default data against published values")
    for row in rows:
        ours = "-" if row.ours is None else f"{row.ours:.4g}"
        if row.error:
            ours += f" ± {row.error:.1g}"
        ratio = "-" if row.ratio is None else f"{row.ratio:.3f}"
        met = Text("no", "red") if row.met is False else "yes" if row.met else "-"
        table.add_row(row.title, ours, f"{row.published:g}", ratio, met)
    console.print(table)
    for one in spectra:
        bins = [s for spectrum in one.spectra.values() for s in spectrum.deviations.tolist()]
        console.print(
            f"{one.process}: {one.ours / one.theirs:.3f} of Pythia's cross-section; largest "
            f"difference of the spectra {max(bins):.1%}, in {len(bins)} bins with enough events"
        )


VALIDATE = Stage(
    name="validate-simulation",
    run=_run,
    also=lambda context: {"pythia": _has_pythia(), "seed": context.manifest.simulation.seed},
    after=(SIMULATE, FEATURES),
    shows=lambda context: (TRAIN, main_study(context)),  # whose sensitivity it compares
    writes=("simulation/validation.json",),
    prepare=lambda context: context.manifest.search.require_recoil("punzinet validate-simulation"),
)
