"""Widths of the signal peaks: σ of the window variable against the mass, and its fits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from hist import Hist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtr

from punzinet.analysis.types import FloatArray, divided
from punzinet.analysis.windows import HALF_WIDTH, Windows
from punzinet.plots import style

EXAMPLES = 4  # masses in the grid
TAILS, BIN_WIDTH = 5.0, 0.2  # sigmas to either side that are shown, and in a bin, about
TAIL_TICKS = (-4, -2, 0, 2, 4)
STEPS = 100  # of the curve
PULLS = 3.8  # end of the axis of pulls


@style.style()
def widths_figure(windows: Windows, published: Mapping[float, float]) -> Figure:
    """Draw the weighted sigma of every hypothesis: fitted with errors, interpolated ones open.

    Fits that are not used are crosses, published widths, by mass in GeV, diamonds.
    """
    mass, fitted = windows.mass, windows.fitted
    fits = [(fit.sigma, fit.sigma_error) if fit else (np.nan, np.nan) for fit in windows.fits]
    value, error = np.array(fits).T
    (figure, axes), unused = style.new_figure(0.8), ~fitted & np.isfinite(value)
    look: dict[str, Any] = {"color": style.BLUE, "label": "fitted"}
    style.draw_points(axes, mass[fitted], value[fitted], error[fitted], 3.0, **look)
    if unused.any():
        look = {"fmt": "x", "color": style.SLATE, "label": "fit that is not used"}
        style.draw_points(axes, mass[unused], value[unused], error[unused], 3.0, **look)
    if not fitted.all():
        look = {"color": style.BLUE, "markerfacecolor": "white", "label": "interpolated"}
        look["markeredgewidth"] = 0.7
        style.draw_points(axes, mass[~fitted], windows.sigma[~fitted], size=3.0, **look)
    if published:
        look = {"fmt": "D", "color": style.RED, "markerfacecolor": "none", "label": "published"}
        style.draw_points(axes, list(published), list(published.values()), size=4.0, **look)
    _, top = style.finite_range((0, 0), windows.sigma, [*published.values()])
    axes.set_ylim(0, 1.15 * top)
    style.mass_axis(axes, mass, windows.search.parameter)
    variable = windows.search.variable
    axes.set_ylabel(rf"$\sigma({variable.symbol})$ [{variable.unit}]")
    style.add_legend(axes, 2)
    style.add_label(axes)
    return figure


def example_masses(windows: Windows) -> list[int]:
    """Indices of a few good fits evenly spread over the masses, by growing mass."""
    good = np.flatnonzero(windows.fitted)
    spread = np.linspace(0, len(good) - 1, min(EXAMPLES, len(good))).round().astype(int)
    return [int(i) for i in good[spread]]


@style.style()
def peaks_figure(windows: Windows, peaks: Mapping[int, Hist[Any]]) -> Figure:
    """Draw example peaks with their fits and their windows shaded, and below the pulls of all bins.

    By index of the hypothesis, a peak is the efficiency by distance from the centre of the window;
    the curve is normalised to what lies inside of the window.
    """
    columns = min(2, len(peaks))
    rows = -(-len(peaks) // columns)
    shape: dict[str, Any] = {"ncols": columns, "squeeze": False, "height_ratios": [2.6, 1] * rows}
    figure, grid = style.new_figure(0.5 * rows + 0.12, nrows=2 * rows, sharex=True, **shape)
    panels = [*zip(grid[::2].flat, grid[1::2].flat, strict=True)]
    for axes in (axes for pair in panels[len(peaks) :] for axes in pair):
        axes.set_axis_off()
    for pair, (index, peak) in zip(panels, peaks.items(), strict=False):
        _draw_peak(pair, windows, index, peak)
    for axes, below in zip(grid[::2, 0], grid[1::2, 0], strict=True):
        axes.set_ylabel(r"eff. [%] per $\sigma$", fontsize=6.5)
        below.set_ylabel("pull", loc="center", fontsize=6.5)
    variable, mass = windows.search.variable, windows.search.parameter.strip("$")
    centre = mass if variable.dimension == 1 else f"{mass}^{variable.dimension}"
    words = f"bins of about ${BIN_WIDTH:g}\\sigma$, window shaded"
    figure.supxlabel(rf"$({variable.symbol} - {centre})\,/\,\sigma$, {words}", fontsize=7.5)
    style.add_label(grid[0, 0])
    return figure


def _draw_peak(panels: tuple[Axes, Axes], windows: Windows, index: int, peak: Hist[Any]) -> None:
    (axes, below), axis = panels, peak.axes[0]
    sigma, fit, middle = windows.sigma[index], windows.fits[index], len(axis) // 2
    join = max(1, round(BIN_WIDTH * sigma / axis.widths[0]))
    half = max(min(int(TAILS * sigma / axis.widths[0]), middle) // join, 1) * join
    edges = axis.edges[middle - half : middle + half + 1 : join] / sigma
    shown: Any = peak.view()[middle - half : middle + half].reshape(-1, join)
    content, variance = 100 * shown["value"].sum(axis=1), 1e4 * shown["variance"].sum(axis=1)
    centre, width, error = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges), np.sqrt(variance)
    look: dict[str, Any] = {"color": "black", "elinewidth": 0.5, "zorder": 2}
    style.draw_points(axes, centre, content / width, error / width, 1.8, **look)
    if fit is not None:

        def cdf(distance: FloatArray) -> FloatArray:
            z = sigma * distance - fit.mean
            narrow, wide = ndtr(z / fit.sigma_narrow), ndtr(z / fit.sigma_wide)
            return np.asarray(fit.fraction * narrow + (1 - fit.fraction) * wide)

        inside = np.abs(axis.centers) < HALF_WIDTH * sigma
        total = 100 * peak.values()[inside].sum()
        total /= np.diff(cdf(np.array([-HALF_WIDTH, HALF_WIDTH])))[0]
        fine = np.linspace(edges[0], edges[-1], STEPS + 1)
        density = total * np.diff(cdf(fine)) / np.diff(fine)
        axes.plot(0.5 * (fine[1:] + fine[:-1]), density, color=style.BLUE, zorder=3)
        pull = divided(content - total * np.diff(cdf(edges)), error)
        below.bar(centre, pull.clip(-PULLS, PULLS), width, color=style.SLATE)
        unit = windows.search.variable.unit
        said = f"$\\sigma = {fit.sigma:.3f}$ {unit}\n$\\chi^2/\\nu = {fit.chi2:.0f}/{fit.ndof}$"
        axes.text(0.95, 0.94, said, transform=axes.transAxes, ha="right", va="top", fontsize=6.0)
    mass = f"${windows.mass[index]:g}$ GeV"
    axes.text(0.06, 0.94, mass, transform=axes.transAxes, va="top", fontsize=6.5)
    low, top = style.finite_range((content / width)[content > 0])
    axes.set(yscale="log", ylim=(0.5 * low, top * (top / low) ** 0.55))
    axes.tick_params(labelbottom=False)
    below.set(ylim=(-PULLS, PULLS), yticks=(-2, 0, 2), xlim=(-TAILS, TAILS), xticks=TAIL_TICKS)
    for each in (axes, below):
        each.axvspan(-HALF_WIDTH, HALF_WIDTH, **style.SHADED)
        each.tick_params(labelsize=6.5)
        each.minorticks_off()  # thousands of lines in all
