"""From generators to events for the ntuple: chunks, detector, weights, counts.

A background is generated with weights; a trial of weight w fb that the detector turns into an
event with probability v stands for w v L / N expected events of the simulated luminosity L,
N being the number of trials. It is kept with just this probability and then weighs 1. N comes
from a pilot run such that the expectation hardly ever exceeds 1; where it does, up to `COPIES`
events are made of the trial, each measured anew and kept with its share of the expectation.
Signal is generated unweighted, a fixed number of events at each mass.

All randomness of a chunk comes from the seed and the chunk's own place, so that chunks can be
made in any order by any number of processes.
"""

import zlib
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from punzinet.analysis.simulation.detector import VISIBILITY, Detector
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.preselection import preselection
from punzinet.analysis.simulation.signal import SignalGenerator, cross_section
from punzinet.analysis.types import BoolArray, FloatArray

CHUNK: Final = 200_000
"""Trials of a chunk; bounds the memory of a worker."""
_FEWEST: Final = 20_000
"""Trials of a stratum at least, which measure its cross-section."""
_PILOT_RATE: Final = 2000.0
"""Trials of a stratum's pilot run per fb^-1 of luminosity: more events, more of them rare."""
COPIES: Final = 2
"""Events that may come from one trial: measured differently, but not independent."""
_HEADROOM: Final = 1.2
"""Trials beyond those that the weights seen so far need, where `COPIES` did not suffice."""
_INTEGRATION, _PILOT, _PRODUCTION = 1, 2, 3


EVENT: Final = np.dtype(
    [("p_plus", "f4", 3), ("p_minus", "f4", 3), ("weight", "f8"), ("mass", "f8")]
)
"""An event on its way to the ntuple: measured lab momenta, GeV, weight, generated mass."""


