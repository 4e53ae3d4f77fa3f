"""Forward and backward pass of a small network over one block of events.

A block is `BLOCK` events, one row a unit: the rows of all layers lie below one another in a
buffer that stays in the cache, and each row is a loop that the compiler vectorises. Any number
of layers of any widths will do; hidden units are tanh, and the last row holds the logit.

The parameters of a network are one vector, in the order of torch's `parameters_to_vector`: for
each layer its weights, row by row, then its biases.
"""

from typing import Any, NamedTuple

import numpy as np

from punzinet.analysis.training.batches import TILE
from punzinet.analysis.training.fast_math import event_loop, tanh
from punzinet.analysis.types import FloatArray, IntArray

#: Events of a block. The rows of a 4-8-4-1 network are 34 KiB in single precision.
BLOCK = 512
#: Tiles of a block.
TILES = BLOCK // TILE
#: Parts into which the blocks of a batch are divided. Each is summed up by itself, and the
#: parts' sums are added in their order, so that results do not depend on the number of cores.
PARTS = 16


class Network(NamedTuple):
    """A network as compiled code takes it.

    Attributes:
        parameters: (K,) weights and biases, in the precision of the pass.
        widths: (layers,) units of each layer, inputs first, 1 last.
    """

    parameters: FloatArray
    widths: IntArray


class Workspace(NamedTuple):
    """A block of events for each worker, and what passes make of it.

    Attributes:
        rows: (workers, Σ widths, BLOCK) inputs, activations and output of a network.
        weight: (workers, BLOCK) event weights.
        cell: (workers, BLOCK) cells of the events, see `Batch`.
        slopes: (workers, Σ widths − F, BLOCK) slopes of the loss, for the backward pass.
    """

    rows: FloatArray
    weight: FloatArray
    cell: IntArray
    slopes: FloatArray


def workspace(widths: tuple[int, ...], dtype: type[np.floating], workers: int) -> Workspace:
    """Blocks for a number of workers and networks of some widths, inputs first."""
    return Workspace(
        np.zeros((workers, sum(widths), BLOCK), dtype),
        np.zeros((workers, BLOCK), dtype),
        np.zeros((workers, BLOCK), np.uint32),
        np.zeros((workers, sum(widths[1:]), BLOCK), dtype),
    )


@event_loop
def block_count(batch: Any) -> int:
    """Number of blocks of a batch."""
    return (len(batch.tiles) + TILES - 1) // TILES


@event_loop
def blocks_of_part(batch: Any, part: int) -> tuple[int, int]:
    """First and one-past-last block of a part of a batch."""
    blocks = block_count(batch)
    return part * blocks // PARTS, (part + 1) * blocks // PARTS


@event_loop
def load_block(batch: Any, block: int, work: Any, worker: int) -> None:
    """Copy one block of a batch into a worker's; beyond the end of the batch, weights are zero."""
    rows, weight, cell = work.rows[worker], work.weight[worker], work.cell[worker]
    begin = block * TILES
    held = min(TILES, len(batch.tiles) - begin)
    features = batch.values.shape[1] - 2
    for k in range(held):
        tile, target = batch.tiles[begin + k], k * TILE
        values, cells = batch.values[tile], batch.cells[tile, features + 1]
        for i in range(features):
            row = rows[i]
            for event in range(TILE):
                row[target + event] = values[i, event]
        for event in range(TILE):
            weight[target + event] = values[features, event]
        for event in range(TILE):
            cell[target + event] = cells[event]
    for event in range(held * TILE, BLOCK):
        for i in range(features):
            rows[i, event] = 0
        weight[event], cell[event] = 0, 0


@event_loop
def forward(network: Any, rows: Any) -> None:
    """Evaluate a network for one block.

    Of the (Σ widths, BLOCK) rows, the first hold the inputs; the activations of each layer and,
    last, the logit are written to the others.
    """
    parameters, widths = network.parameters, network.widths
    weight, below = 0, 0
    for layer in range(1, len(widths)):
        inputs, units = widths[layer - 1], widths[layer]
        first = below + inputs
        bias = weight + inputs * units
        for unit in range(0, units - 1, 2):
            begin = weight + unit * inputs
            middle = begin + inputs
            _combine_two(
                (parameters[bias + unit], parameters[bias + unit + 1]),
                (parameters[begin:middle:1], parameters[middle : middle + inputs : 1]),
                rows[below:first],
                rows[first + unit : first + unit + 2],
            )
        if units % 2 == 1:
            weights = parameters[bias - inputs : bias : 1]
            _combine(
                parameters[bias + units - 1], weights, rows[below:first], rows[first + units - 1]
            )
        if layer < len(widths) - 1:
            for unit in range(first, first + units):
                row = rows[unit]
                for event in range(BLOCK):
                    row[event] = tanh(row[event])
        weight, below = bias + units, first


