"""Plateaus and best epochs; what goes wrong is noticed, said, and ends what has no future."""

import numpy as np
import pytest

from punzinet.analysis.training import loop
from punzinet.analysis.training.batches import pack
from punzinet.analysis.training.checkpoint import TrainingState
from punzinet.analysis.training.engine import FusedEngine
from punzinet.analysis.training.loss_kernels import PunziValues
from punzinet.analysis.training.settings import PunziSettings


def run_plateau(losses, patience=10, smoothing=1):
    """A network that has had these validation losses."""
    state = TrainingState.start(np.zeros((1, 81)), 1.0, 3)
    state.begin(np.zeros(1), np.array(losses[:1], dtype=float))
    for epoch, loss in enumerate(losses[1:], start=1):
        state.parameters[:] = epoch
        state.advance(np.zeros(1), np.array([loss]), patience, smoothing)
    return state


@pytest.mark.parametrize(
    ("losses", "rate"),
    [
        ([5, 4, 4, 4], 1.0),
        ([5, 4, 4, 4, 4], 0.5),
        ([5, 4, 4, 4, 3.9, 4, 4], 1.0),
        ([5, 4, *[4] * 6], 0.25),
    ],
)
def test_rate_is_halved_after_patience_epochs_without_improvement(losses, rate):
    assert run_plateau(losses, patience=3).rate[0] == rate


def test_smoothing_sees_a_trend_through_noise():
    rng = np.random.default_rng(1)
    losses = (10 - 0.01 * np.arange(300) + rng.normal(0, 1.0, 300)).tolist()
    assert run_plateau(losses, patience=30).rate[0] < 1.0
    assert run_plateau(losses, patience=30, smoothing=30).rate[0] == 1.0


def test_best_epoch_is_kept_and_the_state_survives_as_arrays():
    state = run_plateau([5, 4, 3, 3.5, 6])
    assert (state.best_loss[0], state.best_epoch[0]) == (3, 2)
    assert (state.best == 2).all()
    assert (state.parameters == 4).all()
    state.stop(0, "enough")
    state.curvature[0]["d"] = np.arange(3.0)
    copy = TrainingState.from_arrays(state.to_arrays(), state.messages)
    np.testing.assert_equal(vars(copy), vars(state))


PATIENCE = 2


@pytest.fixture(scope="module")
def phase(small_sample, objective):
    engine = FusedEngine(pack(small_sample, small_sample.validation), (4, 8, 4, 1), *objective)
    settings = PunziSettings(epochs=5, patience=PATIENCE)
    return loop.Phase("punzi", (engine, engine), settings, 0, small_sample.mass)


def constant(*logits):
    vectors = np.zeros((len(logits), 81))
    vectors[:, -1] = logits
    return vectors


def test_no_cut_keeps_all_signal_and_background(phase, small_sample):
    values = loop.without_cut(phase.engine)
    signal, background = small_sample.total
    np.testing.assert_allclose(values.efficiency[0], signal, rtol=1e-6)
    assert (values.background <= background.sum()).all()
    assert (values.background > 0).all()


def test_dead_hypotheses_are_those_without_efficiency():
    reference = PunziValues(np.ones(1), *np.multiply.outer([0.4, 100.0, 2.0], np.ones((1, 3))))
    terms = [[0.3, 1e-6, 1e-3]], [[10.0, 1e-5, 0.0]], [[0.5, 1e5, 5.0]]
    values = PunziValues(np.ones(1), *map(np.array, terms))
    # The third keeps little signal, but no background either, which is a good cut.
    assert loop.dead_hypotheses(values, reference).tolist() == [[False, True, False]]


def test_death_and_revival_are_said(phase):
    state = phase.start(constant(-14.0, 0.0))
    assert "in epoch 0 the signal of 0.1, 1.53333" in state.messages[0][0]
    assert state.messages[1] == []
    state.parameters[:1] = constant(-1.0)
    phase.validate(state, [0], 1)
    assert state.messages[0][-1].endswith("no hypothesis is dead any more")
    assert not state.stopped.any()


def test_a_network_that_revives_nothing_is_stopped(phase):
    state = phase.start(constant(-14.0))
    for epoch in range(1, loop.DEAD_PATIENCE * PATIENCE + 2):
        assert not state.stopped[0]
        state.advance(np.ones(1), np.full(1, 1e12), PATIENCE)
        phase.validate(state, [0], epoch)
    assert state.stopped[0]
    assert "signal_weights: hypothesis" in state.messages[0][-1]
    assert "still rejected" in state.messages[0][-1]


def test_everything_is_signal_stops_a_network_that_selects_it(phase):
    state = phase.start(constant(0.0, 0.0))
    state.parameters[:] = constant(6.0, 1.0)
    phase.validate(state, [0, 1], 1)
    assert state.stopped.tolist() == [True, False]
    assert "in epoch 1 everything is signal" in state.messages[0][-1]


def rosenbrock(x):
    """A curved valley, with its minimum of 0 at (1, 1)."""
    loss = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    slope = 200 * (x[1] - x[0] ** 2)
    return float(loss), np.array([-2 * x[0] * slope - 2 * (1 - x[0]), slope])


def test_lbfgs_finds_the_end_of_a_curved_valley_and_falls_with_every_step():
    x, losses = np.array([-1.2, 1.0]), [np.inf]
    curvature = {}
    while (loss := loop.lbfgs_step(x, curvature, rosenbrock)) is not None:
        assert loss == rosenbrock(x)[0]
        losses.append(loss)
    assert np.all(np.diff(losses) < 0)
    assert len(losses) < 100
    np.testing.assert_allclose(x, 1, rtol=1e-6)


def test_memory_is_limited_and_no_point_is_evaluated_twice():
    seen, scale = [], np.geomspace(1, 1e4, 60)

    def evaluate(x):
        seen.append(x.tobytes())
        return float((scale * x**2).sum()), 2 * scale * x

    x = np.linspace(0.5, 2, 60)
    curvature = {}
    for _ in range(loop.MEMORY + 5):
        loop.lbfgs_step(x, curvature, evaluate)
    assert len(curvature["old_dirs"]) == loop.MEMORY
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("evaluate", [rosenbrock, lambda x: (np.nan, np.full_like(x, np.nan))])
def test_a_minimum_or_a_loss_that_is_no_number_has_no_step_to_make(evaluate):
    x = np.ones(2)
    assert loop.lbfgs_step(x, {}, evaluate) is None
    np.testing.assert_array_equal(x, 1)
