"""Data against simulation: spectra of both, and their ratio with its statistical uncertainty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mplhep
import numpy as np
from hist import Hist
from hist.intervals import poisson_interval
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from punzinet.analysis.observables import Quantity
from punzinet.analysis.types import FloatArray
from punzinet.plots import style
from punzinet.plots.stack import draw_stack, draw_uncertainty

#: Upper end of the central 68 % interval of the mean of a Poisson distribution, after no event.
EMPTY_BIN = 1.841
#: Height of the panel of a ratio, as a share of the panel above it.
RATIO_HEIGHT = 0.36
#: What is shown of a ratio.
RATIO_RANGE = (0.0, 2.0)


@dataclass(frozen=True, eq=False)
class Compared:
    """One variable of data and simulation.

    Attributes:
        quantity: How it is written.
        data: What is seen of the data.
        backgrounds: Axes ``process`` (categories) and that of the variable, scaled to the
            luminosity behind that data.
    """

    quantity: Quantity
    data: Hist[Any]
    backgrounds: Hist[Any]


@dataclass(frozen=True)
class Seen:
    """What the panels of a figure have in common.

    Attributes:
        luminosity: Luminosity behind the data that is seen, fb^-1.
        what: What is seen of the data, in words.
        processes: How figures write each process.
    """

    luminosity: float
    what: str
    processes: Mapping[str, str]


def data_mass_figure(before: Compared, after: Compared, seen: Seen) -> Figure:
    """Draw the mass that is searched in before (above) and after (below) the single cut.

    Args:
        before: Events that pass the preselection.
        after: Those of them that pass the single cut.
        seen: What is seen of the data.
    """
    with style.style():
        figure, grid = _new_figure(2, 1, 1.6)
        for row, (one, title) in enumerate(
            ((before, "before the cut"), (after, "after the single cut"))
        ):
            _draw(grid[2 * row, 0], grid[2 * row + 1, 0], one, seen.processes)
            grid[2 * row, 0].set_ylabel(f"events / {one.data.axes[0].widths[0]:.3g} GeV")
            grid[2 * row, 0].text(
                0.97, 0.93, title, transform=grid[2 * row, 0].transAxes, ha="right", va="top"
            )
            grid[2 * row + 1, 0].set_xlabel(one.quantity.axis_label)
        _describe(figure, grid, seen)
    return figure


def data_features_figure(features: Sequence[Compared], seen: Seen) -> Figure:
    """Draw every feature.

    Args:
        features: The features.
        seen: What is seen of the data.
    """
    with style.style():
        rows = -(-len(features) // 2)
        figure, grid = _new_figure(rows, 2, 0.75 * rows)
        panels = [(2 * row, column) for row in range(rows) for column in (0, 1)]
        for row, column in panels[len(features) :]:
            grid[row, column].set_axis_off()
            grid[row + 1, column].set_axis_off()
        for (row, column), one in zip(panels, features, strict=False):
            _draw(grid[row, column], grid[row + 1, column], one, seen.processes)
            grid[row + 1, column].set_xlabel(one.quantity.axis_label)
        for axes in grid[::2, 0]:
            axes.set_ylabel("events")
        _describe(figure, grid, seen)
    return figure


def _new_figure(rows: int, columns: int, height: float) -> tuple[Figure, Any]:
    """A grid of spectra, each with a panel for its ratio below.

    Args:
        rows: Rows of spectra.
        columns: Columns of spectra.
        height: Height of the figure, as a share of its width.
    """
    figure, grid = style.new_figure(
        height,
        nrows=2 * rows,
        ncols=columns,
        squeeze=False,
        sharex="col" if rows == 1 else False,
        height_ratios=[1.0, RATIO_HEIGHT] * rows,
    )
    for axes in grid[::2].flat:
        axes.tick_params(labelbottom=False)
    for axes in grid[1::2, 0]:
        axes.set_ylabel("data / sim.")
    return figure, grid


def _describe(figure: Figure, grid: Any, seen: Seen) -> None:
    """Legend, label and luminosity of a figure."""
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=3,
        title=f"Seen: {seen.what}",
        title_fontsize=6.5,
    )
    style.add_label(grid[0, 0], label=style.DATA_LABEL)
    luminosity = rf"$L = {seen.luminosity:.3g}\ \mathrm{{fb}}^{{-1}}$"
    grid[0, -1].set_title(luminosity, loc="right")
    figure.align_ylabels()


def _draw(axes: Axes, below: Axes, one: Compared, processes: Mapping[str, str]) -> None:
    """Draw one variable: backgrounds stacked, data as points, and the ratio below."""
    total, variance = draw_stack(axes, one.backgrounds, processes)
    edges = one.data.axes[0].edges
    values = np.asarray(one.data.values(), dtype=np.float64)
    errors = poisson_errors(values, np.asarray(one.data.variances(), dtype=np.float64))
    axes.set_ylim(0, 1.25 * max(float((values + errors[1]).max()), float(total.max())))
    # Where nothing is expected and nothing is seen, usually nothing may be seen.
    values = np.where((total > 0) | (values > 0), values, np.nan)
    _points(axes, edges, values, errors, label="data")
    known = total > 0
    scale = np.divide(1.0, total, out=np.full(len(total), np.nan), where=known)
    draw_uncertainty(
        below, edges, known.astype(float), np.where(known, np.sqrt(variance) * scale, 0)
    )
    _points(below, edges, values * scale, errors * scale)
    below.axhline(1.0, color="#444444", linewidth=0.6)
    below.set_ylim(*RATIO_RANGE)
    for panel in (axes, below):
        panel.set_xlim(edges[0], edges[-1])
        panel.set_xlabel("")


def poisson_errors(values: FloatArray, variances: FloatArray) -> FloatArray:
    """Distances down and up to the ends of the central 68 % interval of each bin, (2, k).

    Args:
        values: (k,) sums of weights; numbers of events where there are no weights.
        variances: (k,) sums of squared weights.
    """
    low, high = poisson_interval(values, variances)
    # An empty bin has no mean weight; its interval is that of no event of weight 1.
    high = np.where(values > 0, high, EMPTY_BIN)
    return np.stack([values - low, high - values])


def _points(
    axes: Axes, edges: FloatArray, values: FloatArray, errors: FloatArray, label: str | None = None
) -> None:
    """Draw data as points."""
    mplhep.histplot(
        values, edges, ax=axes, yerr=errors, histtype="errorbar", color="black", label=label,
        markersize=2.2, elinewidth=0.6, capsize=0,
    )  # fmt: skip
