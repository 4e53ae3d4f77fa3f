"""Quasi-Newton steps find minima, and remember what they must to go on after a break."""

import numpy as np
import pytest

from punzinet.analysis.training.quasi_newton import MEMORY, Curvature
from punzinet.analysis.types import FloatArray


def rosenbrock(x: FloatArray) -> tuple[float, FloatArray]:
    """A curved valley, with its minimum of 0 at (1, 1)."""
    loss = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    slope = 200 * (x[1] - x[0] ** 2)
    return float(loss), np.array([-2 * x[0] * slope - 2 * (1 - x[0]), slope])


def descend(curvature: Curvature, x: FloatArray, steps: int) -> int:
    """Make steps; how many there were."""
    return sum(curvature.descend(0, x, rosenbrock) for _ in range(steps))


def test_finds_the_end_of_a_curved_valley() -> None:
    x, curvature = np.array([-1.2, 1.0]), Curvature.unknown(1, 2)
    made = descend(curvature, x, 200)
    assert made < 100
    np.testing.assert_allclose(x, 1, rtol=1e-6)


def test_loss_falls_with_every_step() -> None:
    x, curvature = np.array([-1.2, 1.0]), Curvature.unknown(1, 2)
    losses = []
    while curvature.descend(0, x, rosenbrock):
        losses.append(curvature.loss[0])
        assert curvature.loss[0] == rosenbrock(x)[0]
    assert np.all(np.diff(losses) < 0)


@pytest.mark.parametrize("dimension", [3, MEMORY])
def test_direction_on_a_parabola_is_newtons(dimension: int) -> None:
    """Steps along all axes of A x²/2 teach it the whole inverse Hessian, and no more is kept."""
    rng = np.random.default_rng(dimension)
    curvature = Curvature.unknown(1, dimension)
    axes = np.linalg.qr(rng.normal(size=(dimension, dimension)))[0]
    scale = rng.uniform(0.5, 5, dimension)
    for axis, size in zip(axes, scale, strict=True):
        curvature.remember(0, axis, size * axis)
    curvature.gradient[0] = gradient = rng.normal(size=dimension)
    newton = -axes.T @ ((axes @ gradient) / scale)
    np.testing.assert_allclose(curvature.direction(0), newton, rtol=1e-10)


def test_steps_towards_negative_curvature_are_not_remembered() -> None:
    curvature = Curvature.unknown(1, 2)
    curvature.remember(0, np.array([1.0, 0.0]), np.array([-1.0, 5.0]))
    assert curvature.held[0] == 0


def test_a_minimum_has_no_step_to_make() -> None:
    x, curvature = np.ones(2), Curvature.unknown(1, 2)
    assert not curvature.descend(0, x, rosenbrock)
    np.testing.assert_array_equal(x, 1)


def test_a_loss_that_is_no_number_ends_it() -> None:
    x, curvature = np.zeros(2), Curvature.unknown(1, 2)
    assert not curvature.descend(0, x, lambda x: (np.nan, np.full_like(x, np.nan)))
    np.testing.assert_array_equal(x, 0)


def test_goes_on_from_saved_arrays_to_the_same_bits() -> None:
    whole, parted = np.array([-1.2, 1.0]), np.array([-1.2, 1.0])
    curvature, first = Curvature.unknown(1, 2), Curvature.unknown(1, 2)
    descend(curvature, whole, 20)
    descend(first, parted, 9)
    descend(Curvature(**first.to_arrays()), parted, 11)
    np.testing.assert_array_equal(parted, whole)
