"""From generators to events in ntuples: batches, detector, weights, counts.

A background trial of weight w fb that the detector turns into an event with probability v stands
for e = w v L / N expected events of the luminosity L, N being the number of trials. It is kept with
just this probability and then weighs 1; or, if it is aimed at (`aim_factors`), up to f times as
often, with a weight of e, but not less than 1/f. N comes from a pilot run: the expectation hardly
ever exceeds 1, and there are enough trials where the aim is. Of a trial that stands for more, up to
`COPIES` events are made, each measured anew and kept with its share of the expectation. Signal is
unweighted, a fixed number of events at each mass.

Batches can be made in any order by any number of processes. An ntuple is as basf2 writes it: a flat
TTree whose branches bear basf2's escaped names; the same events give the same bytes.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from punzinet.analysis.constants import BR_TAU_TO_MU, FB_PER_NB, MUON_MASS
from punzinet.analysis.features import dimuon_kinematics
from punzinet.analysis.io.reproducible_root import create_root_file
from punzinet.analysis.manifest.datasets import BRANCHES, Simulated
from punzinet.analysis.manifest.sections import Beams, Scale
from punzinet.analysis.simulation import mumugamma, twophoton
from punzinet.analysis.simulation.detector import VISIBILITY, Detector, measure, preselection
from punzinet.analysis.simulation.events import GeneratedEvents, Generator, Pair
from punzinet.analysis.simulation.signal import SignalGenerator
from punzinet.analysis.simulation.taupair import TauPairGenerator
from punzinet.analysis.types import BoolArray, FloatArray, Random

BATCH: Final = 200_000  # trials of a batch; bounds the memory of a worker
_FEWEST: Final = 20_000  # trials of a stratum at least, which measure its cross-section
_PILOT_RATE: Final = 2000.0  # pilot trials of a stratum per fb^-1: more events, more of them rare
_AIMED_RATE: Final = 270_000.0  # trials per fb^-1 of a process, shared out for what is aimed at
COPIES: Final = 2  # events that may come from one trial: measured differently, but not independent
_HEADROOM: Final = 1.2  # factor on the trials that weights ask for, where `COPIES` do not suffice
_INTEGRATION, _PILOT, _PRODUCTION = 1, 2, 3
TWO_PHOTON_MASS: Final = 0.5
"""Least mass of the pair in the total two-photon cross-section, GeV: the published number comes
with the generator's default cut, and this one reproduces it."""
_AIMED_MASSES: Final = (1.2, 8.8)  # recoil masses aimed at, GeV: below, enough passes anyway
_LESS_AIMED: Final = 7.6  # mass above which more passes: the roots of the factors are enough
_NETWORKS: Final = Path(__file__).with_name("pilot_networks.json")

_FIELDS: Final = ("weight", "f8"), ("mass", "f8"), ("number", "i8")
EVENT: Final = np.dtype([("p_plus", "f4", 3), ("p_minus", "f4", 3), *_FIELDS])
"""An event on its way to the ntuple: measured lab momenta, GeV, weight, generated mass, and its
place among the events of the nominal detector; -1 if it is none of them."""
Events = NDArray[np.void]  # (n,) of them
TREE: Final = "variables"
EXPERIMENT: Final = 1003  # number of Belle II's run-independent simulation; its run number is 0
_BASKET: Final = 1 << 16  # events: 256 kB of single precision; above 100 kB reading is efficient


def generators(
    process: Simulated, signal: Sequence[Generator], detector: Detector
) -> Sequence[Generator]:
    """The strata whose events together are a process; those of the `signal` are given."""
    match process:
        case "signal":
            return signal
        case "tautau":
            return [TauPairGenerator(detector.pion_misidentification)]
        case "mumugamma":
            return mumugamma.strata(detector)
        case "eemumu":
            return twophoton.strata(detector)


def total_cross_section(process: Simulated, sqrt_s: float, seed: int) -> Pair:
    """Cross-section of a background in nb, with its error, before any detector or decay."""
    whole: dict[str, tuple[Sequence[Generator], int, float]] = {
        "mumugamma": (mumugamma.whole(), 400_000, 1.0),
        "tautau": ([TauPairGenerator()], 200_000, 1 / BR_TAU_TO_MU**2),
        "eemumu": (twophoton.whole(TWO_PHOTON_MASS), 200_000, 1.0),
    }
    strata, trials, factor = whole[process]
    rng, energies = np.random.default_rng(seed), np.full(trials, sqrt_s)
    weights = (generator.generate(rng, energies).weight for generator in strata)
    value, error = cross_section([Counts.of(weight) for weight in weights])
    return factor * value / FB_PER_NB, factor * error / FB_PER_NB


