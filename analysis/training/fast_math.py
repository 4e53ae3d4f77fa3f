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


def _floats(*values: float) -> tuple[Any, ...]:
    """Coefficients in single precision."""
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


def tanh(x: float) -> float:
    """Hyperbolic tangent, to 5·10⁻⁷ (absolute) in single precision."""
    return math.tanh(x)


def exp(x: float) -> float:
    """Exponential, to 3·10⁻⁷ (relative) in single precision; held constant beyond ±87."""
    return math.exp(x)


def log1p(x: float) -> float:
    """log(1 + x) for 0 ≤ x ≤ 1, to 2·10⁻⁷ (absolute) in single precision."""
    return math.log1p(x)


def _rational_tanh(x: Any) -> Any:
    """Rational function of x, odd, clamped where it is ±1 to single precision."""
    a0, a1, a2, a3 = _TANH_OVER
    b0, b1, b2, b3, b4 = _TANH_UNDER
    x = min(max(x, -_TANH_LIMIT), _TANH_LIMIT)
    u = x * x
    return x * (a0 + u * (a1 + u * (a2 + u * a3))) / (b0 + u * (b1 + u * (b2 + u * (b3 + u * b4))))


def _bitwise_exp(x: Any) -> Any:
    """2^k · e^r with |r| ≤ ln 2 / 2: a polynomial, and k put straight into the exponent's bits."""
    c0, c1, c2, c3, c4, c5 = _EXP
    x = min(max(x, -_EXP_LIMIT), _EXP_LIMIT)
    k = np.floor(x * _LOG2_E + _HALF)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    power = np.int32((np.int32(k) + _EXP_BIAS) << _MANTISSA_BITS).view(np.float32)
    return power * (c0 + r * (c1 + r * (c2 + r * (c3 + r * (c4 + r * c5)))))


def _polynomial_log1p(x: Any) -> Any:
    """Polynomial without constant term."""
    c1, c2, c3, c4, c5, c6, c7, c8 = _LOG1P
    return x * (c1 + x * (c2 + x * (c3 + x * (c4 + x * (c5 + x * (c6 + x * (c7 + x * c8)))))))


def _compile_as(plain: Any, library: Any, approximation: Any) -> None:
    """Let compiled code take the approximation for `plain` in single precision."""

    def in_double(x: Any) -> Any:
        return library(x)

    @overload(plain, jit_options={"fastmath": REORDERED, "error_model": "numpy"})
    def choose(x: Any) -> Any:
        return approximation if x == types.float32 else in_double


_compile_as(tanh, math.tanh, _rational_tanh)
_compile_as(exp, math.exp, _bitwise_exp)
_compile_as(log1p, math.log1p, _polynomial_log1p)
