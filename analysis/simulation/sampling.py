"""From generators to events for the ntuple: chunks, detector, weights, counts.

A background is generated with weights; a trial of weight w fb that the detector turns into an
event with probability v stands for w v L / N expected events of the simulated luminosity L,
N being the number of trials. It is kept with just this probability and then weighs 1; where
the expectation exceeds 1 it is kept with that weight. N is chosen from a pilot run such that
this does not happen. Signal is generated unweighted, a fixed number of events at each mass.

All randomness of a chunk comes from the seed and the chunk's own place, so that chunks can be
made in any order by any number of processes.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from analysis.simulation.detector import Detector
from analysis.simulation.events import GeneratedEvents
from analysis.simulation.ntuple import EVENT
from analysis.simulation.preselection import preselection
from analysis.types import FloatArray

CHUNK: Final = 200_000
"""Trials of a chunk; bounds the memory of a worker."""
_HEADROOM: Final = 1.5
"""How much above the largest weight of the pilot run a weight may be and still fit."""
_PILOT, _PRODUCTION = 1, 2


class Generator(Protocol):
    """One stratum of a process: a region of its phase space with one sampling density."""

    name: str

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
    """

    dataset: str
    stratum: int
    index: int
    trials: int
    exposure: float = 0.0

    def rng(self, seed: int, purpose: int) -> np.random.Generator:
        """The chunk's own source of randomness."""
        # The name is hashed so that a dataset's events do not depend on which others there are.
        place = [seed, zlib.crc32(self.dataset.encode()), self.stratum, self.index, purpose]
        return np.random.default_rng(np.random.SeedSequence(place))


class Cutflow:
    """Events before and behind each step: how many, and the sum of their weights.

    Attributes:
        rows: (events, weight) by step, in the order of the steps.
    """

    def __init__(self) -> None:
        self.rows: dict[str, tuple[int, float]] = {}

    def count(self, step: str, weight: FloatArray) -> None:
        """Record the events that are left, by their weights; those of weight 0 are not."""
        self.rows[step] = (int(np.count_nonzero(weight)), float(weight.sum()))

    def add(self, other: Self) -> None:
        """Add the counts of another chunk."""
        for step, (events, weight) in other.rows.items():
            before = self.rows.get(step, (0, 0.0))
            self.rows[step] = (before[0] + events, before[1] + weight)


@dataclass(frozen=True, eq=False)
class Simulated:
    """What became of a chunk.

    Attributes:
        events: (n,) of dtype `EVENT`.
        cutflow: Counts; weights are expected events (fb in a pilot run).
        trials: Number of trials that the generator made.
        sum_weight: Sum of the generator's weights over the trials, fb.
        sum_weight2: Sum of their squares, fb^2.
    """

    events: NDArray[np.void]
    cutflow: Cutflow
    trials: int
    sum_weight: float
    sum_weight2: float


def simulate_background(
    chunk: Chunk, generator: Generator, detector: Detector, seed: int
) -> Simulated:
    """Generate, detect and unweight one chunk of background.

    Args:
        chunk: What to make; an exposure of 0 asks for a pilot run, which keeps all events with
            their weights in fb.
        generator: The stratum's generator.
        detector: What sees the events.
        seed: The seed of the simulation.
    """
    pilot = chunk.exposure == 0
    rng = chunk.rng(seed, _PILOT if pilot else _PRODUCTION)
    generated = generator.generate(rng, detector.colliding_energy(rng, chunk.trials))
    cutflow = Cutflow()
    weight = generated.weight * (1.0 if pilot else chunk.exposure)
    cutflow.count("generated", weight)
    for step, probability in detector.visibility(generated):
        weight = weight * probability
        cutflow.count(step, weight)
    if not pilot:
        weight = np.where(rng.random(chunk.trials) < weight, np.maximum(weight, 1.0), 0.0)
        cutflow.count("kept as unweighted events", weight)
    kept = weight > 0
    events = _reconstruct(rng, generated[kept], weight[kept], detector, cutflow)
    return Simulated(
        events,
        cutflow,
        chunk.trials,
        float(generated.weight.sum()),
        float((generated.weight**2).sum()),
    )


