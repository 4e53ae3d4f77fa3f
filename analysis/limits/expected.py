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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple, Self

import numpy as np
from scipy.special import gammaincc, gammaincinv, gammaln, ndtr, ndtri
from scipy.stats import qmc

from punzinet.analysis.limits.model import CountingExperiment, interpolated
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
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
    reach = np.array([e.reach for e in experiments])
    return excluded(Likelihood.of(experiments).profile, reach, confidence_level)


def excluded(
    profile: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    reach: FloatArray,
    confidence_level: float,
) -> FloatArray:
    """Cross-sections (M, 5) in fb at `BANDS` where CLs excludes, by Newton's method.

    The profile gives q_A and its slope at cross-sections (M, C); the reach (M,) in fb lies safely
    above all limits.
    """
    target = BANDS - ndtri((1 - confidence_level) * ndtr(BANDS))  # √q_A where CLs excludes
    found: FloatArray = (reach / 30)[:, None] * target / target.max()
    for _ in range(FIT_STEPS):
        q, slope = profile(found)
        root = np.sqrt(q)
        before, step = found, (target - root) * 2 * root / slope
        found = np.clip(before + step, 0.2 * before, 5 * before)
        if np.abs(found / before - 1).max() < FIT_TOLERANCE:
            break
    return found


