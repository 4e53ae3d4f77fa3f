"""What goes wrong in a Punzi training is noticed, said, and ends what has no future."""

from collections.abc import Callable

import numpy as np
import pytest

from punzinet.analysis.training.batches import shelve
from punzinet.analysis.training.data import Sample
from punzinet.analysis.training.engine import PunziValues, Task
from punzinet.analysis.training.fused import FusedEngine
from punzinet.analysis.training.health import dead_hypotheses, selects_everything, without_cut
from punzinet.analysis.training.settings import Plateau, PunziSettings
from punzinet.analysis.training.stages import DEAD_PATIENCE, PunziTraining
from punzinet.analysis.training.state import StageState

WIDTHS = (4, 8, 4, 1)


@pytest.fixture(scope="module")
def engine(small_sample: Sample, make_task: Callable[..., Task]) -> FusedEngine:
    shelf = shelve(small_sample, small_sample.validation)
    return FusedEngine(shelf, WIDTHS, make_task(small_sample))


@pytest.fixture
def stage(engine: FusedEngine, small_sample: Sample) -> PunziTraining:
    settings = PunziSettings(epochs=5, plateau=Plateau(patience=2))
    return PunziTraining(engine, engine, settings, small_sample.mass)


def constant(logit: float) -> np.ndarray:
    """Parameters of a network with the same output everywhere."""
    vector = np.zeros(81)
    vector[-1] = logit
    return vector


def test_no_cut_keeps_all_signal_and_background(engine: FusedEngine, small_sample: Sample) -> None:
    values = without_cut(engine)
    signal, background = small_sample.total
    np.testing.assert_allclose(values.efficiency, signal, rtol=1e-6)
    assert (values.background <= background.sum()).all()
    assert (values.background > 0).all()


def test_selects_everything_only_if_it_does(engine: FusedEngine) -> None:
    reference = without_cut(engine)
    assert selects_everything(engine.punzi_values(constant(6.0)[np.newaxis])[0], reference)
    assert not selects_everything(engine.punzi_values(constant(1.0)[np.newaxis])[0], reference)


def test_dead_hypotheses_are_those_without_efficiency() -> None:
    reference = PunziValues(1.0, np.full(3, 0.4), np.full(3, 100.0), np.full(3, 2.0))
    values = PunziValues(
        1.0, np.array([0.3, 1e-6, 1e-3]), np.array([10.0, 1e-5, 0.0]), np.array([0.5, 1e5, 5.0])
    )
    # The third keeps little signal, but no background either, which is a good cut.
    np.testing.assert_array_equal(dead_hypotheses(values, reference), [False, True, False])


def test_death_and_revival_are_said(stage: PunziTraining) -> None:
    state = stage.start(np.stack([constant(-14.0), constant(0.0)]))
    assert "in epoch 0 the signal of 0.1, 1.53333" in state.messages[0][0]
    assert state.messages[1] == []
    state.parameters[0] = constant(-1.0)
    stage.validate(state, [0])
    assert state.messages[0][-1].endswith("no hypothesis is dead any more")
    assert not state.stopped.any()


def test_a_network_that_revives_nothing_is_stopped(stage: PunziTraining) -> None:
    state = stage.start(constant(-14.0)[np.newaxis])
    patience = DEAD_PATIENCE * stage.settings.plateau.patience
    for _ in range(patience):
        state.advance(np.ones(1), np.full(1, 1e12), 1.0, stage.settings.plateau)
        stage.validate(state, [0])
    assert state.stopped[0]
    assert "signal_weights: hypothesis" in state.messages[0][-1]
    assert "still rejected" in state.messages[0][-1]


def test_everything_is_signal_stops_a_network(stage: PunziTraining) -> None:
    state = stage.start(constant(0.0)[np.newaxis])
    state.parameters[0] = constant(10.0)
    stage.validate(state, [0])
    assert state.stopped[0]
    assert "in epoch 1 everything is signal" in state.messages[0][-1]


def run_plateau(losses: list[float], plateau: Plateau) -> StageState:
    """A network that has had these validation losses."""
    state = StageState.start(np.zeros((1, 81)), 1.0, 3)
    state.begin(np.array(losses[:1], dtype=float))
    for epoch, loss in enumerate(losses[1:], start=1):
        state.parameters[:] = epoch
        state.advance(np.zeros(1), np.array([loss]), 0.1, plateau)
    return state


def test_rate_is_halved_after_patience_epochs_without_improvement() -> None:
    plateau = Plateau(patience=3)
    assert run_plateau([5, 4, 4, 4], plateau).rate[0] == 1.0
    assert run_plateau([5, 4, 4, 4, 4], plateau).rate[0] == 0.5
    assert run_plateau([5, 4, 4, 4, 3.9, 4, 4], plateau).rate[0] == 1.0
    assert run_plateau([5, 4, *[4] * 6], plateau).rate[0] == 0.25


def test_improvement_below_the_threshold_is_none() -> None:
    losses = [5.0, 4.999, 4.998, 4.997]
    assert run_plateau(losses, Plateau(patience=3)).rate[0] == 1.0
    assert run_plateau(losses, Plateau(patience=3, threshold=0.01)).rate[0] == 0.5


def test_smoothing_sees_a_trend_through_noise() -> None:
    rng = np.random.default_rng(1)
    trend = 10 - 0.01 * np.arange(300)
    losses = (trend + rng.normal(0, 1.0, 300)).tolist()
    assert run_plateau(losses, Plateau(patience=30)).rate[0] < 1.0
    assert run_plateau(losses, Plateau(patience=30, smoothing=30)).rate[0] == 1.0


def test_best_epoch_is_kept() -> None:
    state = run_plateau([5, 4, 3, 3.5, 6], Plateau())
    assert state.best_loss[0] == 3
    assert state.best_epoch[0] == 2
    assert (state.best == 2).all()
    assert (state.parameters == 4).all()


def test_state_survives_as_arrays() -> None:
    state = run_plateau([5, 4, 3], Plateau())
    state.stop(0, "enough")
    copy = StageState.from_arrays(state.to_arrays(), state.messages)
    for name, array in state.to_arrays().items():
        np.testing.assert_array_equal(copy.to_arrays()[name], array)
    assert copy.stopped[0]
