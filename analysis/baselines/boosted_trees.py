"""Boosted decision trees: a classifier without a loss of its own."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

LEARNING_RATE, LEAVES = 0.1, 15  # share of each tree's answer that is added; most leaves of a tree
EVENTS_PER_LEAF = 200  # fewest training events of a leaf


def balanced_weights(process: IntArray, hypothesis: IntArray, weight: FloatArray) -> FloatArray:
    """Weights with which every signal hypothesis counts alike, and all signal as background.

    There are (n,) process codes, hypotheses of signal events (not used for background) and event
    weights. The mean of the new ones is 1.
    """
    balanced = weight.astype(np.float64)
    signal = process == SIGNAL
    sums = np.bincount(hypothesis[signal], balanced[signal])
    share = balanced[~signal].sum() / np.count_nonzero(sums)
    balanced[signal] *= share / sums[hypothesis[signal]]
    balanced /= balanced.mean()
    return balanced


def train_trees(
    features: FloatArray, signal: BoolArray, weight: FloatArray, trees: int, seed: int
) -> HistGradientBoostingClassifier:
    """Train boosted trees to tell signal from background by weighted cross-entropy.

    Features are (n, F) observables of any scale. The seed is that of the binning, which looks at
    a random part of large samples.
    """
    classifier = HistGradientBoostingClassifier(
        max_iter=trees, learning_rate=LEARNING_RATE, max_leaf_nodes=LEAVES,
        min_samples_leaf=EVENTS_PER_LEAF, early_stopping=False, random_state=seed,
    )  # fmt: skip
    return classifier.fit(features, signal, weight)
