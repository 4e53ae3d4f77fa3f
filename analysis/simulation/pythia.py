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
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from punzinet.analysis.constants import BR_TAU_TO_MU, MUON_MASS, TAU_MASS
from punzinet.analysis.io.files import to_cells
from punzinet.analysis.simulation import mumugamma
from punzinet.analysis.simulation.events import GeneratedEvents, Generator, momenta
from punzinet.analysis.simulation.published import SPECTRUM_TOLERANCE
from punzinet.analysis.simulation.taupair import TauPairGenerator
from punzinet.analysis.types import BoolArray, FloatArray, divided

LEAST_EVENTS: Final = 1000  # events that a bin needs in both samples to be judged
_ENTRIES: Final = 1200  # of Pythia in each bin, where there are too few for `BINS`
_ROWS: Final = {-13: 0, 13: 1, 22: 2}  # of mu+, mu- and photons in the record; all else is fourth
_FB_PER_MB: Final = 1e12
_MASSES2: Final = np.array([-0.5, 0.5, 1.5, 3, 5, 8, 12, 18, 26, 36, 50, 70, 112])
BINS: Final[dict[str, FloatArray]] = {
    "muon_momentum": np.linspace(0.0, 5.4, 19),
    "muon_cos_theta": np.linspace(-1.0, 1.0, 21),
    "recoil_mass_squared": _MASSES2,
}
"""Edges of the bins of what is compared, in the CMS, GeV and GeV^2."""


class Process(NamedTuple):
    """A process that both can make."""

    ours: Sequence[Generator]
    decays: tuple[str, ...]  # which pair the virtual photon (Pythia's 23) makes, how taus decay
    mass: float  # of each of the pair, GeV
    least_pair_mass: float  # of both muons to be compared, GeV
    branching_ratio: float = 1.0  # of the decays of taus, which Pythia's cross-section leaves out
    trials: int = 1_000_000  # of each of our generators
    events: int = 150_000  # of Pythia

    @property
    def least_mass(self) -> float:
        """Mass of the pair, GeV, below which Pythia opens no decay of a resonance."""
        return 2 * self.mass + 0.1


_TAUS: Final = ("23:onIfAny = 15", "15:onMode = off", "15:onIfAll = 13 14 16")
#: By name; Pythia takes half a minute for the first one, and three for the second.
PROCESSES: Final = {
    "mumugamma": Process(mumugamma.whole(), ("23:onIfAny = 13",), MUON_MASS, 0.35),
    "tautau": Process([TauPairGenerator()], _TAUS, TAU_MASS, 0.0, BR_TAU_TO_MU**2, 400_000, 3000),
}


def pythia_events(process: Process, sqrt_s: float, seed: int) -> GeneratedEvents:
    """Generate events that end in two muons, with all photons summed.

    The weight is the cross-section times the branching ratios, fb. The seed is from 1 to 9e8.
    """
    engine = importlib.import_module("pythia8mc").Pythia("", False)
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
        f"23:mMin = {process.least_mass}",
        f"PhaseSpace:mHatMin = {process.least_mass}",
        "23:onMode = off",
        *process.decays,
    ):
        engine.readString(setting)
    engine.init()
    sums = np.zeros((process.events, 4, 4))
    for event in sums:  # Pythia has no other way
        while not engine.next():
            pass
        for particle in engine.event:
            if particle.isFinal():
                row = event[_ROWS.get(particle.id(), 3)]
                row += (particle.e(), particle.px(), particle.py(), particle.pz())
    rate = engine.infoPython().sigmaGen() * _FB_PER_MB * process.branching_ratio
    plus, minus, photons, invisible = np.swapaxes(sums, 0, 1)
    found = {"mu_plus": plus, "mu_minus": minus, "photons": photons[:, np.newaxis]}
    found |= {"invisible": invisible, "weight": np.full(len(sums), rate)}
    return GeneratedEvents.zeros(np.full(len(sums), sqrt_s))._replace(**found)


