"""Vectorised functions against the library's."""

from collections.abc import Callable

import numpy as np
import pytest
from numba import njit

from punzinet.analysis.training import elementary
from punzinet.analysis.training.elementary import exp, log1p, tanh


@njit(fastmath=elementary.REORDERED, error_model="numpy")
def _tanh(x: np.ndarray) -> np.ndarray:
    return np.array([tanh(value) for value in x])


@njit(fastmath=elementary.REORDERED, error_model="numpy")
def _exp(x: np.ndarray) -> np.ndarray:
    return np.array([exp(value) for value in x])


@njit(fastmath=elementary.REORDERED, error_model="numpy")
def _log1p(x: np.ndarray) -> np.ndarray:
    return np.array([log1p(value) for value in x])


def points(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 200_001).astype(np.float32)


def test_tanh_is_accurate_and_bounded() -> None:
    x = points(-30, 30)
    value = _tanh(x)
    np.testing.assert_allclose(value, np.tanh(x.astype(float)), atol=5e-7, rtol=0)
    assert np.abs(value).max() <= 1 + 3e-7
    small = points(-1e-3, 1e-3)
    np.testing.assert_allclose(_tanh(small), small, rtol=2e-6)


def test_exp_is_accurate_and_never_overflows() -> None:
    x = points(-86.9, 86.9)
    np.testing.assert_allclose(_exp(x), np.exp(x.astype(float)), rtol=5e-7)
    assert np.isfinite(_exp(np.array([-1e30, 1e30, np.inf, -np.inf], np.float32))).all()


def test_log1p_is_accurate() -> None:
    x = points(0, 1)
    np.testing.assert_allclose(_log1p(x), np.log1p(x.astype(float)), atol=2e-7, rtol=0)


@pytest.mark.parametrize(
    ("compiled", "plain", "reference"),
    [(_tanh, tanh, np.tanh), (_exp, exp, np.exp), (_log1p, log1p, np.log1p)],
)
def test_double_precision_is_the_librarys(
    compiled: Callable[[np.ndarray], np.ndarray],
    plain: Callable[[float], float],
    reference: Callable[[np.ndarray], np.ndarray],
) -> None:
    x = np.linspace(0, 1, 101)
    np.testing.assert_allclose(compiled(x), reference(x), rtol=1e-15)
    assert plain(0.3) == pytest.approx(float(reference(np.float64(0.3))), rel=1e-15)
