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
    """Cuts for each hypothesis; an event passes if low ≤ feature < high for all features.

    Attributes:
        low: (H, F) lower cuts.
        high: (H, F) upper cuts.
    """

    low: FloatArray
    high: FloatArray

    def passes(self, features: FloatArray, hypothesis: int) -> BoolArray:
        """Which events, with features (n, F), pass the cuts of a hypothesis."""
        low, high = self.low[hypothesis], self.high[hypothesis]
        return np.asarray(((features >= low) & (features < high)).all(axis=1))


@dataclass(frozen=True, eq=False)
class CutSearch:
    """Looks for the best cuts.

    Attributes:
        events: Events to choose the cuts on, their windows counting all H hypotheses.
        weight: (n,) weights that make them stand for the whole sample.
        figure_of_merit: Which σ_min.
        luminosity: Target luminosity in fb^-1.
        processes: (P,) names of the background processes.
    """

    events: Events
    weight: FloatArray
    figure_of_merit: FigureOfMerit
    luminosity: float
    processes: tuple[str, ...]

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
        """Find the cuts of one mass range, (2, F), from the indices of its hypotheses."""
        features, rows = _members_of_range(self.events, members)
        process = self.events.process[rows.event]
        background = self.weight[rows.event[process != SIGNAL]]
        margin = float((background**2).sum() / background.sum()) if len(background) else 0.0
        grids = [_grid(column, column[process == SIGNAL]) for column in features]
        bins = [np.searchsorted(g, c, "right") - 1 for g, c in zip(grids, features, strict=True)]
        box = np.array([[0, len(grid) - 1] for grid in grids])
        best, before = np.inf, np.inf
        for _ in range(ROUNDS):
            for f, grid in enumerate(grids):
                inside = np.logical_and.reduce(
                    [
                        (index >= first) & (index < last)
                        for i, (index, (first, last)) in enumerate(zip(bins, box, strict=True))
                        if i != f
                    ]
                )
                part = _Rows(rows.event[inside], rows.window[inside])
                first, last, sigma = self._scan(
                    part, bins[f][inside], len(members), len(grid) - 1, margin
                )
                if sigma < best:
                    best, box[f] = sigma, (first, last)
            if best == before:
                break
            before = best
        return np.array([[g[i], g[j]] for g, (i, j) in zip(grids, box.tolist(), strict=True)]).T

    def _scan(
        self, rows: "_Rows", index: IntArray, windows: int, bins: int, margin: float
    ) -> tuple[int, int, float]:
        """Try all pairs of a lower and an upper cut on one feature.

        `rows` pass the cuts on all other features, `index` (r,) are their bins of this one, and
        `margin` background events are added in every window. Returns the first bin that passes, one
        past the last, and the mean σ_min in fb.
        """
        classes = len(self.processes) + 1
        # Signal, -1, is the last class of a window.
        group = rows.window * classes + self.events.process[rows.event] % classes
        held = np.bincount(
            group * bins + index, self.weight[rows.event], minlength=windows * classes * bins
        )
        below = np.zeros((classes, windows, bins + 1))
        by_class = held.reshape(windows, classes, bins).transpose(1, 0, 2)
        np.cumsum(by_class, axis=2, out=below[:, :, 1:])
        first, last = np.triu_indices(bins + 1, 1)
        sums = (below[:, :, last] - below[:, :, first]).clip(min=0)
        uncertainty = self.figure_of_merit.uncertainty_of(self.processes)
        variance = background_variance(sums[:SIGNAL].sum(axis=0), sums[:SIGNAL], uncertainty)
        # Where rounding leaves a trace of signal there is none.
        efficiency = np.where(sums[SIGNAL] > MIN_EFFICIENCY, sums[SIGNAL], 0.0)
        by_window = self.figure_of_merit.sigma_min(efficiency, variance + margin, self.luminosity)
        sigma = by_window.mean(axis=0)
        best = int(sigma.argmin())
        return int(first[best]), int(last[best]), float(sigma[best])


@dataclass(frozen=True, eq=False)
class _Rows:
    """Events of a mass range, once for each of its windows that they lie in.

    Attributes:
        event: (r,) index of the event.
        window: (r,) index of the window among those of the range.
    """

    event: IntArray
    window: IntArray


def _members_of_range(events: Events, members: IntArray) -> tuple[list[FloatArray], _Rows]:
    """Collect the events of the windows of a range, and their (F,) features."""
    inside = [np.flatnonzero((events.start <= m) & (m < events.stop)) for m in members]
    window = np.repeat(np.arange(len(members)), [len(rows) for rows in inside])
    rows = _Rows(np.concatenate(inside), window)
    return [column[rows.event].astype(np.float64) for column in events.features], rows


def _grid(values: FloatArray, signal: FloatArray) -> FloatArray:
    """Places for cuts on one feature: quantiles of the signal, between all values' limits."""
    inner = np.quantile(signal, np.linspace(0, 1, GRID + 1))
    top = np.nextafter(max(values.max(), inner[-1]), np.inf)
    return np.unique(np.concatenate([[values.min()], inner, [top]]))