class Spectrum(NamedTuple):
    """One spectrum of ours and of Pythia, in k bins."""

    edges: FloatArray  # (k + 1,)
    ours: FloatArray  # (k,) share of our cross-section in each bin over its width
    ours_error: FloatArray  # (k,) its statistical error
    ours_effective_events: FloatArray  # (k,) (sum w)^2 / sum w^2
    pythia: FloatArray  # (k,) the same three of Pythia
    pythia_error: FloatArray
    pythia_events: FloatArray
    ratio: FloatArray  # (k,) ours over Pythia, NaN where Pythia has nothing
    ratio_error: FloatArray  # (k,) its statistical error
    judged: BoolArray  # (k,) which bins have enough events in both samples

    @property
    def deviations(self) -> FloatArray:
        """Relative differences from Pythia in the judged bins, (j,)."""
        return np.abs(self.ratio[self.judged] - 1)

    def to_json(self) -> dict[str, Any]:
        """All bins, a ratio without meaning as null, and whether all that are judged agree."""
        bins = {name: to_cells(values) for name, values in self._asdict().items()}
        met = bool(np.all(self.deviations <= SPECTRUM_TOLERANCE))
        return {**bins, "tolerance": SPECTRUM_TOLERANCE, "met": met}


def compare_with_pythia(
    process: Process, sqrt_s: float, seed: int
) -> tuple[float, float, dict[str, Spectrum]]:
    """Our cross-section in the compared range and Pythia's, nb, and spectra, named as in `BINS`."""
    theirs = _above(pythia_events(process, sqrt_s, seed % 900_000_000 + 1), process)
    rng, energies = np.random.default_rng(seed), np.full(process.trials, sqrt_s)
    samples = [_above(one.generate(rng, energies), process) for one in process.ours]
    values, other = [_observables(sample) for sample in samples], _observables(theirs)
    spectra = {}
    for name, bins in BINS.items():
        pairs = zip(samples, values, strict=True)
        weight = np.concatenate([np.repeat(of.weight, v[name].shape[1]) for of, v in pairs])
        edges, count = bins, max(1, other[name].size // _ENTRIES)
        if count < len(bins) - 1:
            inner = np.quantile(other[name], np.linspace(0, 1, count + 1))[1:-1]
            edges = np.concatenate([bins[:1], inner, bins[-1:]])
        own = np.concatenate([of[name].ravel() for of in values])
        spectra[name] = fill(edges, own, weight, other[name].ravel())
    section = 1e-6 * sum(float(sample.weight.sum()) for sample in samples) / process.trials
    return section, 1e-6 * float(theirs.weight.sum()) / process.events, spectra


def fill(edges: FloatArray, ours: FloatArray, weight: FloatArray, theirs: FloatArray) -> Spectrum:
    """Fill a spectrum with our values (n,) and their weights, and Pythia's values (m,)."""
    own, error, effective = _density(edges, ours, weight)
    pythia, pythia_error, events = _density(edges, theirs, np.ones(len(theirs)))
    known = np.where(pythia > 0, pythia, np.nan)
    ratio = own / known
    ratios = ratio, np.hypot(error, ratio * pythia_error) / known
    judged = np.minimum(effective, events) >= LEAST_EVENTS
    return Spectrum(edges, own, error, effective, pythia, pythia_error, events, *ratios, judged)


def _density(edges: FloatArray, values: FloatArray, weight: FloatArray) -> tuple[FloatArray, ...]:
    """Share of a sample in each bin over its width, its error, and effective events, (k,) each."""
    sums, squares = (np.histogram(values, edges, weights=w)[0] for w in (weight, weight**2))
    norm = np.diff(edges) * weight.sum()
    return sums / norm, np.sqrt(squares) / norm, divided(sums**2, squares)


def _above(events: GeneratedEvents, process: Process) -> GeneratedEvents:
    """The events that happen and have a pair of muons heavy enough to be compared."""
    pair = momenta(events.mu_plus + events.mu_minus)
    return events.pick((events.weight > 0) & (pair.mass2 > process.least_pair_mass**2))


def _observables(events: GeneratedEvents) -> dict[str, FloatArray]:
    """What is compared, by its name: one or two values of each event, (n, i)."""
    muons = momenta(np.stack([events.mu_plus, events.mu_minus], axis=1))
    recoil = -events.mu_plus - events.mu_minus
    recoil[:, 0] += events.sqrt_s
    found = muons.p, muons.costheta, momenta(recoil).mass2[:, np.newaxis]
    return dict(zip(BINS, found, strict=True))
