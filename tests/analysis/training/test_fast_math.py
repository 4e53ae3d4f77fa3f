"""Vectorised functions against the library's."""

import numpy as np
import pytest

from punzinet.analysis.compiled import njit
from punzinet.analysis.training import fast_math


def compiled(name: str) -> np.ufunc:
    """One of the functions, for arrays."""
    function = getattr(fast_math, name)

    @njit(fastmath=fast_math.REORDERED, error_model="numpy")
    def of_array(x: np.ndarray) -> np.ndarray:
        return np.array([function(value) for value in x])

    return of_array


def points(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 200_001).astype(np.float32)


def test_tanh_is_accurate_and_bounded() -> None:
    x, small = points(-30, 30), points(-1e-3, 1e-3)
    tanh = compiled("tanh")
    np.testing.assert_allclose(tanh(x), np.tanh(x.astype(float)), atol=5e-7, rtol=0)
    assert np.abs(tanh(x)).max() <= 1 + 3e-7
    np.testing.assert_allclose(tanh(small), small, rtol=2e-6)


def test_exp_is_accurate_and_never_overflows() -> None:
    x, exp = points(-86.9, 86.9), compiled("exp")
    np.testing.assert_allclose(exp(x), np.exp(x.astype(float)), rtol=5e-7)
    assert np.isfinite(exp(np.array([-1e30, 1e30, np.inf, -np.inf], np.float32))).all()


def test_log1p_is_accurate() -> None:
    x = points(0, 1)
    np.testing.assert_allclose(compiled("log1p")(x), np.log1p(x.astype(float)), atol=2e-7, rtol=0)


@pytest.mark.parametrize("name", ["tanh", "exp", "log1p"])
def test_double_precision_is_the_librarys(name: str) -> None:
    x = np.linspace(0, 1, 101)
    np.testing.assert_allclose(compiled(name)(x), getattr(np, name)(x), rtol=1e-15)
    plain = getattr(fast_math, name)(0.3)
    assert plain == pytest.approx(float(getattr(np, name)(np.float64(0.3))), rel=1e-15)
