"""From the shelf into blocks that stay in the cache."""

from typing import Any, NamedTuple

import numpy as np

from punzinet.analysis.training.batches import RUN
from punzinet.analysis.training.elementary import event_loop
from punzinet.analysis.training.network_kernels import BLOCK
from punzinet.analysis.types import FloatArray, IntArray

#: Runs of a block.
RUNS = BLOCK // RUN
#: Parts into which the blocks of a batch are divided. Each is summed up by itself, and the
#: parts' sums are added in their order, so that results do not depend on the number of cores.
PARTS = 16


class Batch(NamedTuple):
    """Some of the events of a shelf, as compiled code takes them.

    Attributes:
        values: The shelf's, see `Runs`.
        places: The shelf's, see `Runs`.
        order: Order of its runs.
        start: First run of the batch in that order.
        stop: One past its last.
    """

    values: FloatArray
    places: IntArray
    order: IntArray
    start: int
    stop: int


class Workspace(NamedTuple):
    """A block of events for each worker, with room for what passes make of it.

    Attributes:
        rows: (workers, Σ widths, BLOCK) inputs, activations and output of a network.
        weight: (workers, BLOCK) event weights.
        place: (workers, BLOCK) places of the events, see `Runs`.
        slopes: (workers, Σ widths − F, BLOCK) slopes of the loss, for the backward pass.
    """

    rows: FloatArray
    weight: FloatArray
    place: IntArray
    slopes: FloatArray


def workspace(widths: tuple[int, ...], dtype: type[np.floating], workers: int) -> Workspace:
    """Make a workspace.

    Args:
        widths: Units of each layer of the networks, inputs first.
        dtype: Precision of the passes.
        workers: Number of blocks that are worked on at once.
    """
    return Workspace(
        np.zeros((workers, sum(widths), BLOCK), dtype),
        np.zeros((workers, BLOCK), dtype),
        np.zeros((workers, BLOCK), np.uint32),
        np.zeros((workers, sum(widths[1:]), BLOCK), dtype),
    )


@event_loop
def block_count(batch: Any) -> int:
    """Number of blocks of a batch."""
    return (batch.stop - batch.start + RUNS - 1) // RUNS  # type: ignore[no-any-return]


@event_loop
def blocks_of_part(batch: Any, part: int) -> tuple[int, int]:
    """First and one-past-last block of a part of a batch."""
    blocks = block_count(batch)
    return part * blocks // PARTS, (part + 1) * blocks // PARTS


@event_loop
def load_block(batch: Any, block: int, work: Any, worker: int) -> None:
    """Copy one block of a batch; what the batch leaves of it becomes empty places.

    Args:
        batch: The `Batch`.
        block: Which block of the batch.
        work: The `Workspace`.
        worker: Whose block to fill.
    """
    rows, weight, place = work.rows[worker], work.weight[worker], work.place[worker]
    begin = batch.start + block * RUNS
    held = min(RUNS, batch.stop - begin)
    features = batch.values.shape[1] - 2
    for k in range(held):
        run, target = batch.order[begin + k], k * RUN
        values, places = batch.values[run], batch.places[run, features + 1]
        for i in range(features):
            row = rows[i]
            for event in range(RUN):
                row[target + event] = values[i, event]
        for event in range(RUN):
            weight[target + event] = values[features, event]
        for event in range(RUN):
            place[target + event] = places[event]
    for event in range(held * RUN, BLOCK):
        for i in range(features):
            rows[i, event] = 0
        weight[event], place[event] = 0, 0
