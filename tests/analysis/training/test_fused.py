"""The fused engine against automatic differentiation, and against itself."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
import torch

from punzinet.analysis.training.autograd import AutogradEngine
from punzinet.analysis.training.batches import Shelf, shelve, shelve_random
from punzinet.analysis.training.data import Sample
from punzinet.analysis.training.engine import Engine, Steps, Task, parameter_count
from punzinet.analysis.training.fused import FusedEngine

WIDTHS = (4, 8, 4, 1)
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-10}
TORCH = {np.float32: torch.float32, np.float64: torch.float64}


def parameters(widths: tuple[int, ...], seed: int = 3, size: float = 0.5) -> np.ndarray:
    """Random parameters of a network."""
    return np.random.default_rng(seed).normal(0, size, parameter_count(widths))


@pytest.fixture(scope="module")
def shelf(small_sample: Sample) -> Shelf:
    return shelve_random(small_sample, small_sample.training, 1000, np.random.default_rng(0))


@pytest.fixture(scope="module")
def task(small_sample: Sample, make_task: Callable[..., Task]) -> Task:
    return make_task(small_sample)


def both(
    engines: tuple[Engine[Any], Engine[Any]],
    vector: np.ndarray,
    order: np.ndarray,
    start: int,
    stop: int,
) -> list[tuple[float, np.ndarray]]:
    """Punzi-loss and its gradient of one network for one batch, by each of two engines."""
    results = []
    for engine in engines:
        batch = engine.open_batch(order, start, stop)
        (loss,), (gradient,) = engine.punzi_gradients(vector[np.newaxis], batch)
        results.append((loss, gradient))
    return results


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("widths", [WIDTHS, (4, 7, 5, 1), (4, 3, 1), (4, 9, 6, 5, 1)])
def test_gradient_is_that_of_autograd(
    shelf: Shelf, task: Task, dtype: type, widths: tuple[int, ...]
) -> None:
    engine = FusedEngine(shelf, widths, task, dtype)
    reference = AutogradEngine(shelf, widths, task, dtype=torch.float64)
    vector = parameters(widths)
    order = np.random.default_rng(1).permutation(len(shelf)).astype(np.int32)
    for start, stop in ((0, len(shelf)), (5, 55)):
        (loss, gradient), (expected, slope) = both((engine, reference), vector, order, start, stop)
        assert loss == pytest.approx(expected, rel=TOLERANCE[dtype])
        np.testing.assert_allclose(
            gradient, slope, atol=TOLERANCE[dtype] * np.abs(slope).max(), rtol=0
        )


BY_PROCESS = {"background_uncertainty": {"tautau": 0.1, "mumugamma": 0.3}}


@pytest.mark.parametrize(
    "options",
    [
        {"background_uncertainty": 0.2},
        BY_PROCESS,
        {"cross_section": 7.0},
        {"cross_section": 7.0, **BY_PROCESS},
    ],
)
def test_gradient_with_uncertain_background_or_of_the_significance(
    small_sample: Sample, make_task: Callable[..., Task], shelf: Shelf, options: dict
) -> None:
    task = make_task(small_sample, **options)
    engine = FusedEngine(shelf, WIDTHS, task, np.float64)
    reference = AutogradEngine(shelf, WIDTHS, task, dtype=torch.float64)
    vector = parameters(WIDTHS)
    (loss, gradient), (expected, slope) = both((engine, reference), vector, shelf.in_order(), 3, 90)
    assert loss == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(gradient, slope, atol=1e-10 * np.abs(slope).max(), rtol=1e-9)
    (values,), (others,) = (e.punzi_values(vector[np.newaxis]) for e in (engine, reference))
    np.testing.assert_allclose(values.sigma, others.sigma, rtol=1e-10)
    assert values.sigma.mean() == pytest.approx(values.loss)
    certain = FusedEngine(shelf, WIDTHS, make_task(small_sample), np.float64)
    (plain,) = certain.punzi_values(vector[np.newaxis])
    if "cross_section" not in options:
        assert (values.sigma > plain.sigma).all()


@pytest.mark.parametrize("zero", [0.0, {"tautau": 0.0, "eemumu": 0.0}])
def test_no_uncertainty_is_the_plain_loss_to_the_last_bit(
    small_sample: Sample, make_task: Callable[..., Task], shelf: Shelf, zero: object
) -> None:
    results = []
    for options in ({}, {"background_uncertainty": zero}):
        engine = FusedEngine(shelf, WIDTHS, make_task(small_sample, **options))
        batch = engine.open_batch(shelf.in_order(), 0, 50)
        results.append(engine.punzi_gradients(parameters(WIDTHS)[np.newaxis], batch))
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])


@pytest.mark.parametrize("form", ["punzi", "punzi-improved"])
def test_values_are_those_of_the_loss_module(
    small_sample: Sample, make_task: Callable[..., Task], shelf: Shelf, form: str
) -> None:
    task = make_task(small_sample, form=form, a=5.0)
    (values,), (expected,) = (
        engine.punzi_values(parameters(WIDTHS)[np.newaxis])
        for engine in (
            FusedEngine(shelf, WIDTHS, task, np.float64),
            AutogradEngine(shelf, WIDTHS, task, dtype=torch.float64),
        )
    )
    assert values.loss == pytest.approx(expected.loss, rel=1e-12)
    for name in ("efficiency", "background", "sigma"):
        np.testing.assert_allclose(getattr(values, name), getattr(expected, name), rtol=1e-10)


def test_batch_without_some_signals_and_backgrounds(
    synthetic_sample: Callable[..., Sample], make_task: Callable[..., Task]
) -> None:
    # Runs of one kind of event each: batches then miss whole hypotheses and processes.
    sample = synthetic_sample(4000, hypotheses=9)
    events = sample.training
    shelf = shelve(sample, events[np.lexsort((events.start, events.process))])
    task = make_task(sample)
    engine = FusedEngine(shelf, WIDTHS, task, np.float64)
    reference = AutogradEngine(shelf, WIDTHS, task, dtype=torch.float64)
    vector = parameters(WIDTHS)
    for start, stop in ((0, 1), (0, 9), (20, 30), (len(shelf) - 1, len(shelf))):
        order = shelf.in_order()
        (loss, gradient), (expected, slope) = both((engine, reference), vector, order, start, stop)
        assert np.isfinite(gradient).all()
        assert loss == pytest.approx(expected, rel=1e-10)
        np.testing.assert_allclose(gradient, slope, atol=1e-10 * np.abs(slope).max(), rtol=1e-9)


@pytest.mark.parametrize("bias", [-60.0, 200.0])
def test_saturated_outputs_have_finite_gradients(shelf: Shelf, task: Task, bias: float) -> None:
    vector = parameters(WIDTHS)
    vector[-1] = bias
    engine = FusedEngine(shelf, WIDTHS, task)
    loss, gradient = engine.punzi_gradients(
        vector[np.newaxis], engine.open_batch(shelf.in_order(), 0, len(shelf))
    )
    assert np.isfinite(loss).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("longest", [np.inf, 0.01])
def test_bce_epoch_is_that_of_autograd(shelf: Shelf, task: Task, longest: float) -> None:
    start = np.stack([parameters(WIDTHS, seed) for seed in (1, 2, 3)])
    steps = Steps(np.array([0.5, 0.0, 0.1]), longest)
    order, bounds = shelf.batches(np.random.default_rng(5))
    results = []
    for engine in (
        FusedEngine(shelf, WIDTHS, task, np.float64),
        AutogradEngine(shelf, WIDTHS, task, dtype=torch.float64),
    ):
        vectors = start.copy()
        losses = engine.bce_epoch(vectors, steps, order, bounds)
        results.append((vectors, losses, engine.bce_losses(vectors)))
    (vectors, losses, after), (expected, expected_losses, expected_after) = results
    np.testing.assert_allclose(vectors, expected, rtol=1e-9)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-9)
    np.testing.assert_allclose(after, expected_after, rtol=1e-9)
    assert (vectors[1] == start[1]).all()
    if longest == np.inf:
        assert after[0] < FusedEngine(shelf, WIDTHS, task).bce_losses(start)[0]


@pytest.mark.parametrize("batch_size", [None, 2000])
def test_punzi_epoch_of_an_ensemble_is_that_of_its_networks(
    small_sample: Sample, task: Task, batch_size: int | None
) -> None:
    rng = np.random.default_rng(0)
    shelf = shelve_random(small_sample, small_sample.training, batch_size, rng)
    start = np.stack([parameters(WIDTHS, seed) for seed in range(4)])
    rate = np.array([1e-3, 5e-4, 0.0, 1e-3])
    order, bounds = shelf.batches(np.random.default_rng(5))
    together = start.copy()
    losses = FusedEngine(shelf, WIDTHS, task).punzi_epoch(
        together, Steps(rate, 0.05), order, bounds
    )
    for network in range(len(start)):
        alone = start[network : network + 1].copy()
        loss = FusedEngine(shelf, WIDTHS, task).punzi_epoch(
            alone, Steps(rate[network : network + 1], 0.05), order, bounds
        )
        np.testing.assert_array_equal(alone[0], together[network])
        assert loss[0] == losses[network]


def test_results_do_not_depend_on_the_number_of_cores(shelf: Shelf, task: Task) -> None:
    results = []
    order, bounds = shelf.batches(np.random.default_rng(5))
    threads = numba.get_num_threads()
    for count in {1, threads}:
        numba.set_num_threads(count)
        vectors = np.stack([parameters(WIDTHS, seed) for seed in range(3)])
        engine = FusedEngine(shelf, WIDTHS, task)
        steps = Steps(np.full(3, 1e-3), np.inf)
        engine.bce_epoch(vectors, steps, order, bounds)
        engine.punzi_epoch(vectors, steps, order, bounds)
        values = [values.loss for values in engine.punzi_values(vectors)]
        results.append((vectors, values, engine.bce_losses(vectors)))
    numba.set_num_threads(threads)
    for one, several in zip(results[0], results[-1], strict=True):
        np.testing.assert_array_equal(one, several)


def test_no_step_is_longer_than_the_limit(small_sample: Sample, task: Task) -> None:
    vectors = parameters(WIDTHS)[np.newaxis].copy()
    before = vectors.copy()
    shelf = shelve(small_sample, small_sample.training)
    engine = FusedEngine(shelf, WIDTHS, task)
    order, bounds = shelf.batches(np.random.default_rng(5))
    engine.punzi_epoch(vectors, Steps(np.array([1e3]), 0.005), order, bounds)
    assert np.linalg.norm(vectors - before) == pytest.approx(0.005)