@dataclass(frozen=True)
class Batch:
    """Trials of one stratum, whose events depend on the seed and these fields only."""

    dataset: str  # its name, which is part of the seed
    stratum: int  # index of the generator within the dataset
    index: int  # of the batch within the stratum
    trials: int  # trials (background) or generated events (signal)
    # expected events per fb of a trial's weight (L / N), fb^-1; 0 for signal and in the pilot run
    exposure: float = 0.0
    aim: float = 1.0  # largest factor by which background comes more often, see `aim_factors`
    attempt: int = 0  # how often the stratum was simulated before, with too few trials

    def rng(self, seed: int, purpose: int) -> Random:
        """The batch's own source of randomness."""
        name = zlib.crc32(self.dataset.encode())
        place = [seed, name, self.stratum, self.index, purpose + self.attempt]
        return np.random.default_rng(np.random.SeedSequence(place))


@dataclass
class Counts:
    """Counts of one or several batches."""

    # events left and the sum of their weights, by step, in the order of the steps; weights are
    # expected events, fb in a pilot run
    cutflow: dict[str, tuple[int, float]] = field(default_factory=dict)
    trials: int = 0  # that the generator made
    sum_weight: float = 0.0  # of the generator's weights over the trials, fb
    sum_weight2: float = 0.0  # of their squares, fb^2
    entries: int = 0  # events for the ntuple
    nominal: int = 0  # those of the nominal detector
    # sum of the squares of the weights of visible trials that are aimed at, fb^2 in a pilot run
    aimed_weight2: float = 0.0
    largest: float = 0.0  # expectation of a trial that an entry comes from; fb in a pilot run

    @classmethod
    def of(cls, weight: FloatArray) -> Self:
        """Those of trials (n,) with these weights."""
        return cls({}, len(weight), float(weight.sum()), float((weight**2).sum()))

    def step(self, name: str, weight: FloatArray) -> None:
        """Record the events that are left, by their weights; those of weight 0 are not."""
        self.cutflow[name] = (int(np.count_nonzero(weight)), float(weight.sum()))

    def add(self, other: Self) -> None:
        """Add the counts of another batch, which ran through the same steps."""
        for step, (events, weight) in other.cutflow.items():
            before, sum_before = self.cutflow.get(step, (0, 0.0))
            self.cutflow[step] = (before + events, sum_before + weight)
        summed = "trials", "sum_weight", "sum_weight2", "entries", "nominal", "aimed_weight2"
        for name in summed:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.largest = max(self.largest, other.largest)


def cross_section(strata: Iterable[Counts]) -> Pair:
    """Cross-section of what some strata sampled together, and its statistical error, fb."""
    sums = np.array([(one.trials, one.sum_weight, one.sum_weight2) for one in strata])
    trials, mean, square = sums[:, 0], sums[:, 1] / sums[:, 0], sums[:, 2] / sums[:, 0]
    variance = (square - mean**2).clip(min=0) / trials
    return float(mean.sum()), float(np.sqrt(variance.sum()))


def simulate_batch(
    batch: Batch,
    generator: Generator,
    detector: Detector,
    seed: int,
    varied: Detector | None = None,
) -> tuple[Events, Counts]:
    """Generate, detect and unweight one batch: events of the dtype `EVENT`, and their counts.

    An exposure of 0 asks for a pilot run of a background, which keeps weights, in fb. In a `varied`
    detector the same events are seen: weights change as the probability to be visible does, and
    momenta are measured with the same random numbers.
    """
    signal = isinstance(generator, SignalGenerator)
    exposed = batch.exposure > 0 and not signal
    rng = batch.rng(seed, _PRODUCTION if signal or exposed else _PILOT)
    energy = detector.colliding_energy(rng, batch.trials, signal=signal)
    if isinstance(generator, SignalGenerator):
        generated, luck = unweighted(generator, rng, energy), rng.random(batch.trials)
    else:
        generated = generator.generate(rng, energy)
    weight = generated.weight
    counts = Counts.of(weight)
    generated = generated.pick(weight > 0)
    weight = left = generated.weight * (batch.exposure if exposed else 1.0)
    counts.step("generated", weight)
    seen = detector.visibility(generated).T
    others = seen if varied is None else varied.visibility(generated).T
    for step, passed, other in zip(VISIBILITY, seen, others, strict=True):
        left = weight * (luck < passed if signal else passed)
        ratio = np.divide(other, passed, out=np.zeros(len(weight)), where=passed > 0)
        counts.step(step, left * ratio)
    visible = left > 0
    generated, left, ratio = generated.pick(visible), left[visible], ratio[visible]
    trial, own = np.arange(len(left)), left
    if not signal:
        factor = aim_factors(generated, batch.aim)
        counts.aimed_weight2 = float((left**2 * (factor - 1)).sum())
    if exposed:
        own = np.clip(left, 1 / factor, 1.0)
        copies = np.ceil(left / own)
        trial = np.repeat(trial, copies.astype(int))
        trial = trial[rng.random(len(trial)) < (left / own / copies)[trial]]
        own = own[trial]
        counts.step("kept as events", own * ratio[trial])
    kept, state = generated.pick(trial), rng.bit_generator.state
    events, selected = _reconstruct(rng, kept, own, detector, counts)
    numbers = np.where(selected, np.cumsum(selected) - 1, -1)
    counts.nominal = len(events)
    if varied is not None:
        rng.bit_generator.state = state
        events, selected = _reconstruct(rng, kept, own * ratio[trial], varied, counts)
    events["number"] = numbers[selected]
    if not signal:
        counts.largest = float(left[trial[selected]].max(initial=0.0))
    return events, counts


