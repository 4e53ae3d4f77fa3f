"""Cross-entropy and Punzi-loss of networks, and their exact gradients, block by block.

Activations are never stored beyond a block in the cache: to fetch them from memory takes as long
as to compute them again. A block is loaded once for all networks.

*Cross-entropy.* A batch of 2048 events is too short to be shared between cores: each worker walks
through the batches of a whole epoch with its networks, and each network makes steps of its own.

*Punzi-loss.* The first pass over a batch sums up ε and B of every window; the loss and its slopes
with respect to these sums follow; the second pass turns the slopes into the gradient.

The `share` of a worker in the work is its number, that of all workers, and its `Workspace`. The
(N, K) `parameters` of networks are in the precision of the passes.
"""

import math
from typing import Any, NamedTuple

import numpy as np

import punzinet.analysis.figures_of_merit as merit
import punzinet.analysis.training.network_kernels as net
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.punzi_loss import MIN_EFFICIENCY
from punzinet.analysis.training.batches import Batch
from punzinet.analysis.training.network_kernels import BLOCK, PARTS, event_loop, exp, kernel, log1p
from punzinet.analysis.types import FloatArray, IntArray

TINY = 1e-300  # keeps a step of length zero from being divided by

_numerator: Any = njit(merit.punzi_numerator)
_variance: Any = njit(merit.background_variance)
_slope: Any = njit(merit.variance_slope)


class Labels(NamedTuple):
    """What the cross-entropy makes of the cell of an event."""

    signal: int  # H; events with a cell below this are signal
    scale: FloatArray  # (cells,) factor on the weight, in the precision of the passes


class Descent(NamedTuple):
    """N networks on their way down the gradient."""

    parameters: FloatArray  # (N, K) float64
    rate: FloatArray  # (N,) learning rates
    longest: float  # step in parameter space (Euclidean norm); infinite for no limit


@event_loop
def _cross_entropy(labels: Any, work: Any) -> Any:
    """Σ weight · cross-entropy of one block; slopes become weight · (ŷ − label)."""
    logit, weight, cell, slope = work.rows[-1], work.weight, work.cell, work.slopes[-1]
    zero, one = logit.dtype.type(0), logit.dtype.type(1)
    loss = zero
    for event in range(BLOCK):
        z = logit[event]
        decay = exp(-abs(z))
        output = (one if z >= zero else decay) / (one + decay)
        label = one if cell[event] < labels.signal else zero
        slope[event] = weight[event] * (output - label)
        loss += weight[event] * (max(z, zero) + log1p(decay) - label * z)
    return loss


@event_loop
def _add_block(
    work: Any, batch: Any, block: Any, parameters: Any, labels: Any, sums: Any, which: Any
) -> None:
    """Add what one block gives to the `sums` of some networks (`which`: first and stride).

    They are (N, 2 or 2 + K) float64: Σ weight · cross-entropy, Σ weight and, if they are so many,
    the gradient of the former.
    """
    net.load_block(batch, block, work)
    weight, cell = work.weight, work.cell
    total = weight.dtype.type(0)
    for event in range(BLOCK):
        weight[event] *= labels.scale[cell[event]]
        total += weight[event]
    for n in range(which[0], len(parameters), which[1]):
        net.forward(parameters[n], work)
        sums[n, 0] += _cross_entropy(labels, work)
        sums[n, 1] += total
        if sums.shape[1] > 2:
            net.backward(parameters[n], work, sums[n, 2:])


@kernel
def bce_parts(share: Any, batch: Any, parameters: Any, labels: Any, sums: Any) -> None:
    """Overwrite (PARTS, N, 2 or 2 + K) sums of a worker's parts of a batch, see `_add_block`."""
    worker, workers, work = share
    for part in range(worker, PARTS, workers):
        sums[part, :, :] = 0
        begin, end = net.blocks_of_part(batch, part)
        for block in range(begin, end):
            _add_block(work, batch, block, parameters, labels, sums[part], (0, 1))


