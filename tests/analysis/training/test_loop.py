"""What goes wrong in a Punzi training is noticed, said, and ends what has no future."""

from typing import Any

import numpy as np
import pytest

from punzinet.analysis.training.batches import pack
from punzinet.analysis.training.data import Sample
from punzinet.analysis.training.engine import FusedEngine, Objective
from punzinet.analysis.training.loop import (
    DEAD_PATIENCE,
    PunziTraining,
    dead_hypotheses,
    selects_everything,
    without_cut,
)
from punzinet.analysis.training.punzi_kernels import PunziValues
from punzinet.analysis.training.settings import PunziSettings
from punzinet.analysis.training.state import TrainingState

PATIENCE = 2


@pytest.fixture(scope="module")
def phase(small_sample: Sample, objective: Objective) -> PunziTraining:
    engine = FusedEngine(pack(small_sample, small_sample.validation), (4, 8, 4, 1), objective)
    settings = PunziSettings(epochs=5, patience=PATIENCE)
    return PunziTraining(engine, engine, settings, small_sample.mass)


def constant(*logits: float) -> np.ndarray:
    """Parameters of networks with the same output everywhere."""
    vectors = np.zeros((len(logits), 81))
    vectors[:, -1] = logits
    return vectors


def test_no_cut_keeps_all_signal_and_background(phase: PunziTraining, small_sample: Sample) -> None:
    values = without_cut(phase.engine)
    signal, background = small_sample.total
    np.testing.assert_allclose(values.efficiency[0], signal, rtol=1e-6)
    assert (values.background <= background.sum()).all()
    assert (values.background > 0).all()


def test_selects_everything_only_if_it_does(phase: PunziTraining) -> None:
    values = phase.engine.punzi_values(constant(6.0, 1.0))
    assert selects_everything(values, phase.no_cut).tolist() == [True, False]


def test_dead_hypotheses_are_those_without_efficiency() -> None:
    reference = PunziValues(
        np.ones(1), np.full((1, 3), 0.4), np.full((1, 3), 100.0), np.full((1, 3), 2.0)
    )
    efficiency, background = [0.3, 1e-6, 1e-3], [10.0, 1e-5, 0.0]
    sigma = [0.5, 1e5, 5.0]
    values = PunziValues(np.ones(1), *(np.array([v]) for v in (efficiency, background, sigma)))
    # The third keeps little signal, but no background either, which is a good cut.
    assert dead_hypotheses(values, reference).tolist() == [[False, True, False]]


def test_death_and_revival_are_said(phase: PunziTraining) -> None:
    state = phase.start(constant(-14.0, 0.0))
    assert "in epoch 0 the signal of 0.1, 1.53333" in state.messages[0][0]
    assert state.messages[1] == []
    state.parameters[:1] = constant(-1.0)
    phase.validate(state, [0], 1)
    assert state.messages[0][-1].endswith("no hypothesis is dead any more")
    assert not state.stopped.any()


def test_a_network_that_revives_nothing_is_stopped(phase: PunziTraining) -> None:
    state = phase.start(constant(-14.0))
    for epoch in range(1, DEAD_PATIENCE * PATIENCE + 2):
        assert not state.stopped[0]
        state.advance(np.ones(1), np.full(1, 1e12), PATIENCE)
        phase.validate(state, [0], epoch)
    assert state.stopped[0]
    assert "signal_weights: hypothesis" in state.messages[0][-1]
    assert "still rejected" in state.messages[0][-1]


def test_everything_is_signal_stops_a_network(phase: PunziTraining) -> None:
    state = phase.start(constant(0.0))
    state.parameters[:] = constant(10.0)
    phase.validate(state, [0], 1)
    assert state.stopped[0]
    assert "in epoch 1 everything is signal" in state.messages[0][-1]


def run_plateau(losses: list[float], patience: int = 10, smoothing: int = 1) -> TrainingState:
    """A network that has had these validation losses."""
    state = TrainingState.start(np.zeros((1, 81)), 1.0, 3)
    state.begin(np.array(losses[:1], dtype=float))
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
def test_rate_is_halved_after_patience_epochs_without_improvement(
    losses: list[float], rate: float
) -> None:
    assert run_plateau(losses, patience=3).rate[0] == rate


def test_smoothing_sees_a_trend_through_noise() -> None:
    rng = np.random.default_rng(1)
    losses = (10 - 0.01 * np.arange(300) + rng.normal(0, 1.0, 300)).tolist()
    assert run_plateau(losses, patience=30).rate[0] < 1.0
    assert run_plateau(losses, patience=30, smoothing=30).rate[0] == 1.0


def test_best_epoch_is_kept() -> None:
    state = run_plateau([5, 4, 3, 3.5, 6])
    assert state.best_loss[0] == 3
    assert state.best_epoch[0] == 2
    assert (state.best == 2).all()
    assert (state.parameters == 4).all()


def test_state_survives_as_arrays() -> None:
    state = run_plateau([5, 4, 3])
    state.stop(0, "enough")
    state.curvature[0]["d"] = np.arange(3.0)
    copy = TrainingState.from_arrays(state.to_arrays(), state.messages)
    arrays: dict[str, Any] = copy.to_arrays()
    assert arrays.keys() == state.to_arrays().keys()
    for name, array in state.to_arrays().items():
        np.testing.assert_array_equal(arrays[name], array)
    assert copy.stopped[0]
