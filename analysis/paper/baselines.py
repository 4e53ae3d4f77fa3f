"""What the Punzi-net is compared with: boosted trees, rectangular cuts, other losses.

All are judged as networks are: cuts chosen on validation events, σ_min on test events. What they
achieve at every mass has the form of sensitivity.json.

Rectangular cuts are a lower and an upper cut on every feature, that move with the mass.
Neighbouring training hypotheses form mass ranges. In each range the cuts with the smallest mean
σ_min are looked for one feature after the other, with all others held, until nothing improves.
One background event more than is found counts in every window: without it the search ends in
corners that hold a little signal and, by chance, no background.
Between the middles of the ranges cuts are interpolated in the mass.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from sklearn.ensemble import HistGradientBoostingClassifier

from punzinet.analysis.cuts import interpolated_cuts
from punzinet.analysis.evaluation import Judge
from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance
from punzinet.analysis.io.files import OrInfinite, write_json
from punzinet.analysis.punzi_loss import MIN_EFFICIENCY
from punzinet.analysis.sensitivity import Judged, Selection
from punzinet.analysis.training.data import Events
from punzinet.analysis.types import SIGNAL, BoolArray, FloatArray, IntArray

LEARNING_RATE, LEAVES = 0.1, 15  # share of each tree's answer that is added; most leaves of a tree
EVENTS_PER_LEAF = 200  # fewest training events of a leaf
MASSES_PER_RANGE = 4  # neighbouring training hypotheses that share cuts
GRID = 40  # places for cuts between which the signal of a range is divided evenly, for each feature
ROUNDS = 10  # rounds over the features; three or four are enough for nothing to improve any more


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


def rectangular_cuts(
    events: Events,
    mass: FloatArray,
    training: BoolArray,
    figure_of_merit: FigureOfMerit,
    luminosity: float,
    *,
    processes: Sequence[str],
    masses_per_range: int = MASSES_PER_RANGE,
) -> FloatArray:
    """Find the cuts of every range of masses (H,) in GeV, and interpolate.

    Returns lower and upper cuts (2, H, F); an event passes if low ≤ feature < high for all.

    The weights of the events make them stand for the whole sample, the luminosity is in fb^-1. A
    range is some neighbouring ones of the training hypotheses (H,), which choose the cuts.
    """
    overall, shifts = figure_of_merit.uncertainty_of(processes, len(mass))

    def mean_sigma(members: IntArray, sums: FloatArray, margin: float) -> FloatArray:
        """Mean σ_min (n,) in fb of sums (P + 1, windows, n), with a margin of background."""
        uncertainty = overall, shifts[:, :, members, None]
        variance = background_variance(sums[:SIGNAL].sum(axis=0), sums[:SIGNAL], *uncertainty)
        # Where rounding leaves a trace of signal there is none.
        efficiency = np.where(sums[SIGNAL] > MIN_EFFICIENCY, sums[SIGNAL], 0.0)
        sigma = figure_of_merit.sigma_min(efficiency, variance + margin, luminosity)
        return np.asarray(sigma.mean(axis=0))

    chosen = np.flatnonzero(training)
    ranges = np.array_split(chosen, max(1, round(len(chosen) / masses_per_range)))
    boxes = np.array([_of_range(events, members, len(processes), mean_sigma) for members in ranges])
    middle = [float(mass[members].mean()) for members in ranges]
    columns = [np.interp(mass, middle, column) for column in boxes.reshape(len(ranges), -1).T]
    return np.reshape(columns, (2, -1, len(mass))).transpose(0, 2, 1)


def _of_range(
    events: Events, members: IntArray, processes: int, mean_sigma: Callable[..., FloatArray]
) -> FloatArray:
    """Find the cuts of one mass range, (2, F), by the indices of its hypotheses."""
    # An event is taken once for each window of the range that it lies in.
    inside = [np.flatnonzero((events.start <= m) & (m < events.stop)) for m in members]
    events = events[np.concatenate(inside)]
    signal = events.process == SIGNAL
    background = events.weight[~signal]
    margin = float((background**2).sum() / background.sum()) if len(background) else 0.0
    # Of each event and class, of which signal, -1, is the last one of a window.
    classes = processes + 1
    window = np.repeat(np.arange(len(members)), [len(rows) for rows in inside])
    group = window * classes + events.process % classes
    features = events.features.astype(np.float64)
    grids = [_grid(column, column[signal]) for column in features]
    bins = [np.searchsorted(g, c, "right") - 1 for g, c in zip(grids, features, strict=True)]
    box = np.array([[0, len(grid) - 1] for grid in grids])
    best, before = np.inf, np.inf
    for _ in range(ROUNDS):
        for f, grid in enumerate(grids):
            passed = [(i >= first) & (i < last) for i, (first, last) in zip(bins, box, strict=True)]
            passed[f][:] = True
            rows, places = np.flatnonzero(np.logical_and.reduce(passed)), len(grid) - 1
            index = group[rows] * places + bins[f][rows]
            held = np.bincount(index, events.weight[rows], len(members) * classes * places)
            held = held.reshape(len(members), classes, places).transpose(1, 0, 2)
            # All pairs of a lower and an upper cut on this feature.
            below = np.pad(np.cumsum(held, axis=2), ((0, 0), (0, 0), (1, 0)))
            first, last = np.triu_indices(places + 1, 1)
            held = (below[:, :, last] - below[:, :, first]).clip(min=0)
            sigma = mean_sigma(members, held, margin)
            least = int(sigma.argmin())
            if sigma[least] < best:
                best, box[f] = float(sigma[least]), (first[least], last[least])
        if best == before:
            break
        before = best
    return np.array([[g[i], g[j]] for g, (i, j) in zip(grids, box.tolist(), strict=True)]).T


def _grid(values: FloatArray, signal: FloatArray) -> FloatArray:
    """Places for cuts on one feature: quantiles of the signal, between all values' limits."""
    inner = np.quantile(signal, np.linspace(0, 1, GRID + 1))
    top = np.nextafter(max(values.max(), inner[-1]), np.inf)
    return np.unique(np.concatenate([[values.min()], inner, [top]]))


