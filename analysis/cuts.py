"""Exact cuts on the network's output: no grid, every distinct output is a candidate.

One pass over the events, from the most to the least signal-like output, keeps the efficiency and
background of every hypothesis up to date, and so meets every selection that a cut can make. With
weights that are not negative only candidates that add signal need to be looked at.

A cut is a value of the output before the sigmoid; an event is selected if its own is at least
that. Where several candidates are equally good the tightest is taken.

Where no simulated background passes, its upper limit counts: no cut gains by emptying a window.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import scipy

from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance, punzi_numerator
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.tensor_events import TensorEvents
from punzinet.analysis.types import SIGNAL, BoolArray, FloatArray, IntArray, divided
from punzinet.analysis.windows import Windows

NONE_FOUND = 1.148
"""Events that are excluded at one standard deviation (68.27 %) where none was found."""
LEADING = 10
"""The most signal-like background events of a window, whose weights are those of what may pass."""

_numerator: Any = njit(cache=True)(punzi_numerator)
_variance: Any = njit(cache=True)(background_variance)


class RankedEvents(NamedTuple):
    """Events sorted from the most to the least signal-like; compiled loops take a tuple as it is.

    The weights of a hypothesis' selected signal add up to its efficiency, those of selected
    background to the events expected.
    """

    logit: FloatArray  # (n,) outputs before the sigmoid, falling
    weight: FloatArray  # (n,)
    process: IntArray  # (n,) background processes counted from 0, `SIGNAL` for signal
    start: IntArray  # (n,) first window; for signal, that of its own mass
    stop: IntArray  # (n,) one past the last window
    processes: int  # P, of background
    hypotheses: int  # H, which the windows count

    @classmethod
    def rank(cls, logit: FloatArray, *columns: Any, processes: int, hypotheses: int) -> Self:
        """Sort events by their output; weight, process, start and stop follow it.

        InputError if an output is not a number, or a weight is negative or not finite; ValueError
        if there are more processes or windows than said.
        """
        weight, process, start, stop = columns
        for codes, low, high in (
            (process, SIGNAL, processes - 1), (start, 0, hypotheses), (stop, 0, hypotheses),
        ):  # fmt: skip
            if ((codes < low) | (codes > high)).any():
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
        process, start, stop = (c[order].astype(np.int16, copy=False) for c in columns[1:])
        weight = weight[order].astype(np.float64, copy=False)
        return cls(logit[order], weight, process, start, stop, processes, hypotheses)

    @classmethod
    def of(
        cls, events: TensorEvents, logit: FloatArray, windows: Windows, backgrounds: Sequence[str]
    ) -> Self:
        """Sort events by their output (n,): those of background processes, by name, and signal.

        Background lies in all windows (H,) that hold it, signal in that of its own mass.
        """
        process = np.full(len(logit), SIGNAL)
        for code, name in enumerate(backgrounds):
            process[events.process == name] = code
        # As `Windows.assign` finds them; what is compiled for that takes longer to load.
        start = np.searchsorted(windows.high, events.variable, side="right")
        stop = np.searchsorted(windows.low, events.variable, side="left")
        own = windows.index_of(events.mass)
        inside = (start <= own) & (own < stop)
        own *= inside
        start, stop = np.where(events.signal, (own, own + inside), (start, stop))
        size = {"processes": len(backgrounds), "hypotheses": len(windows)}
        return cls.rank(logit, events.weight, process, start, stop, **size)


@njit(cache=True)
def selected(events: RankedEvents, cut: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum weights and squared weights of what passes the cuts (H,).

    Both sums are (P + 1, H); the last row, index `SIGNAL`, is the signal.
    """
    sums = np.zeros((events.processes + 1, len(cut)))
    squares = np.zeros((events.processes + 1, len(cut)))
    for i in range(len(events.logit)):
        row, weight = events.process[i], events.weight[i]
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
        process, weight = events.process[i], events.weight[i]
        if process < 0:
            continue
        slope = 0.0
        for window in range(events.start[i], events.stop[i]):
            if events.logit[i] >= cut[window]:
                slope += slopes[process, window]
        sums[0, process] += weight * slope
        sums[1, process] += (weight * slope) ** 2
        sums[2, process] += weight**2 * slope
    return sums