def aim_factors(events: GeneratedEvents, largest: float) -> FloatArray:
    """How much more often than unaimed each event is wanted, (n,), from 1 to `largest`.

    Behind a good selection hardly any event of an unaimed sample is left. Two pilot networks say
    what looks like signal, by the four features of the generated muons: one finished with the
    Punzi-loss, one with the cross-entropy, both trained on unaimed default data. The larger output
    before the sigmoid counts, exponentially. They steer how well the simulation knows the
    background; what it expects does not depend on them.
    """
    factors = np.ones(len(events.weight))
    if largest == 1:
        return factors
    beams = np.zeros((len(factors), 4))
    beams[:, 0] = events.sqrt_s
    plus, minus = ([*muon[:, 1:].T] for muon in (events.mu_plus, events.mu_minus))
    features, m2_recoil = dimuon_kinematics(plus, minus, beams, np.array([0.0, 0.0, 1.0]))
    low, high = np.square(_AIMED_MASSES)
    inside = np.flatnonzero((m2_recoil > low) & (m2_recoil < high))
    networks = json.loads(_NETWORKS.read_text(encoding="utf-8"))
    likeness = np.max([_likeness(network, features[inside]) for network in networks], axis=0)
    factors[inside] = largest ** (likeness * np.where(m2_recoil[inside] > _LESS_AIMED**2, 0.5, 1.0))
    return factors


def _likeness(network: dict[str, Any], features: FloatArray) -> FloatArray:
    """How much events look like signal, (n,), from 0 at one output of a network to 1 at another."""
    units = features
    for depth, (weights, biases) in enumerate(network["layers"]):
        units = units if depth == 0 else np.tanh(units)
        # Not by BLAS, whose last digit can depend on its number of threads.
        units = np.einsum("ni,oi->no", units, np.array(weights)) + np.array(biases)
    low, high = network["from"], network["to"]
    return np.asarray(np.clip((units[:, 0] - low) / (high - low), 0.0, 1.0))


def unweighted(generator: SignalGenerator, rng: Random, sqrt_s: FloatArray) -> GeneratedEvents:
    """One event for each energy of the beams (n,), GeV, by acceptance and rejection.

    Trials of an event are repeated, with its beam energy, until one is accepted with the
    probability weight / maximum. One above the maximum keeps its excess as weight; all others
    weigh one.
    """
    maximum = generator.maximum(sqrt_s)
    events = GeneratedEvents.zeros(sqrt_s.copy())
    pending = np.arange(len(sqrt_s))
    while len(pending):
        trial = generator.generate(rng, sqrt_s[pending])
        ratio = trial.weight / maximum
        accepted = rng.random(len(pending)) < ratio
        trial = trial._replace(weight=np.maximum(ratio, 1.0))
        for column, drawn in zip(events, trial, strict=True):
            column[pending[accepted]] = drawn[accepted]
        pending = pending[~accepted]
    return events


def _reconstruct(
    rng: Random, generated: GeneratedEvents, weight: FloatArray, detector: Detector, counts: Counts
) -> tuple[Events, BoolArray]:
    """Measure n events that look like two muons; those preselected, and which of the n they are."""
    muons = measure(rng, generated, detector)
    selected = np.ones(len(weight), dtype=bool)
    for step, passed in preselection(muons, detector):
        selected &= passed
        counts.step(step, np.where(selected, weight, 0.0))
    events = np.empty(np.count_nonzero(selected), EVENT)
    for i, axis in enumerate(("px", "py", "pz")):
        events["p_plus"][:, i], events["p_minus"][:, i] = muons[axis][selected].T
    events["weight"] = weight[selected]
    events["mass"] = generated.mass[selected]
    counts.entries = len(events)
    return events, selected


