"""A cut-based selection: a lower and an upper cut on every feature, that move with the mass.

Neighbouring training hypotheses form mass ranges. In each range the cuts with the smallest mean
σ_min are looked for one feature after the other, with all others held, until nothing improves.
One background event more than is found counts in every window: without it the search ends in
corners that hold a little signal and, by chance, no background.
Between the middles of the ranges cuts are interpolated in the mass.
"""

from dataclasses import dataclass

import numpy as np

from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance
from punzinet.analysis.punzi_loss import MIN_EFFICIENCY, SIGNAL
from punzinet.analysis.training.data import Events
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

#: Neighbouring training hypotheses that share cuts.
MASSES_PER_RANGE = 4
#: Places for cuts between which the signal of a range is divided evenly, for each feature.
GRID = 40
#: Rounds over the features; three or four are enough for nothing to improve any more.
ROUNDS = 10


@dataclass(frozen=True, eq=False)
class RectangularCuts:
    """Cuts for each hypothesis; an event passes if low ≤ feature < high for all features."""

    low: FloatArray  # (H, F)
    high: FloatArray  # (H, F)

    def passes(self, features: FloatArray, hypothesis: int) -> BoolArray:
        """Which events, with features (n, F), pass the cuts of a hypothesis."""
        low, high = self.low[hypothesis], self.high[hypothesis]
        return np.asarray(((features >= low) & (features < high)).all(axis=1))


@dataclass(frozen=True, eq=False)
class CutSearch:
    """Looks for the best cuts."""

    events: Events  # to choose the cuts on, their windows counting all H hypotheses
    weight: FloatArray  # (n,) which make them stand for the whole sample
    figure_of_merit: FigureOfMerit
    luminosity: float  # target, fb^-1
    processes: tuple[str, ...]  # names of the P background processes

    def optimise(
        self, mass: FloatArray, training: BoolArray, masses_per_range: int = MASSES_PER_RANGE
    ) -> RectangularCuts:
        """Find the cuts of every range of masses (H,) in GeV, and interpolate.

        A range is some neighbouring ones of the hypotheses (H,) that choose the cuts.
        """
        chosen = np.flatnonzero(training)
        ranges = np.array_split(chosen, max(1, round(len(chosen) / masses_per_range)))
        boxes = np.array([self._optimise_range(members) for members in ranges])
        middle = [float(mass[members].mean()) for members in ranges]
        columns = [np.interp(mass, middle, column) for column in boxes.reshape(len(ranges), -1).T]
        low, high = np.reshape(columns, (2, -1, len(mass))).transpose(0, 2, 1)
        return RectangularCuts(low, high)

    def _optimise_range(self, members: IntArray) -> FloatArray:
        """Find the cuts of one mass range, (2, F), from the indices of its hypotheses.

        Its events are taken once for each window of the range that they lie in, as r rows.
        """
        events = self.events
        inside = [np.flatnonzero((events.start <= m) & (m < events.stop)) for m in members]
        event = np.concatenate(inside)
        signal = events.process[event] == SIGNAL
        background = self.weight[event[~signal]]
        margin = float((background**2).sum() / background.sum()) if len(background) else 0.0
        # Of each row and class, of which signal, -1, is the last one of a window.
        classes = len(self.processes) + 1
        window = np.repeat(np.arange(len(members)), [len(rows) for rows in inside])
        group = window * classes + events.process[event] % classes
        features = events.features[:, event].astype(np.float64)
        grids = [_grid(column, column[signal]) for column in features]
        bins = [np.searchsorted(g, c, "right") - 1 for g, c in zip(grids, features, strict=True)]
        box = np.array([[0, len(grid) - 1] for grid in grids])
        best, before = np.inf, np.inf
        for _ in range(ROUNDS):
            for f, grid in enumerate(grids):
                others = [
                    (index >= first) & (index < last)
                    for i, (index, (first, last)) in enumerate(zip(bins, box, strict=True))
                    if i != f
                ]
                rows = np.flatnonzero(np.logical_and.reduce(others))
                held = np.bincount(
                    group[rows] * (len(grid) - 1) + bins[f][rows],
                    self.weight[event[rows]],
                    len(members) * classes * (len(grid) - 1),
                )
                held = held.reshape(len(members), classes, -1).transpose(1, 0, 2)
                first, last, sigma = self._scan(held, margin)
                if sigma < best:
                    best, box[f] = sigma, (first, last)
            if best == before:
                break
            before = best
        return np.array([[g[i], g[j]] for g, (i, j) in zip(grids, box.tolist(), strict=True)]).T

    def _scan(self, held: np.ndarray, margin: float) -> tuple[int, int, float]:
        """Try all pairs of a lower and an upper cut on one feature.

        `held` (P + 1, windows, bins) is what passes the cuts on all other features, the signal
        last, and `margin` background events are added in every window. Returns the first bin that
        passes, one past the last, and the mean σ_min in fb.
        """
        below = np.pad(np.cumsum(held, axis=2), ((0, 0), (0, 0), (1, 0)))
        first, last = np.triu_indices(below.shape[2], 1)
        sums = (below[:, :, last] - below[:, :, first]).clip(min=0)
        uncertainty = self.figure_of_merit.uncertainty_of(self.processes)
        variance = background_variance(sums[:SIGNAL].sum(axis=0), sums[:SIGNAL], uncertainty)
        # Where rounding leaves a trace of signal there is none.
        efficiency = np.where(sums[SIGNAL] > MIN_EFFICIENCY, sums[SIGNAL], 0.0)
        by_window = self.figure_of_merit.sigma_min(efficiency, variance + margin, self.luminosity)
        sigma = by_window.mean(axis=0)
        best = int(sigma.argmin())
        return int(first[best]), int(last[best]), float(sigma[best])


def _grid(values: FloatArray, signal: FloatArray) -> FloatArray:
    """Places for cuts on one feature: quantiles of the signal, between all values' limits."""
    inner = np.quantile(signal, np.linspace(0, 1, GRID + 1))
    top = np.nextafter(max(values.max(), inner[-1]), np.inf)
    return np.unique(np.concatenate([[values.min()], inner, [top]]))
