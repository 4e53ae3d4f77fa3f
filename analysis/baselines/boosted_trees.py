"""Boosted decision trees: a classifier without a loss of its own, and what it finds important."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss

from punzinet.analysis.baselines.settings import TreeSettings
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

#: Parts of the training events that are scored by trees trained on all other parts.
FOLDS = 3


def balanced_weights(process: IntArray, hypothesis: IntArray, weight: FloatArray) -> FloatArray:
    """Weights with which every signal hypothesis counts alike, and all signal as background.

    Args:
        process: (n,) process codes, `SIGNAL` for signal.
        hypothesis: (n,) hypothesis of each signal event; not used for background.
        weight: (n,) event weights.

    Returns:
        (n,) weights with mean 1.
    """
    balanced = weight.astype(np.float64)
    signal = process == SIGNAL
    sums = np.bincount(hypothesis[signal], balanced[signal])
    share = balanced[~signal].sum() / np.count_nonzero(sums)
    balanced[signal] *= share / sums[hypothesis[signal]]
    balanced /= balanced.mean()
    return balanced


def train_trees(
    features: FloatArray, signal: BoolArray, weight: FloatArray, settings: TreeSettings, seed: int
) -> HistGradientBoostingClassifier:
    """Train boosted trees to tell signal from background by weighted cross-entropy.

    Args:
        features: (n, F) observables, of any scale.
        signal: (n,) which events are signal.
        weight: (n,) weights.
        settings: The recipe.
        seed: Of the binning, which looks at a random part of large samples.
    """
    trees = HistGradientBoostingClassifier(
        max_iter=settings.trees,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.events_per_leaf,
        early_stopping=False,
        random_state=seed,
    )
    return trees.fit(features, signal, weight)


def out_of_fold_scores(
    features: FloatArray,
    signal: BoolArray,
    weight: FloatArray,
    used: BoolArray,
    settings: TreeSettings,
    *,
    seed: int,
) -> FloatArray:
    """Score training events by trees that were trained on other training events.

    Trees know the events they were trained on too well for cuts to be chosen on them: the
    background seems to lie far below the signal.

    Args:
        features: (n, F) observables.
        signal: (n,) which events are signal.
        weight: (n,) weights.
        used: (n,) which events train; the others are scored only.
        settings: The recipe.
        seed: Of the folds and the trees.

    Returns:
        (n,) outputs before the sigmoid.
    """
    fold = np.random.default_rng([seed, FOLDS]).integers(0, FOLDS, len(signal))
    scores = np.empty(len(signal))
    for number in range(FOLDS):
        own = fold == number
        rows = used & ~own
        trees = train_trees(features[rows], signal[rows], weight[rows], settings, seed)
        scores[own] = trees.decision_function(features[own])
    return scores


def importances(
    trees: HistGradientBoostingClassifier,
    features: FloatArray,
    signal: BoolArray,
    weight: FloatArray,
    *,
    repetitions: int,
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    """Permutation importance: how much cross-entropy an observable's values are worth.

    Args:
        trees: The trained trees.
        features: (n, F) observables of events they were not trained on.
        signal: (n,) which of these are signal.
        weight: (n,) weights.
        repetitions: Permutations of each observable.
        seed: Of the permutations.

    Returns:
        (F,) growth of the weighted cross-entropy when the observable is permuted, and its
        standard deviation between permutations.
    """
    result = permutation_importance(
        trees,
        features,
        signal,
        scoring="neg_log_loss",
        n_repeats=repetitions,
        random_state=seed,
        sample_weight=weight,
    )
    return result.importances_mean, result.importances_std


def gains(trees: HistGradientBoostingClassifier, observables: int) -> FloatArray:
    """How much the splits on each observable lower the loss that the trees are grown by.

    That is the importance that boosted trees are usually ranked by. Of several observables that
    say the same, each gets a part.

    Args:
        trees: The trained trees.
        observables: Number of observables F.

    Returns:
        (F,) shares of the gain of all splits.
    """
    # scikit-learn does not offer the gain of these trees in any other way.
    nodes = np.concatenate([tree.nodes for (tree,) in trees._predictors])
    splits = nodes[nodes["is_leaf"] == 0]
    total = np.bincount(splits["feature_idx"], splits["gain"], minlength=observables)
    return np.asarray(total / total.sum(), dtype=np.float64)


def cross_entropy(
    trees: HistGradientBoostingClassifier,
    features: FloatArray,
    signal: BoolArray,
    weight: FloatArray,
) -> float:
    """Weighted cross-entropy of trees on some events; arguments as of `importances`."""
    return float(log_loss(signal, trees.predict_proba(features), sample_weight=weight))
