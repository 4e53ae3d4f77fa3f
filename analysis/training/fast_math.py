"""tanh, exp and log(1+x) that the compiler turns into vector instructions.

The library's functions are called once per number; these are a few multiplications and at most
one division, computed for eight or sixteen events at a time. In double precision, which is
the reference and not the fast path, they are the library's. The coefficients are minimax fits
(least squares, reweighted until the error oscillates evenly).
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import types
from numba.extending import overload

from punzinet.analysis.compiled import njit

#: Arithmetic may be reordered and fused for speed, but NaN stays NaN and infinity infinity, so
#: that a diverging training is noticed.
REORDERED = {"contract", "reassoc", "nsz", "arcp"}

Function = TypeVar("Function", bound=Callable[..., Any])


def event_loop(function: Function) -> Function:
    """Compile a function that loops over the events of blocks.

    It cannot create arrays, so that nothing keeps count of who uses one: for every row of a
    block that would cost as much time as the arithmetic.

    It becomes part of whatever calls it. A function of its own would be optimised once by itself
    and once more with its caller, which adds up in another order; and which of the two is called
    depends on whether the caller has just been compiled or comes from the cache.
    """
    return _compile(function, forceinline=True)


def kernel(function: Function) -> Function:
    """Compile a function that is called from Python, from several threads at a time.

    All that it calls is an `event_loop`, so that its results are the same whether it has just
    been compiled or comes from the cache. Numba's own parallel loops are no such kernels.
    """
    return _compile(function, cache=True, nogil=True)


def _compile(function: Function, **options: Any) -> Function:
    """Compile for arithmetic on floats, without reference counting."""
    # The types that numba declares do not know of all options.
    more: dict[str, Any] = {"_nrt": False, **options}
    compiled: Function = njit(fastmath=REORDERED, error_model="numpy", **more)(function)
    return compiled


_TANH_LIMIT = np.float32(7.9)
_TANH_OVER = tuple(np.float32(c) for c in (0.9999994, 0.12922685, 0.0029485116, 1.1414678e-5))
_TANH_UNDER = tuple(
    np.float32(c) for c in (1.0, 0.46255806, 0.023803512, 2.3839541e-4, 2.4572407e-7)
)

_EXP_LIMIT = np.float32(87.0)
_LOG2_E = np.float32(1.4426950)
# ln 2 in two parts: the first has few digits, so that its multiples are exact.
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.1219444e-4)
_EXP = tuple(
    np.float32(c) for c in (1.0000001, 0.9999997, 0.49998894, 0.16667575, 0.041915383, 0.0082976548)
)

_LOG1P = tuple(
    np.float32(c)
    for c in (
        0.99999642,
        -0.49987406,
        0.33179826,
        -0.24073076,
        0.16764788,
        -0.095322520,
        0.036084536,
        -0.0064526172,
    )
)


def tanh(x: float) -> float:
    """Hyperbolic tangent, to 5·10⁻⁷ (absolute) in single precision."""
    return math.tanh(x)


def exp(x: float) -> float:
    """Exponential, to 3·10⁻⁷ (relative) in single precision; held constant beyond ±87."""
    return math.exp(x)


def log1p(x: float) -> float:
    """log(1 + x) for 0 ≤ x ≤ 1, to 2·10⁻⁷ (absolute) in single precision."""
    return math.log1p(x)


@overload(tanh, jit_options={"fastmath": REORDERED, "error_model": "numpy"})
def _tanh(x: Any) -> Callable[..., Any]:
    """Rational function of x, odd, clamped where it is ±1 to single precision."""
    if x != types.float32:

        def library(x: Any) -> Any:
            return math.tanh(x)

        return library
    a0, a1, a2, a3 = _TANH_OVER
    b0, b1, b2, b3, b4 = _TANH_UNDER
    limit = _TANH_LIMIT

    def rational(x: Any) -> Any:
        x = min(max(x, -limit), limit)
        u = x * x
        return (
            x * (a0 + u * (a1 + u * (a2 + u * a3))) / (b0 + u * (b1 + u * (b2 + u * (b3 + u * b4))))
        )

    return rational


@overload(exp, jit_options={"fastmath": REORDERED, "error_model": "numpy"})
def _exp(x: Any) -> Callable[..., Any]:
    """2^k · e^r with |r| ≤ ln 2 / 2: a polynomial, and k put straight into the exponent's bits."""
    if x != types.float32:

        def library(x: Any) -> Any:
            return math.exp(x)

        return library
    c0, c1, c2, c3, c4, c5 = _EXP
    limit, log2_e, high, low, half = _EXP_LIMIT, _LOG2_E, _LN2_HIGH, _LN2_LOW, np.float32(0.5)
    bias, mantissa_bits = np.int32(127), np.int32(23)

    def polynomial(x: Any) -> Any:
        x = min(max(x, -limit), limit)
        k = np.floor(x * log2_e + half)
        r = (x - k * high) - k * low
        power = np.int32((np.int32(k) + bias) << mantissa_bits).view(np.float32)
        return power * (c0 + r * (c1 + r * (c2 + r * (c3 + r * (c4 + r * c5)))))

    return polynomial


@overload(log1p, jit_options={"fastmath": REORDERED, "error_model": "numpy"})
def _log1p(x: Any) -> Callable[..., Any]:
    """Polynomial without constant term."""
    if x != types.float32:

        def library(x: Any) -> Any:
            return math.log1p(x)

        return library
    c1, c2, c3, c4, c5, c6, c7, c8 = _LOG1P

    def polynomial(x: Any) -> Any:
        return x * (c1 + x * (c2 + x * (c3 + x * (c4 + x * (c5 + x * (c6 + x * (c7 + x * c8)))))))

    return polynomial
