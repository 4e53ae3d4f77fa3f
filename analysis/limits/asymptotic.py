"""Expected CLs limits in the asymptotic approximation, with pyhf's fits.

The test statistic is q̃_μ of Cowan, Cranmer, Gross and Vitells (EPJC 71, 1554). Median and
bands all follow from one curve, √q_A of the background-only Asimov data against the
cross-section: background N sigmas above expectation excludes, at CLs = α, the cross-section at
which √q_A = N + Φ⁻¹(1 − α Φ(N)).

It takes many events to be valid. Behind it stands a χ² distribution that a handful of counts
does not have; without any background it promises 1.35 events where 2.30 can be excluded at
90 %. `punzinet.analysis.limits.counting` is exact there.
"""

from typing import Any

import numpy as np
import pyhf
from scipy.stats import norm

from punzinet.analysis.limits.model import POI, CountingExperiment
from punzinet.analysis.types import FloatArray

#: Median and bands, in standard deviations of the background.
BANDS = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
#: √q_A is met to within this share of itself, which the cross-section then is as well.
TOLERANCE = 1e-3
#: Points of the curve that are interpolated between.
NEIGHBOURS = 4
#: Steps that are always enough; a few for each band are needed.
MAX_STEPS = 50


def target_roots(confidence_level: float) -> FloatArray:
    """√q_A at which CLs excludes, for each of `BANDS`, (5,)."""
    alpha = 1 - confidence_level
    return np.asarray(BANDS + norm.isf(alpha * norm.cdf(BANDS)))


def asymptotic_limits(experiment: CountingExperiment, confidence_level: float) -> FloatArray:
    """Expected upper limits on the cross-section.

    Args:
        experiment: The model.
        confidence_level: Such as 0.9.

    Returns:
        (5,) limits in fb at `BANDS`.

    Raises:
        RuntimeError: If the curve does not reach the value that excludes.
    """
    curve = _Curve(experiment)
    return np.array([curve.solve(root) for root in target_roots(confidence_level)])


class _Curve:
    """√q_A against the cross-section, remembering the points it went through."""

    def __init__(self, experiment: CountingExperiment) -> None:
        """Set up the fits.

        Args:
            experiment: The model.
        """
        workspace = experiment.workspace()
        # Not by way of `pyhf.Workspace`, which checks the schema again for every hypothesis.
        self._model = pyhf.Model(
            {
                "channels": workspace["channels"],
                "parameters": workspace["measurements"][0]["config"]["parameters"],
            },
            poi_name=POI,
            validate=False,
        )
        self._data = [experiment.background, *self._model.config.auxdata]
        # The Asimov data is what the nominal parameters expect: no fit finds anything better.
        nominal = np.array(self._model.config.suggested_init())
        nominal[self._model.config.poi_index] = 0.0
        self._minimum = float(pyhf.infer.mle.twice_nll(nominal, self._data, self._model).item())
        self._cross_section: list[float] = []
        self._root: list[float] = []
        self._guess = experiment.reach / 10

    def solve(self, target: float) -> float:
        """Cross-section at which √q_A reaches a value.

        Args:
            target: The value, larger than at the calls before.

        Raises:
            RuntimeError: If no cross-section does.
        """
        for _ in range(MAX_STEPS):
            trial = self._propose(target)
            root = self._evaluate(trial)
            if abs(root - target) < TOLERANCE * target:
                return trial
        raise RuntimeError(f"no cross-section below {trial:g} fb is excluded")

    def _propose(self, target: float) -> float:
        """Next cross-section to try, by interpolation between the points met so far.

        Interpolated is the cross-section divided by √q_A, which hardly changes along the curve.
        """
        if not self._root:
            return self._guess
        above = int(np.searchsorted(self._root, target))
        first = min(max(above - 2, 0), max(len(self._root) - NEIGHBOURS, 0))
        x = np.array(self._root[first : first + NEIGHBOURS])
        y = np.array(self._cross_section[first : first + NEIGHBOURS]) / x
        # The polynomial in root/target, whose value at 1 is the sum of its coefficients.
        trial = target * float(np.linalg.lstsq(np.vander(x / target), y)[0].sum())
        low = self._cross_section[above - 1] if above > 0 else 0.0
        if above == len(self._root):
            # Beyond all points a polynomial is not to be trusted far.
            slope = self._cross_section[-1] / self._root[-1]
            return min(max(trial, slope * target), 2 * slope * target)
        high = self._cross_section[above]
        return trial if low < trial < high else 0.5 * (low + high)

    def _evaluate(self, cross_section: float) -> float:
        """√q_A at a cross-section, by one fit of all other parameters."""
        value: Any = pyhf.infer.mle.fixed_poi_fit(
            cross_section, self._data, self._model, return_fitted_val=True
        )[1]
        root = float(np.sqrt(max(value.item() - self._minimum, 0.0)))
        place = int(np.searchsorted(self._cross_section, cross_section))
        self._cross_section.insert(place, cross_section)
        self._root.insert(place, root)
        return root
