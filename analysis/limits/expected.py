"""Expected CLs limits: asymptotically for all hypotheses at once, or by exact Poisson sums.

**Asymptotic.** The test statistic is q̃_μ of Cowan, Cranmer, Gross and Vitells (EPJC 71, 1554).
Median and bands all follow from one curve, √q_A of the background-only Asimov data against the
cross-section: background N sigmas above expectation excludes, at CLs = α, the cross-section at
which √q_A = N + Φ⁻¹(1 − α Φ(N)). The likelihood is that of `CountingExperiment.workspace`. pyhf
would fit it too, with numerical derivatives in a minute; tests compare. The approximation takes
many events to be valid: without background, at 90 %, it promises 1.35 events instead of 2.30.

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
from typing import NamedTuple, Self

import numpy as np
from scipy.special import gammaincc, gammaincinv, gammaln, ndtr, ndtri
from scipy.stats import qmc

from punzinet.analysis.limits.model import CountingExperiment
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.types import FloatArray

FIT_STEPS = 40  # Newton steps to asymptotic limits, and of the fit at each; about 6 are needed
FIT_TOLERANCE = 1e-12  # relative change of the cross-sections at which they are found
STEPS = 100  # steps to a counting limit at most; about 4 are needed
TOLERANCE = 1e-5  # relative size of the last step; what it leaves is of the order of its square
UNLIKELY = 1e-100  # probability below which no limit lies, and numbers lose their digits


def asymptotic_limits(
    experiments: Sequence[CountingExperiment], confidence_level: float
) -> FloatArray:
    """Expected upper limits on the cross-section, (M, 5) in fb at `BANDS`."""
    if not experiments:
        return np.empty((0, len(BANDS)))
    target = BANDS - ndtri((1 - confidence_level) * ndtr(BANDS))  # √q_A where CLs excludes
    likelihood = _Likelihood.of(experiments)
    found: FloatArray = np.array([[e.reach / 30] for e in experiments]) * target / target.max()
    for _ in range(FIT_STEPS):
        q, slope = likelihood.profile(found)
        root = np.sqrt(q)
        before, step = found, (target - root) * 2 * root / slope
        found = np.clip(before + step, 0.2 * before, 5 * before)
        if np.abs(found / before - 1).max() < FIT_TOLERANCE:
            break
    return found


class _Likelihood(NamedTuple):
    """Likelihoods of M experiments in D nuisance parameters θ, padded to the same shape.

    The yields of signal and of P backgrounds are events · exp(Σ powers · θ). θ are log-normal
    factors in units of their uncertainty, constrained by θ²/2, and the logarithms γ of the
    backgrounds' statistical factors, constrained by Poisson counts of `effective` events.
    """

    events: FloatArray  # (M, 1 + P) of the signal for 1 fb, and of the backgrounds
    powers: FloatArray  # (M, 1 + P, D) derivatives of the logarithms of the yields
    normal: FloatArray  # (M, D) 1 for log-normal factors and padding, 0 for statistical ones
    effective: FloatArray  # (M, D) effective events of statistical factors, else 0

    @classmethod
    def of(cls, experiments: Sequence[CountingExperiment]) -> Self:
        processes = max(len(e.backgrounds) for e in experiments)
        signal = max(len(e.signal_systematics) for e in experiments)
        # Luminosity, then the signal's own, the backgrounds' systematic, their statistical.
        first, statistical = 1 + signal, 1 + signal + processes
        parameters = statistical + processes
        events = np.zeros((len(experiments), 1 + processes))
        powers = np.zeros((*events.shape, parameters))
        normal = np.ones((len(experiments), parameters))
        effective = np.zeros_like(normal)
        for m, one in enumerate(experiments):
            events[m, 0] = one.signal
            powers[m, : 1 + len(one.backgrounds), 0] = np.log1p(one.luminosity)
            own = np.log1p([*one.signal_systematics.values()])
            powers[m, 0, 1 : 1 + len(own)] = own
            names = [background.systematic[0] for background in one.backgrounds]
            for p, background in enumerate(one.backgrounds):
                name, size = background.systematic
                events[m, 1 + p] = background.events
                powers[m, 1 + p, first + names.index(name)] = np.log1p(size)
                powers[m, 1 + p, statistical + p] = 1.0
                normal[m, statistical + p] = 0.0
                effective[m, statistical + p] = background.effective
        return cls(events, powers, normal, effective)

    def profile(self, cross_section: FloatArray) -> tuple[FloatArray, FloatArray]:
        """q_A of the Asimov data without signal, and its slope, for cross-sections (M, C) in fb.

        The nominal parameters maximise the likelihood of the Asimov data. All others are found
        by Newton's method: where more is expected than observed the problem is convex.
        """
        events, powers, normal, effective = (array[:, None] for array in self)
        observed = events[..., 1:].sum(axis=-1)
        events = np.repeat(events, cross_section.shape[1], axis=1)
        events[..., 0] *= cross_section
        theta = np.zeros((*cross_section.shape, powers.shape[-1]))
        diagonal = np.arange(theta.shape[-1])
        for _ in range(FIT_STEPS):
            yields = events * np.exp(np.einsum("...kd,...d->...k", powers, theta))
            total = yields.sum(axis=-1)
            excess = 1 - observed / total
            linear = np.einsum("...k,...kd->...d", yields, powers)
            quadratic = np.einsum("...k,...kd,...ke->...de", yields, powers, powers)
            gradient = excess[..., None] * linear + normal * theta + effective * np.expm1(theta)
            hessian = excess[..., None, None] * quadratic
            outer = linear[..., :, None] * linear[..., None, :]
            hessian += (observed / total**2)[..., None, None] * outer
            hessian[..., diagonal, diagonal] += normal + effective * np.exp(theta)
            step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
            theta = theta - step
            if np.abs(step).max() < FIT_TOLERANCE:
                break
        constraint = normal * theta**2 / 2 + effective * (np.expm1(theta) - theta)
        q = 2 * (total - observed - observed * np.log(total / observed) + constraint.sum(axis=-1))
        return q, 2 * excess * yields[..., 0] / cross_section


def counting_limits(
    experiments: Sequence[CountingExperiment], confidence_level: float, points_log2: int = 12
) -> FloatArray:
    """Expected upper limits on the cross-section, (M, 5) in fb at `BANDS`, by so many points.

    The counts at which they are taken are the quantiles of what the background alone gives;
    being integers, neighbouring bands can coincide where few events are expected.
    """
    with ThreadPoolExecutor() as pool:  # the sums do not hold Python's lock
        found = pool.map(lambda one: _limits(one, confidence_level, points_log2), experiments)
        return np.array([*found]).reshape(-1, len(BANDS))


def _limits(one: CountingExperiment, confidence_level: float, points_log2: int) -> FloatArray:
    """Limits of one experiment, (5,) in fb."""
    signal, background = _possible(one, points_log2)
    spread = float(np.sqrt(background.mean() + background.var()))

    @cache
    def at_most(n: int) -> float:
        """Probability to count at most n events without signal."""
        return float(gammaincc(n + 1, background).mean())

    def limit(n: int) -> float:
        """Cross-section in fb at which CLs has fallen to 1 − CL, for n events counted."""
        start = (2 + max(n - one.background, 0) + spread) / one.signal
        return _allowed(n, signal, background, (1 - confidence_level) * at_most(n), start)

    # By Cantelli's inequality no more is counted in 98 % of all cases, which is beyond the bands.
    most = range(int(background.mean() + 7 * spread) + 1)
    quantiles = [bisect_left(most, share, key=at_most) for share in ndtr(BANDS).tolist()]
    counts, bands = np.unique(quantiles, return_inverse=True)
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
