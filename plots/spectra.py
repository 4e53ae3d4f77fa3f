"""Spectra: backgrounds stacked, with signals or data over them; and features by their shape."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import mplhep
import numpy as np
from hist import Hist
from hist.axis import Regular
from hist.storage import Weight
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import gammaincinv, ndtr

from punzinet.analysis.observables import Quantity
from punzinet.analysis.search import Search
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

#: The logarithmic axis reaches down to this share of the largest bin, if the signals do not end
#: above.
DECADES = 6.0
#: Height of the panel of a ratio, as a share of the panel above it, and what it shows.
RATIO_HEIGHT, RATIO_RANGE = 0.36, (0.0, 2.0)
TITLES = ("before the cut", "after the single cut")
#: Bins of a feature.
BINS = 40
#: (n, F) features of events of one kind, and their weights (n,).
WeightedFeatures = tuple[FloatArray, FloatArray]


class MassSpectrum(NamedTuple):
    """The spectrum of the mass at one stage of the selection."""

    backgrounds: Hist[Any]  # axes ``process`` and the mass in GeV; events at the luminosity
    signals: Mapping[float, Hist[Any]]  # efficiencies, by generated mass in GeV


class DataSpectrum(NamedTuple):
    """One variable of data and of simulation that is scaled to the luminosity behind it."""

    quantity: Quantity
    data: Hist[Any]
    backgrounds: Hist[Any]  # axes ``process`` and the variable


class SeenData(NamedTuple):
    """What the panels of a figure of data have in common."""

    luminosity: float  # behind the data that is seen, fb^-1
    what: str  # what is seen of the data, in words
    processes: Mapping[str, str]  # how figures write each process


@style.style()
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
    figure, panels = style.new_figure(1.25, nrows=2, sharex=True)
    for axes, spectrum, title in zip(panels, (before, after), TITLES, strict=True):
        total, _ = draw_stack(axes, spectrum.backgrounds, processes)
        peaks = []
        for look, mass in style.signal_looks(spectrum.signals, parameter):
            values = cross_section * luminosity * spectrum.signals[mass].values()
            mplhep.histplot(values, axis.edges, ax=axes, yerr=False, **look)
            peaks.append(float(values.max(initial=0)))
        # From the smallest bin that matters to room for the legend above the largest.
        top = max([float(total.max(initial=0)), *peaks]) or 1.0
        low = float(total.min(where=total > 0, initial=top))
        low = max(0.5 * min([low, *(0.05 * p for p in peaks if p > 0)]), top / 10**DECADES)
        events = f"events / {axis.widths[0]:.3g} GeV"
        axes.set(yscale="log", ylim=(low, top * (top / low) ** 0.7), xlabel="", ylabel=events)
        axes.text(0.97, 0.94, title, transform=axes.transAxes, ha="right", va="top")
    panels[0].legend(
        loc="upper left",
        bbox_to_anchor=(0, 0.9),
        ncols=2,
        title=rf"signals drawn for $\sigma = {cross_section:g}$ fb",
        title_fontsize=6.2,
        alignment="left",
    )
    panels[1].set(xlim=(axis.edges[0], axis.edges[-1]), xlabel=axis.label)
    style.add_label(panels[0], luminosity)
    figure.align_ylabels()
    return figure


@style.style()
def features_figure(
    search: Search,
    signals: Mapping[float, WeightedFeatures],
    backgrounds: Mapping[str, WeightedFeatures],
    processes: Mapping[str, str],
) -> Figure:
    """Draw each feature, normalised to unit area, of backgrounds and up to three signals.

    `search` and `processes` say how features, masses and processes are written.
    """
    features = search.features
    drawn: list[tuple[WeightedFeatures, dict[str, Any]]] = []
    for name, colour in style.process_colours(list(backgrounds)).items():
        fill = {"color": colour, "histtype": "fill", "alpha": 0.3, "linewidth": 0}
        line = {"color": colour, "linewidth": 0.8, "label": processes.get(name, name)}
        drawn += [(backgrounds[name], fill), (backgrounds[name], line)]
    for look, mass in style.signal_looks(signals, search.parameter):
        drawn.append((signals[mass], {**look, "linewidth": 0.9}))
    figure, grid = style.new_figure(1.05, nrows=-(-len(features) // 2), ncols=2, squeeze=False)
    for axes in grid.flat[len(features) :]:
        axes.set_axis_off()
    for i, (axes, feature) in enumerate(zip(grid.flat, features, strict=False)):
        _draw_shapes(axes, [(values[:, i], weight, look) for (values, weight), look in drawn])
        axes.set_xlabel(feature.axis_label)
    units = {feature.unit for feature in features}
    unit = units.pop() if len(units) == 1 else ""
    for axes in grid[:, 0]:
        axes.set_ylabel(f"density [1/{unit}]" if unit else "density")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    style.add_label(grid[0, 0])
    return figure


def _draw_shapes(axes: Axes, drawn: list[tuple[FloatArray, FloatArray, dict[str, Any]]]) -> None:
    """Draw one feature: values, weights and look of everything."""
    values = np.concatenate([v for v, *_ in drawn if len(v)] or [np.array([0.0, 1.0])])
    low, high = float(values.min()), float(values.max())
    axis = Regular(BINS, low, float(np.nextafter(high, np.inf)) if high > low else low + 1)
    top = 0.0
    for value, weight, look in drawn:
        density: Hist[Any] = Hist(axis, storage=Weight()).fill(value, weight=weight)
        area = float(density.values().sum()) * float(axis.widths[0])
        density *= 1 / area if area > 0 else 0.0
        top = max(top, float(density.values().max()))
        mplhep.histplot(density, ax=axes, yerr=False, flow="none", **look)
    axes.set(xlim=(axis.edges[0], axis.edges[-1]), ylim=(0, 1.08 * top or 1))


@style.style()
def data_mass_figure(before: DataSpectrum, after: DataSpectrum, seen: SeenData) -> Figure:
    """Draw data and simulation before (above) and after (below) the single cut."""
    figure, grid = _draw_data([before, after], 1, 1.6, seen)
    for axes, title in zip(grid[::2, 0], TITLES, strict=True):
        axes.set_ylabel(f"events / {before.data.axes[0].widths[0]:.3g} GeV")
        axes.text(0.97, 0.93, title, transform=axes.transAxes, ha="right", va="top")
    return figure


@style.style()
def data_features_figure(features: Sequence[DataSpectrum], seen: SeenData) -> Figure:
    """Draw data and simulation of every feature."""
    figure, grid = _draw_data(features, 2, 0.75 * -(-len(features) // 2), seen)
    for axes in grid[::2, 0]:
        axes.set_ylabel("events")
    return figure


def _draw_data(
    compared: Sequence[DataSpectrum], columns: int, height: float, seen: SeenData
) -> tuple[Figure, Any]:
    """Draw spectra with the ratio of data to simulation below each; places left over stay empty."""
    rows = -(-len(compared) // columns)
    figure, grid = style.new_figure(
        height,
        nrows=2 * rows,
        ncols=columns,
        squeeze=False,
        height_ratios=[1.0, RATIO_HEIGHT] * rows,
    )
    for i, (axes, below) in enumerate(zip(grid[::2].flat, grid[1::2].flat, strict=True)):
        if i < len(compared):
            axes.tick_params(labelbottom=False)
            _draw_comparison(axes, below, compared[i], seen.processes)
        else:
            axes.set_axis_off()
            below.set_axis_off()
    for below in grid[1::2, 0]:
        below.set_ylabel("data / sim.")
    figure.legend(
        *grid[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=3,
        title=f"Seen: {seen.what}",
        title_fontsize=6.5,
    )
    style.add_label(grid[0, 0], label=style.DATA_LABEL)
    luminosity = rf"$L = {seen.luminosity:.3g}\ \mathrm{{fb}}^{{-1}}$"
    grid[0, -1].set_title(luminosity, loc="right")
    figure.align_ylabels()
    return figure, grid


def _draw_comparison(
    axes: Axes, below: Axes, one: DataSpectrum, processes: Mapping[str, str]
) -> None:
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
    _draw_uncertainty(below, edges, known.astype(float), spread)
    for panel, factor, label in ((axes, np.ones(len(total)), "data"), (below, scale, None)):
        mplhep.histplot(
            values * factor, edges, ax=panel, yerr=errors * factor, histtype="errorbar",
            color="black", label=label, markersize=2.2, elinewidth=0.6, capsize=0,
        )  # fmt: skip
    axes.set(xlim=(edges[0], edges[-1]), xlabel="")
    below.set(xlim=(edges[0], edges[-1]), xlabel=one.quantity.axis_label, ylim=RATIO_RANGE)
    below.axhline(1.0, color="#444444", linewidth=0.6)


def poisson_errors(values: FloatArray, variances: FloatArray) -> FloatArray:
    """Distances down and up to the ends of the central 68 % interval of each bin, (2, k).

    Values and variances, (k,), are sums of weights and of their squares; so many events of the mean
    weight have the same power. An empty bin is taken as no event of weight 1. As in
    `hist.intervals`, whose import of all statistics takes half a second.
    """
    weight = np.divide(variances, values, out=np.ones_like(values), where=values > 0)
    low, high = gammaincinv(values / weight + [[0], [1]], ndtr([[-1], [1]]))
    return np.stack([values - weight * np.where(values > 0, low, 0), weight * high - values])


def draw_stack(
    axes: Axes, backgrounds: Hist[Any], processes: Mapping[str, str]
) -> tuple[FloatArray, FloatArray]:
    """Draw the largest process on top, and a band for the uncertainty of the sum.

    The histogram has the axes ``process`` (categories) and that of the variable. Returned are (k,)
    contents and (k,) variances of the sum.
    """
    variable = backgrounds.axes[1]
    values = dict(zip(backgrounds.axes["process"], backgrounds.values(), strict=True))
    colours = style.process_colours(list(values))
    names = sorted(values, key=lambda name: float(values[name].sum()))
    mplhep.histplot(
        [values[name] for name in names],
        variable.edges,
        ax=axes,
        stack=True,
        histtype="fill",
        color=[colours[name] for name in names],
        label=[processes.get(name, name) for name in names],
        edgecolor="none",
    )
    whole = backgrounds.project(variable.name)
    total, variance = (np.asarray(v, np.float64) for v in (whole.values(), whole.variances()))
    _draw_uncertainty(axes, variable.edges, total, np.sqrt(variance), label="stat. uncertainty")
    return total, variance


def _draw_uncertainty(
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
