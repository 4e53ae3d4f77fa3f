"""Expected CLs limits by exact Poisson sums, valid for any number of events.

The test statistic is the number of events itself. Uncertainties are averaged over (Cousins
and Highland 1992): the probability to count at most n events is the mean of Poisson sums over
the luminosity, efficiency and backgrounds that are possible. With no uncertainty and no
background it is the textbook limit of −ln(1 − CL) events.

Nothing is random: the average runs over a fixed, evenly spread set of points.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincc, gammaincinv, ndtr, ndtri
from scipy.stats import qmc

from punzinet.analysis.limits.model import CountingExperiment
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.types import FloatArray

#: Points of the average, as a power of 2.
POINTS_LOG2 = 12


def counting_limits(
    experiments: Sequence[CountingExperiment],
    confidence_level: float,
    points_log2: int = POINTS_LOG2,
) -> FloatArray:
    """Expected upper limits on the cross-section, (M, 5) in fb at `BANDS`.

    The counts at which they are taken are the quantiles of what the background alone gives;
    being integers, neighbouring bands can coincide where few events are expected.
    """
    limits = partial(_limits, confidence_level=confidence_level, points_log2=points_log2)
    with ThreadPoolExecutor() as pool:  # the sums do not hold Python's lock
        return np.array([*pool.map(limits, experiments)]).reshape(-1, len(BANDS))


def _limits(
    experiment: CountingExperiment, *, confidence_level: float, points_log2: int
) -> FloatArray:
    """Limits of one experiment, (5,) in fb."""
    signal, background = _possible(experiment, points_log2)

    @cache
    def at_most(n: int) -> float:
        """Probability to count at most n events without signal."""
        return float(gammaincc(n + 1, background).mean())

    @cache
    def limit(n: int) -> float:
        """Cross-section in fb at which CLs has fallen to 1 − CL, for n events counted."""
        allowed = (1 - confidence_level) * at_most(n)

        def surplus(cross_section: float) -> float:
            """Logarithm of the probability over that allowed; nearly a straight line."""
            probability = gammaincc(n + 1, cross_section * signal + background).mean()
            return float(np.log(max(probability, 1e-300) / allowed))

        low, high = 0.0, (3 + max(n - experiment.background, 0)) / experiment.signal
        while surplus(high) > 0:
            low, high = high, 2 * high
        return float(brentq(surplus, low, high, rtol=1e-7))

    def quantile(share: float) -> int:
        """Smallest count that is not exceeded with this probability."""
        low, high = -1, 1
        while at_most(high) < share:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if at_most(middle) < share else (low, middle)
        return high

    return np.array([limit(quantile(float(share))) for share in ndtr(BANDS)])


def _possible(experiment: CountingExperiment, points_log2: int) -> tuple[FloatArray, FloatArray]:
    """Signal for 1 fb and background that are possible, (2^k,) each.

    Log-normal factors for systematic uncertainties, a gamma distribution with the mean of the
    expectation for the finite simulated samples.
    """
    factors = dict(experiment.signal_systematics)
    factors["luminosity"] = experiment.luminosity
    factors |= dict(background.systematic for background in experiment.backgrounds)
    points = _points(len(factors) + len(experiment.backgrounds), points_log2)
    drawn = {
        name: (1 + size) ** ndtri(points[:, i]) for i, (name, size) in enumerate(factors.items())
    }
    signal = experiment.signal * drawn["luminosity"]
    for name in experiment.signal_systematics:
        signal = signal * drawn[name]
    background = np.zeros(len(points))
    for i, source in enumerate(experiment.backgrounds, start=len(factors)):
        statistics = gammaincinv(source.effective, points[:, i]) / source.effective
        background += source.events * statistics * drawn[source.systematic[0]]
    return signal, background * drawn["luminosity"]


@cache
def _points(dimensions: int, points_log2: int) -> FloatArray:
    """Evenly spread points in the unit cube, (2^k, d), by Sobol's sequence."""
    points = qmc.Sobol(dimensions, rng=np.random.default_rng(0)).random_base2(points_log2)
    return np.asarray(points).clip(1e-12, 1 - 1e-12)