def integrate(signal: SignalGenerator, sqrt_s: float, seed: int, precision: float = 0.002) -> Pair:
    """Cross-section of the signal of one mass over g'^2, and its error below a precision, fb."""
    rng = Batch("signal", round(1e6 * signal.mass), 0, 0).rng(seed, _INTEGRATION)
    energies, weights, error = np.full(50_000, sqrt_s), np.empty(0), np.inf
    while len(weights) == 0 or error > precision * weights.mean():
        weights = np.append(weights, signal.generate(rng, energies).weight)
        error = float(weights.std(ddof=1) / np.sqrt(len(weights)))
    return float(weights.mean()), error


def batches(
    dataset: str, stratum: int, size: Scale, trials: int | None = None, attempt: int = 0
) -> list[Batch]:
    """Batches of a stratum: as few as possible, of nearly equal size.

    Without trials they are a pilot run, in which all events keep their weights in fb. The random
    numbers of another attempt are new: with the old ones, trials would be added just where an
    unlikely event happened to come early.
    """
    exposure = 0.0 if trials is None else size.luminosity / trials
    every = trials or max(_FEWEST, int(_PILOT_RATE * size.luminosity))
    count = -(-every // BATCH)
    sizes = enumerate(np.diff(np.arange(count + 1) * every // count).tolist())
    return [Batch(dataset, stratum, i, n, exposure, size.aim, attempt) for i, n in sizes]


def needed_trials(pilots: Sequence[Counts], size: Scale) -> list[int]:
    """Trials of each stratum of a process, from its pilot runs.

    With them hardly any trial stands for more than one event. What is aimed at has most events for
    its trials if they are shared out in proportion to the root of the mean square of its weights
    in each stratum (J. Neyman, J. R. Stat. Soc. 97 (1934) 558).
    """
    roots = np.sqrt([pilot.aimed_weight2 / pilot.trials for pilot in pilots])
    shares = _AIMED_RATE * size.luminosity * roots / max(roots.sum(), np.finfo(float).tiny)
    least = [max(_FEWEST, int(np.ceil(pilot.largest * size.luminosity))) for pilot in pilots]
    return [max(n, int(share)) for n, share in zip(least, shares, strict=True)]


def more_trials(counts: Counts) -> int:
    """Trials that a stratum needs after all; none if `COPIES` suffice."""
    enough = counts.largest <= COPIES
    return 0 if enough else int(np.ceil(counts.trials * counts.largest * _HEADROOM))


def write_ntuple(
    path: Path, title: str, production: int, beams: Beams, parts: Iterable[Events], *, signal: bool
) -> None:
    """Write a ROOT file that appears under its name when complete.

    Its UUID is made from the title; files with other content should have another. Signal has a
    branch with the generated mass. InputError if the folder cannot be made or written to.
    """

    def branches(events: Events) -> dict[str, NDArray[Any]]:
        n = len(events)
        columns: dict[str, NDArray[Any]] = {
            "__experiment__": np.full(n, EXPERIMENT, np.int32),
            "__run__": np.zeros(n, np.int32),
            "__event__": events["number"].astype(np.uint32),
            "__production__": np.full(n, production, np.int32),
            "__candidate__": np.zeros(n, np.int32),
            "__ncandidates__": np.ones(n, np.int32),
            "__weight__": events["weight"],
        }
        for daughter, (name, charge) in enumerate([("p_plus", 1), ("p_minus", -1)]):
            p, prefix = events[name], f"daughter__bo{daughter}__cm__sp"
            for axis, component in zip("xyz", p.T, strict=True):
                columns[f"{prefix}p{axis}__bc"] = np.ascontiguousarray(component)
            energy = np.sqrt((p.astype(float) ** 2).sum(axis=1) + MUON_MASS**2)
            columns[f"{prefix}E__bc"] = energy.astype(np.float32)
            columns[f"{prefix}charge__bc"] = np.full(n, charge, np.float32)
        for axis, value in zip(("E", "px", "py", "pz"), beams.total, strict=True):
            columns[BRANCHES[f"beam_{axis}"]] = np.full(n, value)
        if signal:
            columns[BRANCHES["generated_mass"]] = events["mass"]
        return columns

    with create_root_file(path, title) as file:
        empty = branches(np.empty(0, EVENT))
        tree = file.mktree(TREE, {name: column.dtype for name, column in empty.items()})
        for events in _baskets(parts):
            tree.extend(branches(events))


def _baskets(parts: Iterable[Events]) -> Iterator[Events]:
    """The same events in arrays of `_BASKET`; the last may have fewer."""
    waiting = np.empty(0, EVENT)
    for part in parts:
        events = np.concatenate([waiting, part])
        *full, waiting = np.split(events, range(_BASKET, len(events) + 1, _BASKET))
        yield from full
    if len(waiting):
        yield waiting