def unseen_background(events: RankedEvents) -> FloatArray:
    """Upper limit (68.27 %) on the background of each window where none of it passes, (H,).

    It is `NONE_FOUND` events of the weight Σw²/Σw that the most signal-like background of a window
    has; of all windows where one holds none.
    """
    return _unseen(_leading_sums(events, LEADING))


def _unseen(leading: FloatArray) -> FloatArray:
    squares, sums = leading
    return NONE_FOUND * divided(squares, sums, float(divided(squares.sum(), sums.sum())))


@njit(cache=True)
def _leading_sums(events: RankedEvents, count: int) -> FloatArray:
    """Σw² and Σw, (2, H), of the first background events of each window, so many."""
    sums, found = np.zeros((2, events.hypotheses)), np.zeros(events.hypotheses, np.int64)
    for i in range(len(events.logit)):
        if events.process[i] < 0 or events.weight[i] == 0:
            continue
        for window in range(events.start[i], events.stop[i]):
            if found[window] < count:
                found[window] += 1
                sums[0, window] += events.weight[i] ** 2
                sums[1, window] += events.weight[i]
    return sums


def interpolated_cuts(mass: FloatArray, cut: FloatArray, wanted: FloatArray) -> FloatArray:
    """Interpolate cuts found for some masses to any other mass.

    The interpolation is the shape-preserving cubic (PCHIP) of the finite cuts: it passes through
    them without kinks, and never beyond two neighbours. Outside of their masses, the nearest one's
    cut holds; a mass of NaN gets NaN. If no cut is finite all are infinite.
    """
    finite = np.isfinite(cut)
    if finite.sum() < 2:
        return np.full(len(wanted), cut[finite][0] if finite.any() else np.inf)
    inside = np.clip(wanted, mass[finite][0], mass[finite][-1])
    cuts: FloatArray = scipy.interpolate.PchipInterpolator(mass[finite], cut[finite])(inside)
    return cuts


#: What compiled loops need of a figure of merit: constant, a and b; luminosity; uncertainty of all
#: background together; whether it is averaged geometrically.
_Merit = tuple[tuple[float, float, float], float, float, bool]


@njit(cache=True)
def _sigma_min(
    sums: FloatArray, unseen: float, hypothesis: int, shifts: Any, merit: _Merit
) -> float:
    """σ_min of one selection, infinite without efficiency.

    The sums (P + 1,) are the background of each process, in all what is `unseen` if there is none,
    and the efficiency. The shifts (H, K, P) are none if the background is certain.
    """
    if sums[-1] <= 0:
        return np.inf
    constants, luminosity, overall, _ = merit
    background = sums[:-1].sum() or unseen
    variance = background
    if shifts is not None:
        variance = _variance(background, sums, overall, shifts[hypothesis])
    root = np.sqrt(variance)
    sigma: float = _numerator(root, *constants) / (sums[-1] * luminosity)
    return sigma


@njit(cache=True)
def _add_equal(events: RankedEvents, first: int, sums: FloatArray) -> int:
    """Add all events with the output of event `first`, which no cut can tell apart.

    They are added to `sums` (H, P + 1), background events of each process and efficiencies. Returns
    the first event with a smaller output.
    """
    i = first
    while i < len(events.logit) and events.logit[i] == events.logit[first]:
        for window in range(events.start[i], events.stop[i]):
            sums[window, events.process[i]] += events.weight[i]
        i += 1
    return i


def best_cuts(
    events: RankedEvents,
    training: BoolArray,
    figure: FigureOfMerit,
    luminosity: float,
    processes: Sequence[str] = (),
) -> tuple[FloatArray, float]:
    """Find the cuts with the smallest σ_min: of each hypothesis by itself, and the one for all.

    Cuts (H,) are infinite, selecting nothing, for a hypothesis without signal. The one cut has the
    smallest average σ_min over the `training` hypotheses (H,); as in the Punzi-loss, one without
    any signal among the events is left out of it. The names of the background processes are needed
    only if the figure of merit has uncertainties by process. InputError if no training hypothesis
    has signal.
    """
    signal = (events.process < 0) & (events.start < events.stop) & (events.weight > 0)
    used = np.isin(np.arange(events.hypotheses), events.start[signal]) & training
    if not used.any():
        raise InputError(
            "No training hypothesis has a signal event in its window, so that no cut is better "
            "than another; give the signal datasets more events."
        )
    constants, geometric = (figure.constant, figure.a, figure.b), figure.average == "geometric"
    overall, shifts = figure.uncertainty_of(processes, events.hypotheses)
    # A background that is certain is a case of its own, which takes two thirds of the time.
    uncertain = np.ascontiguousarray(shifts.transpose(2, 0, 1)) if overall or len(shifts) else None
    merit = constants, luminosity, overall, geometric
    sigma, single = _scan(events, used, unseen_background(events), uncertain, merit)
    own, (best, cuts) = events.start.astype(np.int64), np.full((2, events.hypotheses), np.inf)
    found = np.flatnonzero(np.isfinite(sigma))
    np.minimum.at(best, own[found], sigma[found])
    tightest = found[sigma[found] == best[own[found]]][::-1]  # the first of each is written last
    cuts[own[tightest]] = events.logit[tightest]
    return cuts, float(single)


