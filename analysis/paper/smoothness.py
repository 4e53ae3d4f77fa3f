"""Is a spectrum as smooth as its statistics allow, or does the selection put steps into it?

The paper's argument for a single cut: best cuts for each mass have to be interpolated between
the masses, and every fluctuation of the optimum leaves its trace in the final spectrum.

The measure is the roughness of the passing fraction p_i in bins i along the mass: the sum of
squared second differences of arcsin √p, which has the same variance whatever p is. It is
divided by its mean over toy selections that pass binomially with a smooth fraction, so that
1 means as smooth as the finite sample allows, in bins with any number of events.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.ndimage import gaussian_filter1d

from punzinet.analysis.cuts import interpolated_cuts
from punzinet.analysis.io.tensor_events import TensorEvents
from punzinet.analysis.types import FloatArray, IntArray

#: Width of the smoothing that defines "smooth", in bins.
SMOOTHING = 3.0
TOYS = 400


@dataclass(frozen=True, eq=False)
class MassBins:
    """Bins of the recoil mass for background, and of the generated mass for signal.

    Attributes:
        edges: (H + 1,) edges halfway between the hypotheses, GeV.
    """

    edges: FloatArray

    @classmethod
    def around(cls, mass: FloatArray) -> Self:
        """Make one bin around each of at least two hypotheses (H,), GeV."""
        middle = 0.5 * (mass[1:] + mass[:-1])
        first, last = 2 * mass[0] - middle[0], 2 * mass[-1] - middle[-1]
        return cls(np.concatenate([[max(first, 0.0)], middle, [last]]))

    def fill(self, mass: FloatArray, weight: FloatArray) -> FloatArray:
        """(2, H) sums of weights and of their squares of events at masses (n,) in GeV."""
        return np.stack([np.histogram(mass, self.edges, weights=w)[0] for w in (weight, weight**2)])


@dataclass(frozen=True, eq=False)
class PassingFraction:
    """What passes a selection, along the mass.

    Attributes:
        passed: (2, H) sums of weights and of their squares of what passes.
        total: (2, H) the same of all events.
    """

    passed: FloatArray
    total: FloatArray

    def effective(self) -> tuple[FloatArray, IntArray]:
        """Unweighted events of the same fractions and power: (H,) that pass, (H,) of all."""
        weights, squares = self.total
        count = np.divide(weights**2, squares, out=np.zeros_like(weights), where=squares > 0)
        fraction = np.divide(self.passed[0], weights, out=np.zeros_like(weights), where=weights > 0)
        whole = np.rint(count).astype(np.int64)
        return fraction.clip(0, 1) * whole, whole

    def roughness(self, rng: np.random.Generator) -> float:
        """Roughness over what statistics alone makes, see above; NaN if nothing passes."""
        passed, total = self.effective()
        if passed.sum() <= 0:
            return float("nan")
        filtered = gaussian_filter1d(np.stack([passed, total]).astype(np.float64), SMOOTHING)
        smooth = np.divide(filtered[0], filtered[1], out=np.zeros_like(passed), where=total > 0)
        toys = rng.binomial(total, smooth.clip(0, 1), (TOYS, len(total)))
        return float(_second_differences(passed, total) / _second_differences(toys, total).mean())


def _second_differences(passed: FloatArray | IntArray, total: IntArray) -> FloatArray:
    """Σ of squared second differences of arcsin √p (…, H), over the last axis."""
    angle = np.arcsin(np.sqrt((passed + 0.375) / (total + 0.75)))
    return np.asarray((np.diff(angle, 2) ** 2 * (total[1:-1] > 0)).sum(axis=-1))


def passing_fractions(
    events: TensorEvents,
    logit: FloatArray,
    bins: MassBins,
    mass: FloatArray,
    cut: FloatArray,
) -> dict[str, PassingFraction]:
    """Apply cuts (H,) known at masses (H,) in GeV, interpolated in the recoil mass of each event.

    `logit` (n,) are the events' outputs before the sigmoid. Returns ``background`` in bins of the
    recoil mass, and ``signal`` in bins of the generated mass.
    """
    passes = logit >= interpolated_cuts(mass, cut, events.measured_mass)
    fractions = {}
    for name, rows, where in (
        ("background", ~events.signal, events.measured_mass),
        ("signal", events.signal, events.mass),
    ):
        fractions[name] = PassingFraction(
            bins.fill(where[rows & passes], events.weight[rows & passes]),
            bins.fill(where[rows], events.weight[rows]),
        )
    return fractions
