"""Widths of the signal peaks: σ of the window variable against the mass, and its fits."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtr

from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import HALF_WIDTH, Windows
from punzinet.plots import style

EXAMPLES = 6  # masses in the grid
PEAK_BINS, STEPS = 25, 8  # bins of a shown peak, and steps of the curve in each


@style.style()
def widths_figure(windows: Windows) -> Figure:
    """Draw the weighted sigma of every hypothesis: fitted with errors, interpolated ones open."""
    error = np.array([np.nan if f is None else f.sigma_error for f in windows.fits])
    error[~windows.fitted] = np.nan
    (figure, axes), fitted = style.new_figure(0.75), windows.fitted
    for rows, label, face in (fitted, "fitted", style.BLUE), (~fitted, "interpolated", "white"):
        look = {"color": style.BLUE, "markerfacecolor": face, "markeredgewidth": 0.7}
        points = windows.mass[rows], windows.sigma[rows], error[rows]
        style.draw_points(axes, *points, 3.0, label=label, **look)
    _, top = style.include((0, 0), windows.sigma + np.nan_to_num(error))
    axes.set_ylim(0, 1.3 * top)
    style.mass_axis(axes, windows.mass, windows.search.parameter)
    variable = windows.search.variable
    axes.set_ylabel(rf"$\sigma({variable.symbol})$ [{variable.unit}]")
    axes.legend(loc="upper right", ncols=2)
    style.add_label(axes)
    return figure


def example_masses(windows: Windows) -> list[int]:
    """Indices of a few good fits evenly spread over the masses, by growing mass."""
    good = np.flatnonzero(windows.fitted)
    spread = np.linspace(0, len(good) - 1, min(EXAMPLES, len(good))).round().astype(int)
    return [int(i) for i in good[spread]]


@style.style()
def peaks_figure(windows: Windows, samples: Mapping[int, tuple[FloatArray, FloatArray]]) -> Figure:
    """Draw example peaks with their fits.

    By index of the hypothesis, a sample has values (n,) of the variable and weights (n,); the curve
    is normalised to the events inside of the window.
    """
    columns = min(2, max(len(samples), 1))
    rows = -(-max(len(samples), 1) // columns)
    figure, grid = style.new_figure(0.38 * rows + 0.12, nrows=rows, ncols=columns, squeeze=False)
    for axes in grid.flat[len(samples) :]:
        axes.set_axis_off()
    for axes, (index, (values, weight)) in zip(grid.flat, samples.items(), strict=False):
        _draw_peak(axes, windows, index, values, weight)
    for axes in grid[:, 0]:
        axes.set_ylabel("efficiency / bin", fontsize=6.5)
    variable, mass = windows.search.variable, windows.search.parameter.strip("$")
    centre = mass if variable.dimension == 1 else f"{mass}^{variable.dimension}"
    figure.supxlabel(f"${variable.symbol} - {centre}$ [{variable.unit}]", fontsize=7.5)
    style.add_label(grid[0, 0])
    return figure


def _draw_peak(
    axes: Axes, windows: Windows, index: int, values: FloatArray, weight: FloatArray
) -> None:
    reach = HALF_WIDTH * windows.sigma[index]
    edges = np.linspace(-reach, reach, PEAK_BINS + 1)
    difference = values - windows.centre[index]
    content, _ = np.histogram(difference, edges, weights=weight)
    error = np.sqrt(np.histogram(difference, edges, weights=weight**2)[0])
    points = (0.5 * (edges[1:] + edges[:-1]), content, error)
    style.draw_points(axes, *points, 1.8, color="black", elinewidth=0.5, zorder=2)
    if (fit := windows.fits[index]) is not None:
        fine = np.linspace(-reach, reach, STEPS * PEAK_BINS + 1)
        z = fine - fit.mean
        narrow, wide = ndtr(z / fit.sigma_narrow), ndtr(z / fit.sigma_wide)
        below = fit.fraction * narrow + (1 - fit.fraction) * wide
        shares = STEPS * content.sum() * (np.diff(below) / (below[-1] - below[0]))
        axes.plot(0.5 * (fine[1:] + fine[:-1]), shares, color=style.BLUE, zorder=3)
        said = f"$\\sigma = {fit.sigma:.3f}$\n$\\chi^2/\\nu = {fit.chi2:.0f}/{fit.ndof}$"
        axes.text(0.96, 0.95, said, transform=axes.transAxes, ha="right", va="top", fontsize=5.5)
    mass = f"${windows.mass[index]:g}$ GeV"
    axes.text(0.04, 0.95, mass, transform=axes.transAxes, va="top", fontsize=6.0)
    _, top = style.include((0, 0), content + error)
    axes.set(xlim=(-reach, reach), ylim=(0, 1.5 * top or 1))
    axes.locator_params(axis="x", nbins=4)
    axes.ticklabel_format(axis="y", scilimits=(-2, 3), useMathText=True)
    axes.yaxis.get_offset_text().set_fontsize(5.5)
    axes.tick_params(labelsize=6.0)
