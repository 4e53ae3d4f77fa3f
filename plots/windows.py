"""Widths of the signal peaks: σ of the window variable against the mass, and its fits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtr

from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import HALF_WIDTH, Windows
from punzinet.plots import style

EXAMPLES = 4  # masses in the grid
PEAK_BINS, STEPS = 25, 4  # bins of a shown peak, and steps of the curve in each
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
    _, top = style.include((0, 0), windows.sigma, np.array([*published.values()]))
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
def peaks_figure(windows: Windows, samples: Mapping[int, tuple[FloatArray, FloatArray]]) -> Figure:
    """Draw example peaks in their windows with their fits, and below the pulls of all bins.

    By index of the hypothesis, a sample has values (n,) of the variable and weights (n,); the curve
    is normalised to the events inside of the window.
    """
    columns = min(2, max(len(samples), 1))
    rows = -(-max(len(samples), 1) // columns)
    shape: dict[str, Any] = {"ncols": columns, "squeeze": False, "height_ratios": [2.6, 1] * rows}
    figure, grid = style.new_figure(0.46 * rows + 0.12, nrows=2 * rows, sharex=True, **shape)
    panels = [*zip(grid[::2].flat, grid[1::2].flat, strict=True)]
    for axes in (axes for pair in panels[len(samples) :] for axes in pair):
        axes.set_axis_off()
    for pair, (index, sample) in zip(panels, samples.items(), strict=False):
        _draw_peak(pair, windows, index, *sample)
    for axes, below in zip(grid[::2, 0], grid[1::2, 0], strict=True):
        axes.set_ylabel(rf"eff. [%] / {2 * HALF_WIDTH / PEAK_BINS:g}$\sigma$", fontsize=6.5)
        below.set_ylabel("pull", loc="center", fontsize=6.5)
    variable, mass = windows.search.variable, windows.search.parameter.strip("$")
    centre = mass if variable.dimension == 1 else f"{mass}^{variable.dimension}"
    label = rf"$({variable.symbol} - {centre})\,/\,\sigma$, up to the ends of the window"
    figure.supxlabel(label, fontsize=7.5)
    style.add_label(grid[0, 0])
    return figure


def _draw_peak(
    panels: tuple[Axes, Axes], windows: Windows, index: int, values: FloatArray, weight: FloatArray
) -> None:
    axes, below = panels
    sigma, fit = windows.sigma[index], windows.fits[index]
    edges = np.linspace(-HALF_WIDTH, HALF_WIDTH, PEAK_BINS + 1)
    distance = (values - windows.centre[index]) / sigma
    content, _ = np.histogram(distance, edges, weights=100 * weight)
    error = np.sqrt(np.histogram(distance, edges, weights=(100 * weight) ** 2)[0])
    middle = 0.5 * (edges[1:] + edges[:-1])
    style.draw_points(axes, middle, content, error, 1.8, color="black", elinewidth=0.5, zorder=2)
    if fit is not None:
        fine = np.linspace(-HALF_WIDTH, HALF_WIDTH, STEPS * PEAK_BINS + 1)
        z = sigma * fine - fit.mean
        narrow, wide = ndtr(z / fit.sigma_narrow), ndtr(z / fit.sigma_wide)
        share = np.diff(fit.fraction * narrow + (1 - fit.fraction) * wide)
        share *= content.sum() / share.sum()
        axes.plot(0.5 * (fine[1:] + fine[:-1]), STEPS * share, color=style.BLUE, zorder=3)
        expected = share.reshape(PEAK_BINS, STEPS).sum(axis=1)
        pull = np.divide(content - expected, error, out=np.zeros(PEAK_BINS), where=error > 0)
        below.bar(middle, pull.clip(-PULLS, PULLS), edges[1] - edges[0], color=style.SLATE)
        unit = windows.search.variable.unit
        said = f"$\\sigma = {fit.sigma:.3f}$ {unit}\n$\\chi^2/\\nu = {fit.chi2:.0f}/{fit.ndof}$"
        axes.text(0.95, 0.92, said, transform=axes.transAxes, ha="right", va="top", fontsize=5.5)
    mass = f"${windows.mass[index]:g}$ GeV"
    axes.text(0.06, 0.92, mass, transform=axes.transAxes, va="top", fontsize=6.0)
    _, top = style.include((0, 0), content + error)
    axes.set(xlim=(-HALF_WIDTH, HALF_WIDTH), ylim=(0, 1.5 * top or 1))
    axes.tick_params(labelbottom=False)
    below.set(ylim=(-PULLS, PULLS), yticks=(-2, 0, 2))
    for each in (axes, below):
        each.tick_params(labelsize=6.0)
        each.minorticks_off()  # thousands of lines in all
