"""Names for the types that signatures use, and the code of signal."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]
BoolArray = NDArray[np.bool_]
Random = np.random.Generator  # a source of random numbers

SIGNAL = -1  # process code of signal events; background processes count from 0
