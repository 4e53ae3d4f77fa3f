"""The compiled kernels against automatic differentiation, and against themselves."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
import torch

from punzinet.analysis.training.autograd import AutogradEngine
from punzinet.analysis.training.batches import PackedEvents, pack
from punzinet.analysis.training.data import Sample
from punzinet.analysis.training.engine import Engine, FusedEngine, Objective, parameter_count

WIDTHS = (4, 8, 4, 1)
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-10}
BY_PROCESS = {"background_uncertainty": {"tautau": 0.1, "mumugamma": 0.3}}


def parameters(widths: tuple[int, ...] = WIDTHS, networks: int = 1) -> np.ndarray:
    """Random parameters of networks."""
    return np.random.default_rng(3).normal(0, 0.5, (networks, parameter_count(widths)))


def both(
    packed: PackedEvents,
    objective: Objective,
    widths: tuple[int, ...] = WIDTHS,
    dtype: Any = np.float64,
) -> tuple[Engine, Engine]:
    """The compiled kernels, and their reference in double precision."""
    return (
        FusedEngine(packed, widths, objective, dtype),
        AutogradEngine(packed, widths, objective, dtype=torch.float64),
    )


def assert_same_gradient(
    engines: tuple[Engine, Engine], vectors: np.ndarray, tiles: np.ndarray, rtol: float = 1e-10
) -> None:
    """The Punzi-loss of some tiles, and its gradient, are finite and agree."""
    (loss, gradient), (expected, slope) = (
        engine.gradients("punzi", vectors, tiles) for engine in engines
    )
    assert np.isfinite(gradient).all()
    assert loss == pytest.approx(expected, rel=rtol)
    np.testing.assert_allclose(gradient, slope, atol=rtol * np.abs(slope).max(), rtol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("widths", [WIDTHS, (4, 7, 5, 1), (4, 3, 1), (4, 9, 6, 5, 1)])
def test_gradient_is_that_of_autograd(
    packed: PackedEvents, objective: Objective, dtype: Any, widths: tuple[int, ...]
) -> None:
    engines = both(packed, objective, widths, dtype)
    order = np.random.default_rng(1).permutation(len(packed)).astype(np.int32)
    for tiles in (order, order[5:55]):
        assert_same_gradient(engines, parameters(widths), tiles, TOLERANCE[dtype])


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
    small_sample: Sample,
    make_objective: Callable[..., Objective],
    packed: PackedEvents,
    options: dict[str, Any],
) -> None:
    engines = both(packed, make_objective(small_sample, **options))
    assert_same_gradient(engines, parameters(), packed.batch().tiles[3:90])
    values, others = (engine.punzi_values(parameters()) for engine in engines)
    np.testing.assert_allclose(values.sigma, others.sigma, rtol=1e-10)
    assert values.sigma.mean() == pytest.approx(values.loss[0])
    plain = FusedEngine(packed, WIDTHS, make_objective(small_sample), np.float64)
    if "cross_section" not in options:
        assert (values.sigma > plain.punzi_values(parameters()).sigma).all()


@pytest.mark.parametrize("zero", [0.0, {"tautau": 0.0, "eemumu": 0.0}])
def test_no_uncertainty_is_the_plain_loss_to_the_last_bit(
    small_sample: Sample,
    make_objective: Callable[..., Objective],
    packed: PackedEvents,
    zero: object,
) -> None:
    ours, plain = (
        FusedEngine(packed, WIDTHS, make_objective(small_sample, **options)).gradients(
            "punzi", parameters(), packed.batch().tiles[:50]
        )
        for options in ({"background_uncertainty": zero}, {})
    )
    assert ours[0] == plain[0]
    np.testing.assert_array_equal(ours[1], plain[1])


@pytest.mark.parametrize("form", ["punzi", "punzi-improved"])
def test_values_are_those_of_the_loss_module(
    small_sample: Sample,
    make_objective: Callable[..., Objective],
    packed: PackedEvents,
    form: str,
) -> None:
    engines = both(packed, make_objective(small_sample, form=form, a=5.0))
    ours, theirs = (engine.punzi_values(parameters()) for engine in engines)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-12)
    for mine, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-10)


def test_batch_without_some_signals_and_backgrounds(
    synthetic_sample: Callable[..., Sample], make_objective: Callable[..., Objective]
) -> None:
    # Tiles of one kind of event each: batches then miss whole hypotheses and processes.
    sample = synthetic_sample(4000, hypotheses=9)
    events = sample.training
    packed = pack(sample, events[np.lexsort((events.start, events.process))])
    engines = both(packed, make_objective(sample))
    for start, stop in ((0, 1), (0, 9), (20, 30), (len(packed) - 1, len(packed))):
        assert_same_gradient(engines, parameters(), packed.batch().tiles[start:stop])


@pytest.mark.parametrize("bias", [-60.0, 200.0])
def test_saturated_outputs_have_finite_gradients(
    packed: PackedEvents, objective: Objective, bias: float
) -> None:
    vectors = parameters()
    vectors[0, -1] = bias
    engine = FusedEngine(packed, WIDTHS, objective)
    loss, gradient = engine.gradients("punzi", vectors, packed.batch().tiles)
    assert np.isfinite(loss).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("max_step", [np.inf, 0.01])
def test_bce_epoch_is_that_of_autograd(
    packed: PackedEvents, objective: Objective, max_step: float
) -> None:
    start, rate = parameters(networks=3), np.array([0.5, 0.0, 0.1])
    batches = packed.epoch(np.random.default_rng(5))
    results = []
    for engine in both(packed, objective):
        vectors = start.copy()
        losses = engine.epoch("bce", vectors, rate, max_step, batches)
        results.append((vectors, losses, engine.bce_losses(vectors)))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    vectors, _, after = results[0]
    assert (vectors[1] == start[1]).all()
    if max_step == np.inf:
        assert after[0] < FusedEngine(packed, WIDTHS, objective).bce_losses(start)[0]


@pytest.mark.parametrize("batch_size", [None, 2000])
def test_punzi_epoch_of_an_ensemble_is_that_of_its_networks(
    small_sample: Sample, objective: Objective, batch_size: int | None
) -> None:
    packed = pack(small_sample, small_sample.training, batch_size, np.random.default_rng(0))
    engine = FusedEngine(packed, WIDTHS, objective)
    start, rate = parameters(networks=4), np.array([1e-3, 5e-4, 0.0, 1e-3])
    batches = packed.epoch(np.random.default_rng(5))
    together = start.copy()
    losses = engine.epoch("punzi", together, rate, 0.05, batches)
    for n in range(len(start)):
        alone = start[n : n + 1].copy()
        loss = engine.epoch("punzi", alone, rate[n : n + 1], 0.05, batches)
        np.testing.assert_array_equal(alone[0], together[n])
        assert loss[0] == losses[n]


def test_results_do_not_depend_on_the_number_of_cores(
    packed: PackedEvents, objective: Objective
) -> None:
    results = []
    batches = packed.epoch(np.random.default_rng(5))
    threads = numba.get_num_threads()
    for count in {1, threads}:
        numba.set_num_threads(count)
        vectors = parameters(networks=3)
        engine = FusedEngine(packed, WIDTHS, objective)
        for loss in ("bce", "punzi"):
            engine.epoch(loss, vectors, np.full(3, 1e-3), np.inf, batches)
        results.append((vectors, engine.punzi_values(vectors).loss, engine.bce_losses(vectors)))
    numba.set_num_threads(threads)
    for one, several in zip(results[0], results[-1], strict=True):
        np.testing.assert_array_equal(one, several)


def test_no_step_is_longer_than_the_limit(small_sample: Sample, objective: Objective) -> None:
    vectors, packed = parameters(), pack(small_sample, small_sample.training)
    engine = FusedEngine(packed, WIDTHS, objective)
    batches = packed.epoch(np.random.default_rng(5))
    engine.epoch("punzi", vectors, np.array([1e3]), 0.005, batches)
    assert np.linalg.norm(vectors - parameters()) == pytest.approx(0.005)
