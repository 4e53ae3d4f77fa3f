"""The shape of a signal peak: a double Gaussian fitted to the variable of the windows.

The fit is binned, so that signal samples of any size are read once and in pieces. Its
parameters are the weighted sigma itself, the ratio of the two widths and the share of the
narrow one: where a single Gaussian would do, the share is undetermined, but the weighted sigma
and its error, which are all that windows need, are not.
"""

import math
from dataclasses import dataclass

import numpy as np
from iminuit import Minuit
from iminuit.cost import BinnedNLL, NormalConstraint
from pydantic import TypeAdapter
from scipy.special import ndtr

from punzinet.analysis.io.files import OrNaN
from punzinet.analysis.types import FloatArray

#: Bins of the histogram of a peak: with 6 GeV² to either side they are 0.005 GeV² wide, and peaks
#: in the squared recoil mass 0.1 to 0.3 GeV².
PEAK_BINS = 2400
#: Core widths to either side that are fitted: less leaves the wide Gaussian undetermined, more lets
#: the radiative tail pass for it.
FIT_RANGE = 6.0
BINS_PER_CORE_WIDTH = 5.0  # finer bins say no more, and those with few weighted events bias a fit
#: Wide over narrow, and how well that is known beforehand: few events in the wide Gaussian leave
#: its width open, and with it the weighted sigma.
WIDTH_RATIO = (2.0, 0.5)
WIDTH_RATIO_LIMITS = (1.0, 5.0)  # of wide over narrow: more is a tail, not a second resolution
FRACTION_LIMITS = (0.2, 1.0)  # limits of the share of the narrow Gaussian
MIN_EVENTS = 100.0  # fewer events than this inside the fit range say too little about two widths
MAX_RELATIVE_ERROR = 0.1  # a weighted sigma with a larger relative error is better interpolated
HALF_SAMPLE_WIDTH = 1.3489795  # sigmas in the shortest interval that holds half of a Gaussian


@dataclass(frozen=True)
class PeakFit:
    """A double Gaussian with common mean, fitted to the peak of one hypothesis.

    What is fitted is the distance from the centre of its window, and everything is in the unit of
    the variable: GeV² for the squared recoil mass.
    """

    mean: OrNaN
    sigma_narrow: OrNaN
    sigma_wide: OrNaN
    fraction: OrNaN  # share of the narrow Gaussian, 0 to 1
    sigma: OrNaN  # weighted sigma: fraction-weighted mean of the two widths
    sigma_error: OrNaN
    events: OrNaN  # effective number inside the fit range
    chi2: OrNaN
    ndof: int
    problem: str | None  # why the fit is not to be used; None for a good one


PEAK_FIT: TypeAdapter[PeakFit | None] = TypeAdapter(PeakFit | None)  # a fit as JSON has it


def peak_edges(reach: float) -> FloatArray:
    """Edges of the bins that peaks are histogrammed in, `reach` to either side of the centre."""
    return np.linspace(-reach, reach, PEAK_BINS + 1)


def fit_peak(
    sum_of_weights: FloatArray, sum_of_squares: FloatArray, edges: FloatArray
) -> PeakFit | None:
    """Fit the peak of one hypothesis, histogrammed in the distance from the centre of its window.

    Weights and their squares are summed in b bins of (b + 1,) equidistant edges. There is no fit
    where the histogram is empty.
    """
    if not np.any(sum_of_weights > 0):
        return None
    centre, core_width = _half_sample(sum_of_weights, edges)
    edges, counts = _around_peak(sum_of_weights, sum_of_squares, edges, centre, core_width)
    events = float(counts[:, 0].sum() ** 2 / counts[:, 1].sum())
    if events < MIN_EVENTS:
        nan, few = math.nan, f"fewer than {MIN_EVENTS:g} events"
        return PeakFit(nan, nan, nan, nan, nan, nan, events, nan, 0, few)

    def cdf(x: FloatArray, mean: float, sigma: float, ratio: float, fraction: float) -> FloatArray:
        narrow, wide = _widths(sigma, ratio, fraction)
        z = x - mean
        value = fraction * ndtr(z / narrow) + (1 - fraction) * ndtr(z / wide)
        return np.asarray((value - value[0]) / (value[-1] - value[0]))

    start = {"mean": centre, "sigma": 1.3 * core_width, "ratio": WIDTH_RATIO[0], "fraction": 0.7}
    likelihood = BinnedNLL(counts, edges, cdf) + NormalConstraint("ratio", *WIDTH_RATIO)
    minuit = Minuit(likelihood, **start)
    ends, reach = (edges[0], edges[-1]), edges[-1] - edges[0]
    minuit.limits = [ends, (0.01 * reach, reach), WIDTH_RATIO_LIMITS, FRACTION_LIMITS]
    minuit.migrad()
    minuit.hesse()
    mean, sigma, ratio, fraction = minuit.values
    # At the limits of ratio and share Minuit's error can come out too small; no width is known
    # better than that of a single Gaussian.
    error = max(minuit.errors["sigma"], sigma / math.sqrt(2 * events))
    problem = None
    if not minuit.valid:
        problem = "the fit did not converge"
    elif not error < MAX_RELATIVE_ERROR * sigma:
        problem = f"sigma is known to worse than {MAX_RELATIVE_ERROR:.0%}"
    elif sigma > 0.25 * reach:
        problem = "there is no peak in the fit range"
    widths, ndof = _widths(sigma, ratio, fraction), len(counts) + 1 - minuit.nfit
    return PeakFit(mean, *widths, fraction, sigma, error, events, minuit.fval, ndof, problem)


def _widths(sigma: float, ratio: float, fraction: float) -> tuple[float, float]:
    narrow = sigma / (fraction + (1 - fraction) * ratio)
    return narrow, ratio * narrow


def _half_sample(weights: FloatArray, edges: FloatArray) -> tuple[float, float]:
    """Find the peak without a model: the shortest interval that holds half of the sample.

    Returns its centre, and the width of a Gaussian of which it would hold half.
    """
    cumulative = np.concatenate(([0.0], np.cumsum(weights)))
    half = 0.5 * cumulative[-1]
    starts = np.flatnonzero(cumulative <= half)
    stop = np.interp(cumulative[starts] + half, cumulative, edges)
    length = stop - edges[starts]
    shortest = np.argmin(length)
    bin_width = edges[1] - edges[0]
    centre = edges[starts[shortest]] + 0.5 * length[shortest]
    return float(centre), float(max(length[shortest], bin_width) / HALF_SAMPLE_WIDTH)


def _around_peak(
    weights: FloatArray, squares: FloatArray, edges: FloatArray, centre: float, core_width: float
) -> tuple[FloatArray, FloatArray]:
    """Cut the fit range out of a histogram and join bins.

    Returns (k + 1,) edges and (k, 2) sums of weights and of squared weights.
    """
    bin_width = edges[1] - edges[0]
    join = max(1, int(core_width / BINS_PER_CORE_WIDTH / bin_width))
    reach = FIT_RANGE * core_width
    first, last = np.searchsorted(edges, [centre - reach, centre + reach])
    inside = edges[first : last + 1 : join]
    stop = first + join * (len(inside) - 1)
    starts = np.arange(first, stop, join)
    joined = [np.add.reduceat(sums[:stop], starts) for sums in (weights, squares)]
    return inside, np.column_stack(joined)
