"""Boosted trees: weights that balance hypotheses, ranks, and scores of unseen events."""

import numpy as np
import pytest

from punzinet.analysis.baselines import boosted_trees
from punzinet.analysis.baselines.boosted_trees import (
    balanced_weights,
    gains,
    out_of_fold_scores,
    train_trees,
)
from punzinet.analysis.punzi_loss import SIGNAL

TREES = 30


def events(n: int = 4000, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three observables: one separates well, one a little, one not at all."""
    rng = np.random.default_rng(seed)
    signal = rng.random(n) < 0.3
    x = rng.normal(signal[:, np.newaxis] * [2.0, 0.5, 0.0], 1.0)
    return x, signal, np.ones(n)


def test_every_hypothesis_weighs_the_same_and_all_signal_as_much_as_background() -> None:
    rng = np.random.default_rng(2)
    process = rng.integers(-1, 3, 5000)
    hypothesis = np.minimum(rng.integers(0, 9, 5000), 5)
    hypothesis[hypothesis == 2] = 3
    weight = rng.uniform(0, 1, 5000).astype(np.float32)
    balanced = balanced_weights(process, hypothesis, weight)
    signal = process == SIGNAL
    sums = np.bincount(hypothesis[signal], balanced[signal])
    np.testing.assert_allclose(sums[sums > 0], sums[0])
    assert sums[2] == 0
    assert sums.sum() == pytest.approx(balanced[~signal].sum())
    assert balanced.mean() == pytest.approx(1)
    ratio = balanced[~signal] / weight[~signal]
    np.testing.assert_allclose(ratio, ratio[0])


def test_gains_rank_by_what_separates() -> None:
    share = gains(train_trees(*events(), TREES, 1), 3)
    assert share.sum() == pytest.approx(1)
    assert share[0] > share[1] > share[2]


def test_scores_of_unseen_events_do_not_flatter_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosted_trees, "EVENTS_PER_LEAF", 2)
    rng = np.random.default_rng(3)
    noise, signal = rng.normal(size=(2000, 4)), rng.random(2000) < 0.5
    weight, greedy = np.ones(2000), 100
    seen = train_trees(noise, signal, weight, greedy, 1).decision_function(noise)
    unseen = out_of_fold_scores(noise, signal, weight, np.ones(2000, bool), greedy, seed=1)
    assert seen[signal].mean() - seen[~signal].mean() > 1
    assert abs(unseen[signal].mean() - unseen[~signal].mean()) < 0.1


def test_events_that_do_not_train_are_scored_only() -> None:
    x, signal, weight = events()
    used = np.arange(len(x)) % 2 == 0
    scores = out_of_fold_scores(x, signal, weight, used, TREES, seed=1)
    changed = signal ^ ~used
    again = out_of_fold_scores(x, changed, weight, used, TREES, seed=1)
    np.testing.assert_array_equal(scores, again)
    assert scores[signal].mean() > scores[~signal].mean() + 1
