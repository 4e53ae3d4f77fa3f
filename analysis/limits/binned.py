"""Expected limits from HistFactory workspaces of one channel with any number of bins.

Signal comes first, and its cross-section in fb is the parameter of interest; other modifiers are
factors (normsys) and uncertainties of single bins with Poisson constraints (shapesys). pyhf takes
half an hour for all hypotheses, with numerical derivatives; tests compare.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import kl_div

from punzinet.analysis.limits.expected import FIT_STEPS, FIT_TOLERANCE, excluded
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
    """Likelihoods of M workspaces in D nuisance parameters θ, padded to the same shape.

    A yield is events · exp(Σ powers · θ); what θ are is said in `expected.Likelihood`.
    """

    events: FloatArray  # (M, K, S) of K bins and S samples; of the signal for 1 fb
    up: FloatArray  # (M, K, S, D) powers of positive θ
    down: FloatArray  # (M, K, S, D) and of negative ones
    normal: FloatArray  # (M, D) 1 for log-normal factors and padding, else 0
    effective: FloatArray  # (M, D) effective events of statistical factors, else 0

    @classmethod
    def of(cls, workspaces: Sequence[Workspace]) -> Self:
        channels = [one["channels"][0]["samples"] for one in workspaces]
        bins = max(len(samples[0]["data"]) for samples in channels)
        names = [sorted({name for s in samples for name in _names(s)}) for samples in channels]
        shape = len(channels), bins, max(map(len, channels)), max(map(len, names))
        events, up, down = np.zeros(shape[:3]), np.zeros(shape), np.zeros(shape)
        normal, effective = np.ones((shape[0], shape[3])), np.zeros((shape[0], shape[3]))
        for m, samples in enumerate(channels):
            at = {name: d for d, name in enumerate(names[m])}
            for s, sample in enumerate(samples):
                data = np.array(sample["data"])
                events[m, : len(data), s] = data
                for one in sample["modifiers"]:
                    if one["type"] == "normsys":
                        d = at[one["name"], -1]
                        up[m, :, s, d] = np.log(one["data"]["hi"])
                        down[m, :, s, d] = -np.log(one["data"]["lo"])
                    elif one["type"] == "shapesys":
                        for k in np.flatnonzero(np.multiply(data, one["data"])).tolist():
                            d = at[one["name"], k]
                            up[m, k, s, d] = down[m, k, s, d] = 1.0
                            normal[m, d], effective[m, d] = 0.0, (data[k] / one["data"][k]) ** 2
        return cls(events, up, down, normal, effective)

    def profile(self, cross_section: FloatArray) -> tuple[FloatArray, FloatArray]:
        """q_A of the Asimov data without signal, and its slope, for cross-sections (M, C) in fb.

        By Newton's method, without what makes the curvature negative where less is expected in a
        bin than observed.
        """
        normal, effective = self.normal[:, None], self.effective[:, None]
        observed = self.events[:, None, :, 1:].sum(axis=-1)
        events = np.repeat(self.events[:, None], cross_section.shape[1], axis=1)
        events[..., 0] *= cross_section[..., None]
        theta = np.zeros((*cross_section.shape, self.normal.shape[1]))
        diagonal = np.arange(theta.shape[-1])
        for _ in range(FIT_STEPS):
            positive = theta[:, :, None, None] > 0
            powers = np.where(positive, self.up[:, None], self.down[:, None])
            yields = events * np.exp(np.einsum("...ksd,...d->...ks", powers, theta))
            total = yields.sum(axis=-1)
            share = np.divide(observed, total, out=np.ones_like(total), where=total > 0)
            weighted = yields[..., None] * powers
            linear = weighted.sum(axis=-2)
            gradient = np.einsum("...k,...kd->...d", 1 - share, linear)
            gradient += normal * theta + effective * np.expm1(theta)
            weighted *= np.maximum(1 - share, 0)[..., None, None]
            hessian = _contracted(weighted, powers)
            spread = np.divide(share, total, out=np.zeros_like(total), where=total > 0)
            hessian += _contracted(spread[..., None] * linear, linear)
            hessian[..., diagonal, diagonal] += normal + effective * np.exp(theta)
            step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
            theta = theta - step
            if np.abs(step).max() < FIT_TOLERANCE:
                break
        constraint = normal * theta**2 / 2 + effective * (np.expm1(theta) - theta)
        q = 2 * (kl_div(observed, total).sum(axis=-1) + constraint.sum(axis=-1))
        slope = 2 * ((1 - share) * yields[..., 0]).sum(axis=-1) / cross_section
        return q, slope


def _contracted(one: FloatArray, other: FloatArray) -> FloatArray:
    """Σ one · other over all but the last axes of both, (M, C, …, D) each: (M, C, D, D)."""
    size = (*one.shape[:2], -1, one.shape[-1])
    return np.swapaxes(one.reshape(size), -1, -2) @ other.reshape(size)


def _names(sample: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Nuisance parameters of a sample, with the bin that each is for, or -1 for all."""
    names = []
    for one in sample["modifiers"]:
        if one["type"] == "normsys":
            names.append((one["name"], -1))
        elif one["type"] == "shapesys":
            names += [(one["name"], bin_) for bin_ in range(len(sample["data"]))]
        elif one["type"] != "normfactor":
            raise ValueError(f"{one['name']} is a {one['type']}")
    return names
