"""Quasi-Newton steps find minima, and remember what they must to go on after a break."""

import numpy as np

from punzinet.analysis.training.lbfgs import MEMORY, lbfgs_step
from punzinet.analysis.types import FloatArray


def rosenbrock(x: FloatArray) -> tuple[float, FloatArray]:
    """A curved valley, with its minimum of 0 at (1, 1)."""
    loss = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    slope = 200 * (x[1] - x[0] ** 2)
    return float(loss), np.array([-2 * x[0] * slope - 2 * (1 - x[0]), slope])


def test_finds_the_end_of_a_curved_valley_and_falls_with_every_step() -> None:
    x, losses = np.array([-1.2, 1.0]), [np.inf]
    curvature: dict[str, np.ndarray] = {}
    while (loss := lbfgs_step(x, curvature, rosenbrock)) is not None:
        assert loss == rosenbrock(x)[0]
        losses.append(loss)
    assert np.all(np.diff(losses) < 0)
    assert len(losses) < 100
    np.testing.assert_allclose(x, 1, rtol=1e-6)


def test_memory_is_limited_and_no_point_is_evaluated_twice() -> None:
    seen, scale = [], np.geomspace(1, 1e4, 60)

    def evaluate(x: FloatArray) -> tuple[float, FloatArray]:
        seen.append(x.tobytes())
        return float((scale * x**2).sum()), 2 * scale * x

    x = np.linspace(0.5, 2, 60)
    curvature: dict[str, np.ndarray] = {}
    for _ in range(MEMORY + 5):
        lbfgs_step(x, curvature, evaluate)
    assert len(curvature["old_dirs"]) == MEMORY
    assert len(set(seen)) == len(seen)


def test_a_minimum_has_no_step_to_make() -> None:
    x = np.ones(2)
    assert lbfgs_step(x, {}, rosenbrock) is None
    np.testing.assert_array_equal(x, 1)


def test_a_loss_that_is_no_number_ends_it() -> None:
    x = np.zeros(2)
    assert lbfgs_step(x, {}, lambda x: (np.nan, np.full_like(x, np.nan))) is None
    np.testing.assert_array_equal(x, 0)
