"""Weighted binary cross-entropy, a whole epoch of it in one call.

A batch of 2048 events is too short to be shared between cores; the networks of an ensemble are
shared between them instead. Each worker walks through the batches with its networks, loads a
block once for all of them, and each network makes steps of its own.
"""

import math
from typing import Any, NamedTuple

from punzinet.analysis.training.batches import Batch
from punzinet.analysis.training.fast_math import event_loop, exp, kernel, log1p
from punzinet.analysis.training.network_kernels import (
    BLOCK,
    PARTS,
    Network,
    backward,
    block_count,
    blocks_of_part,
    forward,
    load_block,
)
from punzinet.analysis.types import FloatArray, IntArray

#: Keeps a step of length zero from being divided by.
TINY = 1e-300


class Learners(NamedTuple):
    """Networks, and what the cross-entropy needs to know.

    Attributes:
        parameters: (N, K) parameters in the precision of the passes.
        widths: (layers,) units of each layer.
        scale: (cells,) factor on the weight of an event, likewise.
        signal: H; events with a cell below this are signal.
    """

    parameters: FloatArray
    widths: IntArray
    scale: FloatArray
    signal: int


class Descent(NamedTuple):
    """Networks on their way down the gradient.

    Attributes:
        parameters: (N, K) float64 parameters.
        rate: (N,) learning rates.
        longest: Longest step in parameter space; infinite for no limit.
    """

    parameters: FloatArray
    rate: FloatArray
    longest: float


@event_loop
def _cross_entropy(learners: Any, work: Any, worker: int, slope: Any) -> Any:
    """Σ weight · cross-entropy of one block; slopes become weight · (ŷ − label)."""
    logit, weight, cell = work.rows[worker, -1], work.weight[worker], work.cell[worker]
    zero, one = logit.dtype.type(0), logit.dtype.type(1)
    loss = zero
    for event in range(BLOCK):
        z = logit[event]
        decay = exp(-abs(z))
        output = (one if z >= zero else decay) / (one + decay)
        label = one if cell[event] < learners.signal else zero
        slope[event] = weight[event] * (output - label)
        loss += weight[event] * (max(z, zero) + log1p(decay) - label * z)
    return loss


@event_loop
def _load_scaled(batch: Any, block: Any, learners: Any, work: Any, worker: Any) -> Any:
    """Load a block and scale its weights for the cross-entropy; Σ weight of its events."""
    load_block(batch, block, work, worker)
    weight, cell = work.weight[worker], work.cell[worker]
    total = weight.dtype.type(0)
    for event in range(BLOCK):
        weight[event] *= learners.scale[cell[event]]
        total += weight[event]
    return total


@event_loop
def _add_block(
    batch: Any, block: Any, learners: Any, work: Any, worker: Any, sums: Any, which: Any
) -> None:
    """Add what one block gives to the `sums` of some networks (`which`: first and stride).

    They are (N, 2 or 2 + K) float64: Σ weight · cross-entropy, Σ weight and, if they are so many,
    the gradient of the former.
    """
    total = _load_scaled(batch, block, learners, work, worker)
    rows, slopes = work.rows[worker], work.slopes[worker]
    for n in range(which[0], len(learners.parameters), which[1]):
        network = Network(learners.parameters[n], learners.widths)
        forward(network, rows)
        sums[n, 0] += _cross_entropy(learners, work, worker, slopes[-1])
        sums[n, 1] += total
        if sums.shape[1] > 2:
            backward(network, rows, slopes, sums[n, 2:])


@kernel
def descend(
    worker: Any,
    workers: Any,
    epoch: Any,
    bounds: Any,
    descent: Any,
    learners: Any,
    work: Any,
    sums: Any,
    losses: Any,
) -> None:
    """Train a worker's networks for one epoch of stochastic gradient descent.

    Args:
        worker: Number of the worker.
        workers: How many there are, between whom the networks are divided.
        epoch: `Batch` of all tiles, in the order of the epoch.
        bounds: (batches + 1,) bounds of the batches in that order.
        descent: The `Descent`, whose parameters change.
        learners: The `Learners`, whose parameters are overwritten.
        work: `Workspace` with a block for each worker.
        sums: (N, 2 + K) float64, overwritten.
        losses: (N,) overwritten with the mean over batches of the weighted mean cross-entropy.
    """
    networks, batches = len(losses), len(bounds) - 1
    for n in range(worker, networks, workers):
        losses[n] = 0
    for index in range(batches):
        tiles = epoch.tiles[bounds[index] : bounds[index + 1]]
        batch = Batch(epoch.values, epoch.cells, tiles)
        for n in range(worker, networks, workers):
            sums[n, :] = 0
            for k in range(descent.parameters.shape[1]):
                learners.parameters[n, k] = descent.parameters[n, k]
        for block in range(block_count(batch)):
            _add_block(batch, block, learners, work, worker, sums, (worker, workers))
        for n in range(worker, networks, workers):
            if sums[n, 1] > 0:
                losses[n] += sums[n, 0] / sums[n, 1] / batches
                _step(descent, n, sums[n])


@event_loop
def _step(descent: Any, network: Any, sums: Any) -> None:
    """Take one step with a network, from its `sums` of `_add_block`."""
    parameters, square = descent.parameters[network], 0.0
    for k in range(len(parameters)):
        square += sums[2 + k] ** 2
    step = descent.rate[network] / sums[1]
    step *= min(1.0, descent.longest / (step * math.sqrt(square) + TINY))
    for k in range(len(parameters)):
        parameters[k] -= step * sums[2 + k]


@kernel
def bce_parts(worker: Any, workers: Any, batch: Any, learners: Any, work: Any, sums: Any) -> None:
    """Overwrite (PARTS, N, 2 or 2 + K) sums of a worker's parts of a batch, see `_add_block`."""
    for part in range(worker, PARTS, workers):
        sums[part, :, :] = 0
        begin, end = blocks_of_part(batch, part)
        for block in range(begin, end):
            _add_block(batch, block, learners, work, worker, sums[part], (0, 1))
