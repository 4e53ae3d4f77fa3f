"""Forward and backward pass of a small network over one block of events.

A block is `BLOCK` events, one row a unit: the rows of all layers lie below one another in a
buffer that stays in the cache, and each row is a loop that the compiler vectorises. Any number
of layers of any widths will do; hidden units are tanh, and the last row holds the logit.

The (K,) parameters are, for each layer, its weights, row by row, then its biases, as of torch's
`parameters_to_vector`. `widths` are the units of all layers, inputs first, 1 last.

tanh, exp and log(1+x) are a few multiplications and at most one division here, for eight or sixteen
events at a time; in double precision, the reference, they are the library's. The coefficients are
minimax fits (least squares, reweighted until the error oscillates evenly).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numba import types
from numba.extending import overload

from punzinet.analysis.io.compiled import njit
from punzinet.analysis.training.batches import TILE
from punzinet.analysis.types import FloatArray, IntArray

BLOCK = 512  # events; the rows of a 4-8-4-1 network are 34 KiB in single precision
TILES = BLOCK // TILE
#: Parts into which the blocks of a batch are divided. Each is summed up by itself, and the
#: parts' sums are added in their order, so that results do not depend on the number of cores.
PARTS = 16
#: Arithmetic may be reordered and fused for speed, but NaN stays NaN and infinity infinity, so
#: that a diverging training is noticed.
REORDERED = {"contract", "reassoc", "nsz", "arcp"}

# Nobody counts who uses an array, which takes as long as a row's arithmetic: none can be created.
# The types that numba declares do not know of all options.
_OPTIONS: Any = {"fastmath": REORDERED, "error_model": "numpy", "_nrt": False}
Function = TypeVar("Function", bound=Callable[..., Any])


def event_loop(function: Function) -> Function:
    """Compile a function that loops over the events of blocks, into whatever calls it.

    A function of its own would be optimised by itself and once more with its caller, which adds up
    in another order; which is called depends on whether the caller comes from the cache.
    """
    compiled: Function = njit(forceinline=True, **_OPTIONS)(function)
    return compiled


def kernel(function: Function) -> Function:
    """Compile a function that is called from Python, from several threads at a time.

    All that it calls is an `event_loop`, so that its results are the same whether it has just
    been compiled or comes from the cache. Numba's own parallel loops are no such kernels.
    """
    compiled: Function = njit(cache=True, nogil=True, **_OPTIONS)(function)
    return compiled


def _floats(*values: float) -> tuple[Any, ...]:
    return tuple(map(np.float32, values))


_TANH_OVER = _floats(0.9999994, 0.12922685, 0.0029485116, 1.1414678e-5)
_TANH_UNDER = _floats(1.0, 0.46255806, 0.023803512, 2.3839541e-4, 2.4572407e-7)
_EXP = _floats(1.0000001, 0.9999997, 0.49998894, 0.16667575, 0.041915383, 0.0082976548)
# ln 2 in two parts: the first has few digits, so that its multiples are exact.
_LOG2_E, _LN2_HIGH, _LN2_LOW = _floats(1.4426950, 0.693359375, -2.1219444e-4)
_LOG1P = _floats(
    0.99999642, -0.49987406, 0.33179826, -0.24073076,
    0.16764788, -0.095322520, 0.036084536, -0.0064526172,
)  # fmt: skip
_TANH_LIMIT, _EXP_LIMIT, _HALF = _floats(7.9, 87.0, 0.5)
_EXP_BIAS, _MANTISSA_BITS = np.int32(127), np.int32(23)


def _fast(library: Callable[[float], float]) -> Callable[[Any], Callable[[Any], Any]]:
    """Make a function that compiled code replaces in single precision by the one decorated."""

    def of(approximation: Any) -> Callable[[Any], Any]:
        def plain(x: Any) -> Any:
            return library(x)

        @overload(plain, jit_options={"fastmath": REORDERED, "error_model": "numpy"})
        def choose(x: Any) -> Any:
            return approximation if x == types.float32 else plain

        return plain

    return of


@_fast(math.tanh)
def tanh(x: Any) -> Any:
    """Hyperbolic tangent, to 5·10⁻⁷ (absolute): a rational function, clamped where it is ±1."""
    a0, a1, a2, a3 = _TANH_OVER
    b0, b1, b2, b3, b4 = _TANH_UNDER
    x = min(max(x, -_TANH_LIMIT), _TANH_LIMIT)
    u = x * x
    return x * (a0 + u * (a1 + u * (a2 + u * a3))) / (b0 + u * (b1 + u * (b2 + u * (b3 + u * b4))))


@_fast(math.exp)
def exp(x: Any) -> Any:
    """Exponential, to 3·10⁻⁷ (relative); held constant beyond ±87.

    2^k · e^r with |r| ≤ ln 2 / 2: a polynomial, and k put straight into the exponent's bits.
    """
    c0, c1, c2, c3, c4, c5 = _EXP
    x = min(max(x, -_EXP_LIMIT), _EXP_LIMIT)
    k = np.floor(x * _LOG2_E + _HALF)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    power = np.int32((np.int32(k) + _EXP_BIAS) << _MANTISSA_BITS).view(np.float32)
    return power * (c0 + r * (c1 + r * (c2 + r * (c3 + r * (c4 + r * c5)))))


@_fast(math.log1p)
def log1p(x: Any) -> Any:
    """log(1 + x) for 0 ≤ x ≤ 1, to 2·10⁻⁷ (absolute): a polynomial without constant term."""
    c1, c2, c3, c4, c5, c6, c7, c8 = _LOG1P
    return x * (c1 + x * (c2 + x * (c3 + x * (c4 + x * (c5 + x * (c6 + x * (c7 + x * c8)))))))


class Workspace(NamedTuple):
    """A block of events, and what passes of networks of some widths make of it."""

    widths: IntArray  # (layers,) units of each layer, inputs first, 1 last
    rows: FloatArray  # (Σ widths, BLOCK) inputs, activations and logit or output of a network
    weight: FloatArray  # (BLOCK,) event weights
    cell: IntArray  # (BLOCK,) cells of the events, see `Batch`
    slopes: FloatArray  # (Σ widths − F, BLOCK) slopes of the loss, for the backward pass

    @classmethod
    def of(cls, widths: tuple[int, ...], dtype: type[np.floating]) -> "Workspace":
        """An empty one."""
        rows, weight = np.zeros((sum(widths), BLOCK), dtype), np.zeros(BLOCK, dtype)
        cell, slopes = np.zeros(BLOCK, np.uint32), np.zeros_like(rows[widths[0] :])
        return cls(np.array(widths), rows, weight, cell, slopes)


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
def load_block(batch: Any, block: int, work: Any) -> None:
    """Copy one block of a batch into a workspace; beyond the batch's end, weights are zero."""
    rows, weight, cell = work.rows, work.weight, work.cell
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
def forward(parameters: Any, work: Any) -> None:
    """Evaluate a network with (K,) parameters for the block in a workspace.

    Of its rows, the first hold the inputs; the activations of each layer and, last, the logit are
    written to the others.
    """
    widths, rows = work.widths, work.rows
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
def backward(parameters: Any, work: Any, gradient: Any) -> None:
    """Add one block's part of the gradient of a loss to the (K,) float64 `gradient`.

    The rows of the workspace are as `forward` left them, but for the last, which is not used. Of
    its slopes, the last row is ∂loss/∂logit of each event; the slopes with respect to the inputs of
    all hidden units are written to the others.
    """
    widths, rows, slopes = work.widths, work.rows, work.slopes
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
    quads = len(v) - len(v) % 4
    if quads == 0:
        a[:] = constants[0]
        b[:] = constants[1]
    for i in range(0, quads, 4):
        v0, v1, v2, v3 = v[i], v[i + 1], v[i + 2], v[i + 3]
        w0, w1, w2, w3 = w[i], w[i + 1], w[i + 2], w[i + 3]
        x0, x1, x2, x3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        if i == 0:
            c, d = constants
            for event in range(BLOCK):
                a[event] = c + v0 * x0[event] + v1 * x1[event] + v2 * x2[event] + v3 * x3[event]
                b[event] = d + w0 * x0[event] + w1 * x1[event] + w2 * x2[event] + w3 * x3[event]
        else:
            for event in range(BLOCK):
                a[event] += v0 * x0[event] + v1 * x1[event] + v2 * x2[event] + v3 * x3[event]
                b[event] += w0 * x0[event] + w1 * x1[event] + w2 * x2[event] + w3 * x3[event]
    for i in range(quads, len(v)):
        x, vi, wi = rows[i], v[i], w[i]
        for event in range(BLOCK):
            a[event] += vi * x[event]
            b[event] += wi * x[event]


@event_loop
def _combine(constant: Any, weights: Any, rows: Any, total: Any) -> None:
    """Set a row to constant + Σ weight · row."""
    total[:] = constant
    for i in range(len(weights)):
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
            for k, (s, t) in enumerate(((s0, t0), (s1, t1), (s2, t2), (s3, t3))):
                gradient[g + i + k] += s
                gradient[h + i + k] += t
        for i in range(quads, inputs):
            gradient[g + i] += _product(p, rows[i])
            gradient[h + i] += _product(q, rows[i])
    if units % 2 == 1:
        for i in range(inputs):
            gradient[(units - 1) * inputs + i] += _product(slopes[units - 1], rows[i])


@event_loop
def _product(slope: Any, row: Any) -> Any:
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
    total = row.dtype.type(0)
    for event in range(BLOCK):
        total += row[event]
    return total
