"""From the shelf into blocks that stay in the cache."""

from typing import Any, NamedTuple

import numpy as np

from analysis.training.batches import RUN
from analysis.training.elementary import event_loop
from analysis.training.network_kernels import BLOCK
from analysis.types import FloatArray, IntArray

#: Runs of a block.
RUNS = BLOCK // RUN
#: Parts into which the blocks of a batch are divided. Each is summed up by itself, and the
#: parts' sums are added in their order, so that results do not depend on the number of cores.
PARTS = 32


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
    """Blocks of loaded events, with room for what the passes leave behind.

    Attributes:
        kept: Whether each block of a batch has its own in here, and keeps its activations
            between the two passes; otherwise there is one for each part, used again and again.
        rows: (blocks, Σ widths, BLOCK) inputs, activations and output of the network.
        weight: (blocks, BLOCK) event weights.
        first: (blocks, BLOCK) places in the table of window sums, see `Runs`; unsigned, because
            a signed index is tested for counting from the end, event by event.
        last: (blocks, BLOCK) likewise.
        slopes: (workers, Σ widths − F, BLOCK) slopes of the loss, for the backward pass.
        by_place: (places,) float64; ∂loss/∂(weight · ŷ) of an event is the difference between
            its `first` and its `last` place.
        bce_scale: (places,) factor on the weight of an event with this `first` place in the
            cross-entropy.
        signal: Events with a `first` place below this are signal.
    """

    kept: bool
    rows: FloatArray
    weight: FloatArray
    first: IntArray
    last: IntArray
    slopes: FloatArray
    by_place: FloatArray
    bce_scale: FloatArray
    signal: int


def workspace(
    widths: tuple[int, ...],
    bce_scale: FloatArray,
    signal: int,
    *,
    workers: int = PARTS,
    keep: int | None = None,
) -> Workspace:
    """Make a workspace.

    Args:
        widths: Units of each layer of the network, inputs first.
        bce_scale: See `Workspace`; its precision is that of the passes.
        signal: See `Workspace`.
        workers: Number of blocks that are worked on at once.
        keep: Number of blocks to keep between passes; None for one for each worker.
    """
    blocks = workers if keep is None else keep
    dtype = bce_scale.dtype
    return Workspace(
        keep is not None,
        np.zeros((blocks, sum(widths), BLOCK), dtype),
        np.zeros((blocks, BLOCK), dtype),
        np.zeros((blocks, BLOCK), np.uint16),
        np.zeros((blocks, BLOCK), np.uint16),
        np.zeros((workers, sum(widths[1:]), BLOCK), dtype),
        np.zeros(len(bce_scale)),
        bce_scale,
        signal,
    )


@event_loop
def blocks_of_part(batch: Any, part: int) -> tuple[int, int]:
    """First and one-past-last block of a part of a batch."""
    blocks = (batch.stop - batch.start + RUNS - 1) // RUNS
    return part * blocks // PARTS, (part + 1) * blocks // PARTS


@event_loop
def load_block(batch: Any, block: int, work: Any, slot: int) -> None:
    """Copy one block of a batch; what the batch leaves of it becomes empty places.

    Args:
        batch: The `Batch`.
        block: Which block of the batch.
        work: The `Workspace`.
        slot: Which of its blocks to fill.
    """
    rows, weight = work.rows[slot], work.weight[slot]
    first, last = work.first[slot], work.last[slot]
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
            first[target + event] = places[event]
        for event in range(RUN):
            last[target + event] = places[RUN + event]
    for event in range(held * RUN, BLOCK):
        for i in range(features):
            rows[i, event] = 0
        weight[event], first[event], last[event] = 0, 0, 0


@event_loop
def open_part(part: Any, batch: Any, work: Any, weights: Any, counts: Any) -> None:
    """Load part of a batch if it is kept, and sum up what it holds, whatever a network says of it.

    Args:
        part: Which part.
        batch: The `Batch`.
        work: The `Workspace`.
        weights: (places,) float64, overwritten: sums of weights by `first`.
        counts: (places,) int64, overwritten: events added at `first`, taken at `last`.
    """
    weights[:] = 0
    counts[:] = 0
    begin, end = blocks_of_part(batch, part)
    for block in range(begin, end):
        slot = block if work.kept else part
        load_block(batch, block, work, slot)
        weight, first, last = work.weight[slot], work.first[slot], work.last[slot]
        for event in range(BLOCK):
            weights[first[event]] += weight[event]
            counts[first[event]] += 1
            counts[last[event]] -= 1
