"""Which photons and scattered electrons a calorimeter sees, for generators in compiled loops."""

from math import atan2, hypot, inf
from typing import Final, NamedTuple

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.simulation.compiled_lorentz import Momentum
from punzinet.analysis.types import FloatArray

EVERYWHERE: Final = 0
MISSED: Final = 1
SEEN: Final = 2


class Veto(NamedTuple):
    """Where a calorimeter sees particles.

    Attributes:
        to_laboratory: (4, 4) matrix that takes CMS momenta, from the left, to the laboratory.
        polar_range: (2,) polar angles of the calorimeter in the laboratory, radian.
        gaps: (n, 2) ranges of polar angles without crystals, radian.
        threshold: least energy in the laboratory, GeV.
    """

    to_laboratory: FloatArray
    polar_range: FloatArray
    gaps: FloatArray
    threshold: float


@njit(cache=True)
def in_region(particle: Momentum, region: int, veto: Veto) -> bool:
    """Whether a particle belongs to a region of the detector.

    Args:
        particle: momentum in the CMS.
        region: `EVERYWHERE`; `SEEN`: above threshold in the calorimeter; `MISSED`: the rest.
        veto: the calorimeter.
    """
    if region == EVERYWHERE:
        return True
    p = np.zeros(4)
    for row in range(4):
        for column in range(4):
            p[column] += particle[row] * veto.to_laboratory[row, column]
    angle = atan2(hypot(p[1], p[2]), p[3])
    seen = p[0] > veto.threshold and veto.polar_range[0] < angle < veto.polar_range[1]
    for gap in range(len(veto.gaps)):
        seen = seen and not veto.gaps[gap, 0] < angle < veto.gaps[gap, 1]
    return bool(seen == (region == SEEN))


def no_veto() -> Veto:
    """A calorimeter that sees nothing, in a laboratory that is the CMS."""
    return Veto(np.eye(4), np.zeros(2), np.zeros((0, 2)), inf)
