"""The passes over a batch on all cores.

One compiled function does all of them, because compiling for many cores is what takes long.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit, prange

from analysis.training.bce_kernels import bce_part
from analysis.training.loading import PARTS, open_part
from analysis.training.punzi_kernels import gradient_part, sum_part
from analysis.types import FloatArray, IntArray

# Between two passes, threads wait for one another for microseconds. OpenMP's do so spinning: on
# a machine that is busy with something else, each then holds the core that the other needs,
# and training becomes twenty times slower. Numba's own threads sleep.
numba.config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined]  # made at import

#: What to do with a batch: load it, add up windows, find the gradient, add up cross-entropies.
OPEN, SUMS, GRADIENT, CROSS_ENTROPY = range(4)


class Parts(NamedTuple):
    """What each part of a batch adds up to; the batch is the sum over the first axis.

    Attributes:
        weights: (PARTS, places) Σ weight by place, see `Tables`.
        counts: (PARTS, places) events by place.
        sums: (PARTS, places) Σ weight · ŷ by place.
        gradient: (PARTS, K) gradient of the Punzi-loss.
        cross_entropy: (PARTS, 2) Σ weight · cross-entropy and Σ weight.
    """

    weights: FloatArray
    counts: IntArray
    sums: FloatArray
    gradient: FloatArray
    cross_entropy: FloatArray


def empty_parts(places: int, parameters: int) -> Parts:
    """Make room for the parts.

    Args:
        places: Places of the table of window sums.
        parameters: K.
    """
    return Parts(
        np.zeros((PARTS, places)),
        np.zeros((PARTS, places), np.int64),
        np.zeros((PARTS, places)),
        np.zeros((PARTS, parameters)),
        np.zeros((PARTS, 2)),
    )


@njit(cache=True, parallel=True)
def over_parts(task: int, batch: Any, network: Any, work: Any, parts: Any) -> None:
    """Make one pass over a batch.

    Args:
        task: Which.
        batch: The `Batch`.
        network: The `Network`.
        work: The `Workspace`.
        parts: The `Parts`; those of the task are overwritten.
    """
    for index in prange(PARTS):
        # The index of a parallel loop is unsigned, and with integers would make floats.
        part = np.int64(index)
        if task == OPEN:
            open_part(part, batch, work, parts.weights[part], parts.counts[part])
        elif task == SUMS:
            sum_part(part, batch, network, work, parts.sums[part])
        elif task == GRADIENT:
            gradient_part(part, batch, network, work, parts.gradient[part])
        else:
            bce_part(part, batch, network, work, parts.cross_entropy[part])
