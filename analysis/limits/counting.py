"""Expected CLs limits by exact Poisson sums, valid for any number of events.

The test statistic is the number of events itself. Uncertainties are averaged over (Cousins
and Highland 1992): the probability to count at most n events is the mean of Poisson sums over
the luminosity, efficiency and backgrounds that are possible. With no uncertainty and no
background it is the textbook limit of −ln(1 − CL) events.

Nothing is random: the average runs over a fixed, evenly spread set of points.
"""

from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincc, gammaincinv, ndtr, ndtri
from scipy.stats import qmc

from punzinet.analysis.limits.asymptotic import BANDS
from punzinet.analysis.limits.model import CountingExperiment
from punzinet.analysis.types import FloatArray

#: Points of the average, as a power of 2.
POINTS_LOG2 = 12


def counting_limits(
    experiment: CountingExperiment, confidence_level: float, points_log2: int = POINTS_LOG2
) -> FloatArray:
    """Expected upper limits on the cross-section.

    The counts at which they are taken are the quantiles of what the background alone gives;
    being integers, neighbouring bands can coincide where few events are expected.

    Args:
        experiment: The model.
        confidence_level: Such as 0.9.
        points_log2: Points of the average, as a power of 2.

    Returns:
        (5,) limits in fb at `BANDS`.
    """
    signal, background = _possible(experiment, points_log2)
    counts = [_quantile(background, float(share)) for share in ndtr(BANDS)]
    limits = {
        n: _limit(n, signal, background, confidence_level, experiment.reach) for n in set(counts)
    }
    return np.array([limits[n] for n in counts])


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


def _at_most(n: int, expected: FloatArray) -> float:
    """Probability to count at most n events, averaged over expectations."""
    return float(gammaincc(n + 1, expected).mean())


def _quantile(background: FloatArray, share: float) -> int:
    """Smallest count that the background alone does not exceed with probability `share`."""
    low, high = -1, 1
    while _at_most(high, background) < share:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _at_most(middle, background) < share:
            low = middle
        else:
            high = middle
    return high


def _limit(
    n: int, signal: FloatArray, background: FloatArray, confidence_level: float, reach: float
) -> float:
    """Cross-section in fb at which CLs has fallen to 1 − CL, for n events counted."""
    allowed = (1 - confidence_level) * _at_most(n, background)
    while _at_most(n, reach * signal + background) > allowed:
        reach *= 2
    return float(
        brentq(lambda x: _at_most(n, x * signal + background) - allowed, 0, reach, rtol=1e-6)
    )