@kernel
def descend(
    share: Any, epoch: Any, parameters: Any, bounds: Any, descent: Any, labels: Any, results: Any
) -> None:
    """Train a worker's networks for one epoch of stochastic gradient descent.

    The `Batch` of all tiles is in the order of the epoch, with (batches + 1,) bounds of the
    batches in it. Parameters of the `Descent` change; the others and the first results,
    (N, 2 + K) sums, are scratch. The second, (N,) losses, become means over batches of the
    weighted mean cross-entropy.
    """
    (worker, workers, work), (sums, losses) = share, results
    count, batches = len(losses), len(bounds) - 1
    for n in range(worker, count, workers):
        losses[n] = 0
    for index in range(batches):
        batch = Batch(epoch.values, epoch.cells, epoch.tiles[bounds[index] : bounds[index + 1]])
        for n in range(worker, count, workers):
            sums[n, :] = 0
            for k in range(descent.parameters.shape[1]):
                parameters[n, k] = descent.parameters[n, k]
        for block in range(net.block_count(batch)):
            _add_block(work, batch, block, parameters, labels, sums, (worker, workers))
        for n in range(worker, count, workers):
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


@event_loop
def _evaluate(parameters: Any, work: Any) -> None:
    """Forward pass of one network for one block, with the output ŷ in place of the logit."""
    net.forward(parameters, work)
    output = work.rows[-1]
    one = output.dtype.type(1)
    for event in range(BLOCK):
        output[event] = one / (one + exp(-output[event]))


@kernel
def sum_parts(share: Any, batch: Any, parameters: Any, sums: Any) -> None:
    """First pass over a worker's parts of a batch.

    Overwrites (PARTS, 1 + N, cells) float64 sums: Σ weight, and Σ weight · ŷ of each network.
    """
    worker, workers, work = share
    output, weight, cell = work.rows[-1], work.weight, work.cell
    for part in range(worker, PARTS, workers):
        sums[part, :, :] = 0
        begin, end = net.blocks_of_part(batch, part)
        for block in range(begin, end):
            net.load_block(batch, block, work)
            for event in range(BLOCK):
                sums[part, 0, cell[event]] += np.float64(weight[event])
            for n in range(len(parameters)):
                _evaluate(parameters[n], work)
                selected = sums[part, 1 + n]
                for event in range(BLOCK):
                    selected[cell[event]] += np.float64(weight[event] * output[event])


@kernel
def gradient_parts(share: Any, batch: Any, parameters: Any, slopes: Any, gradients: Any) -> None:
    """Second pass over a worker's parts of a batch: (PARTS, N, K) gradients are overwritten.

    The (N, cells) slopes are ∂loss/∂(weight · ŷ) of the events of each cell.
    """
    worker, workers, work = share
    output, weight, cell, slope = work.rows[-1], work.weight, work.cell, work.slopes[-1]
    one = output.dtype.type(1)
    for part in range(worker, PARTS, workers):
        gradients[part, :, :] = 0
        begin, end = net.blocks_of_part(batch, part)
        for block in range(begin, end):
            net.load_block(batch, block, work)
            for n in range(len(parameters)):
                _evaluate(parameters[n], work)
                by_cell = slopes[n]
                for event in range(BLOCK):
                    by_output = by_cell[cell[event]] * weight[event]
                    slope[event] = by_output * output[event] * (one - output[event])
                net.backward(parameters[n], work, gradients[part, n])


class Totals(NamedTuple):
    """What the whole sample sums up to, and the figure of merit."""

    signal: FloatArray  # (H,) sums of weights of the signal hypotheses
    background: FloatArray  # (P,) sums of weights of the background processes
    ranges: IntArray  # (R, 2) ranges of windows, see `PackedEvents`
    luminosity: float  # L in fb^-1
    constants: FloatArray  # (3,) constant term, a and b of the figure of merit
    overall: float  # uncertainty of the background, see `background_variance`
    shifts: FloatArray  # (K, P, H)
    cross_section: float  # of the signal in the significance loss, fb; 0 for the Punzi-loss
    geometric: bool  # whether the average over the hypotheses is


class PunziValues(NamedTuple):
    """Punzi-losses of N networks, and what they are made of."""

    loss: FloatArray  # (N,) in fb; pure numbers for the significance loss
    efficiency: FloatArray  # (N, H) ε
    background: FloatArray  # (N, H) B
    sigma: FloatArray  # (N, H) σ_min in fb, or 1/Z²; 0 where there is no signal


