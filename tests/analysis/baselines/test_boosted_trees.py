"""Boosted trees: weights that balance hypotheses, ranks, and scores of unseen events."""

import numpy as np
import pytest

from punzinet.analysis.baselines import boosted_trees
from punzinet.analysis.punzi_loss import SIGNAL

TREES = 30
RNG = np.random.default_rng(1)
N = 4000
SEPARATED = RNG.random(N) < 0.3
#: Three observables: one separates well, one a little, one not at all.
EVENTS = RNG.normal(SEPARATED[:, None] * [2.0, 0.5, 0.0], 1.0), SEPARATED, np.ones(N)


def test_every_hypothesis_weighs_the_same_and_all_signal_as_much_as_background():
    rng = np.random.default_rng(2)
    process = rng.integers(-1, 3, 5000)
    hypothesis = np.minimum(rng.integers(0, 9, 5000), 5)
    hypothesis[hypothesis == 2] = 3
    weight = rng.uniform(0, 1, 5000).astype(np.float32)
    balanced = boosted_trees.balanced_weights(process, hypothesis, weight)
    signal = process == SIGNAL
    sums = np.bincount(hypothesis[signal], balanced[signal])
    assert sums[2] == 0
    np.testing.assert_allclose(sums[sums > 0], sums[0])
    assert sums.sum() == pytest.approx(balanced[~signal].sum())
    assert balanced.mean() == pytest.approx(1)
    assert np.ptp(balanced[~signal] / weight[~signal]) == pytest.approx(0, abs=1e-6)


def test_gains_rank_by_what_separates():
    share = boosted_trees.gains(boosted_trees.train_trees(*EVENTS, TREES, 1), 3)
    assert share.sum() == pytest.approx(1)
    assert share[0] > share[1] > share[2]


def test_scores_of_unseen_events_do_not_flatter_noise(monkeypatch):
    monkeypatch.setattr(boosted_trees, "EVENTS_PER_LEAF", 2)
    rng = np.random.default_rng(3)
    noise, signal = rng.normal(size=(2000, 4)), rng.random(2000) < 0.5
    events, used = (noise, signal, np.ones(2000)), np.ones(2000, bool)
    seen = boosted_trees.train_trees(*events, 100, 1).decision_function(noise)
    unseen = boosted_trees.out_of_fold_scores(*events, used, 100, seed=1)
    assert seen[signal].mean() - seen[~signal].mean() > 1
    assert abs(unseen[signal].mean() - unseen[~signal].mean()) < 0.1


def test_events_that_do_not_train_are_scored_only():
    x, signal, weight = EVENTS
    used = np.arange(N) % 2 == 0
    scores, again = (
        boosted_trees.out_of_fold_scores(x, labels, weight, used, TREES, seed=1)
        for labels in (signal, signal ^ ~used)
    )
    np.testing.assert_array_equal(scores, again)
    assert scores[signal].mean() > scores[~signal].mean() + 1