def simulate_signal(chunk: Chunk, generator: Generator, detector: Detector, seed: int) -> Simulated:
    """Generate, unweight and detect one chunk of signal.

    A pilot run finds the largest weight; then trials are kept in proportion to their weight
    until there are as many events as asked for.

    Args:
        chunk: What to make; `trials` counts unweighted events.
        generator: The generator of one mass.
        detector: What sees the events.
        seed: The seed of the simulation.
    """
    pilot = chunk.rng(seed, _PILOT)
    largest = generator.generate(pilot, detector.colliding_energy(pilot, CHUNK)).weight.max()
    rng = chunk.rng(seed, _PRODUCTION)
    parts: list[GeneratedEvents] = []
    found, trials, sum_weight, sum_weight2 = 0, 0, 0.0, 0.0
    while found < chunk.trials:
        batch = generator.generate(rng, detector.colliding_energy(rng, 5 * chunk.trials))
        trials += len(batch.weight)
        sum_weight += float(batch.weight.sum())
        sum_weight2 += float((batch.weight**2).sum())
        kept = batch[rng.random(len(batch.weight)) * largest < batch.weight]
        parts.append(kept[: chunk.trials - found])
        found += len(parts[-1].weight)
    cutflow = Cutflow()
    generated = _concatenate(parts)
    weight = np.maximum(generated.weight / largest, 1.0)
    cutflow.count("generated", weight)
    for step, probability in detector.visibility(generated):
        weight = np.where(rng.random(chunk.trials) < probability, weight, 0.0)
        cutflow.count(step, weight)
    kept_events = weight > 0
    events = _reconstruct(rng, generated[kept_events], weight[kept_events], detector, cutflow)
    return Simulated(events, cutflow, trials, sum_weight, sum_weight2)


def _concatenate(parts: list[GeneratedEvents]) -> GeneratedEvents:
    """Events of several batches, one after the other."""
    fields: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in GeneratedEvents.__dataclass_fields__
    }
    return GeneratedEvents(**fields)


def _reconstruct(
    rng: np.random.Generator,
    generated: GeneratedEvents,
    weight: FloatArray,
    detector: Detector,
    cutflow: Cutflow,
) -> NDArray[np.void]:
    """Measure events and apply the preselection.

    Args:
        rng: source of randomness.
        generated: (n) events that look like two muons.
        weight: (n,) their weights.
        detector: what measures them.
        cutflow: where the steps are counted.

    Returns:
        The preselected events, of dtype `EVENT`.
    """
    measured = detector.measure(rng, generated)
    selected = np.ones(len(weight), dtype=bool)
    for step, passed in preselection(measured, detector.beams, detector.settings.preselection):
        selected &= passed
        cutflow.count(step, np.where(selected, weight, 0.0))
    events = np.empty(np.count_nonzero(selected), EVENT)
    events["p_plus"] = measured[selected, 0, 1:]
    events["p_minus"] = measured[selected, 1, 1:]
    events["weight"] = weight[selected]
    events["mass"] = generated.mass[selected]
    return events


def needed_trials(pilot: Iterable[Simulated], luminosity: float) -> int:
    """Trials with which no event of a stratum should weigh more than 1.

    Args:
        pilot: Pilot runs of the stratum.
        luminosity: The luminosity to simulate, fb^-1.

    Returns:
        Their number; one chunk if the pilot run left no event at all.
    """
    largest = max((float(run.events["weight"].max(initial=0.0)) for run in pilot), default=0.0)
    return max(CHUNK, int(np.ceil(largest * luminosity * _HEADROOM)))


def background_chunks(dataset: str, stratum: int, trials: int, luminosity: float) -> list[Chunk]:
    """Split the trials of a stratum into chunks of nearly equal size.

    Args:
        dataset: Name of the dataset.
        stratum: Index of the stratum.
        trials: Trials of the stratum.
        luminosity: The luminosity to simulate, fb^-1.
    """
    count = -(-trials // CHUNK)
    return [
        Chunk(dataset, stratum, index, part, luminosity / trials)
        for index, part in enumerate(np.diff(np.arange(count + 1) * trials // count).tolist())
    ]
