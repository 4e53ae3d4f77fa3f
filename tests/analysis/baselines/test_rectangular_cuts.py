"""Rectangular cuts: found where signal sits, no worse than the true edges, interpolated."""

import numpy as np
import pytest

from punzinet.analysis.baselines.rectangular_cuts import RectangularCuts, rectangular_cuts
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import Events

FIGURE = FigureOfMerit()
MASS = np.array([1.0, 2.0, 3.0, 4.0])
TRAINING = np.array([True, False, True, True])
CENTRE = np.column_stack([MASS / 5, np.full(4, 0.5)])


@pytest.fixture(scope="module")
def events():
    """Background all over the unit square; signal of mass m within 0.1 of (m/5, 0.5)."""
    n, rng = 20_000, np.random.default_rng(1)
    signal = rng.random(n) < 0.3
    window = rng.integers(0, 4, n)
    near = CENTRE[window].T + rng.uniform(-0.1, 0.1, (2, n))
    weight = np.where(signal, 0.4 * 4 / signal.sum(), 0.5)
    start = window.astype(np.int16)
    features = np.where(signal, near, rng.random((2, n)))
    return Events(features, weight, np.where(signal, SIGNAL, 0), start, start + 1)


def search(events: Events, masses_per_range: int) -> RectangularCuts:
    options = {"processes": ("tautau",), "masses_per_range": masses_per_range}
    return rectangular_cuts(events, MASS, TRAINING, FIGURE, 50.0, **options)


def test_cuts_surround_the_signal_and_move_with_the_mass(events):
    cuts = search(events, 1)
    np.testing.assert_allclose(cuts.low, CENTRE - 0.1, atol=0.01)
    np.testing.assert_allclose(cuts.high, CENTRE + 0.1, atol=0.01)
    # The mass that chose nothing gets what lies between its neighbours.
    np.testing.assert_allclose(cuts.low[1], (cuts.low[0] + cuts.low[2]) / 2)


def test_no_box_of_the_true_edges_is_better(events):
    everything = RectangularCuts(np.full((4, 2), -1.0), np.full((4, 2), 2.0))
    true = RectangularCuts(CENTRE - 0.1, CENTRE + 0.1)
    signal, weight = events.process == SIGNAL, events.weight
    for h in np.flatnonzero(TRAINING):
        passing = (
            cuts.passes(events.features, h) & (events.start == h)
            for cuts in (search(events, 1), true, everything)
        )
        found, best, worst = (
            FIGURE.sigma_min(weight[own & signal].sum(), weight[own & ~signal].sum(), 50.0)
            for own in passing
        )
        assert found < 0.5 * worst
        assert found == pytest.approx(best, rel=0.03)


def test_a_range_shares_its_cuts(events):
    cuts = search(events, 3)
    assert (cuts.low == cuts.low[0]).all()
    assert cuts.low[0, 0] < 0.2
    assert cuts.high[0, 0] > 0.8
    # Transverse to the path of the signal nothing is shared away.
    assert cuts.high[0, 1] - cuts.low[0, 1] == pytest.approx(0.2, abs=0.02)
