"""A scan: its points, what is expected and counted there, and its global p-value.

**Points** are all hypotheses and masses between them, so close that the scan covers every mass
from the lightest to the heaviest: events between the windows of two hypotheses count there.

**Pseudo-data** stands in for data, to rehearse: each simulated event that judges occurs as often as
a Poisson distribution with its weight as the mean says, at the target luminosity.

**Global p-values** are those of pseudo-experiments that share events between windows. The edges of
all windows cut the window variable into disjoint cells, and a window is a sum of neighbouring ones.
Cells are filled with Poisson counts of the background that they expect, times factors drawn for
each pseudo-experiment: one for each systematic uncertainty, common to all cells, and one for the
finite simulated sample of each cell. So windows that overlap share their events, and all of them
their uncertainties.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from scipy.special import ndtr

from punzinet.analysis.cuts import NONE_FOUND, RankedEvents, selected, unseen_background
from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.tensor_events import TensorEvents
from punzinet.analysis.limits.model import CountingExperiment, Effect, Yields, interpolated
from punzinet.analysis.limits.observed import Sums, Upcrossings, significance
from punzinet.analysis.limits.sidebands import Spectrum
from punzinet.analysis.types import SIGNAL, BoolArray, FloatArray, IntArray, divided
from punzinet.analysis.windows import HALF_WIDTH, Windows

MOST = 10_000_000  # events to be injected at one mass: beyond any search, and few for memory
#: Numbers of equal parts of the step from one hypothesis to the next: masses stay short.
PARTS = np.array([2, 4, 5, 8, 10, 16, 20, 25, 40, 50, 80, 100])
BLOCK = 500  # pseudo-experiments at a time: bounds memory
STEPS = 30  # to the best size of a peak
LEVEL = 1.0  # significance whose upcrossings are counted: low enough that there are many


@dataclass(frozen=True, eq=False)
class Scan:
    """S scan points, by ascending mass."""

    windows: Windows  # (S,); for training are the hypotheses, whichever networks were trained on
    position: FloatArray  # (S,) of the points among the hypotheses, whole numbers for themselves

    @classmethod
    def of(cls, windows: Windows) -> Self:
        """All hypotheses, and between neighbours so many masses that windows overlap by half.

        The width of a window between others is linear in the variable from one to the other, as its
        edges then are: they grow with the mass, whatever errors the fitted widths have.
        """
        near = HALF_WIDTH * np.minimum(windows.resolution[1:], windows.resolution[:-1])
        number = PARTS[np.searchsorted(PARTS[:-1], np.diff(windows.mass) / near)]
        steps = [i + np.arange(n) / n for i, n in enumerate(number.tolist())]
        position = np.concatenate([*steps, [len(windows) - 1]])
        tested, none = position % 1 == 0, (None,) * len(position)
        mass = np.interp(position, np.arange(len(windows)), windows.mass)
        mass = np.where(tested, mass, mass.round(9))
        sigma = np.interp(windows.search.centre(mass), windows.centre, windows.sigma)
        return cls(Windows(mass, sigma, tested, tested, none, windows.search), position)

    def interpolate(self, values: FloatArray) -> FloatArray:
        """Values of the hypotheses (..., H) at all scan points, linear in the mass in between."""
        below, above = (end(self.position).astype(int) for end in (np.floor, np.ceil))
        share = self.position - below
        return np.asarray((1 - share) * values[..., below] + share * values[..., above])

    def yields(self, known: Yields, events: TensorEvents, logit: FloatArray) -> Yields:
        """Yields (S,) behind a single cut, of which those of the hypotheses are `known`.

        The background among the `events` that judge, and have these network outputs, is counted;
        efficiency, and shared systematic effects, are interpolated.
        """
        own, cut = len(known.backgrounds), np.full(len(self.windows), known.cut[0])
        found = np.unique(events.process[~events.signal]).tolist()
        names = tuple(dict.fromkeys([*known.backgrounds, *found]))
        ranked = RankedEvents.of(events, logit, self.windows, names)
        sums, squares = (of[:SIGNAL] for of in selected(ranked, cut))
        error, unseen = np.sqrt(squares), unseen_background(ranked)
        tested = self.windows.training
        sums[:own, tested], error[:own, tested] = known.background, known.background_error
        unseen[tested] = known.unseen
        effects = {
            name: Effect(
                *({of: self.interpolate(both) for of, both in by.items()} for by in effect)
            )
            for name, effect in known.effects.items()
        }
        of_signal = [*map(self.interpolate, (known.efficiency, known.efficiency_error))]
        return Yields(names, of_signal[0], of_signal[1], sums, error, unseen, cut, effects)


def draw_pseudo_data(
    events: TensorEvents, luminosity: float, injected: Mapping[float, float], seed: int
) -> IntArray:
    """Draw how often each event that judges might be measured at a luminosity in fb^-1, (n,).

    Signal is `injected` with cross-sections in fb by mass, of which the background does not depend.
    InputError if it has no event, or too many.
    """
    rng, background = np.random.default_rng(seed), ~events.signal
    times = np.zeros(len(background), dtype=np.int64)
    times[background] = rng.poisson(events.weight[background])
    for mass, cross_section in injected.items():
        own = events.mass == mass
        mean = cross_section * luminosity * events.weight[own]
        if not 0 < mean.sum() < MOST and cross_section > 0:
            raise InputError(
                f"--inject: {cross_section:g} fb at {mass:g} GeV would be {mean.sum():.3g} events "
                f"in its window; inject more than 0, and less than {MOST}."
            )
        times[own] = rng.poisson(mean)
    return times


@dataclass(frozen=True, eq=False)
class Cells:
    """Disjoint cells of the window variable, of which S windows are sums."""

    edges: FloatArray  # (C + 1,) ascending
    start: IntArray  # (S,) first cell of each window
    stop: IntArray  # (S,) one past the last

    @classmethod
    def of(cls, low: FloatArray, high: FloatArray) -> Self:
        """Cells of windows with these edges, (S,) each."""
        edges = np.unique(np.concatenate([low, high]))
        return cls(edges, np.searchsorted(edges, low), np.searchsorted(edges, high))

    def windows(self, cells: FloatArray | IntArray) -> FloatArray:
        """Sum columns of cells (..., C) to those of windows (..., S)."""
        before = np.insert(np.cumsum(cells, axis=-1, dtype=np.float64), 0, 0.0, axis=-1)
        return before[..., self.stop] - before[..., self.start]

    def nearest(self, counts: BoolArray) -> tuple[BoolArray, IntArray]:
        """Find the nearest, by its centre, of the windows that hold a cell and count, (S,).

        Returns whether there is one, and its index, (C,) each.
        """
        index = np.arange(len(self.edges) - 1)
        holds = (self.start[:, None] <= index) & (index < self.stop[:, None]) & counts[:, None]
        centre = self.edges[self.start] + self.edges[self.stop]
        distance = np.abs(centre[:, None] - self.edges[1:] - self.edges[:-1])
        return np.any(holds, axis=0), np.argmin(np.where(holds, distance, np.inf), axis=0)


def likeliest(
    windows: Windows, cells: Cells, seen: Spectrum, simulation: Spectrum, around: int
) -> int:
    """Where a signal is likeliest by the shape of its peak: a window, of S, near a given one.

    There the likelihood of what is seen, with a Gaussian peak of the best size above the simulated
    background, is largest, of all windows whose centres lie in the one given. Counts alone do not
    tell neighbours apart where windows are wide and the background is steep. Few events are
    simulated: what counts is their density within one width, which holds one event at least.
    """
    edges = cells.edges
    middle = (edges[1:] + edges[:-1]) / 2
    near = np.interp(middle, windows.centre, windows.sigma)
    low, high = (middle - near).clip(edges[0]), (middle + near).clip(max=edges[-1])
    one = simulation.weight.sum() / max(len(simulation.weight), 1) or 1.0
    background = np.diff(edges) * np.maximum(simulation.sums(low, high)[0], one) / (high - low)
    counts = seen.sums(edges[:-1], edges[1:])[0]
    inside = (windows.low[around] < windows.centre) & (windows.centre < windows.high[around])
    centre, sigma = (of[inside, None] for of in (windows.centre, windows.sigma))
    peak = np.diff(ndtr((edges - centre) / sigma))
    size = np.full_like(centre, 1.0 + counts.sum())
    for _ in range(STEPS):  # expectation and maximisation
        share = size * peak / (size * peak + background)
        size = (counts * share).sum(axis=1, keepdims=True) / peak.sum(axis=1, keepdims=True)
    signal = size * peak
    gain = (counts * np.log1p(signal / background) - signal).sum(axis=1)
    return int(np.flatnonzero(inside)[np.argmax(gain)])


class Global(NamedTuple):
    """How often background alone gives a p-value anywhere as small as the smallest observed."""

    p_value: float  # share of pseudo-experiments
    error: float  # statistical; where the share is 0, what it is below at 68 %
    upcrossings: Upcrossings


def global_p_value(
    experiments: Sequence[CountingExperiment | None],
    cells: Cells,
    background: FloatArray,
    error: FloatArray,
    *,
    smallest: float,
    number: int,
    seed: int,
) -> Global:
    """Global p-value of a scan whose smallest local p-value, as `observe` finds it, is `smallest`.

    The experiments are those of the S points; where there is none nothing is searched for. The
    background is what each cell of their windows expects, (C,) events with statistical errors.
    `number` is that of pseudo-experiments.
    """
    models = [one for one in experiments if one is not None]
    if not models:
        return Global(1.0, 0.0, Upcrossings(0.0, LEVEL, 1.0))
    searched = np.array([one is not None for one in experiments], dtype=bool)
    start, stop = cells.start[searched], cells.stop[searched]
    cells = Cells(cells.edges, start, stop)
    with ThreadPoolExecutor() as pool:
        thresholds, effects = zip(
            *pool.map(lambda one: _thresholds(one, smallest), models), strict=True
        )
    reached, above = np.array(thresholds).T
    names = [*dict.fromkeys(name for effect in effects for name in effect)]
    factors = [np.array([effect.get(name, [1.0, 1.0]) for effect in effects]) for name in names]
    expected = np.array([one.background for one in models])
    known = np.array([one.effective_events for one in models])
    events, effective = _expected(cells, expected, known, background, error)
    _, nearest = cells.nearest(np.ones(len(models), dtype=bool))
    random = np.random.default_rng(seed)
    passed = crossings = 0
    for first in range(0, number, BLOCK):
        toys = min(BLOCK, number - first)
        drawn, mean = random.standard_normal((toys, len(names), 1)), np.tile(events, (toys, 1))
        for theta, both in zip(drawn.swapaxes(0, 1), factors, strict=True):
            mean *= np.exp(interpolated(theta, both)[0])[:, nearest]
        mean *= random.standard_gamma(effective, mean.shape) / effective
        counts = cells.windows(random.poisson(mean))
        passed += int((counts >= reached).any(axis=1).sum())
        high = counts >= above
        crossings += int((high[:, 1:] & ~high[:, :-1]).sum())
    # No smaller than the local one, whatever so many experiments say.
    share = max(passed / number, smallest) if passed else 0.0
    mean_crossings, local = crossings / number, float(significance(smallest))
    estimate = smallest + mean_crossings * np.exp((LEVEL**2 - local**2) / 2)
    uncertain = max(NONE_FOUND / number, smallest)
    if passed:
        uncertain = float(np.sqrt(share * (1 - share) / number))
    return Global(share, uncertain, Upcrossings(mean_crossings, LEVEL, min(float(estimate), 1.0)))


def _thresholds(
    one: CountingExperiment, smallest: float
) -> tuple[tuple[int, int], dict[str, list[float]]]:
    """Counts that reach the smallest p-value and `LEVEL`, and factors of each uncertainty."""
    sums = Sums(one)
    counts = sums.threshold(smallest), sums.threshold(float(ndtr(-LEVEL)))
    return counts, dict(zip(one.factors, sums.factors.tolist(), strict=False))


def _expected(
    cells: Cells, windows: FloatArray, known: FloatArray, background: FloatArray, error: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Events of cells, and the effective number of simulated ones behind them, (C,) each.

    What the nearest window expects, of (S,), scales them, and the effective number `known` behind
    it, larger than that of its events where nearly all pass. Where no simulated event lies in a
    window, what it expects all the same is spread over those of its cells that lie in no other.
    """
    found = (sums := cells.windows(background)) > 0
    inside, nearest = cells.nearest(found)
    events = background * (windows / np.where(found, sums, np.inf))[nearest]
    own = sums**2 / np.where(found, cells.windows(error**2), np.inf)  # effective, of its events
    more = np.divide(known, own, out=np.ones_like(own), where=(own > 0) & (known > 0))[nearest]
    simulated = divided(background, error, 1.0) ** 2
    effective = np.where(error > 0, more, 1.0) * simulated
    empty, nearest = cells.nearest(~found)
    width = np.diff(cells.edges)
    unseen = width * (windows / cells.windows(width))[nearest]
    return np.where(empty & ~inside, unseen, events), effective
