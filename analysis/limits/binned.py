"""Expected limits from HistFactory workspaces of one channel with any number of bins.

Signal comes first, and its cross-section in fb is the parameter of interest; other modifiers are
factors (normsys) and uncertainties of single bins with Poisson constraints (shapesys). pyhf takes
an hour for all hypotheses, with numerical derivatives; tests compare.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import kl_div

from punzinet.analysis.limits.expected import FIT_STEPS, FIT_TOLERANCE, excluded
from punzinet.analysis.limits.model import interpolated
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.types import FloatArray

Workspace = Mapping[str, Any]


def expected_limits(workspaces: Sequence[Workspace], confidence_level: float) -> FloatArray:
    """Asymptotic upper limits on the cross-section, (M, 5) in fb at `BANDS`.

    ValueError for a modifier of another type.
    """
    if not workspaces:
        return np.empty((0, len(BANDS)))
    configs = [one["measurements"][0]["config"] for one in workspaces]
    reach = np.array([config["parameters"][0]["bounds"][0][1] for config in configs])
    return excluded(_Likelihood.of(workspaces).profile, reach, confidence_level)


class _Likelihood(NamedTuple):
    """Likelihoods of M workspaces with K bins, S samples and N factors, padded to the same shape.

    Nuisance parameters θ are those of the factors, `interpolated` and constrained by θ²/2, and the
    logarithms of the statistical factors, constrained by Poisson counts.
    """

    events: FloatArray  # (M, K, S); of the signal for 1 fb
    factors: FloatArray  # (M, S, N, 2) one sigma up and down
    effective: FloatArray  # (M, K, S) events behind each bin, 0 where it is not uncertain

    @classmethod
    def of(cls, workspaces: Sequence[Workspace]) -> Self:
        channels = [one["channels"][0]["samples"] for one in workspaces]
        names = [sorted({m["name"] for m in _modifiers(samples)}) for samples in channels]
        bins = max(len(samples[0]["data"]) for samples in channels)
        shape = len(channels), bins, max(map(len, channels))
        events, effective = np.zeros(shape), np.zeros(shape)
        factors = np.ones((shape[0], shape[2], max(map(len, names)), 2))
        for m, samples in enumerate(channels):
            for s, sample in enumerate(samples):
                data = np.array(sample["data"])
                events[m, : len(data), s] = data
                for one in _modifiers([sample]):
                    both = one["data"]["hi"], one["data"]["lo"]
                    factors[m, s, names[m].index(one["name"])] = both
                for one in _modifiers([sample], "shapesys"):
                    error = np.array(one["data"])
                    known = np.divide(data, error, out=np.zeros_like(error), where=error > 0)
                    effective[m, : len(data), s] = known**2
        return cls(events, factors, effective)

    def profile(self, cross_section: FloatArray) -> tuple[FloatArray, FloatArray]:
        """q_A of the Asimov data without signal, and its slope, for cross-sections (M, C) in fb.

        By Newton's method, without what makes the curvature negative where less is expected in a
        bin than observed.
        """
        count, shared = self.factors.shape[2], self.events.shape[1:]
        events = np.repeat(self.events[:, None], cross_section.shape[1], axis=1)
        observed = events[..., 1:].sum(axis=-1)
        events[..., 0] *= cross_section[..., None]
        effective = self.effective.reshape(len(events), 1, -1)
        effective = np.pad(effective, ((0, 0), (0, 0), (count, 0)))
        normal = np.equal(effective, 0).astype(float)
        theta = np.zeros((*cross_section.shape, effective.shape[-1]))
        slopes = np.zeros((*events.shape, theta.shape[-1]))
        slopes[..., count:] = np.eye(theta.shape[-1] - count).reshape(*shared, -1)
        slopes *= np.where(np.arange(theta.shape[-1]) < count, 1, effective > 0)[:, :, None, None]
        diagonal = np.arange(theta.shape[-1])
        for _ in range(FIT_STEPS):
            logs, slope, bends = interpolated(theta[..., None, :count], self.factors[:, None])
            slopes[..., :count] = slope[:, :, None]
            statistical = theta[..., count:].reshape(events.shape)
            yields = events * np.exp(logs.sum(axis=-1)[:, :, None] + statistical)
            total = yields.sum(axis=-1)
            share = np.divide(observed, total, out=np.ones_like(total), where=total > 0)
            weighted = yields[..., None] * slopes
            linear = weighted.sum(axis=-2)
            gradient = np.einsum("...k,...kd->...d", 1 - share, linear)
            gradient += normal * theta + effective * np.expm1(theta)
            weighted *= np.maximum(1 - share, 0)[..., None, None]
            spread = np.divide(share, total, out=np.zeros_like(total), where=total > 0)
            hessian = _contracted(weighted, slopes)
            hessian += _contracted(spread[..., None] * linear, linear)
            hessian[..., diagonal, diagonal] += normal + effective * np.exp(theta)
            excess = ((1 - share)[..., None] * yields).sum(axis=-2)
            bent = np.einsum("...s,...sn->...n", excess, bends)
            hessian[..., diagonal[:count], diagonal[:count]] += np.maximum(bent, -0.5)
            step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
            theta = theta - step
            if np.abs(step).max(initial=0) < FIT_TOLERANCE:
                break
        constraint = normal * theta**2 / 2 + effective * (np.expm1(theta) - theta)
        q = 2 * (kl_div(observed, total).sum(axis=-1) + constraint.sum(axis=-1))
        return q, 2 * ((1 - share) * yields[..., 0]).sum(axis=-1) / cross_section


def _contracted(one: FloatArray, other: FloatArray) -> FloatArray:
    """Σ one · other over all but the last axes of both, (M, C, …, D) each: (M, C, D, D)."""
    size = (*one.shape[:2], -1, one.shape[-1])
    return np.swapaxes(one.reshape(size), -1, -2) @ other.reshape(size)


def _modifiers(samples: Sequence[Mapping[str, Any]], kind: str = "normsys") -> list[dict[str, Any]]:
    """The modifiers of a kind; ValueError if there are others than those known here."""
    found = [one for sample in samples for one in sample["modifiers"]]
    if unknown := {one["type"] for one in found} - {"normfactor", "normsys", "shapesys"}:
        raise ValueError(f"a modifier is a {min(unknown)}")
    return [one for one in found if one["type"] == kind]
