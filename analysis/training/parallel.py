"""The passes over a batch on all cores.

One compiled function does all of them, because compiling for many cores is what takes long.
"""

from typing import Any

import numba
import numpy as np
from numba import njit, prange

from analysis.training.bce_kernels import bce_part
from analysis.training.loading import PARTS
from analysis.training.punzi_kernels import gradient_part, sum_part

# Between two passes, threads wait for one another for microseconds. OpenMP's do so spinning: on
# a machine that is busy with something else, each then holds the core that the other needs,
# and training becomes twenty times slower. Numba's own threads sleep.
numba.config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined]  # made at import

#: What to do with a batch: sum up places, find gradients, add up cross-entropies.
SUMS, GRADIENTS, CROSS_ENTROPY = range(3)


def worker_count() -> int:
    """Number of workers between whom parts, or networks, are divided."""
    return min(PARTS, numba.get_num_threads())


@njit(cache=True, parallel=True)
def over_parts(
    task: int,
    batch: Any,
    networks: Any,
    learners: Any,
    work: Any,
    sums: Any,
    results: Any,
    workers: int,
) -> None:
    """Make one pass over a batch.

    Args:
        task: Which.
        batch: The `Batch`.
        networks: The `Networks`.
        learners: The `Learners`.
        work: The `Workspace`, with a block for each worker.
        sums: `Sums` of each part, overwritten by the task SUMS.
        results: (PARTS, N, ...) float64, overwritten by the other tasks.
        workers: Number of workers between whom the parts are divided.
    """
    for index in prange(workers):
        # The index of a parallel loop is unsigned, and with integers would make floats.
        worker = np.int64(index)
        for part in range(worker, PARTS, workers):
            if task == SUMS:
                sum_part(part, worker, batch, networks, work, sums)
            elif task == GRADIENTS:
                gradient_part(part, worker, batch, networks, work, results)
            else:
                bce_part(part, worker, batch, learners, work, results)
