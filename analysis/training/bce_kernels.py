"""Weighted binary cross-entropy, a whole epoch of it in one call.

A batch of 2048 events is too short to be shared between cores; the networks of an ensemble are
shared between them instead. Each walks through the same batches with steps of its own.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange

from analysis.training.elementary import REORDERED, event_loop, exp, log1p
from analysis.training.loading import RUNS, Batch, blocks_of_part, load_block
from analysis.training.network_kernels import BLOCK, Network, backward, forward
from analysis.types import FloatArray, IntArray

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


class Descent(NamedTuple):
    """Networks on their way down the gradient.

    Attributes:
        parameters: (N, K) float64 parameters.
        widths: (layers,) units of each layer.
        rate: (N,) learning rates; a network of rate 0 is left alone.
        longest: Longest step in parameter space; infinite for no limit.
    """

    parameters: FloatArray
    widths: IntArray
    rate: FloatArray
    longest: float


@event_loop
def _cross_entropy(work: Any, slot: int, slope: Any) -> Any:
    """Loss of one block, and its slope with respect to each logit.

    Args:
        work: The `Workspace` with the logits of the block.
        slot: Which of its blocks.
        slope: (BLOCK,) overwritten with weight · (ŷ − label).

    Returns:
        Σ weight · cross-entropy and Σ weight.
    """
    logit, weight, first = work.rows[slot, -1], work.weight[slot], work.first[slot]
    zero, one = logit.dtype.type(0), logit.dtype.type(1)
    loss, total = zero, zero
    for event in range(BLOCK):
        scaled = weight[event] * work.bce_scale[first[event]]
        z = logit[event]
        decay = exp(-abs(z))
        output = (one if z >= zero else decay) / (one + decay)
        label = one if first[event] < work.signal else zero
        slope[event] = scaled * (output - label)
        loss += scaled * (max(z, zero) + log1p(decay) - label * z)
        total += scaled
    return loss, total


@event_loop
def _batch_gradient(network: Any, batch: Any, work: Any, slot: Any, gradient: Any) -> Any:
    """Cross-entropy of one batch, and its gradient.

    Args:
        network: The `Network`.
        batch: The `Batch`.
        work: The `Workspace`.
        slot: Which of its blocks to use.
        gradient: (K,) float64, to which the gradient of the first result is added.

    Returns:
        Σ weight · cross-entropy and Σ weight.
    """
    rows, slopes = work.rows[slot], work.slopes[slot]
    loss, total = 0.0, 0.0
    for block in range((batch.stop - batch.start + RUNS - 1) // RUNS):
        load_block(batch, block, work, slot)
        forward(network, rows)
        part = _cross_entropy(work, slot, slopes[-1])
        loss += part[0]
        total += part[1]
        backward(network, rows, slopes, gradient)
    return loss, total


@njit(cache=True, parallel=True)
def bce_epoch(epoch: Any, descent: Any, work: Any, losses: Any) -> None:
    """Train every network for one epoch of stochastic gradient descent.

    Args:
        epoch: The `Epoch`.
        descent: The `Descent`, whose parameters change.
        work: `Workspace` with a block for each network.
        losses: (N,) overwritten with the mean over batches of the weighted mean cross-entropy.
    """
    for index in prange(len(losses)):
        network = np.int64(index)
        losses[network] = _descend(network, epoch, descent, work)


@njit(cache=True, fastmath=REORDERED, error_model="numpy")
def _descend(network: Any, epoch: Any, descent: Any, work: Any) -> float:
    """`bce_epoch` of one network: its loss."""
    if descent.rate[network] == 0:
        return 0.0
    parameters = descent.parameters[network]
    gradient = np.zeros(len(parameters))
    rounded = np.zeros(len(parameters), work.rows.dtype)
    mean = 0.0
    for index in range(len(epoch.bounds) - 1):
        batch = Batch(
            epoch.values, epoch.places, epoch.order, epoch.bounds[index], epoch.bounds[index + 1]
        )
        for k in range(len(parameters)):
            gradient[k], rounded[k] = 0, parameters[k]
        now = Network(rounded, descent.widths)
        loss, total = _batch_gradient(now, batch, work, network, gradient)
        if total > 0:
            mean += loss / total / (len(epoch.bounds) - 1)
            square = 0.0
            for slope in gradient:
                square += slope * slope
            step = descent.rate[network] / total
            step *= min(1.0, descent.longest / (step * math.sqrt(square) + TINY))
            for k in range(len(parameters)):
                parameters[k] -= step * gradient[k]
    return mean


@event_loop
def bce_part(part: Any, batch: Any, network: Any, work: Any, sums: Any) -> None:
    """Cross-entropy of part of a batch.

    Args:
        part: Which part.
        batch: The `Batch`.
        network: The `Network`.
        work: A `Workspace` that keeps nothing.
        sums: (2,) overwritten with Σ weight · cross-entropy and Σ weight.
    """
    sums[:] = 0
    begin, end = blocks_of_part(batch, part)
    for block in range(begin, end):
        load_block(batch, block, work, part)
        forward(network, work.rows[part])
        loss, weight = _cross_entropy(work, part, work.slopes[part, -1])
        sums[0] += loss
        sums[1] += weight


@njit(cache=True, fastmath=REORDERED, error_model="numpy")
def bce_sums(batch: Any, descent: Any, work: Any, sums: Any) -> None:
    """What one batch adds to the cross-entropy of every network and to its gradient.

    Args:
        batch: The `Batch`.
        descent: The `Descent`; networks of rate 0 are left out.
        work: `Workspace` with at least one block.
        sums: (N, 2 + K) float64, overwritten with Σ weight · cross-entropy, Σ weight and the
            gradient of the former.
    """
    sums[:] = 0
    rounded = np.zeros(descent.parameters.shape[1], work.rows.dtype)
    for index in range(len(sums)):
        if descent.rate[index] == 0:
            continue
        rounded[:] = descent.parameters[index]
        network = Network(rounded, descent.widths)
        sums[index, :2] = _batch_gradient(network, batch, work, 0, sums[index, 2:])
