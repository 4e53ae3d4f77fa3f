"""Rectangular cuts and boosted trees on known samples, judged as networks are."""

import numpy as np
import pytest
from synthetic import synthetic_sample

from punzinet.analysis.evaluation import Judge
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.paper import baselines
from punzinet.analysis.paper.baselines import judge_rectangular, judge_scores
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


def search(events, masses_per_range):
    options = {"processes": ("tautau",), "masses_per_range": masses_per_range}
    return baselines.rectangular_cuts(events, MASS, TRAINING, FIGURE, 50.0, **options)


def test_cuts_surround_the_signal_and_move_with_the_mass(events):
    cuts = search(events, 1)
    np.testing.assert_allclose(cuts, [CENTRE - 0.1, CENTRE + 0.1], atol=0.01)
    # The mass that chose nothing gets what lies between its neighbours.
    np.testing.assert_allclose(cuts[:, 1], (cuts[:, 0] + cuts[:, 2]) / 2)


def test_a_range_shares_its_cuts(events):
    low, high = search(events, 3)
    assert (low == low[0]).all()
    assert low[0, 0] < 0.2
    assert high[0, 0] > 0.8
    # Transverse to the path of the signal nothing is shared away.
    assert high[0, 1] - low[0, 1] == pytest.approx(0.2, abs=0.02)


def test_every_hypothesis_weighs_the_same_and_all_signal_as_much_as_background():
    rng = np.random.default_rng(2)
    process = rng.integers(-1, 3, 5000)
    hypothesis = np.minimum(rng.integers(0, 9, 5000), 5)
    hypothesis[hypothesis == 2] = 3
    weight = rng.uniform(0, 1, 5000).astype(np.float32)
    balanced = baselines.balanced_weights(process, hypothesis, weight)
    signal = process == SIGNAL
    sums = np.bincount(hypothesis[signal], balanced[signal])
    assert sums[2] == 0
    np.testing.assert_allclose(sums[sums > 0], sums[0])
    assert sums.sum() == pytest.approx(balanced[~signal].sum())
    assert balanced.mean() == pytest.approx(1)
    assert np.ptp(balanced[~signal] / weight[~signal]) == pytest.approx(0, abs=1e-6)


MERIT = np.arange(7) % 2 == 0, FIGURE, 50.0


@pytest.fixture(scope="module")
def judge():
    return Judge(synthetic_sample(12_000, hypotheses=7), *MERIT)


def difference(features):
    """The difference of two features."""
    return np.subtract(*features.T[:2]).astype(float)


@pytest.fixture(scope="module")
def found(judge):
    return judge_scores(judge, "difference", difference)


def test_scores_are_cut_as_those_of_networks(judge, found):
    ranked = judge.judging_fold.rank(difference(judge.judging_fold.events.features.T))
    for baseline in found.values():
        again, _ = judge.judge(ranked, baseline.selection.cut)
        np.testing.assert_array_equal(baseline.selection.sigma_min, again.sigma_min)
        # A cut found elsewhere may leave a mass without any signal in this small sample.
        assert np.isinf(baseline.mean_error) == np.isinf(judge.averaged(baseline.selection))
    assert 0 < found["single"].mean_error < judge.averaged(found["single"].selection)
    assert len(set(found["single"].selection.cut.tolist())) == 1
    # An untrained mass has a cut between those of its trained neighbours.
    cuts = found["interpolated"].selection.cut
    assert cuts[[0, 2]].min() <= cuts[1] <= cuts[[0, 2]].max()


def test_rectangular_cuts_on_one_feature_are_a_cut_on_it(judge):
    low, high = np.full((7, 4), -100.0), np.full((7, 4), 100.0)
    low[:, 0] = np.linspace(1.0, 2.0, 7)
    rectangular = judge_rectangular(judge, "one", np.stack([low, high])).selection
    events = judge.judging_fold
    expected, _ = judge.judge(events.rank(events.events.features[0].astype(float)), low[:, 0])
    for column in ("sigma_min", "sigma_min_error"):
        columns = (getattr(selection, column) for selection in (rectangular, expected))
        np.testing.assert_allclose(*columns, rtol=1e-12)
