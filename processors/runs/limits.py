"""The stages limits and shape: upper limits by counting, expected and observed, and by fits.

Observed is what is counted behind the single cut: all of the data, or pseudo-data in its place.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from punzinet.analysis.cuts import interpolated_cuts
from punzinet.analysis.evaluation import Judge
from punzinet.analysis.io.files import InputError, read_json, read_result
from punzinet.analysis.io.histograms import read_templates
from punzinet.analysis.io.output import OutputFolder, processed_of, provenance
from punzinet.analysis.io.tensor_events import TensorEvents, read_tensor_events
from punzinet.analysis.limits.binned import expected_limits
from punzinet.analysis.limits.datacard import write_workspaces
from punzinet.analysis.limits.expected import asymptotic_limits, counting_limits, points, possible
from punzinet.analysis.limits.model import CountingExperiment, Yields, measure_yields
from punzinet.analysis.limits.observed import Observation, observe
from punzinet.analysis.limits.result import Limits, SelectionLimits, known_sigma_over_g2
from punzinet.analysis.limits.scan import (
    Cells,
    Scan,
    draw_pseudo_data,
    global_p_value,
    likeliest,
)
from punzinet.analysis.limits.shape import ShapeLimits, Templates
from punzinet.analysis.limits.sidebands import (
    Spectrum,
    measure_sidebands,
    read_spectra,
    write_sidebands,
)
from punzinet.analysis.limits.systematics import (
    impacts,
    measure_systematics,
    measured_figure,
    write_systematics,
)
from punzinet.analysis.limits.tables import write_hepdata, write_note
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import mass_name
from punzinet.analysis.saved_network import Perceptron, SavedNetwork, load_network
from punzinet.analysis.search import Search
from punzinet.analysis.training.data import judging_events, load_sample
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows, mass_index

NOTHING = "none"  # what is injected into pseudo-data of background alone
_NUMBER = r"(\d*\.?\d+(?:e[-+]?\d\d?)?)"
_INJECTED = re.compile(rf"{_NUMBER}:{_NUMBER}fb", re.IGNORECASE)


def run_limits(
    manifest: Manifest,
    output: OutputFolder,
    network: str,
    *,
    unblind: bool = False,
    inject: Sequence[str] = (),
    step: Callable[[str], object] = lambda _: None,
) -> tuple[list[Path], Limits, Observation | None]:
    """Write the limits of a network's single cut and of the BCE network's best cuts.

    What is observed behind the single cut as well if data is unblinded, or pseudo-data injected:
    see `read_injected`. Otherwise nothing of the data is read. What begins is said to `step`.
    The result is all files written, and what is expected and observed. InputError if anything is
    wrong with tensors, networks or cross-sections.
    """
    step("Yields behind the cuts")
    settings, luminosity = manifest.limits, manifest.luminosity
    windows = Windows.read(output.windows)
    names, reference = {"single": network}, f"bce-{network.rsplit('-', 1)[-1]}"
    if output.network(reference).is_dir():
        names["best"] = reference
    saved = {key: load_network(output.network(name), windows.search) for key, name in names.items()}
    cut, folds = saved["single"].single_cut, manifest.training.folds
    sample = load_sample(output.tensors, windows.every, folds)
    judge = Judge(sample, windows.training, measured_figure(manifest, output, windows), luminosity)
    yields, experiments = {}, {}
    for key, one in saved.items():
        cuts = np.full(len(windows), cut) if key == "single" else _best_cuts(judge, one.network)
        known, behind = measure_yields(judge.judging_fold, one.network, cuts), (one.network, cuts)
        effects = measure_systematics(manifest, output, windows, known.backgrounds, behind)
        yields[key] = known = replace(known, effects=effects)
        experiments[key] = CountingExperiment.all_of(known, windows.mass, luminosity, settings)
    spectra = bands = None
    if settings.background == "sidebands":
        spectra = read_spectra(output.tensors, windows, folds, saved["single"].network, cut)
        bands = measure_sidebands(windows, settings.sidebands, spectra[0])
        # Behind the best cuts, too: of the normalisation less is known than of the spectrum.
        experiments = {key: bands.normalise(of) for key, of in experiments.items()}
    step("Expected limits")
    level, section = settings.confidence_level, known_sigma_over_g2(manifest, output, windows.mass)
    found = {
        key: SelectionLimits(
            names[key], yields[key].efficiency, *yields[key].totals(models),
            asymptotic_limits(models, level), counting_limits(models, level),
        )
        for key, models in experiments.items()
    }  # fmt: skip
    limits = Limits(windows.mass, windows.training, luminosity, level, section, found)
    more = {"limits": settings.model_dump(mode="json"), **processed_of(output)}
    about = provenance(manifest.digest, stage="limits", networks=names, cut=cut, **more)
    folder = output.limits.parent
    limits.write(output.limits, about)
    workspaces = {mass_name(one.mass): one.workspace() for one in experiments["single"] if one}
    written = [output.limits, *write_note(folder, limits)]
    written += write_workspaces((output.workspaces, folder / "datacards"), workspaces)
    if manifest.systematics:
        impact = impacts(experiments["single"], level, manifest.systematics)
        what = yields["single"], impact, windows.mass
        write_systematics(output.systematics, *what, provenance=about)
        written.append(output.systematics)
    if spectra and bands:
        write_sidebands(output.sidebands, windows, settings.sidebands, bands, spectra, about=about)
        written.append(output.sidebands)
    observation = None
    if unblind or inject:
        step("Observed limits, local and global p-values")
        observation = _observe(
            manifest, output, limits, saved["single"],
            known=yields["single"], spectra=spectra,
            injected=None if unblind else read_injected(inject, windows.mass),
        )  # fmt: skip
        written += [output.observed, *write_note(folder, limits, observation)]
    written += write_hepdata(
        folder / "hepdata", limits, manifest.beams.sqrt_s, windows.search, observation
    )
    return written, limits, observation


def _best_cuts(judge: Judge, network: Perceptron) -> FloatArray:
    """Best cuts (H,) of the masses trained for, by validation events; interpolated for others."""
    chooses, known = judge.folds["validation"], judge.training
    best, _ = judge.cuts(chooses.rank(network.logit(chooses.events.features.T)))
    return interpolated_cuts(judge.mass[known], best[known], judge.mass)


def read_injected(texts: Sequence[str], mass: FloatArray) -> dict[float, float]:
    """Cross-sections in fb by mass in GeV, of texts such as ``2.5:3fb``, or of ``none`` alone.

    InputError if one says something else, or a mass that is no hypothesis, (H,).
    """
    found = dict[float, float]()
    for text in () if list(texts) == [NOTHING] else texts:
        if (match := _INJECTED.fullmatch(text)) is None:
            raise InputError(
                f"--inject {text} should read like 2.5:3fb, a mass in GeV and a cross-section "
                f"times branching fraction in fb; for background only, `--inject {NOTHING}` alone."
            )
        wanted, section = map(float, match.groups())
        (index,) = mass_index(mass, np.array([wanted])).tolist()
        if index < 0:
            above = int(np.searchsorted(mass, wanted))
            near = mass[max(above - 1, 0) : above + 1]
            raise InputError(
                f"--inject {text}: {mass_name(wanted)} GeV is none of the masses that are searched "
                f"for; inject {' or '.join(map(mass_name, near))} GeV instead."
            )
        if float(mass[index]) in found:
            raise InputError(f"--inject {text}: {wanted:g} GeV is there twice; add the two up.")
        found[float(mass[index])] = section
    return found


def unblinded_luminosity(manifest: Manifest, output: OutputFolder) -> float:
    """Luminosity in fb^-1 of the data that features are made of; InputError if any is hidden.

    Nothing but the origin of their cutflow is looked at.
    """
    with read_result(output.data_cutflow, "cutflow", "punzinet features --unblind") as content:
        settings = content["provenance"]["settings"]
        shares = {name: float(share) for name, share in settings.get("processed", {}).items()}
        seen = settings.get("unblind") is True
    if not seen:
        raise InputError(
            "--unblind: `punzinet features` has hidden data; when the analysis is final, run "
            "`punzinet features --unblind` first."
        )
    return manifest.luminosity_of_data(shares)


def _observe(
    manifest: Manifest,
    output: OutputFolder,
    expected: Limits,
    saved: SavedNetwork,
    *,
    known: Yields,
    injected: Mapping[float, float] | None,
    spectra: tuple[Spectrum, Spectrum] | None,
) -> Observation:
    """Write what is counted behind the single cut of a network, and what that means.

    Expected limits and yields of the hypotheses are `known`. Counted is pseudo-data with so much
    signal `injected`, fb by mass in GeV; or all of the data if that is None, to whose luminosity
    everything is scaled then. The background is normalised in sidebands if their simulated
    `spectra` are given. InputError if data is hidden or has weights, or pseudo-data cannot be
    drawn.
    """
    settings, luminosity = manifest.limits, manifest.luminosity
    windows, cut, level = Windows.read(output.windows), saved.single_cut, expected.confidence_level
    scan, network = Scan.of(windows), saved.network
    judging = judging_events(output.tensors, windows, manifest.training.folds)
    logit = network.logit(judging.features)
    behind = logit >= cut
    if injected is None:
        luminosity = unblinded_luminosity(manifest, output)
        data = _read_data(output, windows.search)
        seen = Spectrum.of(data.variable[network.logit(data.features) >= cut])
    else:
        times = draw_pseudo_data(judging, luminosity, injected, settings.seed)
        seen = Spectrum.of(np.repeat(judging.variable[behind], times[behind]))
    counts = seen.sums(scan.windows.low, scan.windows.high)[0].astype(np.int64)
    scale = luminosity / manifest.luminosity
    background = behind & ~judging.signal
    simulation = Spectrum.of(judging.variable[background], scale * judging.weight[background])
    yields = scan.yields(known, judging, logit).scaled(scale)
    experiments = CountingExperiment.all_of(yields, scan.windows.mass, luminosity, settings)
    beside = settings.sidebands.including(injected or {})
    repeated = experiments
    if spectra is not None:
        spectra = simulation, spectra[1].scaled(scale)
        sidebands = measure_sidebands(scan.windows, beside, simulation, seen)
        # Windows that share events cannot each have a normalisation of its own in one experiment.
        as_expected = measure_sidebands(scan.windows, beside, simulation)
        experiments, repeated = (one.normalise(experiments) for one in (sidebands, as_expected))
    found = observe(experiments, counts, level)
    total, effective = yields.totals(experiments)
    spread = [possible(one, points(one)).background.std() if one else 0.0 for one in experiments]
    cells = Cells.of(scan.windows.low, scan.windows.high)
    in_cells, squares = simulation.sums(cells.edges[:-1], cells.edges[1:])
    share = global_p_value(
        repeated, cells, in_cells, np.sqrt(squares),
        smallest=float(found.p_value.min()), number=settings.experiments, seed=settings.seed,
    )  # fmt: skip
    best = likeliest(scan.windows, cells, seen, simulation, int(np.argmin(found.p_value)))
    observation = Observation(
        source="data" if injected is None else "pseudo-data",
        injected=dict(injected or {}),
        luminosity=luminosity,
        confidence_level=level,
        network=expected.selections["single"].network,
        cut=cut,
        mass=scan.windows.mass,
        hypothesis=scan.windows.training,
        efficiency=yields.efficiency,
        background=total,
        background_error=np.array(spread),
        effective_events=effective,
        count=counts,
        expected=counting_limits(experiments, level),
        **found._asdict(),
        sigma_over_g2=np.exp(scan.interpolate(np.log(expected.sigma_over_g2))),
        likeliest_mass=float(scan.windows.mass[best]),
        global_p_value=share.p_value,
        global_error=share.error,
        experiments=settings.experiments,
        upcrossings=share.upcrossings,
    )
    more = {"limits": settings.model_dump(mode="json"), "source": observation.source}
    more |= processed_of(output)
    more |= manifest.seen_of_data(unblind=True) if injected is None else {}
    about = provenance(
        manifest.digest, stage="limits", network=observation.network, cut=cut, **more
    )
    observation.write(output.observed, about)
    if spectra is not None:
        of_scan = scan.windows, beside, sidebands, spectra
        write_sidebands(output.sidebands, *of_scan, about=about, significance=found.significance)
    return observation


def _read_data(output: OutputFolder, search: Search) -> TensorEvents:
    """All measured events, also between windows; InputError if they have weights."""
    events = read_tensor_events(output.data_tensors, search, between=True)
    if len(other := events.weight[events.weight != 1]):
        raise InputError(
            f"{len(other)} measured events have a weight such as {other[0]:g}, but only whole "
            "events can be counted; take the weight branch out of the data's ntuples."
        )
    return events


def run_shape(manifest: Manifest, output: OutputFolder) -> tuple[list[Path], ShapeLimits]:
    """Write, and return, limits by fits behind the single cut, and the workspaces of the fits.

    InputError if a result of the stages before is missing or damaged.
    """
    limits, windows = Limits.read(output.limits), Windows.read(output.windows)
    single, level = limits.selections["single"], limits.confidence_level
    templates = Templates.of(read_templates(output.histograms), windows)
    known = np.isfinite(single.asymptotic[:, 2])
    names = [*map(mass_name, limits.mass.tolist())]
    counting = [
        read_json(output.workspaces / f"{name}.json", "punzinet limits") if there else None
        for name, there in zip(names, known.tolist(), strict=True)
    ]
    fitted = np.flatnonzero(known).tolist()
    fits = {names[h]: templates.spread(h, counting) for h in fitted}
    edges = {names[h]: templates.borders(h).tolist() for h in fitted}
    shape = expected_limits([*map(fits.get, names)], level)
    about = single.network, limits.luminosity, level, limits.mass
    of_all = [edges.get(name, []) for name in names]
    result = ShapeLimits(*about, single.asymptotic, shape, of_all)
    origin = {"network": single.network, **processed_of(output)}
    result.write(output.shape, provenance(manifest.digest, stage="shape", **origin))
    folders = output.shapes, output.shapes.with_name("datacards") / "shape"
    return [output.shape, *write_workspaces(folders, fits, edges)], result
