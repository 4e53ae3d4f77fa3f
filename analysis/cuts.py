"""Exact cuts on the network's output: no grid, every distinct output is a candidate.

Events are ranked once from the most to the least signal-like output. One pass down that list
keeps the efficiency and background of every hypothesis up to date, and so meets every
selection that a cut can make. With weights that are not negative, background alone never
improves a selection: only candidates that add signal need to be looked at.

A cut is a value of the output before the sigmoid; an event is selected if its own is at least
that. Where several candidates are equally good the tightest is taken.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.interpolate import PchipInterpolator

from punzinet.analysis.compiled import njit
from punzinet.analysis.figures_of_merit import (
    BackgroundUncertainty,
    FigureOfMerit,
    background_variance,
    punzi_numerator,
)
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

_numerator: Any = njit(cache=True)(punzi_numerator)
_variance: Any = njit(cache=True)(background_variance)


class RankedEvents(NamedTuple):
    """Events sorted from the most to the least signal-like; compiled loops take a tuple as it is.

    Attributes:
        logit: (n,) outputs before the sigmoid, falling.
        weight: (n,) weights: those of a hypothesis' selected signal add up to its efficiency,
            those of selected background to the events expected.
        process: (n,) background processes counted from 0, `SIGNAL` for signal.
        start: (n,) first window of each event; for signal, that of its own mass.
        stop: (n,) one past its last window.
        processes: Number of background processes P.
        hypotheses: Number of hypotheses H that the windows count.
    """

    logit: FloatArray
    weight: FloatArray
    process: IntArray
    start: IntArray
    stop: IntArray
    processes: int
    hypotheses: int

    @classmethod
    def rank(
        cls,
        logit: FloatArray,
        weight: FloatArray,
        process: IntArray,
        start: IntArray,
        stop: IntArray,
        *,
        processes: int,
        hypotheses: int,
    ) -> Self:
        """Sort events by their output.

        Raises:
            InputError: If an output is not a number, or a weight is negative or not finite.
            ValueError: If there are more processes or windows than said.
        """
        if len(logit) and not (
            process.min() >= SIGNAL
            and process.max() < processes
            and start.min() >= 0
            and stop.max() <= hypotheses
        ):
            raise ValueError("process codes or windows are out of range")
        if np.isnan(logit).any():
            raise InputError(
                f"The network's output is not a number for {np.isnan(logit).sum()} events, so its "
                "parameters are damaged; run `punzinet train` again."
            )
        if not (np.isfinite(weight) & (weight >= 0)).all():
            raise InputError(
                "An event weight is negative or not finite, for which no best cut exists; check "
                "the weight branch of the ntuples."
            )
        order = np.argsort(-logit)
        return cls(
            logit[order],
            weight[order].astype(np.float64, copy=False),
            process[order].astype(np.int16, copy=False),
            start[order].astype(np.int16, copy=False),
            stop[order].astype(np.int16, copy=False),
            processes,
            hypotheses,
        )


def selected(events: RankedEvents, cut: FloatArray | float) -> tuple[FloatArray, FloatArray]:
    """Sum weights and squared weights of what passes a cut, one for all or (H,).

    Both sums are (P + 1, H); the last row, index `SIGNAL`, is the signal.
    """
    cuts = np.broadcast_to(np.asarray(cut, dtype=np.float64), events.hypotheses)
    return _selected(events, np.ascontiguousarray(cuts))


@njit(cache=True)
def _selected(events: RankedEvents, cut: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compiled loop of `selected`."""
    sums = np.zeros((events.processes + 1, len(cut)))
    squares = np.zeros((events.processes + 1, len(cut)))
    for i in range(len(events.logit)):
        row = events.process[i] if events.process[i] >= 0 else events.processes
        weight = events.weight[i]
        for window in range(events.start[i], events.stop[i]):
            if events.logit[i] >= cut[window]:
                sums[row, window] += weight
                squares[row, window] += weight**2
    return sums, squares


@njit(cache=True)
def slope_sums(events: RankedEvents, cut: FloatArray, slopes: FloatArray) -> FloatArray:
    """Sum what background events that pass (H,) cuts contribute to a function of all windows.

    The slopes (P, H) are its derivatives with respect to the background of each process in each
    window. Returns (3, P) Σ wg, Σ (wg)² and Σ w²g over the events, with w the weight of an event
    and g the sum of the slopes of the windows in which it passes.
    """
    sums = np.zeros((3, len(slopes)))
    for i in range(len(events.logit)):
        process = events.process[i]
        if process < 0:
            continue
        slope = 0.0
        for window in range(events.start[i], events.stop[i]):
            if events.logit[i] >= cut[window]:
                slope += slopes[process, window]
        weight = events.weight[i]
        sums[0, process] += weight * slope
        sums[1, process] += (weight * slope) ** 2
        sums[2, process] += weight**2 * slope
    return sums


def optimal_cuts(
    events: RankedEvents,
    figure_of_merit: FigureOfMerit,
    luminosity: float,
    processes: Sequence[str] = (),
) -> FloatArray:
    """Find the cut with the smallest σ_min for each hypothesis by itself.

    Cuts (H,) are infinite, selecting nothing, for a hypothesis without signal. The names of the
    background processes are needed only if the figure of merit has uncertainties by process.
    """
    return _optimal_cuts(events, _Merit.of(figure_of_merit, luminosity, processes))


