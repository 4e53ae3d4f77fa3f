"""Forward and backward pass of a small network over one block of events.

A block is `BLOCK` events, one row a unit: the rows of all layers lie below one another in a
buffer that stays in the cache, and each row is a loop that the compiler vectorises. Any number
of layers of any widths will do; hidden units are tanh, and the last row holds the logit.

The parameters of a network are one vector, in the order of torch's `parameters_to_vector`: for
each layer its weights, row by row, then its biases.
"""

from typing import Any, NamedTuple

from analysis.training.elementary import event_loop, tanh
from analysis.types import FloatArray, IntArray

#: Events of a block. The rows of a 4-8-4-1 network are 34 KiB in single precision.
BLOCK = 512


class Network(NamedTuple):
    """A network as compiled code takes it.

    Attributes:
        parameters: (K,) weights and biases, in the precision of the pass.
        widths: (layers,) units of each layer, inputs first, 1 last.
    """

    parameters: FloatArray
    widths: IntArray


@event_loop
def forward(network: Any, rows: Any) -> None:
    """Evaluate a network for one block.

    Args:
        network: The `Network`.
        rows: (Σ widths, BLOCK); the inputs are given in the first rows, the activations of
            each layer and, last, the logit are written to the others.
    """
    parameters, widths = network.parameters, network.widths
    weight, below = 0, 0
    for layer in range(1, len(widths)):
        inputs, units = widths[layer - 1], widths[layer]
        first = below + inputs
        bias = weight + inputs * units
        for unit in range(units):
            row = rows[first + unit]
            begin = weight + unit * inputs
            weights = parameters[begin : begin + inputs : 1]
            _combine(parameters[bias + unit], weights, rows[below:first], row)
            if layer < len(widths) - 1:
                for event in range(BLOCK):
                    row[event] = tanh(row[event])
        weight, below = bias + units, first


@event_loop
def backward(network: Any, rows: Any, slopes: Any, gradient: Any) -> None:
    """Add one block's part of the gradient of a loss.

    Args:
        network: The `Network`.
        rows: (Σ widths, BLOCK), as `forward` left them (but for the last row, unused).
        slopes: (Σ widths − inputs, BLOCK); the last row is given as ∂loss/∂logit of each event,
            the slopes with respect to the inputs of all hidden units are written to the others.
        gradient: (K,) float64, added to.
    """
    parameters, widths = network.parameters, network.widths
    zero, one = rows.dtype.type(0), rows.dtype.type(1)
    weight, below = len(parameters), len(rows) - 1
    for layer in range(len(widths) - 1, 0, -1):
        inputs, units = widths[layer - 1], widths[layer]
        bias = weight - units
        weight = bias - inputs * units
        above = below - widths[0]
        below -= inputs
        for unit in range(units):
            begin = weight + unit * inputs
            slope = slopes[above + unit]
            _add_gradient(slope, rows[below : below + inputs], gradient[begin : begin + inputs])
            gradient[bias + unit] += _sum(slope)
        if layer == 1:
            break
        for unit in range(inputs):
            slope, activation = slopes[above - inputs + unit], rows[below + unit]
            _combine(zero, parameters[weight + unit : bias : inputs], slopes[above:], slope)
            for event in range(BLOCK):
                slope[event] *= one - activation[event] * activation[event]


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
def _add_gradient(slope: Any, rows: Any, gradient: Any) -> None:
    """Add Σ_events slope · row of each row to its element of the gradient."""
    zero = rows.dtype.type(0)
    quads = len(rows) - len(rows) % 4
    for i in range(0, quads, 4):
        x0, x1, x2, x3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        s0, s1, s2, s3 = zero, zero, zero, zero
        for event in range(BLOCK):
            s0 += slope[event] * x0[event]
            s1 += slope[event] * x1[event]
            s2 += slope[event] * x2[event]
            s3 += slope[event] * x3[event]
        gradient[i] += s0
        gradient[i + 1] += s1
        gradient[i + 2] += s2
        gradient[i + 3] += s3
    for i in range(quads, len(rows)):
        x, s = rows[i], zero
        for event in range(BLOCK):
            s += slope[event] * x[event]
        gradient[i] += s


@event_loop
def _sum(row: Any) -> Any:
    """Sum over the events of a block."""
    total = row.dtype.type(0)
    for event in range(BLOCK):
        total += row[event]
    return total
