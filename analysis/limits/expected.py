"""Expected CLs limits of counting experiments, asymptotically or by exact Poisson sums.

**Asymptotic** formulas (`binned`) take many events to be valid: without background, at 90 %, they
promise 1.35 events instead of 2.30.

**Counting** is valid for any number of events, which are the test statistic themselves.
Uncertainties are averaged over (Cousins and Highland 1992): the probability to count at most n
events is the mean of Poisson sums over a fixed, evenly spread set of points: the luminosity,
efficiency and backgrounds that are possible. With no uncertainty and no background it is the
textbook limit of −ln(1 − CL) events.
"""

from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np
import scipy
from scipy.special import gammaincc, gammaincinv, gammaln, ndtr, ndtri

from punzinet.analysis.limits.binned import expected_limits
from punzinet.analysis.limits.model import CountingExperiment, interpolated
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.types import FloatArray

STEPS = 100  # steps to a counting limit at most; about 4 are needed
TOLERANCE = 1e-5  # relative size of the last step; what it leaves is of the order of its square
UNLIKELY = 1e-100  # probability below which no limit lies, and numbers lose their digits


def asymptotic_limits(
    experiments: Sequence[CountingExperiment | None], confidence_level: float
) -> FloatArray:
    """Expected upper limits on the cross-section, (M, 5) in fb at `BANDS`.

    They are infinite where there is no experiment.
    """
    workspaces = [None if one is None else one.workspace() for one in experiments]
    return expected_limits(workspaces, confidence_level)


def counting_limits(
    experiments: Sequence[CountingExperiment | None], confidence_level: float, points_log2: int = 12
) -> FloatArray:
    """The same by so many points.

    The counts at which they are taken are the quantiles of what the background alone gives;
    being integers, neighbouring bands can coincide where few events are expected.
    """
    with ThreadPoolExecutor() as pool:  # the sums do not hold Python's lock
        bands = pool.map(lambda one: _bands(one, confidence_level, points_log2), experiments)
        return np.array([*bands]).reshape(-1, len(BANDS))


class Possible(NamedTuple):
    """Events that are possible in an experiment, at points of its uncertainties."""

    signal: FloatArray  # (n,) for 1 fb
    background: FloatArray  # (n,)
    weight: FloatArray | float = 1.0  # of the points, (n,)

    def at_most(self, count: int) -> float:
        """Probability to count at most so many events without signal."""
        return float((self.weight * gammaincc(count + 1, self.background)).mean())


def _bands(one: CountingExperiment | None, confidence_level: float, points_log2: int) -> FloatArray:
    """Limits of one experiment, (5,) in fb."""
    if one is None:
        return np.full(len(BANDS), np.inf)
    events = possible(one, points(one, points_log2))
    # By Cantelli's inequality no more is counted in 98 % of all cases, which is beyond the bands.
    most = range(int(events.background.mean() + 7 * _spread(events)) + 1)
    at_most = cache(events.at_most)
    counts = [bisect_left(most, share, key=at_most) for share in ndtr(BANDS).tolist()]
    limits = {n: counting_limit(n, events, confidence_level) for n in {*counts}}
    return np.array([limits[n] for n in counts])


def counting_limit(n: int, events: Possible, confidence_level: float) -> float:
    """Cross-section in fb at which CLs has fallen to 1 − CL, for n events counted.

    By Newton's method on the logarithm of the probability, which is nearly a straight line;
    by bisection where it has steps, because the points of the average lie far apart.
    """
    signal, background, weight = events
    probability = (1 - confidence_level) * events.at_most(n)
    tried = (2 + max(n - background.mean(), 0) + _spread(events)) / signal.mean()
    low, high, last = 0.0, np.inf, np.inf
    for _ in range(STEPS):
        mean = tried * signal + background
        reached = (weight * gammaincc(n + 1, mean)).mean()
        density = np.exp(n * np.log(mean) - mean - gammaln(n + 1))
        slope = (weight * signal * density).mean()
        low, high = (tried, high) if reached > probability else (low, tried)
        step = np.inf
        if min(reached, slope) > UNLIKELY:
            step = float(np.log(reached / probability) * reached / slope)
        follows = low <= tried + step <= high and abs(step) <= last / 2
        if not follows:
            step = min((low + high) / 2, 2 * tried) - tried
        last, tried = abs(step), tried + step
        if follows and last < TOLERANCE * tried:
            break
    return float(tried)


def _spread(events: Possible) -> float:
    """Standard deviation of counts without signal."""
    return float(np.sqrt(events.background.mean() + events.background.var()))


def possible(experiment: CountingExperiment, points: FloatArray) -> Possible:
    """Signal and background that are possible at points (n, D).

    Each coordinate, between 0 and 1, is the cumulative probability of one uncertainty: first of the
    parameters, then of the finite simulated sample of each background, whose gamma distribution has
    the mean of the expectation.
    """
    count, names = len(experiment.factors), [one.name for one in experiment.backgrounds]
    logs = dict.fromkeys([SIGNAL_PROCESS, *names], np.zeros(len(points)))
    for theta, of in zip(ndtri(points[:, :count].T), experiment.factors.values(), strict=True):
        known = {both: interpolated(theta, np.array(both))[0] for both in {*of.values()}}
        logs |= {sample: logs[sample] + known[both] for sample, both in of.items()}
    background = np.zeros(len(points))
    for source, column in zip(experiment.backgrounds, points[:, count:].T, strict=True):
        statistics = gammaincinv(source.effective, column) / source.effective
        background += source.events * statistics * np.exp(logs[source.name])
    return Possible(experiment.signal * np.exp(logs[SIGNAL_PROCESS]), background)


def points(experiment: CountingExperiment, points_log2: int = 12) -> FloatArray:
    """Points for `possible`, (2^k, D), evenly spread over the uncertainties of an experiment."""
    return _sobol(len(experiment.factors) + len(experiment.backgrounds), points_log2)


@cache
def _sobol(dimensions: int, points_log2: int) -> FloatArray:
    """Evenly spread points in the unit cube, (2^k, d), by Sobol's sequence."""
    sobol = scipy.stats.qmc.Sobol(dimensions, rng=np.random.default_rng(0))
    return np.asarray(sobol.random_base2(points_log2)).clip(1e-12, 1 - 1e-12)