@dataclass(frozen=True, eq=False)
class Baseline:
    """What one way of selecting events achieves."""

    label: str  # how figures and tables call it
    selection: Selection
    mean_error: OrInfinite  # of the mean σ_min over the training hypotheses in fb, from the sample


_BASELINES = TypeAdapter(dict[str, Baseline])


@dataclass(frozen=True, eq=False)
class Baselines(Judged):
    """What several ways of selecting events, in the order of tables, achieve on the same events."""

    baselines: dict[str, Baseline]

    def write(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write them as JSON; what is infinite there is null."""
        entries = _BASELINES.dump_python(self.baselines)
        for name, entry in entries.items():  # columns stand beside the rest
            entries[name] = entry | entry.pop("selection")
        self._write(path, provenance, baselines=entries)


def judge_scores(
    judge: Judge, label: str, score: Callable[[FloatArray], FloatArray]
) -> dict[str, Baseline]:
    """Judge a classifier by its output before the sigmoid, a function of features (n, F).

    There are ``interpolated``, the best cut of each training hypothesis interpolated to the others,
    and ``single``, the one cut that is best; as for networks, validation events choose.
    """
    folds, known = (judge.folds["validation"], judge.judging_fold), judge.training
    chooses, events = (fold.rank(score(fold.events.features.T)) for fold in folds)
    best, single = judge.cuts(chooses)
    cuts = interpolated_cuts(judge.mass[known], best[known], judge.mass)
    return {
        "interpolated": Baseline(f"{label}, interpolated cuts", *judge.judge(events, cuts)),
        "single": Baseline(f"{label}, one cut", *judge.judge(events, single)),
    }


def judge_rectangular(judge: Judge, label: str, cuts: FloatArray) -> Baseline:
    """Judge cuts (2, H, F) on the features.

    The mean is uncertain as if all windows varied together.
    """
    fold, columns = judge.judging_fold, []
    for h in range(len(judge.mass)):
        low, high = cuts[:, h, :, None]
        passes = ((fold.events.features >= low) & (fold.events.features < high)).all(axis=0)
        one, _ = judge.judge(fold.rank(passes.astype(np.float64)), 0.5)
        columns.append([column[h] for column in astuple(one)])
    _, *achieved = np.array(columns).T
    selection = Selection(np.full(len(columns), np.inf), *achieved)  # of no output
    return Baseline(label, selection, float(selection.sigma_min_error[judge.training].mean()))


@dataclass(frozen=True, eq=False)
class Ranking:
    """How important observables are to boosted trees, the most important one first."""

    names: tuple[str, ...]
    importance: FloatArray  # growth of the cross-entropy when each is permuted
    error: FloatArray  # standard deviation of that between permutations
    separation: FloatArray  # area under the ROC curve of each by itself, at least 0.5

    def write(self, path: Path, provenance: Mapping[str, Any], cross_entropy: float) -> None:
        """Write the table as JSON, with the cross-entropy of the trees with all observables."""
        keys = ("rank", "observable", "importance", "error", "auc")
        columns = (np.asarray(column).tolist() for column in vars(self).values())
        rows = zip(range(1, len(self.names) + 1), *columns, strict=True)
        content = {"provenance": dict(provenance), "cross_entropy": cross_entropy}
        write_json(path, content | {"observables": [dict(zip(keys, r, strict=True)) for r in rows]})