@njit(cache=True, error_model="numpy")
def losses_and_slopes(sums: Any, totals: Any, values: Any, slopes: Any) -> None:
    """Punzi-losses of a batch from its sums, as `punzinet.analysis.punzi_loss` defines them.

    The sums are those of `sum_parts`, of all parts. `PunziValues`, scaled to the whole sample, and
    the slopes of `gradient_parts` are overwritten.
    """
    hypotheses, processes = len(totals.signal), len(totals.background)
    scale = np.zeros(processes)
    for process in range(processes):
        held = sums[0, hypotheses + process :: processes].sum()
        scale[process] = totals.background[process] / held if held > 0 else 0.0
    by_process = np.zeros((processes, hypotheses))
    for n in range(len(slopes)):
        selected, background, by_cell = sums[1 + n], values.background[n], slopes[n]
        background[:], by_process[:] = 0, 0
        for r, (start, stop) in enumerate(totals.ranges):
            for process in range(processes):
                events = scale[process] * selected[hypotheses + r * processes + process]
                by_process[process, start:stop] += events
                background[start:stop] += events
        terms = values.efficiency[n], background, by_process, values.sigma[n]
        values.loss[n] = _loss_and_slopes(selected, sums[0], totals, terms, by_cell)
        for r, (start, stop) in enumerate(totals.ranges):
            for process in range(processes):
                total = by_process[process, start:stop].sum()
                by_cell[hypotheses + r * processes + process] = scale[process] * total


@njit(cache=True, error_model="numpy")
def _loss_and_slopes(selected: Any, weight: Any, totals: Any, terms: Any, by_cell: Any) -> float:
    """The Punzi-loss of one network, from its backgrounds and its selected signal.

    Of the terms, ε and σ_min, (H,) each, are overwritten, and (P, H) backgrounds by process
    become ∂loss/∂B_p; of the (cells,) slopes, those of signal are.
    """
    efficiency, background, by_process, sigma = terms
    hypotheses = len(totals.signal)
    present = (weight[:hypotheses] > 0).sum()
    by_variance = np.zeros(hypotheses)
    loss = 0.0
    for h in range(hypotheses):
        efficiency[h], sigma[h], by_cell[h] = 0, 0, 0
        if weight[h] > 0:
            scale = totals.signal[h] / weight[h]
            efficiency[h] = scale * selected[h]
            about = background[h], by_process[:, h], totals.overall, totals.shifts[:, :, h]
            variance = _variance(*about)
            reach = max(efficiency[h], MIN_EFFICIENCY) * totals.luminosity
            sigma[h], pull, by_variance[h] = _term(variance, reach, present, totals)
            loss += sigma[h] / present
            if efficiency[h] > MIN_EFFICIENCY:
                by_cell[h] = -pull / (efficiency[h] * present) * scale
    if totals.geometric:
        held = weight[:hypotheses] > 0
        loss = np.exp(np.log(sigma[held]).sum() / present)
        by_cell[:hypotheses][held] *= loss / sigma[held]
        by_variance[held] *= loss / sigma[held]
    events = by_process.copy()
    for h in range(hypotheses):
        about = background[h], events[:, h], totals.overall, totals.shifts[:, :, h]
        for process in range(len(by_process)):
            by_process[process, h] = by_variance[h] * _slope(*about, process)
    return loss


@njit(cache=True, error_model="numpy")
def _term(variance: float, reach: float, present: int, totals: Any) -> tuple[float, float, float]:
    """A term of the mean, σ_min in fb or 1/Z², with -ε ∂term/∂ε and ∂loss/∂V.

    They follow from the variance V of the background, the reach εL (fb^-1), and the number of
    hypotheses that are present in the mean. ∂σ_min/∂V is taken as 0 without background.
    """
    if totals.cross_section > 0:
        signal = reach * totals.cross_section
        value = 1 / signal + variance / signal**2
        return value, value + variance / signal**2, 1 / (signal**2 * present)
    constant, a, b = totals.constants
    root = math.sqrt(variance)
    value = _numerator(root, constant, a, b) / reach
    if root == 0:
        return value, value, 0.0
    by_root = a + b * (a + 2 * root) / math.sqrt(b**2 + 4 * root * (a + root))
    return value, value, by_root / (2 * root * reach * present)
