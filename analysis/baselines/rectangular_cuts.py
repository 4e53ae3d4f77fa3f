"""A cut-based selection: a lower and an upper cut on every feature, that move with the mass.

Neighbouring training hypotheses form mass ranges. In each range the cuts with the smallest mean
σ_min are looked for one feature after the other, with all others held, until nothing improves.
One background event more than is found counts in every window: without it the search ends in
corners that hold a little signal and, by chance, no background.
Between the middles of the ranges cuts are interpolated in the mass.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance
from punzinet.analysis.punzi_loss import MIN_EFFICIENCY, SIGNAL
from punzinet.analysis.training.data import Events
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

MASSES_PER_RANGE = 4  # neighbouring training hypotheses that share cuts
GRID = 40  # places for cuts between which the signal of a range is divided evenly, for each feature
ROUNDS = 10  # rounds over the features; three or four are enough for nothing to improve any more


class RectangularCuts(NamedTuple):
    """Cuts for each hypothesis; an event passes if low ≤ feature < high for all features."""

    low: FloatArray  # (H, F)
    high: FloatArray  # (H, F)

    def passes(self, features: FloatArray, hypothesis: int) -> BoolArray:
        """Which events, with features (F, n), pass the cuts of a hypothesis."""
        low, high = self.low[hypothesis, :, None], self.high[hypothesis, :, None]
        return np.asarray(((features >= low) & (features < high)).all(axis=0))


def rectangular_cuts(
    events: Events,
    mass: FloatArray,
    training: BoolArray,
    figure_of_merit: FigureOfMerit,
    luminosity: float,
    *,
    processes: Sequence[str],
    masses_per_range: int = MASSES_PER_RANGE,
) -> RectangularCuts:
    """Find the cuts of every range of masses (H,) in GeV, and interpolate.

    The weights of the events make them stand for the whole sample, the luminosity is in fb^-1. A
    range is some neighbouring ones of the training hypotheses (H,), which choose the cuts.
    """
    uncertainty = figure_of_merit.uncertainty_of(processes)

    def mean_sigma(sums: FloatArray, margin: float) -> FloatArray:
        """Mean σ_min (n,) in fb of sums (P + 1, windows, n), with a margin of background."""
        variance = background_variance(sums[:SIGNAL].sum(axis=0), sums[:SIGNAL], uncertainty)
        # Where rounding leaves a trace of signal there is none.
        efficiency = np.where(sums[SIGNAL] > MIN_EFFICIENCY, sums[SIGNAL], 0.0)
        sigma = figure_of_merit.sigma_min(efficiency, variance + margin, luminosity)
        return np.asarray(sigma.mean(axis=0))

    chosen = np.flatnonzero(training)
    ranges = np.array_split(chosen, max(1, round(len(chosen) / masses_per_range)))
    boxes = np.array([_of_range(events, members, len(processes), mean_sigma) for members in ranges])
    middle = [float(mass[members].mean()) for members in ranges]
    columns = [np.interp(mass, middle, column) for column in boxes.reshape(len(ranges), -1).T]
    return RectangularCuts(*np.reshape(columns, (2, -1, len(mass))).transpose(0, 2, 1))


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
            sigma = mean_sigma((below[:, :, last] - below[:, :, first]).clip(min=0), margin)
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
