"""Names for the types that signatures use, the code of signal, and how arrays are divided."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]
BoolArray = NDArray[np.bool_]
Random = np.random.Generator  # a source of random numbers

SIGNAL = -1  # process code of signal events; background processes count from 0


def divided(numerator: ArrayLike, denominator: ArrayLike, otherwise: float = 0.0) -> FloatArray:
    """Numerator by denominator, which are broadcast; `otherwise` where that is not positive."""
    of, by = np.broadcast_arrays(numerator, denominator)
    return np.asarray(np.divide(of, by, out=np.full(of.shape, otherwise), where=by > 0))