class Likelihood(NamedTuple):
    """Likelihoods of M experiments in D nuisance parameters θ, padded to the same shape.

    The yields of signal and of P backgrounds are events · exp(Σ powers · θ). θ are log-normal
    factors in units of their uncertainty, constrained by θ²/2, and the logarithms γ of the
    backgrounds' statistical factors, constrained by Poisson counts of `effective` events. The last
    S of them are shared parameters, whose `factors` are `interpolated`.
    Constraints are nominal, or centred on what other data made of the parameters.
    """

    events: FloatArray  # (M, 1 + P) of the signal for 1 fb, and of the backgrounds
    powers: FloatArray  # (M, 1 + P, D) derivatives of the logarithms of the yields
    normal: FloatArray  # (M, D) 1 for log-normal factors and padding, 0 for statistical ones
    effective: FloatArray  # (M, D) effective events of statistical factors, else 0
    centre: FloatArray  # (M, D) parameters that the constraints prefer
    factors: FloatArray  # (M, 1 + P, S, 2) of the shared parameters, one sigma up and down

    @classmethod
    def of(cls, experiments: Sequence[CountingExperiment]) -> Self:
        """Likelihoods of experiments, at least one, with nominal constraints."""
        processes = max(len(e.backgrounds) for e in experiments)
        signal = max(len(e.signal_systematics) for e in experiments)
        # Luminosity, then the signal's own, the backgrounds' systematic, their statistical.
        first, statistical = 1 + signal, 1 + signal + processes
        shared = list(dict.fromkeys(name for one in experiments for name in one.shared))
        parameters = statistical + processes + len(shared)
        events = np.zeros((len(experiments), 1 + processes))
        powers = np.zeros((*events.shape, parameters))
        normal = np.ones((len(experiments), parameters))
        effective = np.zeros_like(normal)
        factors = np.ones((*events.shape, len(shared), 2))
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
            samples = [SIGNAL_PROCESS, *(background.name for background in one.backgrounds)]
            for name, of in one.shared.items():
                for sample, both in of.items():
                    factors[m, samples.index(sample), shared.index(name)] = both
        return cls(events, powers, normal, effective, np.zeros_like(normal), factors)

    def profile(
        self, cross_section: FloatArray, observed: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Give q and its slope, for cross-sections (M, C) in fb and counts (M,).

        Twice the logarithm of the likelihood lost against a signal that explains the counts
        entirely. They are the Asimov data without signal, q_A, if none are given.
        """
        if observed is None:
            exponents, *_ = _exponents(self.powers, self.factors, self.centre)
            observed = (self.events * np.exp(exponents))[:, 1:].sum(axis=-1)
        q, _, yields = self._fit(cross_section, observed[:, None])
        excess = 1 - observed[:, None] / yields.sum(axis=-1)
        return q, 2 * excess * yields[..., 0] / cross_section

    def without_signal(self, observed: FloatArray) -> tuple[FloatArray, Self]:
        """Give q (M,) of counts (M,) without signal, and the likelihood as that fit has it."""
        q, theta, _ = self._fit(np.zeros((len(observed), 1)), observed[:, None])
        return q[:, 0], self._replace(centre=theta[:, 0])

    def _fit(
        self, cross_section: FloatArray, observed: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give q (M, C), the parameters (M, C, D) and yields (M, C, 1 + P) of the best fit.

        By Newton's method: where more is expected than observed, (M, 1), the problem is convex.
        Elsewhere what makes it concave is left out of its curvature: smaller steps, always down.
        """
        events, powers, normal, effective, centre, factors = (array[:, None] for array in self)
        events = np.repeat(events, cross_section.shape[1], axis=1)
        events[..., 0] *= cross_section
        effective = effective * np.exp(centre)
        theta = np.repeat(centre, cross_section.shape[1], axis=1)
        diagonal = np.arange(theta.shape[-1])
        for _ in range(FIT_STEPS):
            exponents, slopes, bends = _exponents(powers, factors, theta)
            yields = events * np.exp(exponents)
            total = yields.sum(axis=-1)
            excess = 1 - observed / total
            linear = np.einsum("...k,...kd->...d", yields, slopes)
            quadratic = np.einsum("...k,...kd,...ke->...de", yields, slopes, slopes)
            pull = theta - centre
            gradient = excess[..., None] * linear + normal * pull + effective * np.expm1(pull)
            hessian = np.maximum(excess, 0)[..., None, None] * quadratic
            outer = linear[..., :, None] * linear[..., None, :]
            hessian += (observed / total**2)[..., None, None] * outer
            hessian[..., diagonal, diagonal] += normal + effective * np.exp(pull)
            if shared := bends.shape[-1]:
                bent = excess[..., None] * np.einsum("...k,...ks->...s", yields, bends)
                last = diagonal[-shared:]
                hessian[..., last, last] += np.maximum(bent, -0.5)  # of the 1 of its constraint
            step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
            theta = theta - step
            if np.abs(step).max() < FIT_TOLERANCE:
                break
        pull = theta - centre
        constraint = normal * pull**2 / 2 + effective * (np.expm1(pull) - pull)
        lost = observed * np.log(total / np.maximum(observed, UNLIKELY))  # none of nothing observed
        q = 2 * (total - observed - lost + constraint.sum(axis=-1))
        return q, theta, yields


def _exponents(
    powers: FloatArray, factors: FloatArray, theta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Logarithms of all factors on yields (..., 1 + P), at parameters (..., D).

    With them come their slopes (..., 1 + P, D), and curvatures in the shared parameters (…, S).
    """
    exponents = np.einsum("...kd,...d->...k", powers, theta)
    own = theta.shape[-1] - factors.shape[-2]
    if own == theta.shape[-1]:
        return exponents, powers, np.empty((*exponents.shape, 0))
    values, slopes, bends = interpolated(theta[..., None, own:], factors)
    fixed = np.broadcast_to(powers[..., :own], (*slopes.shape[:-1], own))
    return exponents + values.sum(axis=-1), np.concatenate([fixed, slopes], axis=-1), bends


def counting_limits(
    experiments: Sequence[CountingExperiment], confidence_level: float, points_log2: int = 12
) -> FloatArray:
    """Expected upper limits on the cross-section, (M, 5) in fb at `BANDS`, by so many points.

    The counts at which they are taken are the quantiles of what the background alone gives;
    being integers, neighbouring bands can coincide where few events are expected.
    """
    with ThreadPoolExecutor() as pool:  # the sums do not hold Python's lock
        found = pool.map(lambda one: _bands(one, confidence_level, points_log2), experiments)
        return np.array([*found]).reshape(-1, len(BANDS))


class Possible(NamedTuple):
    """Events that are possible in an experiment, at points of its uncertainties."""

    signal: FloatArray  # (n,) for 1 fb
    background: FloatArray  # (n,)
    weight: FloatArray | float = 1.0  # of the points, (n,)

    def at_most(self, count: int) -> float:
        """Probability to count at most so many events without signal."""
        return float((self.weight * gammaincc(count + 1, self.background)).mean())


def _bands(one: CountingExperiment, confidence_level: float, points_log2: int) -> FloatArray:
    """Limits of one experiment, (5,) in fb."""
    events = possible(one, points(one, points_log2))
    # By Cantelli's inequality no more is counted in 98 % of all cases, which is beyond the bands.
    most = range(int(events.background.mean() + 7 * _spread(events)) + 1)
    at_most = cache(events.at_most)
    quantiles = [bisect_left(most, share, key=at_most) for share in ndtr(BANDS).tolist()]
    counts, bands = np.unique(quantiles, return_inverse=True)
    limits = [counting_limit(one, n, events, confidence_level) for n in counts.tolist()]
    return np.array(limits)[bands]


def counting_limit(
    one: CountingExperiment, n: int, events: Possible, confidence_level: float
) -> float:
    """Cross-section in fb at which CLs has fallen to 1 − CL, for n events counted."""
    start = (2 + max(n - one.background, 0) + _spread(events)) / one.signal
    return _allowed(n, events, (1 - confidence_level) * events.at_most(n), start)


def _spread(events: Possible) -> float:
    """Standard deviation of counts without signal."""
    return float(np.sqrt(events.background.mean() + events.background.var()))


def _allowed(n: int, possible: Possible, probability: float, start: float) -> float:
    """Cross-section in fb with which at most n events are counted with a probability.

    By Newton's method on the logarithm of the probability, which is nearly a straight line;
    by bisection where it has steps, because the points of the average lie far apart.
    """
    signal, background, weight = possible
    tried, low, high, last = start, 0.0, np.inf, np.inf
    for _ in range(STEPS):
        events = tried * signal + background
        reached = (weight * gammaincc(n + 1, events)).mean()
        density = np.exp(n * np.log(events) - events - gammaln(n + 1))
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
    return tried


def possible(experiment: CountingExperiment, points: FloatArray) -> Possible:
    """Signal and background that are possible at points (n, D).

    Each coordinate, between 0 and 1, is the cumulative probability of one uncertainty: log-normal
    factors for systematic ones, the shared parameters, a gamma distribution with the mean of the
    expectation for the finite simulated samples.
    """
    column = iter(points.T)
    factors = log_normal_factors(experiment)
    drawn = {name: (1 + size) ** ndtri(next(column)) for name, size in factors.items()}
    signal = experiment.signal * drawn["luminosity"]
    for name in experiment.signal_systematics:
        signal = signal * drawn[name]
    theta = {name: ndtri(next(column)) for name in experiment.shared}

    def shared(sample: str) -> FloatArray:
        known = (
            (theta[name], of[sample]) for name, of in experiment.shared.items() if sample in of
        )
        logs = [interpolated(x, np.array(both))[0] for x, both in known]
        return np.asarray(np.exp(np.sum(logs, axis=0)))

    signal = signal * shared(SIGNAL_PROCESS)
    background = np.zeros(len(signal))
    for source in experiment.backgrounds:
        statistics = gammaincinv(source.effective, next(column)) / source.effective
        background += source.events * statistics * drawn[source.systematic[0]] * shared(source.name)
    return Possible(signal, background * drawn["luminosity"])


def points(experiment: CountingExperiment, points_log2: int = 12) -> FloatArray:
    """Points for `possible`, (2^k, D), evenly spread over the uncertainties of an experiment."""
    dimensions = len(systematic_names(experiment)) + len(experiment.backgrounds)
    return _sobol(dimensions, points_log2)


def log_normal_factors(experiment: CountingExperiment) -> dict[str, float]:
    """Relative sizes of log-normal factors, by name."""
    factors = experiment.signal_systematics | {"luminosity": experiment.luminosity}
    return factors | dict(background.systematic for background in experiment.backgrounds)


def systematic_names(experiment: CountingExperiment) -> list[str]:
    """Names of the first coordinates of `points`; those of finite samples follow."""
    return [*log_normal_factors(experiment), *experiment.shared]


@cache
def _sobol(dimensions: int, points_log2: int) -> FloatArray:
    """Evenly spread points in the unit cube, (2^k, d), by Sobol's sequence."""
    points = qmc.Sobol(dimensions, rng=np.random.default_rng(0)).random_base2(points_log2)
    return np.asarray(points).clip(1e-12, 1 - 1e-12)
