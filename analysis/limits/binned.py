"""Likelihoods of HistFactory workspaces of one channel with any number of bins, and their limits.

Signal comes first, and its cross-section in fb is the parameter of interest; other modifiers are
factors (normsys), varied bins (histosys), and uncertainties of single bins with Poisson constraints
(shapesys). Counting is the case of one bin. pyhf takes a minute for counting in all windows and an
hour for their fits, with numerical derivatives; tests compare.

The test statistic is q̃_μ of Cowan, Cranmer, Gross and Vitells (EPJC 71, 1554). Median and bands all
follow from one curve, √q_A of the background-only Asimov data against the cross-section: background
N sigmas above expectation excludes, at CLs = α, the cross-section at which
√q_A = N + Φ⁻¹(1 − α Φ(N)).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import kl_div, ndtr, ndtri

from punzinet.analysis.limits.model import interpolated, modifiers
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.types import FloatArray, divided

FIT_STEPS = 100  # Newton steps to limits, and of the fit at each, at most; about 6 are needed
FIT_TOLERANCE = 1e-12  # change of the parameters at which a fit has found them
LIMIT_TOLERANCE = 1e-9  # relative change of the cross-sections at which they are found
LONGEST = 4.0  # step of a parameter in a fit, so that no yield overflows
ROUNDING = 1e-13  # of sums of so many events: no step leads up by less
LEAST = 1e-6  # share of a bin that is left of it whatever the parameters

Workspace = Mapping[str, Any]


def expected_limits(workspaces: Sequence[Workspace | None], confidence_level: float) -> FloatArray:
    """Asymptotic upper limits on the cross-section, (M, 5) in fb at `BANDS`, by Newton's method.

    They are infinite where there is no workspace.
    """
    limits = np.full((len(workspaces), len(BANDS)), np.inf)
    known = {m: one for m, one in enumerate(workspaces) if one is not None}
    if not known:
        return limits
    likelihood = Likelihood.of([*known.values()])
    configs = [one["measurements"][0]["config"] for one in known.values()]
    reach = np.array([config["parameters"][0]["bounds"][0][1] for config in configs])
    target = BANDS - ndtri((1 - confidence_level) * ndtr(BANDS))  # √q_A where CLs excludes
    found: FloatArray = (reach / 30)[:, None] * target / target.max()
    low, high = np.zeros_like(found), np.full_like(found, np.inf)
    for _ in range(FIT_STEPS):
        q, slope = likelihood.profile(found)
        root = np.sqrt(q)
        low, high = np.where(root < target, found, low), np.where(root < target, high, found)
        before, newton = found, found + (target - root) * 2 * root / slope
        # Where another minimum becomes the best one, slopes may lead to and fro.
        step = np.abs(newton / before - 1)
        leads = (step < LIMIT_TOLERANCE) | ((newton > low) & (newton < high))
        found = np.where(leads, newton, np.minimum((low + high) / 2, 5 * before))
        found = np.clip(found, 0.2 * before, 5 * before)
        if np.abs(found / before - 1).max() < LIMIT_TOLERANCE:
            break
    limits[[*known]] = found
    return limits


class Likelihood(NamedTuple):
    """Likelihoods of M workspaces with K bins, S samples and N factors, padded to the same shape.

    Nuisance parameters θ are those of the factors, `interpolated` and constrained by θ²/2, of which
    the first V vary bins as well, and the logarithms of the statistical factors, constrained by
    Poisson counts. Constraints are nominal, or centred on what other data made of the parameters.
    """

    events: FloatArray  # (M, K, S); of the signal for 1 fb
    factors: FloatArray  # (M, S, N, 2) one sigma up and down
    changes: FloatArray  # (M, K, S, V, 2) the same of bins, relative changes that add up
    effective: FloatArray  # (M, K, S) events behind each bin, 0 where it is not uncertain
    centre: FloatArray  # (M, N + K S) parameters that the constraints prefer

    @classmethod
    def of(cls, workspaces: Sequence[Workspace]) -> Self:
        """Likelihoods of workspaces, at least one, with nominal constraints."""
        channels = [one["channels"][0]["samples"] for one in workspaces]
        scaled, varied = (
            [modifiers(samples, kind).keys() for samples in channels]
            for kind in ("normsys", "histosys")
        )
        names = [sorted(own) + sorted(of - own) for of, own in zip(scaled, varied, strict=True)]
        bins = max(len(samples[0]["data"]) for samples in channels)
        shape = len(channels), bins, max(map(len, channels))
        events, effective = np.zeros((2, *shape))
        factors = np.ones((shape[0], shape[2], max(map(len, names)), 2))
        changes = np.zeros((*shape, max(map(len, varied)), 2))
        for m, samples in enumerate(channels):
            for s, sample in enumerate(samples):
                data = np.array(sample["data"], dtype=np.float64)
                own = m, slice(len(data)), s
                events[own] = data
                for one in sample["modifiers"]:
                    match one:
                        case {"type": "normsys", "name": name, "data": both}:
                            factors[m, s, names[m].index(name)] = both["hi"], both["lo"]
                        case {"type": "histosys", "name": name, "data": both}:
                            ends = np.transpose([both["hi_data"], both["lo_data"]])
                            relative = divided(ends - data[:, None], data[:, None])
                            changes[(*own, names[m].index(name))] = relative
                        case {"type": "shapesys", "data": error}:
                            effective[own] = divided(data, error) ** 2
        centre = np.zeros((shape[0], factors.shape[2] + shape[1] * shape[2]))
        return cls(events, factors, changes, effective, centre)

    def profile(
        self, cross_section: FloatArray, observed: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Give q and its slope, for cross-sections (M, C) in fb and counts (M, K).

        Twice the logarithm of the likelihood lost against an expectation of what is counted. That
        is the Asimov data without signal, q_A, if none is given.
        """
        if observed is None:
            logs, *_ = self._logarithms(self.centre[:, None])
            observed = (self.events * np.exp(logs[:, 0]))[..., 1:].sum(axis=-1)
        q, _, yields = self._fit(cross_section, observed)
        total = yields.sum(axis=-1)
        share = divided(observed[:, None], total, 1.0)
        return q, 2 * ((1 - share) * yields[..., 0]).sum(axis=-1) / cross_section

    def without_signal(self, observed: FloatArray) -> tuple[FloatArray, Self]:
        """Give q (M,) of counts (M, K) without signal, and the likelihood as that fit has it."""
        q, theta, _ = self._fit(np.zeros((len(observed), 1)), observed)
        return q[:, 0], self._replace(centre=theta[:, 0])

    def _fit(
        self, cross_section: FloatArray, observed: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give q (M, C), the parameters (M, C, D) and yields (M, C, K, S) of the best fit.

        A parameter whose effects up and down are of one sign can have a minimum on either side of
        0: the other one is tried as well.
        """
        start = np.repeat(self.centre[:, None], cross_section.shape[1], axis=1)
        best = self._descend(cross_section, observed, start)
        turns = ((self.factors - 1).prod(axis=-1) > 0).any(axis=(0, 1))
        # Bins of a sample change both ways alike, on the whole.
        alike = (self.events[..., None] * self.changes.prod(axis=-1)).sum(axis=1) > 0
        turns[: alike.shape[-1]] |= alike.any(axis=(0, 1))
        for n in np.flatnonzero(turns).tolist():
            other = best[1].copy()
            other[..., n] = -np.copysign(np.maximum(np.abs(other[..., n]), 1), other[..., n])
            found = self._descend(cross_section, observed, other)
            lower = found[0] < best[0]
            for old, new in zip(best, found, strict=True):
                old[lower] = new[lower]
        return best

    def _descend(
        self, cross_section: FloatArray, observed: FloatArray, theta: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The same at a minimum that is reached from parameters (M, C, D).

        By Newton's method, without what makes the curvature negative where less is expected in a
        bin than observed. Every step then begins downwards; one that ends higher is halved.
        """
        count, observed = self.factors.shape[2], observed[:, None]
        events = np.repeat(self.events[:, None], cross_section.shape[1], axis=1)
        events[..., 0] *= cross_section[..., None]
        centre = self.centre[:, None]
        effective = self.effective.reshape(len(events), 1, -1)
        effective = np.pad(effective, ((0, 0), (0, 0), (count, 0))) * np.exp(centre)
        normal = np.equal(effective, 0).astype(float)
        slopes = np.zeros((*events.shape, theta.shape[-1]))
        slopes[..., count:] = np.eye(theta.shape[-1] - count).reshape(*events.shape[2:], -1)
        slopes *= np.where(np.arange(theta.shape[-1]) < count, 1, effective > 0)[:, :, None, None]
        diagonal, step = np.arange(theta.shape[-1]), np.zeros_like(theta)
        lost = np.full(theta.shape[:-1], np.inf)
        for _ in range(FIT_STEPS):
            tried = theta - step
            logs, slope, bends = self._logarithms(tried)
            slopes[..., :count] = slope
            yields = events * np.exp(logs)
            total = yields.sum(axis=-1)
            share = divided(observed, total, 1.0)
            pull = tried - centre
            constraint = normal * pull**2 / 2 + effective * (np.expm1(pull) - pull)
            found = kl_div(observed, total).sum(axis=-1) + constraint.sum(axis=-1)
            higher = found > lost + ROUNDING * (1 + observed.sum(axis=-1))
            lost, theta = np.where(higher, lost, found), np.where(higher[..., None], theta, tried)
            weighted = yields[..., None] * slopes
            linear = weighted.sum(axis=-2)
            gradient = np.einsum("...k,...kd->...d", 1 - share, linear)
            gradient += normal * pull + effective * np.expm1(pull)
            weighted *= np.maximum(1 - share, 0)[..., None, None]
            hessian = _contracted(weighted, slopes)
            hessian += _contracted(divided(share, total)[..., None] * linear, linear)
            hessian[..., diagonal, diagonal] += normal + effective * np.exp(pull)
            bent = np.einsum("...ks,...ksn->...n", (1 - share)[..., None] * yields, bends)
            # Of the 1 of its constraint.
            hessian[..., diagonal[:count], diagonal[:count]] += np.maximum(bent, -0.5)
            newton = np.linalg.solve(hessian, gradient[..., None])[..., 0]
            newton /= np.maximum(np.abs(newton).max(axis=-1, keepdims=True) / LONGEST, 1)
            step = np.where(higher[..., None], step / 2, newton)
            if np.abs(step).max(initial=0) < FIT_TOLERANCE:
                break
        return 2 * lost, theta, yields

    def _logarithms(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Logarithms of all factors on yields (M, C, K, S), at parameters (M, C, D).

        With them come slopes and curvatures of all but the statistical ones, (M, C, K, S, N), with
        1 for K where that does not matter; what is linear in a parameter counts as not curved.
        """
        count, (_, *shape) = self.factors.shape[2], self.events.shape
        found = interpolated(theta[..., None, :count], self.factors[:, None])
        logs, slopes, bends = (one[:, :, None] for one in found)
        logs = logs.sum(axis=-1) + theta[..., count:].reshape(*theta.shape[:2], *shape)
        if varied := self.changes.shape[-2]:
            added, *derivatives = _added(theta[..., None, None, :varied], self.changes[:, None])
            total = 1 + added.sum(axis=-1)
            logs += np.log(np.maximum(total, LEAST))
            inverse = np.where(total > LEAST, 1 / np.maximum(total, LEAST), 0)[..., None]
            others = [(0, 0)] * (total.ndim) + [(0, count - varied)]
            slope, bend = (np.pad(inverse * one, others) for one in derivatives)
            slopes, bends = slopes + slope, bends + bend
        return logs, slopes, bends


def _added(theta: FloatArray, changes: FloatArray) -> tuple[FloatArray, ...]:
    """Relative changes of bins at parameters θ (...,), and their two derivatives in θ.

    The changes (..., 2) are those at θ = 1 and -1. Beyond they are linear; in between they follow
    the polynomial of sixth degree that continues this: code 4p, which pyhf uses by default.
    """
    up, down = changes[..., 0], -changes[..., 1]
    mean, bend, square = (up + down) / 2, (up - down) / 16, theta**2
    inside, outer = square < 1, np.where(theta > 0, up, down)
    added = theta * mean + bend * square * (15 + square * (3 * square - 10))
    slope = mean + bend * theta * (30 + square * (18 * square - 40))
    curvature = bend * (30 + square * (90 * square - 120))
    return (
        np.where(inside, added, theta * outer),
        np.where(inside, slope, outer),
        np.where(inside, curvature, 0.0),
    )


def _contracted(one: FloatArray, other: FloatArray) -> FloatArray:
    """Σ one · other over all but the last axes of both, (M, C, …, D) each: (M, C, D, D)."""
    size = (*one.shape[:2], -1, one.shape[-1])
    return np.swapaxes(one.reshape(size), -1, -2) @ other.reshape(size)