def nearly_best_cuts(
    events: RankedEvents,
    tolerance: float,
    figure: FigureOfMerit,
    luminosity: float,
    processes: Sequence[str] = (),
) -> FloatArray:
    """Find the loosest and the tightest cut with a σ_min within a relative tolerance of the best.

    Both, (2, H), are NaN for a hypothesis without signal; the rest is as for `best_cuts`. Nothing
    is compiled: what is done once by a figure takes less time than Numba to load.
    """
    overall, shifts = figure.uncertainty_of(processes, events.hypotheses)
    ends = np.full((2, events.hypotheses), np.nan)
    windows = range(events.hypotheses)
    rows = [np.flatnonzero((events.start <= h) & (h < events.stop)) for h in windows]
    seen = (events.process >= 0) & (events.weight > 0)
    leading = (events.weight[inside[seen[inside]][:LEADING]] for inside in rows)
    unseen = _unseen(np.array([((w**2).sum(), w.sum()) for w in leading]).T)
    for h, inside in enumerate(rows):
        process, weight = events.process[inside], events.weight[inside]
        falling = -events.logit[inside]  # what sorts them, which grows
        codes = [*range(events.processes), SIGNAL]
        *each, signal = (np.cumsum(weight * (process == code)) for code in codes)
        background = np.sum(each, axis=0)
        background = np.where(background > 0, background, unseen[h])
        variance = background_variance(background, each, overall, shifts[:, :, h])
        cut = falling[process < 0]
        passing = np.searchsorted(falling, cut, side="right") - 1  # no cut tells equals apart
        sigma = figure.sigma_min(signal, variance, luminosity)[passing]
        near = -cut[np.isfinite(sigma) & (sigma <= (1 + tolerance) * sigma.min(initial=np.inf))]
        if len(near):
            ends[:, h] = near[-1], near[0]
    return ends


@njit(cache=True)
def _scan(
    events: RankedEvents, used: BoolArray, unseen: FloatArray, shifts: Any, merit: _Merit
) -> tuple[FloatArray, float]:
    """σ_min (n,) of own hypotheses where signal is cut at, and the best cut for the `used` (H,).

    It is infinite for background. A window without background has that which is `unseen` (H,).

    The σ_min of a hypothesis is only worked out again if its sums have changed, but their
    total is always taken afresh: it carries no rounding from one candidate to the next.
    """
    hypotheses = events.hypotheses
    sums = np.zeros((hypotheses, events.processes + 1))
    found = np.full(len(events.logit), np.inf)
    sigma, changed = np.full(hypotheses, np.inf), np.zeros(hypotheses, dtype=np.bool_)
    single, least = np.inf, np.inf
    i = 0
    while i < len(events.logit):
        first = i
        i = _add_equal(events, first, sums)
        adds_signal = False
        for k in range(first, i):
            own = events.start[k]
            changed[own : events.stop[k]] = True
            if events.process[k] < 0 and own < events.stop[k]:
                adds_signal |= used[own]
                found[k] = sigma[own] = _sigma_min(sums[own], unseen[own], own, shifts, merit)
        if not adds_signal:
            continue
        total = 0.0
        for h in range(hypotheses):
            if used[h]:
                if changed[h]:
                    sigma[h] = _sigma_min(sums[h], unseen[h], h, shifts, merit)
                    changed[h] = False
                total += np.log(sigma[h]) if merit[-1] else sigma[h]
        if total < least:
            single, least = events.logit[first], total
    return found, single
