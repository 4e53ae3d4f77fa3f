"""Weighted binary cross-entropy, a whole epoch of it in one call.

A batch of 2048 events is too short to be shared between cores; the networks of an ensemble are
shared between them instead. Each worker walks through the batches with its networks, loads a
block once for all of them, and each network makes steps of its own.
"""

import math
from typing import Any, NamedTuple

from punzinet.analysis.training.elementary import event_loop, exp, kernel, log1p
from punzinet.analysis.training.loading import PARTS, Batch, block_count, blocks_of_part, load_block
from punzinet.analysis.training.network_kernels import BLOCK, Network, backward, forward
from punzinet.analysis.types import FloatArray, IntArray

#: Keeps a step of length zero from being divided by.
TINY = 1e-300


class Epoch(NamedTuple):
    """The batches of an epoch.

    Attributes:
        values: The shelf's, see `Runs`.
        places: The shelf's, see `Runs`.
        order: Order of its runs.
        bounds: (batches + 1,) bounds of the batches in that order.
    """

    values: FloatArray
    places: IntArray
    order: IntArray
    bounds: IntArray


class Learners(NamedTuple):
    """Networks, and what the cross-entropy needs to know.

    Attributes:
        parameters: (N, K) parameters in the precision of the passes.
        widths: (layers,) units of each layer.
        scale: (places,) factor on the weight of an event, likewise.
        signal: H; events with a place below this are signal.
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
    """Loss of one block, and its slope with respect to each logit.

    Args:
        learners: The `Learners`.
        work: The `Workspace` with the logits of the block, and weights that are scaled.
        worker: Which of its blocks.
        slope: (BLOCK,) overwritten with weight · (ŷ − label).

    Returns:
        Σ weight · cross-entropy.
    """
    logit, weight, place = work.rows[worker, -1], work.weight[worker], work.place[worker]
    zero, one = logit.dtype.type(0), logit.dtype.type(1)
    loss = zero
    for event in range(BLOCK):
        z = logit[event]
        decay = exp(-abs(z))
        output = (one if z >= zero else decay) / (one + decay)
        label = one if place[event] < learners.signal else zero
        slope[event] = weight[event] * (output - label)
        loss += weight[event] * (max(z, zero) + log1p(decay) - label * z)
    return loss


@event_loop
def _load_scaled(batch: Any, block: Any, learners: Any, work: Any, worker: Any) -> Any:
    """Load a block and scale its weights for the cross-entropy; Σ weight of its events."""
    load_block(batch, block, work, worker)
    weight, place = work.weight[worker], work.place[worker]
    total = weight.dtype.type(0)
    for event in range(BLOCK):
        weight[event] *= learners.scale[place[event]]
        total += weight[event]
    return total


@event_loop
def _add_block(
    batch: Any, block: Any, learners: Any, work: Any, worker: Any, sums: Any, which: Any
) -> None:
    """Add what one block gives to the cross-entropies of some networks, and to their gradients.

    Args:
        batch: The `Batch`.
        block: Which of its blocks.
        learners: The `Learners`.
        work: The `Workspace`.
        worker: Which of its blocks to use.
        sums: (N, 2 or 2 + K) float64: Σ weight · cross-entropy, Σ weight and the gradient of the
            former, left out if there is no room for it; those of the networks are added to.
        which: First and stride of the networks.
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
        epoch: The `Epoch`.
        descent: The `Descent`, whose parameters change.
        learners: The `Learners`, whose parameters are overwritten.
        work: `Workspace` with a block for each worker.
        sums: (N, 2 + K) float64, overwritten.
        losses: (N,) overwritten with the mean over batches of the weighted mean cross-entropy.
    """
    networks, batches = len(losses), len(epoch.bounds) - 1
    for n in range(worker, networks, workers):
        losses[n] = 0
    for index in range(batches):
        start, stop = epoch.bounds[index], epoch.bounds[index + 1]
        batch = Batch(epoch.values, epoch.places, epoch.order, start, stop)
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
    """What a worker's parts of a batch add to the cross-entropies of all networks.

    Args:
        worker: Number of the worker.
        workers: How many there are.
        batch: The `Batch`.
        learners: The `Learners`.
        work: The `Workspace`.
        sums: (PARTS, N, 2 or 2 + K) float64, see `_add_block`; those of the worker's parts are
            overwritten.
    """
    for part in range(worker, PARTS, workers):
        sums[part, :, :] = 0
        begin, end = blocks_of_part(batch, part)
        for block in range(begin, end):
            _add_block(batch, block, learners, work, worker, sums[part], (0, 1))
