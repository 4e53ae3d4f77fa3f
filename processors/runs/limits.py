"""The stages limits and shape: upper limits by counting, expected and observed, and by fits."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from punzinet.analysis.cuts import interpolated_cuts
from punzinet.analysis.evaluation import Judge
from punzinet.analysis.io.files import read_json
from punzinet.analysis.io.histograms import read_templates
from punzinet.analysis.io.output import OutputFolder, processed_of, provenance
from punzinet.analysis.limits.binned import expected_limits
from punzinet.analysis.limits.datacard import write_workspaces
from punzinet.analysis.limits.expected import asymptotic_limits, counting_limits
from punzinet.analysis.limits.model import CountingExperiment, Yields, measure_yields
from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.limits.result import Limits, SelectionLimits, known_sigma_over_g2
from punzinet.analysis.limits.shape import ShapeLimits, Templates
from punzinet.analysis.limits.sidebands import measure_sidebands, read_spectra, write_sidebands
from punzinet.analysis.limits.systematics import (
    impacts,
    measure_systematics,
    measured_figure,
    write_systematics,
)
from punzinet.analysis.limits.tables import write_hepdata, write_note
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.saved_network import Perceptron, load_network
from punzinet.analysis.training.data import load_sample
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows
from punzinet.processors.runs.observation import read_injected, run_observation


class Found(NamedTuple):
    """What the stage has worked out."""

    written: list[Path]
    limits: Limits  # expected
    observation: Observation | None  # if one was asked for


def run_limits(
    manifest: Manifest,
    output: OutputFolder,
    network: str,
    *,
    unblind: bool = False,
    inject: Sequence[str] = (),
    step: Callable[[str], object] = str,
) -> Found:
    """Write the limits of a network's single cut and of the BCE network's best cuts.

    What is observed behind the single cut as well if data is unblinded, or pseudo-data injected:
    see `read_injected`. Otherwise nothing of the data is read. What begins is said to `step`.
    InputError if anything is wrong with tensors, networks or cross-sections.
    """
    step("Yields behind the cuts")
    settings, luminosity = manifest.limits, manifest.luminosity
    windows = Windows.read(output.windows)
    names, reference = {"single": network}, f"bce-{network.rsplit('-', 1)[-1]}"
    if output.network(reference).is_dir():
        names["best"] = reference
    saved = {key: load_network(output.network(name), windows.search) for key, name in names.items()}
    cut, folds = saved["single"].single_cut, manifest.training.folds
    sample = load_sample(output.tensors, windows, folds, every_mass=True)
    judge = Judge(sample, windows.training, measured_figure(manifest, output, windows), luminosity)
    yields, effects, experiments = {}, {}, {}
    for key, one in saved.items():
        cuts = np.full(len(windows), cut) if key == "single" else _best_cuts(judge, one.network)
        known = measure_yields(judge.judging_fold, one.network, cuts)
        if manifest.systematics:
            effects[key] = measure_systematics(
                manifest, output, windows, known.backgrounds, (one.network, cuts)
            )
            known = replace(known, shared={n: effect.factor for n, effect in effects[key].items()})
        yields[key] = known
        experiments[key] = CountingExperiment.all_of(known, windows.mass, luminosity, settings)
    spectra = bands = None
    if settings.background == "sidebands":
        spectra = read_spectra(output.tensors, windows, folds, saved["single"].network, cut)
        bands = measure_sidebands(windows, settings.sidebands, spectra[0])
        # Behind the best cuts, too: of the normalisation less is known than of the spectrum.
        experiments = {key: bands.normalise(of) for key, of in experiments.items()}
    step("Expected limits")
    level, section = settings.confidence_level, known_sigma_over_g2(manifest, output, windows.mass)
    found = {key: _limits_of(of, yields[key], experiments[key], level) for key, of in names.items()}
    limits = Limits(windows.mass, windows.training, luminosity, level, section, found)
    more = {"limits": settings.model_dump(mode="json"), **processed_of(output)}
    about = provenance(manifest.digest, stage="limits", networks=names, cut=cut, **more)
    folder = output.limits.parent
    limits.write(output.limits, about)
    workspaces = {f"{one.mass:g}": one.workspace() for one in experiments["single"] if one}
    written = [output.limits, *write_note(folder, limits)]
    written += write_workspaces((output.workspaces, folder / "datacards"), workspaces)
    if effects:
        impact = impacts(experiments["single"], level, effects["single"])
        what = effects["single"], impact, yields["single"]
        write_systematics(output.systematics, *what, mass=windows.mass, provenance=about)
        written.append(output.systematics)
    if spectra and bands:
        write_sidebands(output.sidebands, windows, settings.sidebands, bands, spectra, about=about)
        written.append(output.sidebands)
    observation = None
    if unblind or inject:
        step("Observed limits, local and global p-values")
        observation = run_observation(
            manifest, output, limits, saved["single"],
            known=yields["single"], spectra=spectra,
            injected=None if unblind else read_injected(inject, windows.mass),
        )  # fmt: skip
        written += [output.observed, *write_note(folder, limits, observation)]
    written += write_hepdata(
        folder / "hepdata", limits, manifest.beams.sqrt_s, windows.search, observation
    )
    return Found(written, limits, observation)


def _best_cuts(judge: Judge, network: Perceptron) -> FloatArray:
    """Best cuts (H,) of the masses trained for, by validation events; interpolated for others."""
    chooses, known = judge.folds["validation"], judge.training
    best, _ = judge.cuts(chooses.rank(network.logit(chooses.events.features.T)))
    return interpolated_cuts(judge.mass[known], best[known], judge.mass)


def _limits_of(
    network: str, yields: Yields, experiments: Sequence[CountingExperiment | None], level: float
) -> SelectionLimits:
    """Limits of all hypotheses behind one selection; none where there is no experiment."""
    both = asymptotic_limits(experiments, level), counting_limits(experiments, level)
    return SelectionLimits(network, yields.efficiency, *yields.totals(experiments), *both)


def run_shape(manifest: Manifest, output: OutputFolder) -> tuple[list[Path], ShapeLimits]:
    """Write, and return, limits by fits behind the single cut, and the workspaces of the fits.

    InputError if a result of the stages before is missing or damaged.
    """
    limits, windows = Limits.read(output.limits), Windows.read(output.windows)
    single, level = limits.selections["single"], limits.confidence_level
    templates = Templates.of(read_templates(output.histograms), windows)
    known = np.isfinite(single.asymptotic[:, 2])
    names = [f"{mass:g}" for mass in limits.mass.tolist()]
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
