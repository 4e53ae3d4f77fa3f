"""Expected CLs limits in the asymptotic approximation, for all hypotheses at once.

The test statistic is q̃_μ of Cowan, Cranmer, Gross and Vitells (EPJC 71, 1554). Median and
bands all follow from one curve, √q_A of the background-only Asimov data against the
cross-section: background N sigmas above expectation excludes, at CLs = α, the cross-section at
which √q_A = N + Φ⁻¹(1 − α Φ(N)).

The likelihood is that of `CountingExperiment.workspace`. pyhf would fit it too, one cross-section
of one hypothesis at a time and with numerical derivatives, which takes a minute; tests compare.

The approximation takes many events to be valid. Behind it stands a χ² distribution that a
handful of counts does not have; without any background it promises 1.35 events where 2.30 can
be excluded at 90 %. `punzinet.analysis.limits.counting` is exact there.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from scipy.special import ndtr, ndtri

from punzinet.analysis.limits.model import CountingExperiment
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.types import FloatArray

#: Newton steps for the cross-sections, and for the fit at each of them; about 6 are needed.
STEPS = 40
#: Relative change of the cross-sections at which they are found.
TOLERANCE = 1e-12


def target_roots(confidence_level: float) -> FloatArray:
    """√q_A at which CLs excludes, for each of `BANDS`, (5,)."""
    alpha = 1 - confidence_level
    return np.asarray(BANDS - ndtri(alpha * ndtr(BANDS)))


def asymptotic_limits(
    experiments: Sequence[CountingExperiment], confidence_level: float
) -> FloatArray:
    """Expected upper limits on the cross-section, (M, 5) in fb at `BANDS`."""
    if not experiments:
        return np.empty((0, len(BANDS)))
    target = target_roots(confidence_level)
    likelihood = _Likelihood.of(experiments)
    found: FloatArray = np.array([[e.reach / 30] for e in experiments]) * target / target.max()
    for _ in range(STEPS):
        q, slope = likelihood.profile(found)
        root = np.sqrt(q)
        before, step = found, (target - root) * 2 * root / slope
        found = np.clip(before + step, 0.2 * before, 5 * before)
        if np.abs(found / before - 1).max() < TOLERANCE:
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
        for _ in range(STEPS):
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
            if np.abs(step).max() < TOLERANCE:
                break
        constraint = normal * theta**2 / 2 + effective * (np.expm1(theta) - theta)
        q = 2 * (total - observed - observed * np.log(total / observed) + constraint.sum(axis=-1))
        return q, 2 * excess * yields[..., 0] / cross_section
