"""Spectra of the generators against those of Pythia 8, before any detector.

Muon momentum, muon polar angle and squared recoil mass in the CMS, both muons of an event in the
same histogram: Pythia has no interference of radiation off beams and off muons, and with it none
of the charge asymmetry that this makes. Shapes and total cross-sections are compared apart.

Muon pairs are compared above a mass of 0.35 GeV: Pythia makes none whose virtual photon has less
than 2 m_mu + 0.1 GeV, which with the photon pole is two percent of all pairs, and one muon in ten
of those with 1.2 to 3.5 GeV.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from punzinet.analysis.simulation import lorentz, mumugamma
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.pythia import pythia_events
from punzinet.analysis.simulation.sampling import Generator
from punzinet.analysis.simulation.taupair import TauPairGenerator
from punzinet.analysis.types import BoolArray, FloatArray

PROCESSES: Final = ("mumugamma", "tautau")
EVENTS: Final = {"mumugamma": 150_000, "tautau": 3000}
"""Events of Pythia: half a minute and two or three minutes."""
TRIALS: Final = {"mumugamma": 1_000_000, "tautau": 400_000}
"""Trials of each of our generators."""
LEAST_PAIR_MASS: Final = {"mumugamma": 0.35, "tautau": 0.0}
"""Mass of the two muons from which on they are compared, GeV."""
LEAST_EVENTS: Final = 1000
"""Events that a bin needs in both samples to be judged."""
TOLERANCE: Final = 0.1
"""Relative difference of a bin that counts as agreement."""
_TAU_BINS: Final = 1200
"""Entries of Pythia that bins of tau pairs aim at: they are few, so their bins are equally full."""

Observable = Callable[[GeneratedEvents], FloatArray]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One spectrum of ours and of Pythia, in k bins.

    Attributes:
        edges: (k + 1,) edges of the bins.
        ours: (k,) share of our cross-section in each bin over its width.
        ours_error: (k,) its statistical error.
        ours_events: (k,) effective number of our events, (sum w)^2 / sum w^2.
        theirs: (k,) as `ours`, of Pythia.
        theirs_error: (k,) its statistical error.
        theirs_events: (k,) Pythia's events.
    """

    edges: FloatArray
    ours: FloatArray
    ours_error: FloatArray
    ours_events: FloatArray
    theirs: FloatArray
    theirs_error: FloatArray
    theirs_events: FloatArray

    @property
    def judged(self) -> BoolArray:
        """Which bins have enough events in both samples, (k,)."""
        enough: BoolArray = np.minimum(self.ours_events, self.theirs_events) >= LEAST_EVENTS
        return enough

    @property
    def ratio(self) -> FloatArray:
        """Ours over Pythia, (k,), NaN where Pythia has nothing."""
        nothing = np.full_like(self.ours, np.nan)
        return np.divide(self.ours, self.theirs, out=nothing, where=self.theirs > 0)

    @property
    def ratio_error(self) -> FloatArray:
        """Its statistical error, (k,)."""
        nothing = np.full_like(self.ours, np.nan)
        errors = np.hypot(self.ours_error, self.ratio * self.theirs_error)
        return np.divide(errors, self.theirs, out=nothing, where=self.theirs > 0)

    @property
    def met(self) -> bool:
        """Whether all judged bins agree within the tolerance."""
        return bool(np.all(self.deviations <= TOLERANCE))

    @property
    def deviations(self) -> FloatArray:
        """Relative differences from Pythia in the judged bins, (j,)."""
        differences: FloatArray = np.abs(self.ratio[self.judged] - 1)
        return differences

    def to_json(self) -> dict[str, Any]:
        """All bins and what follows from them, as JSON; a ratio without meaning is null."""
        return {
            "edges": self.edges.tolist(),
            "ours": self.ours.tolist(),
            "ours_error": self.ours_error.tolist(),
            "ours_effective_events": self.ours_events.tolist(),
            "pythia": self.theirs.tolist(),
            "pythia_error": self.theirs_error.tolist(),
            "pythia_events": self.theirs_events.tolist(),
            "ratio": _finite(self.ratio),
            "ratio_error": _finite(self.ratio_error),
            "judged": self.judged.tolist(),
            "tolerance": TOLERANCE,
            "met": self.met,
        }


@dataclass(frozen=True, eq=False)
class SpectrumComparison:
    """All spectra of one process.

    Attributes:
        process: `mumugamma` or `tautau`.
        ours: Our cross-section in the compared range, nb.
        theirs: Pythia's.
        spectra: By name: `muon_momentum`, `muon_cos_theta`, `recoil_mass_squared`.
    """

    process: str
    ours: float
    theirs: float
    spectra: dict[str, Spectrum]

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {
            "least_pair_mass": LEAST_PAIR_MASS[self.process],
            "cross_section_nb": {
                "ours": self.ours,
                "pythia": self.theirs,
                "ratio": self.ours / self.theirs,
            },
            **{name: spectrum.to_json() for name, spectrum in self.spectra.items()},
        }


