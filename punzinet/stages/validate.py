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

MISSING = (
    "The comparison with Pythia 8 needs the package pythia8mc: install it with "
    "`pip install --only-binary pythia8mc pythia8mc` or `pip install --group dev`."
)


def _has_pythia() -> bool:
    return find_spec("pythia8mc") is not None


def _compare(context: Context) -> Written:
    from punzinet.analysis.paper.claims import curve_rows
    from punzinet.analysis.simulation.published import PublishedNumber, compare_with_published
    from punzinet.plots.report.tables import in_terminal, validation_table
    from punzinet.plots.style import save_all
    from punzinet.plots.validation import ratios_figure

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
    figures = [("validation_ratios", ratios_figure(rows))]
    written = [output.validation, *save_all(figures, output.simulation)]
    console.print(f"published-numbers: {len(written)} files in {output.simulation}")
    return written


def _run(context: Context) -> Written:
    """Compare the default data with published numbers and with Pythia 8.

    Writes validation.json, spectra.json and figures to the folder simulation/ of the output.
    Pythia takes three minutes; without the package pythia8mc its part is left out.

    Example: punzinet validate-simulation --output output
    """
    from punzinet.analysis.simulation import pythia
    from punzinet.plots.style import save_all
    from punzinet.plots.validation import spectra_figure

    output, manifest = context.output, context.manifest
    seed, sqrt_s = manifest.simulation.seed, manifest.beams.sqrt_s
    about = provenance(manifest.digest, stage=VALIDATE.name, seed=seed)
    content: dict[str, Any] = {"provenance": about}
    figures = {}
    for name, process in pythia.PROCESSES.items() if _has_pythia() else ():
        with console.status(f"Comparing {process.events} events of {name} with Pythia 8"):
            ours, theirs, spectra = pythia.compare_with_pythia(process, sqrt_s, seed)
        section = {"ours": ours, "pythia": theirs, "ratio": ours / theirs}
        content[name] = {"least_pair_mass": process.least_pair_mass, "cross_section_nb": section}
        content[name] |= {of: spectrum.to_json() for of, spectrum in spectra.items()}
        title = manifest.processes.get(name, name)
        figures[f"validation_{name}"] = spectra_figure(spectra, title)
        bins = [s for spectrum in spectra.values() for s in spectrum.deviations.tolist()]
        console.print(
            f"{name}: {ours / theirs:.3f} of Pythia's cross-section; largest difference of the "
            f"spectra {max(bins):.1%}, in {len(bins)} bins with enough events",
        )
    if not figures:
        content["missing"] = MISSING
        console.print(MISSING)
    write_json(output.spectra, content)
    written = [output.spectra, *save_all(figures.items(), output.simulation)]
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
