"""What is counted behind the single cut: all of the data, or pseudo-data in its place."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from punzinet.analysis.io.files import InputError, read_result
from punzinet.analysis.io.output import OutputFolder, processed_of, provenance
from punzinet.analysis.io.tensor_events import TensorEvents, read_tensor_events
from punzinet.analysis.limits.expected import counting_limits, points, possible
from punzinet.analysis.limits.global_p import Cells, global_p_value, likeliest
from punzinet.analysis.limits.model import CountingExperiment, Yields
from punzinet.analysis.limits.observed import Observation, observe
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.limits.scan import Scan, draw_pseudo_data
from punzinet.analysis.limits.sidebands import Spectrum, measure_sidebands, write_sidebands
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.saved_network import SavedNetwork
from punzinet.analysis.search import Search
from punzinet.analysis.training.data import judging_events
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows, mass_index

NOTHING = "none"  # what is injected into pseudo-data of background alone
_NUMBER = r"(\d*\.?\d+(?:e[-+]?\d\d?)?)"
_INJECTED = re.compile(rf"{_NUMBER}:{_NUMBER}fb", re.IGNORECASE)


def read_injected(texts: Sequence[str], mass: FloatArray) -> dict[float, float]:
    """Cross-sections in fb by mass in GeV, of texts such as ``2.5:30fb``, or of ``none`` alone.

    InputError if one says something else, or a mass that is no hypothesis, (H,).
    """
    found = dict[float, float]()
    for text in () if list(texts) == [NOTHING] else texts:
        if (match := _INJECTED.fullmatch(text)) is None:
            raise InputError(
                f"--inject {text} should read like 2.5:30fb, a mass in GeV and a cross-section "
                f"times branching fraction in fb; for background only, `--inject {NOTHING}` alone."
            )
        wanted, section = map(float, match.groups())
        (index,) = mass_index(mass, np.array([wanted])).tolist()
        if index < 0:
            above = int(np.searchsorted(mass, wanted))
            near = mass[max(above - 1, 0) : above + 1]
            raise InputError(
                f"--inject {text}: {wanted:g} GeV is none of the masses that are searched for; "
                f"inject {' or '.join(f'{one:g}' for one in near)} GeV instead."
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
    datasets = manifest.part(data=True).datasets.items()
    return sum(shares.get(name, 1.0) * (dataset.luminosity or 0) for name, dataset in datasets)


def run_observation(
    manifest: Manifest,
    output: OutputFolder,
    expected: Limits,
    saved: SavedNetwork,
    *,
    known: Yields,
    injected: Mapping[float, float] | None,
    spectra: tuple[Spectrum, Spectrum] | None = None,
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
    yields = scan.yields(known, judging, logit).scaled(scale)
    experiments = CountingExperiment.all_of(yields, scan.mass, luminosity, settings)
    beside = settings.sidebands.including(injected or {})
    repeated = experiments
    if spectra is not None:
        simulated = spectra[0]._replace(weight=scale * spectra[0].weight)
        sidebands = measure_sidebands(scan.windows, beside, simulated, seen)
        # Windows that share events cannot each have a normalisation of its own in one experiment.
        as_expected = measure_sidebands(scan.windows, beside, simulated)
        experiments, repeated = (one.normalise(experiments) for one in (sidebands, as_expected))
    found = observe(experiments, counts, level)
    background, effective = yields.totals(experiments)
    spread = [one and possible(one, points(one)).background.std() for one in experiments]
    cells, behind = Cells.of(scan.windows.low, scan.windows.high), behind & ~judging.signal
    simulation = Spectrum.of(judging.variable[behind], scale * judging.weight[behind])
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
        mass=scan.mass,
        hypothesis=scan.windows.training,
        efficiency=yields.efficiency,
        background=background,
        background_error=np.array([one or 0.0 for one in spread]),
        effective_events=effective,
        count=counts,
        expected=counting_limits(experiments, level),
        **found._asdict(),
        sigma_over_g2=np.exp(scan.interpolate(np.log(expected.sigma_over_g2))),
        likeliest_mass=float(scan.mass[best]),
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