def compare_with_pythia(process: str, sqrt_s: float, seed: int, n: int) -> SpectrumComparison:
    """Generate events with both generators and fill their spectra.

    Args:
        process: `mumugamma` or `tautau`.
        sqrt_s: Energy of the beams, GeV.
        seed: Of both; Pythia takes it modulo its largest.
        n: Events of Pythia.

    Raises:
        InputError: If pythia8mc is not installed.
    """
    theirs = _above(pythia_events(process, n, sqrt_s, seed % 900_000_000 + 1), process)
    rng = np.random.default_rng(seed)
    energies = np.full(TRIALS[process], sqrt_s)
    samples = [_above(g.generate(rng, energies), process) for g in _generators(process)]
    spectra = {}
    for name, observable in OBSERVABLES.items():
        ours, weight = _entries(samples, observable)
        other, _ = _entries([theirs], observable)
        spectra[name] = fill(_edges(process, name, other), ours, weight, other)
    return SpectrumComparison(
        process,
        1e-6 * sum(float(sample.weight.sum()) for sample in samples) / TRIALS[process],
        1e-6 * float(theirs.weight.sum()) / n,
        spectra,
    )


def fill(edges: FloatArray, ours: FloatArray, weight: FloatArray, theirs: FloatArray) -> Spectrum:
    """Fill a spectrum.

    Args:
        edges: (k + 1,) edges of the bins.
        ours: (n,) values.
        weight: (n,) their weights.
        theirs: (m,) values, of weight one.
    """
    sums, squares, events = (
        np.histogram(values, edges, weights=weights)[0].astype(np.float64)
        for values, weights in ((ours, weight), (ours, weight**2), (theirs, None))
    )
    ours_norm = np.diff(edges) * weight.sum()
    theirs_norm = np.diff(edges) * len(theirs)
    return Spectrum(
        edges=edges,
        ours=sums / ours_norm,
        ours_error=np.sqrt(squares) / ours_norm,
        ours_events=np.divide(sums**2, squares, out=np.zeros_like(sums), where=squares > 0),
        theirs=events / theirs_norm,
        theirs_error=np.sqrt(events) / theirs_norm,
        theirs_events=events,
    )


def _generators(process: str) -> Sequence[Generator]:
    """Our generators of all events of a process."""
    return mumugamma.whole() if process == "mumugamma" else (TauPairGenerator(),)


def _above(events: GeneratedEvents, process: str) -> GeneratedEvents:
    """The events that happen and have a pair of muons heavy enough to be compared."""
    mass2 = lorentz.mass2(events.mu_plus + events.mu_minus)
    return events[(events.weight > 0) & (mass2 > LEAST_PAIR_MASS[process] ** 2)]


def _entries(
    samples: Sequence[GeneratedEvents], observable: Observable
) -> tuple[FloatArray, FloatArray]:
    """Values and weights of an observable that has one or two entries an event, flat."""
    values = [observable(sample) for sample in samples]
    weights = [
        np.broadcast_to(sample.weight[:, np.newaxis], value.shape).ravel()
        for sample, value in zip(samples, values, strict=True)
    ]
    return np.concatenate([value.ravel() for value in values]), np.concatenate(weights)


def _edges(process: str, name: str, theirs: FloatArray) -> FloatArray:
    """Edges of the bins: fixed for muon pairs, equally filled for the few tau pairs.

    Args:
        process: `mumugamma` or `tautau`.
        name: Of the observable.
        theirs: (m,) Pythia's values.
    """
    if process == "mumugamma":
        return MUMUGAMMA_EDGES[name]
    low, high = RANGES[name]
    shares = np.linspace(0, 1, max(1, len(theirs) // _TAU_BINS) + 1)
    edges = np.quantile(theirs, shares)
    edges[[0, -1]] = low, high
    return edges


def _momentum(events: GeneratedEvents) -> FloatArray:
    """Momenta of the muons, (n, 2), GeV."""
    return lorentz.momentum(np.stack([events.mu_plus, events.mu_minus], axis=1))


def _cosine(events: GeneratedEvents) -> FloatArray:
    """Cosines of the muons' polar angles, (n, 2)."""
    muons = np.stack([events.mu_plus, events.mu_minus], axis=1)
    cosines: FloatArray = muons[..., 3] / lorentz.momentum(muons)
    return cosines


def _recoil(events: GeneratedEvents) -> FloatArray:
    """Squared recoil masses, (n, 1), GeV^2."""
    recoil = -events.mu_plus - events.mu_minus
    recoil[:, 0] += events.sqrt_s
    return lorentz.mass2(recoil)[:, np.newaxis]


def _finite(values: FloatArray) -> list[float | None]:
    """Numbers as JSON, null where they are none."""
    return [float(value) if np.isfinite(value) else None for value in values]


OBSERVABLES: Final[dict[str, Observable]] = {
    "muon_momentum": _momentum,
    "muon_cos_theta": _cosine,
    "recoil_mass_squared": _recoil,
}
RANGES: Final = {
    "muon_momentum": (0.0, 5.4),
    "muon_cos_theta": (-1.0, 1.0),
    "recoil_mass_squared": (-0.5, 112.0),
}
"""Whole ranges of the observables."""
MUMUGAMMA_EDGES: Final = {
    "muon_momentum": np.linspace(0.0, 5.4, 19),
    "muon_cos_theta": np.linspace(-1.0, 1.0, 21),
    "recoil_mass_squared": np.array(
        [-0.5, 0.5, 1.5, 3.0, 5.0, 8.0, 12.0, 18.0, 26.0, 36.0, 50.0, 70.0, 112.0]
    ),
}
"""Edges of the bins of muon pairs: the recoil mass falls by orders of magnitude."""
