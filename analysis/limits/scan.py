"""Scan points of an observation: their windows, what is expected there, and what is counted.

Scan points are all hypotheses and, where the windows of neighbours overlap, the mass midway between
them. Elsewhere there is none: an event between two windows is in no tensor.

Pseudo-data stands in for data, to rehearse: each simulated event that judges occurs as often as
a Poisson distribution with its weight as the mean says, at the target luminosity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from punzinet.analysis.evaluation import Judge, ScaledFold
from punzinet.analysis.io.files import InputError
from punzinet.analysis.limits.global_p import Cells
from punzinet.analysis.limits.model import Yields, measure_yields
from punzinet.analysis.limits.sidebands import Spectrum
from punzinet.analysis.saved_network import Perceptron
from punzinet.analysis.types import SIGNAL, FloatArray, IntArray
from punzinet.analysis.windows import Windows

MOST = 10_000_000  # events to be injected at one mass: beyond any search, and few for memory


@dataclass(frozen=True, eq=False)
class Scan:
    """S scan points, by ascending mass."""

    windows: Windows  # (S,); for training are the hypotheses, whichever networks were trained on
    hypothesis: IntArray  # (H,) which scan points the hypotheses are

    @classmethod
    def of(cls, windows: Windows) -> Self:
        """All hypotheses and the masses midway between neighbours whose windows overlap.

        The width of a window between others is linear in the variable from one to the other, as its
        edges then are: they grow with the mass, whatever errors the fitted widths have.
        """
        low, high = windows.mass[:-1], windows.mass[1:]
        overlap = windows.low[1:] < windows.high[:-1]
        between = np.round((low + high)[overlap] / 2, 9)
        mass = np.sort(np.concatenate([windows.mass, between]))
        sigma = np.interp(windows.search.centre(mass), windows.centre, windows.sigma)
        tested, none = np.isin(mass, windows.mass), (None,) * len(mass)
        of_scan = Windows(mass, sigma, tested, tested, none, windows.search)
        return cls(of_scan, np.flatnonzero(tested))

    @property
    def mass(self) -> FloatArray:
        """Their masses in GeV, (S,)."""
        return self.windows.mass

    @property
    def _neighbours(self) -> tuple[IntArray, IntArray]:
        """Of each scan point the hypotheses below and above, (S,); itself both, if it is one."""
        points = np.arange(len(self.mass))
        above = np.searchsorted(self.hypothesis, points)
        return np.searchsorted(self.hypothesis, points, side="right") - 1, above

    def interpolate(self, values: FloatArray) -> FloatArray:
        """Values of the hypotheses (..., H) at all scan points: means of neighbours in between."""
        below, above = self._neighbours
        found: FloatArray = (values[..., below] + values[..., above]) / 2
        return found

    def yields(
        self, judge: Judge, known: Yields, network: Perceptron, variable: FloatArray
    ) -> Yields:
        """Yields (S,) behind a single cut, of which those of the hypotheses are `known`.

        Background is counted; efficiency, and shared systematic effects, are interpolated. The
        judge knows the windows of the hypotheses, and `variable` is that of its judging events.
        """
        fold = self._moved(judge.judging_fold, variable)
        return replace(
            measure_yields(fold, network, np.full(len(self.mass), known.cut[0])),
            efficiency=self.interpolate(known.efficiency),
            efficiency_error=self.interpolate(known.efficiency_error),
            shared={name: self.interpolate(of) for name, of in known.shared.items()},
        )

    def _moved(self, fold: ScaledFold, variable: FloatArray) -> ScaledFold:
        """The events of a fold in the windows of the scan points, signal in its own alone."""
        events = fold.events
        start, stop = self.windows.assign(variable)
        signal = events.process == SIGNAL
        start[signal] = self.hypothesis[events.start[signal]]
        stop[signal] = start[signal] + 1
        # A background has the same sums for all; between hypotheses there is no signal to scale.
        _, near = self._neighbours
        return replace(
            fold,
            events=replace(events, start=start, stop=stop),
            total=fold.total[:, near],
            total_variance=fold.total_variance[:, near],
            squares=fold.squares[:, near],
        )

    def cells(
        self, judge: Judge, network: Perceptron, cut: float, variable: FloatArray
    ) -> tuple[Cells, FloatArray, FloatArray]:
        """Cells of the windows, background behind a cut in each, and its statistical error, (C,).

        Judge and variable are as for `yields`.
        """
        cells, events = Cells.of(self.windows.low, self.windows.high), judge.judging_fold.events
        rows = np.flatnonzero(events.process != SIGNAL)
        rows = rows[network.logit(events.features[:, rows].T) >= cut]
        behind = Spectrum.of(variable[rows], events.weight[rows])
        sums, squares = behind.sums(cells.edges[:-1], cells.edges[1:])
        return cells, sums, np.sqrt(squares)


def draw_pseudo_data(
    judge: Judge, luminosity: float, injected: Mapping[int, float], seed: int
) -> IntArray:
    """Draw how often each event that judges might be measured at a luminosity in fb^-1, (n,).

    Signal is `injected` with cross-sections in fb by hypothesis, of which the background does not
    depend. InputError if it has no event, or too many.
    """
    events, rng = judge.judging_fold.events, np.random.default_rng(seed)
    weight = events.weight.astype(np.float64)
    signal = events.process == SIGNAL
    times = np.zeros(len(weight), dtype=np.int64)
    times[~signal] = rng.poisson(weight[~signal])
    for hypothesis, cross_section in injected.items():
        own = signal & (events.start == hypothesis)
        mean = cross_section * luminosity * weight[own]
        if not 0 < mean.sum() < MOST and cross_section > 0:
            raise InputError(
                f"--inject: {cross_section:g} fb at {judge.mass[hypothesis]:g} GeV would be "
                f"{mean.sum():.3g} events in its window; inject more than 0, and less than {MOST}."
            )
        times[own] = rng.poisson(mean)
    return times
