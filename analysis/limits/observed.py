"""What is observed: limits and local p-values at the points of a scan, and the file of both.

**Limits** are those of `expected`, at the counts observed: by exact Poisson sums, and by asymptotic
formulas, whose Asimov data is what a fit without signal makes of the observation (EPJC 71, 1554;
the same as pyhf's). **Local p-values** are the probabilities of the same sums that background
alone gives at least so many events. A fluctuation of many sigmas asks for more background than the
points of a limit reach. They are moved to where background most likely reaches the count, and
weighted (importance sampling about the design point, Melchers, Structural Safety 6, 3).
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import TypeAdapter
from scipy.optimize.elementwise import find_root
from scipy.special import gammainc, gammaincc, log_ndtr, ndtr, ndtri

from punzinet.analysis.io.files import (
    Column,
    InputError,
    OrNaN,
    cells,
    read_result,
    write_json,
)
from punzinet.analysis.limits.binned import Likelihood
from punzinet.analysis.limits.expected import (
    UNLIKELY,
    Possible,
    counting_limit,
    points,
    possible,
)
from punzinet.analysis.limits.model import CountingExperiment
from punzinet.analysis.limits.result import BANDS, Coupled, check_columns
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

FARTHEST = 8.0  # sigmas of the uncertainties to which points of an average are moved at most
FURTHER = 0.5  # steps of that, in sigmas


class Upcrossings(NamedTuple):
    """How often the significance rises above a level along the scan, without any signal."""

    mean: float  # number in a pseudo-experiment
    level: float  # significance
    p_value: float  # global one that follows (Gross and Vitells, EPJC 70, 525, Eq. 3)


@dataclass(frozen=True, eq=False)
class Observation(Coupled):
    """What is counted behind the single cut at S scan points, and what it means.

    Scan points are all hypotheses and points between neighbouring ones, in ascending order.
    """

    source: Literal["data", "pseudo-data"]
    injected: dict[float, float]  # fb by mass in GeV, of pseudo-data
    luminosity: float  # fb^-1
    confidence_level: float  # such as 0.9
    network: str  # its name
    cut: float  # on the output before the sigmoid
    mass: Column  # (S,) in GeV
    hypothesis: Annotated[BoolArray, cells(list[bool])]  # (S,) which points are one
    efficiency: Column  # (S,) of signal
    background: Column  # (S,) expected events
    background_error: Column  # (S,) of all uncertainties
    effective_events: Column  # (S,) simulated events behind that; 0 where none was found
    count: Annotated[IntArray, cells(list[int])]  # (S,)
    expected: Column  # (S, 5) upper limits in fb at `BANDS`, by exact sums; infinite without signal
    limit: Column  # (S,) observed upper limit in fb, by exact sums
    asymptotic: Column  # (S,) the same by the asymptotic formulas
    p_value: Column  # (S,) local, to count at least as many from background alone
    significance: Column  # (S,) of that, one-sided: see `significance`
    #: (S,) cross-section over g′² in fb; NaN where it is not known
    sigma_over_g2: Annotated[FloatArray, cells(list[OrNaN])]
    likeliest_mass: float  # GeV of a signal, by the shape of its peak
    global_p_value: float  # share of pseudo-experiments with as small a p-value anywhere
    global_error: float  # statistical; where the share is 0, what it is below at 68 %
    experiments: int  # number of pseudo-experiments
    upcrossings: Upcrossings

    def __post_init__(self) -> None:
        """Raise ValueError if a column has not one row a point, or masses do not ascend."""
        check_columns(self, len(self.mass), ["expected"])
        if len(self.mass) == 0 or not np.all(np.diff(self.mass) > 0):
            raise ValueError("mass: needs ascending values")

    def write(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write observed.json; what is infinite or unknown there is null."""
        content = _OBSERVATION.dump_python(self, mode="json")
        write_json(path, {"provenance": dict(provenance), "bands": BANDS.tolist(), **content})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read observed.json; InputError if the file is absent or holds no observation."""
        with read_result(path, "observation", "punzinet limits --unblind") as content:
            found: Self = _OBSERVATION.validate_python(content)
            return found


_OBSERVATION: TypeAdapter[Any] = TypeAdapter(Observation)


class Observed(NamedTuple):
    """What counts at M points mean."""

    limit: FloatArray  # (M,) upper limits in fb by exact sums, infinite without signal
    asymptotic: FloatArray  # (M,) the same by the asymptotic formulas
    p_value: FloatArray  # (M,) local
    significance: FloatArray  # (M,)


def observe(
    experiments: Sequence[CountingExperiment | None], counts: IntArray, confidence_level: float
) -> Observed:
    """Observed limits and p-values of M counts; where there is no signal nothing is excluded.

    InputError if a count is too small for any background that is possible.
    """

    def exact(one: CountingExperiment | None, count: int) -> tuple[float, float]:
        if one is None:
            return np.inf, 1.0
        sums = Sums(one)
        return sums.limit(count, confidence_level), sums.at_least(count)

    with ThreadPoolExecutor() as pool:  # the sums do not hold Python's lock
        limit, p_value = np.array([*pool.map(exact, experiments, counts.tolist())]).T
    asymptotic = np.full(len(experiments), np.inf)
    if known := {i: one for i, one in enumerate(experiments) if one is not None}:
        of_known = [*known.values()], counts[[*known]]
        asymptotic[[*known]] = observed_asymptotic_limits(*of_known, confidence_level)
    return Observed(limit, asymptotic, p_value, significance(p_value))


def significance(p_value: ArrayLike) -> FloatArray:
    """One-sided significance of p-values: 0 from 0.5 on, and 37.5 of what is too small a number."""
    return np.maximum(-ndtri(np.maximum(p_value, np.finfo(float).tiny)), 0.0)


def observed_asymptotic_limits(
    experiments: Sequence[CountingExperiment], counts: IntArray, confidence_level: float
) -> FloatArray:
    """Observed upper limits on the cross-section of M experiments, (M,) in fb."""
    nominal = Likelihood.of([one.workspace() for one in experiments])
    signal, background = nominal.events[:, 0, 0], nominal.events[:, 0, 1:].sum(axis=1)
    observed = counts.astype(float)
    alone, fitted = nominal.without_signal(observed[:, None])
    # A signal explains any surplus entirely; it is not negative, so nothing explains a deficit.
    least = np.where(observed < background, alone, 0.0)
    best = np.maximum(observed - background, 0.0) / signal

    def excess_of_cls(cross_section: FloatArray, rows: IntArray) -> FloatArray:
        """Logarithm of CLs over what excludes."""
        tried = cross_section[:, None]
        lost, asimov = (
            Likelihood(*(array[rows] for array in one)).profile(tried, count)[0][:, 0]
            for one, count in ((nominal, observed[rows, None]), (fitted, None))
        )
        q = np.where(cross_section > best[rows], np.maximum(lost - least[rows], 0.0), 0.0)
        root = np.sqrt(asimov)
        # Eq. 66 of EPJC 71, 1554: beyond q_A the distribution of q̃ is another.
        beyond = np.where(q > asimov, (q - asimov) / (2 * root), np.sqrt(q) - root)
        cls = log_ndtr(-beyond - root) - log_ndtr(-beyond)
        return np.asarray(cls - np.log(1 - confidence_level))

    reach = np.array([one.reach for one in experiments])
    every, low, high = np.arange(len(counts)), np.maximum(best, 1e-6 * reach), reach + 3 * best
    # Of a large surplus far more may be signal, if little is known of the efficiency.
    while (allowed := excess_of_cls(high, every) > 0).any():
        high = np.where(allowed, 2 * high, high)
    return np.asarray(find_root(excess_of_cls, (low, high), args=(every,)).x)


class Sums:
    """Poisson sums of one experiment, averaged over what its uncertainties make possible."""

    def __init__(self, experiment: CountingExperiment) -> None:
        """Find the direction of the uncertainties in which background grows fastest."""
        self._experiment = experiment
        self._normal = ndtri(points(experiment))
        step = 0.5 * np.eye(self._normal.shape[1])
        low, high = (np.log(self._possible(sign * step).background) for sign in (-1, 1))
        self._nominal = self._possible(0 * step[:1]).background  # (1,)
        middle = np.log(self._nominal)
        slope = high - low  # (D,) of the logarithm, for one sigma of each
        # Where background grows both ways, the faster one first; points are moved both ways.
        turns = np.minimum(low, high) > middle
        faster = np.where(high > low, high - middle, middle - low)
        slope = np.where(turns, 2 * faster, slope)
        self._direction = slope / np.maximum(np.linalg.norm(slope), UNLIKELY)
        self._ways = [self._direction]
        if turns.any():
            self._ways.append(np.where(turns, -1, 1) * self._direction)
        self._moves = np.arange(-FARTHEST, FARTHEST + FURTHER, FURTHER)
        self._moved = self._possible(self._moves[:, None] * self._direction).background
        self._averages: dict[float, Possible] = {}

    @property
    def factors(self) -> FloatArray:
        """What one sigma of each uncertainty, up and down, makes of all background, (D, 2)."""
        one = np.eye(self._normal.shape[1])
        ends = [self._possible(sign * one).background for sign in (1, -1)]
        return np.column_stack(ends) / self._nominal

    def at_least(self, count: int) -> float:
        """Probability of background alone to give at least so many events."""
        if count == 0:
            return 1.0
        events = self._around(gammainc(count, self._moved), self._moves >= 0)
        return min(float((events.weight * gammainc(count, events.background)).mean()), 1.0)

    def threshold(self, p_value: float) -> int:
        """Smallest count that background alone reaches with at most this probability.

        The search begins at what all uncertainties along their direction alone would give.
        """
        chance = np.exp(-(self._moves**2) / 2)
        most = self._moved.max() + 50 * np.sqrt(self._moved.max()) + 50
        low = high = 1 + bisect_left(
            range(1, int(most)),
            -p_value * chance.sum(),
            key=lambda count: -float(chance @ gammainc(count, self._moved)),
        )
        step, at_least = 1, cache(self.at_least)
        while at_least(high) > p_value:
            low, high, step = high + 1, high + step, 2 * step
        while low > 0 and at_least(low) <= p_value:
            low, high, step = max(low - step, 0), low, 2 * step
        counts = range(low, high)
        return low + bisect_left(counts, -p_value, key=lambda count: -at_least(count))

    def limit(self, count: int, confidence_level: float) -> float:
        """Upper limit on the cross-section in fb; InputError where no background gives so few."""
        events = self._around(gammaincc(count + 1, self._moved), self._moves <= 0)
        if events.at_most(count) < ndtr(-FARTHEST):
            one = self._experiment
            raise InputError(
                f"At {one.mass:g} GeV {count} events are counted where {one.background:.4g} are "
                f"expected, {FARTHEST:g} sigmas below all uncertainties of the manifest; check the "
                "luminosity of the data, and that all of its files are there."
            )
        return counting_limit(count, events, confidence_level)

    def _around(self, probability: FloatArray, allowed: BoolArray) -> Possible:
        """Events about the move that adds most to the average of a probability."""
        likely = np.log(np.maximum(probability, UNLIKELY)) - self._moves**2 / 2
        move = float(self._moves[np.argmax(np.where(allowed, likely, -np.inf))])
        if move not in self._averages:
            moved = np.concatenate([self._normal + move * way for way in self._ways])
            density = [np.exp(move * (moved * way).sum(axis=1) - move**2 / 2) for way in self._ways]
            weight = 1 / np.mean(density, axis=0)
            self._averages[move] = self._possible(moved)._replace(weight=weight)
        return self._averages[move]

    def _possible(self, normal: FloatArray) -> Possible:
        """Events at normal variables (n, D), each of one uncertainty."""
        return possible(self._experiment, ndtr(normal).clip(1e-16, 1 - 1e-16))
