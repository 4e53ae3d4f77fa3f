"""The default data against what is known."""

from importlib.util import find_spec
from typing import Any

from punzinet.analysis.io.files import write_json
from punzinet.analysis.io.output import provenance
from punzinet.analysis.search import RECOIL
from punzinet.stages.features import FEATURES
from punzinet.stages.options import Context, console
from punzinet.stages.paper import main_study
from punzinet.stages.simulate import SIMULATE
from punzinet.stages.stage import Stage, Written
from punzinet.stages.train import TRAIN


def _has_pythia() -> bool:
    return find_spec("pythia8mc") is not None


def _compare(context: Context) -> Written:
    from punzinet.analysis.paper.claims import curve_rows
    from punzinet.analysis.simulation.published import PublishedNumber, compare_with_published
    from punzinet.plots.report.tables import in_terminal, validation_table
    from punzinet.plots.validation import make_validation_plots

    output = context.output
    with console.status("Comparing with published numbers"):
        rows = compare_with_published(context.manifest, output)
        rows += [PublishedNumber(*row) for row in curve_rows(output)]
    about = provenance(context.manifest.digest, stage=PUBLISHED.name, scale=context.options.scale)
    content: dict[str, Any] = {row.quantity: row.to_json() for row in rows}
    # What exactly is compared stands in the file and in the report.
    table = validation_table({row.title: {**row.to_json(), "note": ""} for row in rows})
    console.print(*map(in_terminal, table))
    if not any(row.quantity.startswith("sigma_min") for row in rows):
        none_ran = "neither `punzinet paper` nor `punzinet train` has run."
        content["note"] = f"No published sigma_min is compared: {none_ran}"
        console.print(content["note"])
    write_json(output.validation, {"provenance": about, **content})
    written = [output.validation, *make_validation_plots(output, rows)]
    console.print(f"published-numbers: {len(written)} files in {output.simulation}")
    return written


def _run(context: Context) -> Written:
    """Compare the default data with published numbers and with Pythia 8.

    Writes validation.json, spectra.json and figures to the folder simulation/ of the output.
    Pythia takes three minutes; without the package pythia8mc its part is left out.

    Example: punzinet validate-simulation --output output
    """
    from punzinet.analysis.simulation import pythia
    from punzinet.plots.validation import make_spectra_plots

    output, manifest = context.output, context.manifest
    seed, sqrt_s = manifest.simulation.seed, manifest.beams.sqrt_s
    spectra: list[pythia.PythiaComparison] = []
    for process, events in pythia.EVENTS.items() if _has_pythia() else ():
        with console.status(f"Comparing {events} events of {process} with Pythia 8"):
            spectra.append(pythia.compare_with_pythia(process, sqrt_s, seed, events))
        one = spectra[-1]
        bins = [s for spectrum in one.spectra.values() for s in spectrum.deviations.tolist()]
        console.print(
            f"{process}: {one.ours / one.theirs:.3f} of Pythia's cross-section; largest "
            f"difference of the spectra {max(bins):.1%}, in {len(bins)} bins with enough events",
        )
    found: dict[str, Any] = {one.process: one.to_json() for one in spectra}
    if not spectra:
        found["missing"] = pythia.MISSING
        console.print(pythia.MISSING)
    about = provenance(manifest.digest, stage=VALIDATE.name, seed=seed)
    write_json(output.spectra, {"provenance": about, **found})
    written = [output.spectra, *make_spectra_plots(output, manifest, spectra)]
    console.print(f"validate-simulation: {len(written)} files in {output.simulation}")
    return written


PUBLISHED = Stage(
    name="published-numbers",
    command="validate-simulation",
    run=_compare,
    also=lambda context: {"seed": context.manifest.simulation.seed},
    after=(SIMULATE, FEATURES),
    shows=lambda context: (TRAIN, main_study(context)),  # whose sensitivity it compares
    writes=("simulation/validation.json",),
    wanted=lambda manifest: (
        SIMULATE.wanted(manifest) and manifest.search.variable == RECOIL.variable.name
    ),
)
VALIDATE: Stage = Stage(
    name="validate-simulation",
    run=_run,
    reads=("beams",),
    also=lambda context: {"pythia": _has_pythia(), "seed": context.manifest.simulation.seed},
    writes=("simulation/spectra.json",),
    parts=lambda _: (PUBLISHED, VALIDATE),
    prepare=lambda context: context.manifest.search.require_recoil("punzinet validate-simulation"),
)
