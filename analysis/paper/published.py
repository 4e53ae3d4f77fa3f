"""The published curves of σ_min, which have an arbitrary common scale."""

import numpy as np

from punzinet.analysis.types import FloatArray

#: Mass in GeV, σ_min of the cross-entropy network at its best cut for each mass, and of the
#: Punzi-net at one cut, both read off Fig. 7 of arXiv:2110.00810 in one arbitrary unit.
PUBLISHED = ((2.0, 5.4, 3.0), (4.0, 3.4, 2.8), (6.0, 3.8, 3.9), (8.0, 20.0, 21.0))


def common_scale(mass: FloatArray, bce: FloatArray, punzi: FloatArray) -> float:
    """The one factor that brings the published points closest to our curves.

    It is the geometric mean of ours over theirs, over all masses and both networks: the least
    squares of the logarithms.

    Args:
        mass: (H,) our masses in GeV, sorted.
        bce: (H,) our σ_min of the cross-entropy networks in fb.
        punzi: (H,) and of the Punzi-nets.

    Returns:
        fb for each published unit; NaN if no curve is finite at the published masses.
    """
    differences = [
        np.interp(at, mass, np.log(curve)) - np.log(published)
        for at, *both in PUBLISHED
        for curve, published in zip((bce, punzi), both, strict=True)
        if mass[0] <= at <= mass[-1]
    ]
    finite = np.array(differences)[np.isfinite(differences)]
    return float(np.exp(finite.mean())) if finite.size else float("nan")