def interpolated_cuts(mass: FloatArray, cut: FloatArray, wanted: FloatArray) -> FloatArray:
    """Interpolate cuts found for some masses to any other mass.

    This is how a search with a best cut for each mass selects events between the masses that it
    was optimised for. The interpolation is the shape-preserving cubic (PCHIP) of the finite cuts:
    it passes through them without kinks, and never beyond two neighbours. Outside of their
    masses, the nearest one's cut holds; a mass of NaN gets NaN. If no cut is finite all are
    infinite.
    """
    finite = np.isfinite(cut)
    if finite.sum() < 2:
        return np.full(len(wanted), cut[finite][0] if finite.any() else np.inf)
    inside = np.clip(wanted, mass[finite][0], mass[finite][-1])
    cuts: FloatArray = PchipInterpolator(mass[finite], cut[finite])(inside)
    return cuts


def best_single_cut(
    events: RankedEvents,
    training: BoolArray,
    figure_of_merit: FigureOfMerit,
    luminosity: float,
    processes: Sequence[str] = (),
) -> float:
    """Find the one cut with the smallest mean σ_min over the training hypotheses.

    As in the Punzi-loss, a hypothesis without any signal among the events is left out of the
    mean. `training` (H,) says which hypotheses count; the rest is as for `optimal_cuts`.

    Raises:
        InputError: If no training hypothesis has signal.
    """
    signal = (events.process < 0) & (events.start < events.stop) & (events.weight > 0)
    present = np.zeros(events.hypotheses, dtype=bool)
    present[events.start[signal]] = True
    used = present & training
    if not used.any():
        raise InputError(
            "No training hypothesis has a signal event in its window, so that no cut is better "
            "than another; give the signal datasets more events."
        )
    merit = _Merit.of(figure_of_merit, luminosity, processes)
    return float(_best_single_cut(events, used, merit))


class _Merit(NamedTuple):
    """What compiled loops need to know of a figure of merit; see `FigureOfMerit`."""

    constant: float
    a: float
    b: float
    luminosity: float
    uncertainty: BackgroundUncertainty

    @classmethod
    def of(
        cls, figure_of_merit: FigureOfMerit, luminosity: float, processes: Sequence[str]
    ) -> Self:
        """Take them from a figure of merit; arguments as of `optimal_cuts`."""
        merit = figure_of_merit
        return cls(merit.constant, merit.a, merit.b, luminosity, merit.uncertainty_of(processes))


@njit(cache=True)
def _sigma_min(sums: FloatArray, background: float, merit: _Merit) -> float:
    """σ_min of one selection, infinite without efficiency.

    The sums (P + 1,) are the background of each process, and the efficiency.
    """
    efficiency = sums[-1]
    if efficiency <= 0:
        return np.inf
    root = np.sqrt(_variance(background, sums, merit.uncertainty))
    numerator = _numerator(root, merit.constant, merit.a, merit.b)
    sigma: float = numerator / (efficiency * merit.luminosity)
    return sigma


@njit(cache=True)
def _add_equal(events: RankedEvents, first: int, sums: FloatArray, background: FloatArray) -> int:
    """Add all events with the output of event `first`, which no cut can tell apart.

    They are added to `sums` (H, P + 1), background events of each process and efficiencies, and
    to `background` (H,) of all processes. Returns the first event with a smaller output.
    """
    i = first
    while i < len(events.logit) and events.logit[i] == events.logit[first]:
        process = events.process[i]
        for window in range(events.start[i], events.stop[i]):
            sums[window, process] += events.weight[i]
            if process >= 0:
                background[window] += events.weight[i]
        i += 1
    return i


@njit(cache=True)
def _optimal_cuts(events: RankedEvents, merit: _Merit) -> FloatArray:
    """Compiled loop of `optimal_cuts`."""
    sums = np.zeros((events.hypotheses, events.processes + 1))
    background = np.zeros(events.hypotheses)
    cut, best = np.full(events.hypotheses, np.inf), np.full(events.hypotheses, np.inf)
    i = 0
    while i < len(events.logit):
        first = i
        i = _add_equal(events, first, sums, background)
        for k in range(first, i):
            if events.process[k] < 0 and events.start[k] < events.stop[k]:
                own = events.start[k]
                sigma = _sigma_min(sums[own], background[own], merit)
                if sigma < best[own]:
                    best[own], cut[own] = sigma, events.logit[k]
    return cut


@njit(cache=True)
def _best_single_cut(events: RankedEvents, used: BoolArray, merit: _Merit) -> float:
    """Compiled loop of `best_single_cut`; `used` (H,) says which hypotheses are in the mean.

    The σ_min of a hypothesis is only worked out again if its sums have changed, but their
    total is always taken afresh: it carries no rounding from one candidate to the next.
    """
    sums = np.zeros((events.hypotheses, events.processes + 1))
    background = np.zeros(events.hypotheses)
    sigma = np.full(events.hypotheses, np.inf)
    changed = np.zeros(events.hypotheses, dtype=np.bool_)
    cut, best = np.inf, np.inf
    i = 0
    while i < len(events.logit):
        first = i
        i = _add_equal(events, first, sums, background)
        adds_signal = False
        for k in range(first, i):
            changed[events.start[k] : events.stop[k]] = True
            if events.process[k] < 0 and events.start[k] < events.stop[k]:
                adds_signal |= used[events.start[k]]
        if not adds_signal:
            continue
        total = 0.0
        for h in range(events.hypotheses):
            if used[h]:
                if changed[h]:
                    sigma[h] = _sigma_min(sums[h], background[h], merit)
                    changed[h] = False
                total += sigma[h]
        if total < best:
            best, cut = total, events.logit[first]
    return cut