class Generator(Protocol):
    """One stratum of a process: a region of its phase space with one sampling density."""

    @property
    def name(self) -> str:
        """What the record calls it."""
        ...

    def generate(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One trial for every colliding energy (n,), in GeV."""
        ...


@dataclass(frozen=True)
class Chunk:
    """A piece of work whose result depends on nothing but its own fields and the seed.

    Attributes:
        dataset: Name of the dataset, which is part of the seed.
        stratum: Index of the generator within the dataset.
        index: Index of the chunk within the stratum.
        trials: Trials (background) or generated events (signal).
        exposure: Expected events per fb of a trial's weight (L / N), fb^-1; 0 for signal and in
            the pilot run.
        attempt: How often the stratum was simulated before, with too few trials.
    """

    dataset: str
    stratum: int
    index: int
    trials: int
    exposure: float = 0.0
    attempt: int = 0

    def rng(self, seed: int, purpose: int) -> np.random.Generator:
        """The chunk's own source of randomness."""
        # The name is hashed so that a dataset's events do not depend on which others there are.
        name = zlib.crc32(self.dataset.encode())
        place = [seed, name, self.stratum, self.index, purpose + self.attempt]
        return np.random.default_rng(np.random.SeedSequence(place))


class Summary:
    """Counts of one or several chunks.

    Attributes:
        cutflow: Events left and the sum of their weights, by step, in the order of the steps;
            weights are expected events, fb in a pilot run.
        trials: Trials that the generator made.
        sum_weight: Sum of the generator's weights over the trials, fb.
        sum_weight2: Sum of their squares, fb^2.
        entries: Events for the ntuple.
        largest: Largest expectation of a trial that one of these comes from; fb in a pilot run.
    """

    def __init__(self) -> None:
        self.cutflow: dict[str, tuple[int, float]] = {}
        self.trials = 0
        self.sum_weight = 0.0
        self.sum_weight2 = 0.0
        self.entries = 0
        self.largest = 0.0

    def count(self, step: str, weight: FloatArray) -> None:
        """Record the events that are left, by their weights; those of weight 0 are not."""
        self.cutflow[step] = (int(np.count_nonzero(weight)), float(weight.sum()))

    def generated(self, weight: FloatArray) -> None:
        """Record trials by the weights (n,) that the generator gave them, fb."""
        self.trials += len(weight)
        self.sum_weight += float(weight.sum())
        self.sum_weight2 += float((weight**2).sum())

    def add(self, other: Self) -> None:
        """Add the counts of another chunk, which ran through the same steps."""
        for step, (events, weight) in other.cutflow.items():
            before = self.cutflow.get(step, (0, 0.0))
            self.cutflow[step] = (before[0] + events, before[1] + weight)
        self.trials += other.trials
        self.sum_weight += other.sum_weight
        self.sum_weight2 += other.sum_weight2
        self.entries += other.entries
        self.largest = max(self.largest, other.largest)

    def to_json(self) -> dict[str, Any]:
        """All counts, as JSON can express them."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The counts that `to_json` expressed."""
        summary = cls()
        vars(summary).update(content)
        steps = content["cutflow"].items()
        summary.cutflow = {step: (events, weight) for step, (events, weight) in steps}
        return summary

    def cross_section(self) -> tuple[float, float]:
        """Cross-section of the sampled region and its statistical error, fb."""
        mean = self.sum_weight / self.trials
        variance = self.sum_weight2 / self.trials - mean**2
        return mean, float(np.sqrt(max(variance, 0.0) / self.trials))


def simulate_background(
    chunk: Chunk, generator: Generator, detector: Detector, seed: int
) -> tuple[NDArray[np.void], Summary]:
    """Generate, detect and unweight one chunk of background.

    Args:
        chunk: What to make; an exposure of 0 asks for a pilot run, which keeps all events with
            their weights in fb.
        generator: The stratum's generator.
        detector: What sees the events.
        seed: The seed of the simulation.

    Returns:
        The events, of dtype `EVENT`, and the counts.
    """
    pilot = chunk.exposure == 0
    rng = chunk.rng(seed, _PILOT if pilot else _PRODUCTION)
    generated = generator.generate(rng, detector.colliding_energy(rng, chunk.trials))
    summary = Summary()
    summary.generated(generated.weight)
    generated = generated[generated.weight > 0]
    weight = generated.weight * (1.0 if pilot else chunk.exposure)
    summary.count("generated", weight)
    for step, passed in zip(VISIBILITY, detector.visibility(generated).T, strict=True):
        summary.count(step, weight * passed)
    weight = weight * passed
    if pilot:
        kept = np.flatnonzero(weight)
        events, _ = _reconstruct(rng, generated[kept], weight[kept], detector, summary)
        summary.largest = float(events["weight"].max(initial=0.0))
        return events, summary
    copies = np.maximum(np.ceil(weight), 1.0)
    trial = np.repeat(np.arange(len(weight)), copies.astype(int))
    trial = trial[rng.random(len(trial)) < (weight / copies)[trial]]
    ones = np.ones(len(trial))
    summary.count("kept as unweighted events", ones)
    events, selected = _reconstruct(rng, generated[trial], ones, detector, summary)
    summary.largest = float(weight[trial[selected]].max(initial=0.0))
    return events, summary


def simulate_signal(
    chunk: Chunk, generator: SignalGenerator, detector: Detector, seed: int
) -> tuple[NDArray[np.void], Summary]:
    """Generate and detect one chunk of signal.

    Args:
        chunk: What to make; `trials` counts unweighted events.
        generator: The generator of one mass.
        detector: What sees the events.
        seed: The seed of the simulation.

    Returns:
        The events, of dtype `EVENT`, and the counts.
    """
    rng = chunk.rng(seed, _PRODUCTION)
    energy = detector.colliding_energy(rng, chunk.trials, signal=True)
    generated = generator.unweighted(rng, energy)
    summary = Summary()
    summary.generated(generated.weight)
    weight = generated.weight
    summary.count("generated", weight)
    luck = rng.random(chunk.trials)
    for step, passed in zip(VISIBILITY, detector.visibility(generated).T, strict=True):
        weight = np.where(luck < passed, weight, 0.0)
        summary.count(step, weight)
    seen = weight > 0
    events, _ = _reconstruct(rng, generated[seen], weight[seen], detector, summary)
    return events, summary


def _reconstruct(
    rng: np.random.Generator,
    generated: GeneratedEvents,
    weight: FloatArray,
    detector: Detector,
    summary: Summary,
) -> tuple[NDArray[np.void], BoolArray]:
    """Measure events and apply the preselection.

    Args:
        rng: source of randomness.
        generated: (n) events that look like two muons.
        weight: (n,) their weights.
        detector: what measures them.
        summary: where the steps and the events are counted.

    Returns:
        The preselected events, of dtype `EVENT`, and which of the n they are.
    """
    measured = detector.measure(rng, generated)
    selected = np.ones(len(weight), dtype=bool)
    for step, passed in preselection(measured, detector):
        selected &= passed
        summary.count(step, np.where(selected, weight, 0.0))
    events = np.empty(np.count_nonzero(selected), EVENT)
    events["p_plus"] = measured[selected, 0, 1:]
    events["p_minus"] = measured[selected, 1, 1:]
    events["weight"] = weight[selected]
    events["mass"] = generated.mass[selected]
    summary.entries = len(events)
    return events, selected


def integrate(mass: float, sqrt_s: float, seed: int) -> tuple[float, float]:
    """Cross-section of the signal over g'^2 with its error, fb.

    Args:
        mass: Z' mass, GeV.
        sqrt_s: Nominal energy of the collision, GeV.
        seed: The seed of the simulation.
    """
    rng = Chunk("signal", round(1e6 * mass), 0, 0).rng(seed, _INTEGRATION)
    return cross_section(mass, sqrt_s, rng)


def produce(
    chunk: Chunk, generator: Generator | SignalGenerator, detector: Detector, seed: int
) -> tuple[NDArray[np.void], Summary]:
    """Simulate a chunk of signal or background.

    Args:
        chunk: What to make.
        generator: Its generator.
        detector: What sees the events.
        seed: The seed of the simulation.

    Returns:
        The events, of dtype `EVENT`, and the counts.
    """
    if isinstance(generator, SignalGenerator):
        return simulate_signal(chunk, generator, detector, seed)
    return simulate_background(chunk, generator, detector, seed)


def needed_trials(counts: Summary, luminosity: float) -> int:
    """Trials with which hardly any of a stratum stands for more than one event.

    Args:
        counts: Counts of the stratum's pilot run.
        luminosity: The luminosity to simulate, fb^-1.

    Returns:
        Their number, at least `_FEWEST`.
    """
    return max(_FEWEST, int(np.ceil(counts.largest * luminosity)))


def pilot_chunks(dataset: str, stratum: int, luminosity: float) -> list[Chunk]:
    """Chunks of the pilot run of a stratum, in which all events keep their weights in fb.

    Args:
        dataset: Name of the dataset.
        stratum: Index of the stratum.
        luminosity: The luminosity to simulate, fb^-1.
    """
    trials = max(_FEWEST, int(_PILOT_RATE * luminosity))
    return [Chunk(dataset, stratum, index, part) for index, part in enumerate(_split(trials))]


def background_chunks(
    dataset: str, stratum: int, trials: int, luminosity: float, attempt: int = 0
) -> list[Chunk]:
    """Chunks of a stratum.

    Args:
        dataset: Name of the dataset.
        stratum: Index of the stratum.
        trials: Trials of the stratum.
        luminosity: The luminosity to simulate, fb^-1.
        attempt: How often the stratum was simulated before.
    """
    return [
        Chunk(dataset, stratum, index, part, luminosity / trials, attempt)
        for index, part in enumerate(_split(trials))
    ]


def _split(trials: int) -> list[int]:
    """Trials of as few chunks as possible, all of nearly equal size."""
    count = -(-trials // CHUNK)
    edges = np.arange(count + 1) * trials // count
    return [int(part) for part in np.diff(edges)]


def repeated(chunks: list[Chunk], counts: Summary, luminosity: float) -> list[Chunk]:
    """Chunks to simulate a stratum again, with more trials, if `COPIES` do not suffice.

    The random numbers are new ones: with the old ones, trials would be added just where an
    unlikely event happened to come early.

    Args:
        chunks: All chunks of the stratum.
        counts: Their counts.
        luminosity: The luminosity to simulate, fb^-1.

    Returns:
        The new chunks; the old ones if there is no need.
    """
    if counts.largest <= COPIES:
        return chunks
    trials = int(np.ceil(counts.trials * counts.largest * _HEADROOM))
    old = chunks[0]
    return background_chunks(old.dataset, old.stratum, trials, luminosity, old.attempt + 1)
