"""Spectra: backgrounds stacked, with signals drawn over them, or with data and its ratio."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import mplhep
import numpy as np
from hist import Hist
from hist.intervals import poisson_interval
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from punzinet.analysis.observables import Quantity
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

#: The logarithmic axis reaches down to this share of the largest bin, if the signals do not end
#: above.
DECADES = 6.0
#: Upper end of the central 68 % interval of the mean of a Poisson distribution, after no event.
EMPTY_BIN = 1.841
#: Height of the panel of a ratio, as a share of the panel above it, and what it shows.
RATIO_HEIGHT, RATIO_RANGE = 0.36, (0.0, 2.0)
TITLES = ("before the cut", "after the single cut")


class MassSpectrum(NamedTuple):
    """The spectrum of the mass at one stage of the selection.

    Attributes:
        backgrounds: Axes ``process`` (categories) and the mass in GeV, with its label; contents
            are events at the target luminosity.
        signals: By generated mass in GeV, the same axis of mass; contents are efficiencies.
    """

    backgrounds: Hist[Any]
    signals: Mapping[float, Hist[Any]]


class DataSpectrum(NamedTuple):
    """One variable of data and simulation.

    Attributes:
        quantity: How it is written.
        data: What is seen of the data.
        backgrounds: Axes ``process`` and that of the variable, scaled to the luminosity behind
            that data.
    """

    quantity: Quantity
    data: Hist[Any]
    backgrounds: Hist[Any]


class SeenData(NamedTuple):
    """What the panels of a figure have in common.

    Attributes:
        luminosity: Luminosity behind the data that is seen, fb^-1.
        what: What is seen of the data, in words.
        processes: How figures write each process.
    """

    luminosity: float
    what: str
    processes: Mapping[str, str]


def mass_figure(
    before: MassSpectrum,
    after: MassSpectrum,
    *,
    cross_section: float,
    luminosity: float,
    processes: Mapping[str, str],
    parameter: str,
) -> Figure:
    """Draw the mass before (above) and after (below) the single cut.

    Signals are drawn for a cross-section in fb, everything for a luminosity in fb^-1; `processes`
    and `parameter` say how figures write processes and the mass of a signal.
    """
    axis = before.backgrounds.axes[1]
    with style.style():
        figure, panels = style.new_figure(1.25, nrows=2, sharex=True)
        for axes, spectrum, title in zip(panels, (before, after), TITLES, strict=True):
            total, _ = draw_stack(axes, spectrum.backgrounds, processes)
            peaks = []
            for line, (mass, signal) in zip(
                style.SIGNAL_LINES, sorted(spectrum.signals.items()), strict=False
            ):
                values = cross_section * luminosity * signal.values()
                label = f"${parameter.strip('$')} = {mass:g}$ GeV"
                mplhep.histplot(values, axis.edges, ax=axes, yerr=False, label=label, **line)
                peaks.append(float(values.max(initial=0)))
            _log_limits(axes, total, peaks)
            axes.set_xlabel("")  # the histogram writes the name of its axis
            axes.set_ylabel(f"events / {axis.widths[0]:.3g} GeV")
            axes.text(0.97, 0.94, title, transform=axes.transAxes, ha="right", va="top")
        panels[0].legend(
            loc="upper left",
            bbox_to_anchor=(0, 0.9),
            ncols=2,
            title=rf"signals drawn for $\sigma = {cross_section:g}$ fb",
            title_fontsize=6.2,
            alignment="left",
        )
        panels[1].set_xlim(axis.edges[0], axis.edges[-1])
        panels[1].set_xlabel(axis.label)
        style.add_label(panels[0], luminosity)
        figure.align_ylabels()
    return figure


def _log_limits(axes: Axes, total: FloatArray, peaks: list[float]) -> None:
    """Reach from the smallest bin that matters to room for the legend above the largest."""
    axes.set_yscale("log")
    top = max([float(total.max(initial=0)), *peaks]) or 1.0
    low = min([float(total.min(where=total > 0, initial=top)), *(0.05 * p for p in peaks if p > 0)])
    low = max(0.5 * low, top / 10**DECADES)
    axes.set_ylim(low, top * (top / low) ** 0.7)


def data_mass_figure(before: DataSpectrum, after: DataSpectrum, seen: SeenData) -> Figure:
    """Draw data and simulation before (above) and after (below) the single cut."""
    with style.style():
        figure, grid = _data_panels(2, 1, 1.6)
        for one, title, axes, below in zip(
            (before, after), TITLES, grid[::2, 0], grid[1::2, 0], strict=True
        ):
            _draw_data(axes, below, one, seen.processes)
            axes.set_ylabel(f"events / {one.data.axes[0].widths[0]:.3g} GeV")
            axes.text(0.97, 0.93, title, transform=axes.transAxes, ha="right", va="top")
        _describe(figure, grid, seen)
    return figure


def data_features_figure(features: Sequence[DataSpectrum], seen: SeenData) -> Figure:
    """Draw data and simulation of every feature."""
    rows = -(-len(features) // 2)
    with style.style():
        figure, grid = _data_panels(rows, 2, 0.75 * rows)
        panels = list(zip(grid[::2].flat, grid[1::2].flat, strict=True))
        for (axes, below), one in zip(panels, features, strict=False):
            _draw_data(axes, below, one, seen.processes)
        for axes in (a for pair in panels[len(features) :] for a in pair):
            axes.set_axis_off()
        for axes in grid[::2, 0]:
            axes.set_ylabel("events")
        _describe(figure, grid, seen)
    return figure


def _data_panels(rows: int, columns: int, height: float) -> tuple[Figure, Any]:
    """A grid of spectra, each with a panel for its ratio below."""
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


def _describe(figure: Figure, grid: Any, seen: SeenData) -> None:
    """Legend, label and luminosity of a figure of data."""
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


def _draw_data(axes: Axes, below: Axes, one: DataSpectrum, processes: Mapping[str, str]) -> None:
    """Draw one variable: backgrounds stacked, data as points, and the ratio below."""
    total, variance = draw_stack(axes, one.backgrounds, processes)
    edges = one.data.axes[0].edges
    values = np.asarray(one.data.values(), dtype=np.float64)
    errors = poisson_errors(values, np.asarray(one.data.variances(), dtype=np.float64))
    axes.set_ylim(0, 1.25 * max(float((values + errors[1]).max()), float(total.max())))
    axes.ticklabel_format(axis="y", useMathText=True)
    known = total > 0
    # Where nothing is expected and nothing is seen, usually nothing may be seen.
    values = np.where(known | (values > 0), values, np.nan)
    scale = np.divide(1.0, total, out=np.full(len(total), np.nan), where=known)
    spread = np.where(known, np.sqrt(variance) * scale, 0)
    draw_uncertainty(below, edges, known.astype(float), spread)
    below.set_ylim(*RATIO_RANGE)
    for panel, factor, label in ((axes, np.ones(len(total)), "data"), (below, scale, None)):
        mplhep.histplot(
            values * factor, edges, ax=panel, yerr=errors * factor, histtype="errorbar",
            color="black", label=label, markersize=2.2, elinewidth=0.6, capsize=0,
        )  # fmt: skip
        panel.set_xlim(edges[0], edges[-1])
        panel.set_xlabel("")
    below.axhline(1.0, color="#444444", linewidth=0.6)
    below.set_xlabel(one.quantity.axis_label)


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


def draw_stack(
    axes: Axes, backgrounds: Hist[Any], processes: Mapping[str, str]
) -> tuple[FloatArray, FloatArray]:
    """Draw the largest process on top, and a band for the uncertainty of the sum.

    The histogram has the axes ``process`` (categories) and that of the variable, and sums of
    squared weights.

    Returns:
        (k,) contents and (k,) variances of the sum.
    """
    edges = backgrounds.axes[1].edges
    everything = list(backgrounds.axes["process"])
    values = dict(zip(everything, backgrounds.values(), strict=True))
    names = sorted(everything, key=lambda name: float(values[name].sum()))
    colours = style.process_colours(everything)
    mplhep.histplot(
        [values[name] for name in names],
        edges,
        ax=axes,
        stack=True,
        histtype="fill",
        color=[colours[name] for name in names],
        label=[processes.get(name, name) for name in names],
        edgecolor="none",
    )
    whole = backgrounds.project(backgrounds.axes[1].name)
    total, variance = (np.asarray(v, np.float64) for v in (whole.values(), whole.variances()))
    draw_uncertainty(axes, edges, total, np.sqrt(variance), label="stat. uncertainty")
    return total, variance


def draw_uncertainty(
    axes: Axes, edges: FloatArray, centre: FloatArray, error: FloatArray, label: str | None = None
) -> None:
    """Draw the statistical uncertainty (k,) of contents (k,), never negative, hatched."""
    axes.stairs(
        centre + error,
        edges,
        baseline=np.maximum(centre - error, 0),
        fill=True,
        facecolor="none",
        edgecolor="#444444",
        linewidth=0,
        hatch="//////",
        label=label,
    )
