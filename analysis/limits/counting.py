"""Expected CLs limits by exact Poisson sums, valid for any number of events.

The test statistic is the number of events itself. Uncertainties are averaged over (Cousins
and Highland 1992): the probability to count at most n events is the mean of Poisson sums over
the luminosity, efficiency and backgrounds that are possible. With no uncertainty and no
background it is the textbook limit of −ln(1 − CL) events.

Nothing is random: the average runs over a fixed, evenly spread set of points.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from scipy.special import gammaincc, gammaincinv, gammaln, ndtr, ndtri
from scipy.stats import qmc

from punzinet.analysis.limits.model import CountingExperiment
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.types import FloatArray

#: Points of the average, as a power of 2.
POINTS_LOG2 = 12
#: Steps to a limit at most; about 4 are needed.
STEPS = 100
#: Relative size of the last step; what it leaves is of the order of its square.
TOLERANCE = 1e-5
#: Probability below which no limit lies, and numbers lose their digits.
UNLIKELY = 1e-100


def counting_limits(
    experiments: Sequence[CountingExperiment],
    confidence_level: float,
    points_log2: int = POINTS_LOG2,
) -> FloatArray:
    """Expected upper limits on the cross-section, (M, 5) in fb at `BANDS`.

    The counts at which they are taken are the quantiles of what the background alone gives;
    being integers, neighbouring bands can coincide where few events are expected.
    """
    with ThreadPoolExecutor() as pool:  # the sums do not hold Python's lock
        found = pool.map(lambda one: _limits(one, confidence_level, points_log2), experiments)
        return np.array([*found]).reshape(-1, len(BANDS))


def _limits(
    experiment: CountingExperiment, confidence_level: float, points_log2: int
) -> FloatArray:
    """Limits of one experiment, (5,) in fb."""
    signal, background = _possible(experiment, points_log2)
    spread = float(np.sqrt(background.mean() + background.var()))

    @cache
    def at_most(n: int) -> float:
        """Probability to count at most n events without signal."""
        return float(gammaincc(n + 1, background).mean()) if n >= 0 else 0.0

    def quantile(sigmas: float) -> int:
        """Smallest count that is not exceeded with the probability of so many sigmas."""
        share = float(ndtr(sigmas))
        low = high = max(int(background.mean() + sigmas * spread), 0)
        step = 1
        while at_most(high) < share:
            low, high, step = high, high + step, 2 * step
        while at_most(low) >= share:
            low, high, step = max(low - step, -1), low, 2 * step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if at_most(middle) < share else (low, middle)
        return high

    def limit(n: int) -> float:
        """Cross-section in fb at which CLs has fallen to 1 − CL, for n events counted."""
        start = (2 + max(n - experiment.background, 0) + spread) / experiment.signal
        return _allowed(n, signal, background, (1 - confidence_level) * at_most(n), start)

    counts, bands = np.unique([quantile(sigmas) for sigmas in BANDS.tolist()], return_inverse=True)
    return np.array([limit(n) for n in counts.tolist()])[bands]


def _allowed(
    n: int, signal: FloatArray, background: FloatArray, probability: float, start: float
) -> float:
    """Cross-section in fb with which at most n events are counted with a probability.

    By Newton's method on the logarithm of the probability, which is nearly a straight line;
    by bisection where it has steps, because the points of the average lie far apart.
    """
    tried, low, high, last = start, 0.0, np.inf, np.inf
    for _ in range(STEPS):
        events = tried * signal + background
        reached = gammaincc(n + 1, events).mean()
        density = (signal * np.exp(n * np.log(events) - events - gammaln(n + 1))).mean()
        low, high = (tried, high) if reached > probability else (low, tried)
        step = np.inf
        if min(reached, density) > UNLIKELY:
            step = float(np.log(reached / probability) * reached / density)
        follows = low <= tried + step <= high and abs(step) <= last / 2
        if not follows:
            step = min((low + high) / 2, 2 * tried) - tried
        last, tried = abs(step), tried + step
        if follows and last < TOLERANCE * tried:
            break
    return tried


def _possible(experiment: CountingExperiment, points_log2: int) -> tuple[FloatArray, FloatArray]:
    """Signal for 1 fb and background that are possible, (2^k,) each.

    Log-normal factors for systematic uncertainties, a gamma distribution with the mean of the
    expectation for the finite simulated samples.
    """
    factors = experiment.signal_systematics | {"luminosity": experiment.luminosity}
    factors |= dict(background.systematic for background in experiment.backgrounds)
    points = iter(_points(len(factors) + len(experiment.backgrounds), points_log2).T)
    drawn = {name: (1 + size) ** ndtri(next(points)) for name, size in factors.items()}
    signal = experiment.signal * drawn["luminosity"]
    for name in experiment.signal_systematics:
        signal = signal * drawn[name]
    background = np.zeros(len(signal))
    for source in experiment.backgrounds:
        statistics = gammaincinv(source.effective, next(points)) / source.effective
        background += source.events * statistics * drawn[source.systematic[0]]
    return signal, background * drawn["luminosity"]


@cache
def _points(dimensions: int, points_log2: int) -> FloatArray:
    """Evenly spread points in the unit cube, (2^k, d), by Sobol's sequence."""
    points = qmc.Sobol(dimensions, rng=np.random.default_rng(0)).random_base2(points_log2)
    return np.asarray(points).clip(1e-12, 1 - 1e-12)
