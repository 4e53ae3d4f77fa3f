"""Spectra of the generators against those of Pythia 8 (arXiv:2203.11601), before any detector.

Pythia is an optional package, `pythia8mc`. Its showers radiate off beams and final state; its tau
decays carry the spin correlation of the pair.

Both muons of an event enter the same histogram: Pythia has no interference of radiation off beams
and off muons, and none of the charge asymmetry that this makes. Shapes and total cross-sections are
compared apart.

Muon pairs are compared above a mass of 0.35 GeV: Pythia makes none whose virtual photon has less
than 2 m_mu + 0.1 GeV: two percent of all pairs, and one muon in ten of those of 1.2 to 3.5 GeV.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final

import numpy as np

from punzinet.analysis.constants import BR_TAU_TO_MU, MUON_MASS, TAU_MASS
from punzinet.analysis.io.files import InputError
from punzinet.analysis.simulation import mumugamma
from punzinet.analysis.simulation.events import GeneratedEvents, Generator, Momenta, momenta
from punzinet.analysis.simulation.published import SPECTRUM_TOLERANCE
from punzinet.analysis.simulation.taupair import TauPairGenerator
from punzinet.analysis.types import BoolArray, FloatArray

PROCESSES: Final = ("mumugamma", "tautau")
EVENTS: Final = {"mumugamma": 150_000, "tautau": 3000}  # of Pythia: half a minute, and three
TRIALS: Final = {"mumugamma": 1_000_000, "tautau": 400_000}  # trials of each of our generators
LEAST_PAIR_MASS: Final = {"mumugamma": 0.35, "tautau": 0.0}  # of both muons to be compared, GeV
LEAST_EVENTS: Final = 1000  # events that a bin needs in both samples to be judged
_TAU_BINS: Final = 1200  # entries of Pythia in a bin of tau pairs, which are few

#: Which pair the virtual photon (Pythia's 23) makes, and how taus decay.
_TAUS: Final = ("23:onIfAny = 15", "15:onMode = off", "15:onIfAll = 13 14 16")
_DECAYS: Final = {"mumugamma": ("23:onIfAny = 13",), "tautau": _TAUS}
LEAST_MASS: Final = {"mumugamma": 2 * MUON_MASS + 0.1, "tautau": 2 * TAU_MASS + 0.1}
"""Mass of the pair, GeV, below which Pythia opens no decay of a resonance."""
_ROWS: Final = {-13: 0, 13: 1, 22: 2}  # of mu+, mu- and photons in the record; all else is fourth
_FB_PER_MB: Final = 1e12
MISSING: Final = (
    "The comparison with Pythia 8 needs the package pythia8mc: install it with "
    "`pip install --only-binary pythia8mc pythia8mc` or `pip install --group dev`."
)


def pythia_events(process: str, n: int, sqrt_s: float, seed: int) -> GeneratedEvents:
    """Generate n events of one of `PROCESSES` that end in two muons, with all photons summed.

    The weight is the cross-section times the branching ratios, fb. The seed is from 1 to 9e8.
    InputError if pythia8mc is not installed.
    """
    engine = _start(process, sqrt_s, seed)
    sums = np.zeros((n, 4, 4))
    for event in sums:  # Pythia has no other way
        while not engine.next():
            pass
        for particle in engine.event:
            if particle.isFinal():
                row = event[_ROWS.get(particle.id(), 3)]
                row += (particle.e(), particle.px(), particle.py(), particle.pz())
    rate = engine.infoPython().sigmaGen() * _FB_PER_MB
    # what Pythia calls its cross-section knows nothing of the decays that were switched off
    rate *= BR_TAU_TO_MU**2 if process == "tautau" else 1.0
    plus, minus, photons, invisible = np.swapaxes(sums, 0, 1)
    events = GeneratedEvents.zeros(np.full(n, sqrt_s))._replace(mu_plus=plus, mu_minus=minus)
    weight = np.full(n, rate)
    return events._replace(photons=photons[:, np.newaxis], invisible=invisible, weight=weight)


def _start(process: str, sqrt_s: float, seed: int) -> Any:
    try:
        pythia8 = importlib.import_module("pythia8mc")
    except ImportError as error:
        raise InputError(MISSING) from error
    engine = pythia8.Pythia("", False)
    for setting in (
        "Print:quiet = on",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        "Beams:idA = 11",
        "Beams:idB = -11",
        f"Beams:eCM = {sqrt_s}",
        "PDF:lepton = on",
        "WeakSingleBoson:ffbar2gmZ = on",
        "TimeShower:QEDshowerByGamma = off",  # photons stay photons
        # the logarithm of the radiation off the beams is that of s, however little is left of it
        "SigmaProcess:factorScale1 = 2",
        f"SigmaProcess:factorFixScale = {sqrt_s**2}",
        f"23:mMin = {LEAST_MASS[process]}",
        f"PhaseSpace:mHatMin = {LEAST_MASS[process]}",
        "23:onMode = off",
        *_DECAYS[process],
    ):
        engine.readString(setting)
    engine.init()
    return engine


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One spectrum of ours and of Pythia, in k bins."""

    edges: FloatArray  # (k + 1,)
    ours: FloatArray  # (k,) share of our cross-section in each bin over its width
    ours_error: FloatArray  # (k,) its statistical error
    ours_effective_events: FloatArray  # (k,) (sum w)^2 / sum w^2
    pythia: FloatArray  # (k,) the same three of Pythia
    pythia_error: FloatArray
    pythia_events: FloatArray

    @cached_property
    def judged(self) -> BoolArray:
        """Which bins have enough events in both samples, (k,)."""
        return np.minimum(self.ours_effective_events, self.pythia_events) >= LEAST_EVENTS

    @cached_property
    def ratio(self) -> FloatArray:
        """Ours over Pythia, (k,), NaN where Pythia has nothing."""
        return self.ours / np.where(self.pythia > 0, self.pythia, np.nan)

    @cached_property
    def ratio_error(self) -> FloatArray:
        """Its statistical error, (k,)."""
        errors = np.hypot(self.ours_error, self.ratio * self.pythia_error)
        return errors / np.where(self.pythia > 0, self.pythia, np.nan)

    @property
    def deviations(self) -> FloatArray:
        """Relative differences from Pythia in the judged bins, (j,)."""
        return np.abs(self.ratio[self.judged] - 1)

    @property
    def met(self) -> bool:
        """Whether all judged bins agree within the tolerance."""
        return bool(np.all(self.deviations <= SPECTRUM_TOLERANCE))

    def to_json(self) -> dict[str, Any]:
        """All bins and what follows from them; a ratio without meaning is null."""
        names = [*(field.name for field in fields(self)), "ratio", "ratio_error", "judged"]
        rows = {name: getattr(self, name).tolist() for name in names}
        bins = {name: [x if np.isfinite(x) else None for x in row] for name, row in rows.items()}
        return {**bins, "tolerance": SPECTRUM_TOLERANCE, "met": self.met}


