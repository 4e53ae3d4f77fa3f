"""Rectangular cuts: found where signal sits, no worse than exhaustive search, interpolated."""

import numpy as np
import pytest

from punzinet.analysis.baselines.rectangular_cuts import CutSearch, RectangularCuts
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import Events

FIGURE = FigureOfMerit()
MASS = np.array([1.0, 2.0, 3.0, 4.0])
TRAINING = np.array([True, False, True, True])


def box_events(n: int = 20_000) -> tuple[Events, np.ndarray]:
    """Background all over the unit square; signal of mass m within 0.1 of (m/5, 0.5)."""
    rng = np.random.default_rng(1)
    signal = rng.random(n) < 0.3
    window = rng.integers(0, 4, n)
    centre = np.stack([MASS[window] / 5, np.full(n, 0.5)])
    features = np.where(signal, centre + rng.uniform(-0.1, 0.1, (2, n)), rng.random((2, n)))
    process = np.where(signal, SIGNAL, 0)
    weight = np.where(signal, 0.4 * 4 / signal.sum(), 0.5)
    start = window.astype(np.int16)
    return Events(features, weight, process, start, start + 1), weight


def sigma_of(events: Events, weight: np.ndarray, cuts: RectangularCuts, h: int) -> float:
    own = cuts.passes(events.features.T, h) & (events.start == h)
    signal = events.process == SIGNAL
    return float(FIGURE.sigma_min(weight[own & signal].sum(), weight[own & ~signal].sum(), 50.0))


def search(events: Events, weight: np.ndarray) -> CutSearch:
    return CutSearch(events, weight, FIGURE, 50.0, ("tautau",))


def test_cuts_surround_the_signal_and_move_with_the_mass() -> None:
    events, weight = box_events()
    cuts = search(events, weight).optimise(MASS, TRAINING, 1)
    assert cuts.low.shape == cuts.high.shape == (4, 2)
    centre = np.column_stack([MASS / 5, np.full(4, 0.5)])
    np.testing.assert_allclose(cuts.low, centre - 0.1, atol=0.01)
    np.testing.assert_allclose(cuts.high, centre + 0.1, atol=0.01)
    # The mass that chose nothing gets what lies between its neighbours.
    np.testing.assert_allclose(cuts.low[1], (cuts.low[0] + cuts.low[2]) / 2)


def test_no_box_of_the_true_edges_is_better() -> None:
    events, weight = box_events()
    cuts = search(events, weight).optimise(MASS, TRAINING, 1)
    everything = RectangularCuts(np.full((4, 2), -1.0), np.full((4, 2), 2.0))
    true = RectangularCuts(
        np.column_stack([MASS / 5, np.full(4, 0.5)]) - 0.1,
        np.column_stack([MASS / 5, np.full(4, 0.5)]) + 0.1,
    )
    for h in np.flatnonzero(TRAINING):
        found = sigma_of(events, weight, cuts, h)
        assert found < 0.5 * sigma_of(events, weight, everything, h)
        assert found == pytest.approx(sigma_of(events, weight, true, h), rel=0.03)


def test_a_range_shares_its_cuts() -> None:
    events, weight = box_events()
    cuts = search(events, weight).optimise(MASS, TRAINING, 3)
    assert (cuts.low == cuts.low[0]).all()
    assert cuts.low[0, 0] < 0.2
    assert cuts.high[0, 0] > 0.8
    # Transverse to the path of the signal nothing is shared away.
    assert cuts.high[0, 1] - cuts.low[0, 1] == pytest.approx(0.2, abs=0.02)