@event_loop
def backward(network: Any, rows: Any, slopes: Any, gradient: Any) -> None:
    """Add one block's part of the gradient of a loss to the (K,) float64 `gradient`.

    The rows are as `forward` left them, but for the last, which is not used. Of the
    (Σ widths − inputs, BLOCK) slopes, the last row is ∂loss/∂logit of each event; the slopes with
    respect to the inputs of all hidden units are written to the others.
    """
    parameters, widths = network.parameters, network.widths
    zero = rows.dtype.type(0)
    weight, below = len(parameters), len(rows) - 1
    gradient[weight - 1] += _sum(slopes[-1])
    for layer in range(len(widths) - 1, 0, -1):
        inputs, units = widths[layer - 1], widths[layer]
        bias = weight - units
        weight = bias - inputs * units
        above = below - widths[0]
        below -= inputs
        activations, given = rows[below : below + inputs], slopes[above : above + units]
        _add_gradients(given, activations, gradient[weight:bias])
        if layer == 1:
            break
        asked = slopes[above - inputs : above]
        for unit in range(0, inputs - 1, 2):
            begin = weight + unit
            _combine_two(
                (zero, zero),
                (parameters[begin:bias:inputs], parameters[begin + 1 : bias : inputs]),
                given,
                asked[unit : unit + 2],
            )
        if inputs % 2 == 1:
            weights = parameters[weight + inputs - 1 : bias : inputs]
            _combine(zero, weights, given, asked[inputs - 1])
        for unit in range(inputs):
            # The biases of the layer below stand before the weights of this one.
            gradient[weight - inputs + unit] += _through_tanh(asked[unit], activations[unit])


@event_loop
def _combine_two(constants: Any, weights: Any, rows: Any, totals: Any) -> None:
    """`_combine` with two constants and two vectors of weights at once: rows are loaded once."""
    v, w = weights
    a, b = totals[0], totals[1]
    quads = len(v) // 4
    if quads == 0:
        a[:] = constants[0]
        b[:] = constants[1]
    for quad in range(quads):
        i = 4 * quad
        v0, v1, v2, v3 = v[i], v[i + 1], v[i + 2], v[i + 3]
        w0, w1, w2, w3 = w[i], w[i + 1], w[i + 2], w[i + 3]
        x0, x1, x2, x3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        if quad == 0:
            c, d = constants
            for event in range(BLOCK):
                a[event] = c + v0 * x0[event] + v1 * x1[event] + v2 * x2[event] + v3 * x3[event]
                b[event] = d + w0 * x0[event] + w1 * x1[event] + w2 * x2[event] + w3 * x3[event]
        else:
            for event in range(BLOCK):
                a[event] += v0 * x0[event] + v1 * x1[event] + v2 * x2[event] + v3 * x3[event]
                b[event] += w0 * x0[event] + w1 * x1[event] + w2 * x2[event] + w3 * x3[event]
    for i in range(4 * quads, len(v)):
        x, vi, wi = rows[i], v[i], w[i]
        for event in range(BLOCK):
            a[event] += vi * x[event]
            b[event] += wi * x[event]


@event_loop
def _combine(constant: Any, weights: Any, rows: Any, total: Any) -> None:
    """Set a row to constant + Σ weight · row, four at a time: loaded and stored once for four."""
    quads = len(weights) // 4
    if quads == 0:
        total[:] = constant
    for quad in range(quads):
        i = 4 * quad
        w0, w1, w2, w3 = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        x0, x1, x2, x3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        if quad == 0:
            for event in range(BLOCK):
                total[event] = (
                    constant + w0 * x0[event] + w1 * x1[event] + w2 * x2[event] + w3 * x3[event]
                )
        else:
            for event in range(BLOCK):
                total[event] += w0 * x0[event] + w1 * x1[event] + w2 * x2[event] + w3 * x3[event]
    for i in range(4 * quads, len(weights)):
        w, x = weights[i], rows[i]
        for event in range(BLOCK):
            total[event] += w * x[event]


@event_loop
def _add_gradients(slopes: Any, rows: Any, gradient: Any) -> None:
    """Add Σ_events slope · row to the gradient, for all pairs of slopes (units) and rows (inputs).

    Two slopes and four rows are taken at once: eight sums keep the processor busy, and what is
    loaded serves several of them.
    """
    units, inputs = len(slopes), len(rows)
    zero = rows.dtype.type(0)
    quads = inputs - inputs % 4
    for unit in range(0, units - 1, 2):
        p, q = slopes[unit], slopes[unit + 1]
        g, h = unit * inputs, (unit + 1) * inputs
        for i in range(0, quads, 4):
            x0, x1, x2, x3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
            s0, s1, s2, s3, t0, t1, t2, t3 = zero, zero, zero, zero, zero, zero, zero, zero
            for event in range(BLOCK):
                s0 += p[event] * x0[event]
                s1 += p[event] * x1[event]
                s2 += p[event] * x2[event]
                s3 += p[event] * x3[event]
                t0 += q[event] * x0[event]
                t1 += q[event] * x1[event]
                t2 += q[event] * x2[event]
                t3 += q[event] * x3[event]
            gradient[g + i] += s0
            gradient[g + i + 1] += s1
            gradient[g + i + 2] += s2
            gradient[g + i + 3] += s3
            gradient[h + i] += t0
            gradient[h + i + 1] += t1
            gradient[h + i + 2] += t2
            gradient[h + i + 3] += t3
        for i in range(quads, inputs):
            gradient[g + i] += _product(p, rows[i])
            gradient[h + i] += _product(q, rows[i])
    if units % 2 == 1:
        for i in range(inputs):
            gradient[(units - 1) * inputs + i] += _product(slopes[units - 1], rows[i])


@event_loop
def _product(slope: Any, row: Any) -> Any:
    """Σ_events slope · row."""
    total = row.dtype.type(0)
    for event in range(BLOCK):
        total += slope[event] * row[event]
    return total


@event_loop
def _through_tanh(slope: Any, activation: Any) -> Any:
    """From slopes with respect to activations to those with respect to arguments; their sum."""
    total, one = slope.dtype.type(0), slope.dtype.type(1)
    for event in range(BLOCK):
        slope[event] *= one - activation[event] * activation[event]
        total += slope[event]
    return total


@event_loop
def _sum(row: Any) -> Any:
    """Sum over the events of a block."""
    total = row.dtype.type(0)
    for event in range(BLOCK):
        total += row[event]
    return total