@dataclass(frozen=True, eq=False)
class PythiaComparison:
    """All spectra of one process."""

    process: str  # one of `PROCESSES`
    ours: float  # our cross-section in the compared range, nb
    theirs: float  # Pythia's
    spectra: dict[str, Spectrum]  # by name, that of `OBSERVABLES`

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        section = {"ours": self.ours, "pythia": self.theirs, "ratio": self.ours / self.theirs}
        about = {"least_pair_mass": LEAST_PAIR_MASS[self.process], "cross_section_nb": section}
        return about | {name: spectrum.to_json() for name, spectrum in self.spectra.items()}


def compare_with_pythia(process: str, sqrt_s: float, seed: int, n: int) -> PythiaComparison:
    """Fill spectra of our events and of n of Pythia; InputError if pythia8mc is not installed."""
    theirs = _above(pythia_events(process, n, sqrt_s, seed % 900_000_000 + 1), process)
    rng = np.random.default_rng(seed)
    energies = np.full(TRIALS[process], sqrt_s)
    ours: Sequence[Generator] = [TauPairGenerator()] if process == "tautau" else mumugamma.whole()
    samples = [_above(generator.generate(rng, energies), process) for generator in ours]
    spectra = {}
    for name, (observable, bins) in OBSERVABLES.items():
        values = [observable(sample) for sample in samples]
        weights = [np.repeat(s.weight, v.shape[1]) for s, v in zip(samples, values, strict=True)]
        own, other = np.concatenate([v.ravel() for v in values]), observable(theirs).ravel()
        edges = bins
        if process == "tautau":
            shares = np.linspace(0, 1, max(1, len(other) // _TAU_BINS) + 1)
            edges = np.concatenate([bins[:1], np.quantile(other, shares)[1:-1], bins[-1:]])
        spectra[name] = fill(edges, own, np.concatenate(weights), other)
    section = 1e-6 * sum(float(sample.weight.sum()) for sample in samples) / TRIALS[process]
    return PythiaComparison(process, section, 1e-6 * float(theirs.weight.sum()) / n, spectra)


def fill(edges: FloatArray, ours: FloatArray, weight: FloatArray, theirs: FloatArray) -> Spectrum:
    """Fill a spectrum with our values (n,) and their weights, and Pythia's values (m,)."""
    unweighted = np.ones(len(theirs))
    return Spectrum(edges, *_density(edges, ours, weight), *_density(edges, theirs, unweighted))


def _density(edges: FloatArray, values: FloatArray, weight: FloatArray) -> tuple[FloatArray, ...]:
    """Share of a sample in each bin over its width, its error, and effective events, (k,) each."""
    sums, squares = (np.histogram(values, edges, weights=w)[0] for w in (weight, weight**2))
    norm = np.diff(edges) * weight.sum()
    events = np.divide(sums**2, squares, out=np.zeros_like(sums), where=squares > 0)
    return sums / norm, np.sqrt(squares) / norm, events


def _above(events: GeneratedEvents, process: str) -> GeneratedEvents:
    """The events that happen and have a pair of muons heavy enough to be compared."""
    pair = momenta(events.mu_plus + events.mu_minus)
    return events.pick((events.weight > 0) & (pair.mass2 > LEAST_PAIR_MASS[process] ** 2))


def _muons(events: GeneratedEvents) -> Momenta:
    return momenta(np.stack([events.mu_plus, events.mu_minus], axis=1))


def _recoil(events: GeneratedEvents) -> FloatArray:
    recoil = -events.mu_plus - events.mu_minus
    recoil[:, 0] += events.sqrt_s
    return np.asarray(momenta(recoil).mass2[:, np.newaxis])


Observable = Callable[[GeneratedEvents], FloatArray]
_MASSES2: Final = np.array([-0.5, 0.5, 1.5, 3, 5, 8, 12, 18, 26, 36, 50, 70, 112])
OBSERVABLES: Final[dict[str, tuple[Observable, FloatArray]]] = {
    "muon_momentum": (lambda events: _muons(events).p, np.linspace(0.0, 5.4, 19)),
    "muon_cos_theta": (lambda events: _muons(events).costheta, np.linspace(-1.0, 1.0, 21)),
    "recoil_mass_squared": (_recoil, _MASSES2),
}
"""What is compared in the CMS, and the edges of the bins of muon pairs."""
