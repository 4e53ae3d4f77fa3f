"""The state of a training: plateaus, the best epoch, and what a checkpoint keeps of it."""

import numpy as np
import pytest

from punzinet.analysis.training.checkpoint import TrainingState


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
def test_rate_is_halved_after_patience_epochs_without_improvement(losses, rate):
    assert run_plateau(losses, patience=3).rate[0] == rate


def test_smoothing_sees_a_trend_through_noise():
    rng = np.random.default_rng(1)
    losses = (10 - 0.01 * np.arange(300) + rng.normal(0, 1.0, 300)).tolist()
    assert run_plateau(losses, patience=30).rate[0] < 1.0
    assert run_plateau(losses, patience=30, smoothing=30).rate[0] == 1.0


def test_best_epoch_is_kept():
    state = run_plateau([5, 4, 3, 3.5, 6])
    assert (state.best_loss[0], state.best_epoch[0]) == (3, 2)
    assert (state.best == 2).all()
    assert (state.parameters == 4).all()


def test_state_survives_as_arrays():
    state = run_plateau([5, 4, 3])
    state.stop(0, "enough")
    state.curvature[0]["d"] = np.arange(3.0)
    copy = TrainingState.from_arrays(state.to_arrays(), state.messages)
    np.testing.assert_equal(vars(copy), vars(state))
