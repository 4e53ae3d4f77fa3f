"""Spectra: backgrounds stacked, with signals or data over them; and features by their shape."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, zip_longest
from typing import Any, NamedTuple

import mplhep
import numpy as np
from hist import Hist
from hist.axis import Regular
from hist.storage import Weight
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy.special import gammaincinv, ndtr

from punzinet.analysis.limits.systematics import Parameter
from punzinet.analysis.observables import Quantity
from punzinet.analysis.search import Search
from punzinet.analysis.types import FloatArray, divided
from punzinet.plots import style

DECADES = 6.0  # of the logarithmic axis below the largest bin, if the signals do not end above
RATIO_HEIGHT, RATIO_RANGE = 0.36, (0.0, 2.0)  # as a share of the panel above
TITLES = ("before the cut", "after the single cut")
#: White around the lines of signals, to be seen on any background.
HALO = [withStroke(linewidth=1.9, foreground="white")]
SYSTEMATIC: dict[str, Any] = {"facecolor": "#ffe14d", "alpha": 0.75, "linewidth": 0}
BINS = 40  # of a feature
HATCHES = ("////", "\\\\\\\\", "----", "xxxx")  # no dots: 250 kB of circles in every SVG
#: (n, F) features of events of one kind, and their weights (n,).
WeightedFeatures = tuple[FloatArray, FloatArray]
#: Backgrounds, with the axes ``process`` and the mass in GeV, events at the luminosity; and the
#: efficiencies of signals by generated mass in GeV, as `io.histograms` reads them.
MassSpectrum = tuple[Hist[Any], Mapping[float, Hist[Any]]]


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
    label: str = style.DATA_LABEL


@style.style()
def mass_figure(
    spectra: Sequence[MassSpectrum],
    shown: Iterable[float],
    *,
    efficiency: Sequence[FloatArray],
    searched: FloatArray,
    cross_section: float,
    luminosity: float,
    processes: Mapping[str, str],
    parameter: str,
    systematic: FloatArray | None = None,
) -> Figure:
    """Draw the mass before and after the single cut, up to three signals, and efficiencies.

    Signals are drawn for a cross-section in fb, everything for a luminosity in fb^-1. Efficiencies
    before and after, (H,) each, are those of the masses that are searched for, (H,) in GeV, in
    their own windows. Processes and the mass of a signal are written as `processes` and
    `parameter` say. Behind the cut there can be a `systematic_band`.
    """
    axis = spectra[0][0].axes[1]
    figure, panels = style.new_figure(1.45, nrows=3, sharex=True, height_ratios=(1.5, 1.5, 1))
    order = _by_size(spectra[0][0])
    for axes, (backgrounds, signals), title in zip(panels, spectra, TITLES, strict=False):
        total, _ = draw_stack(axes, backgrounds, processes, order)
        if systematic is not None and title == TITLES[1]:
            low, high = total - systematic[1], total + systematic[0]
            axes.stairs(high, axis.edges, baseline=low, fill=True, **SYSTEMATIC)
            panels[0].fill_between([], [], label="syst. uncertainty", **SYSTEMATIC)  # its legend
        peaks = []
        for look, mass in style.signal_looks(signals.keys() & shown, parameter):
            values = cross_section * luminosity * signals[mass].values()
            mplhep.histplot(values, axis.edges, ax=axes, path_effects=[HALO], **look)
            peaks.append(float(values.max(initial=0)))
        # From the smallest bin that matters to room for the title above the largest.
        top = max([float(total.max(initial=0)), *peaks]) or 1.0
        low = float(total.min(where=total > 0, initial=top))
        low = max(0.5 * min([low, *(0.05 * p for p in peaks if p > 0)]), top / 10**DECADES)
        events = f"events / {axis.widths[0]:.3g} GeV"
        axes.set(yscale="log", ylim=(low, top * (top / low) ** 0.2), xlabel="", ylabel=events)
        axes.text(0.97, 0.94, title, transform=axes.transAxes, ha="right", va="top")
    for axes in panels:
        axes.axvspan(searched[0], searched[-1], label="masses searched for", **style.SHADED)
    for values, title, face in zip(efficiency, TITLES, ("white", "black"), strict=True):
        look = {"color": "black", "markerfacecolor": face, "markeredgewidth": 0.4, "label": title}
        style.draw_points(panels[2], searched, 100 * values, size=1.8, **look)
    _, top = style.finite_range((0, 0), *efficiency)
    panels[2].set(ylim=(0, 130 * top or 1), ylabel="signal eff. [%]")
    panels[2].set_xlabel(f"{parameter} (efficiency), {axis.label}")
    panels[2].legend(handles=panels[2].containers, ncols=2, loc="upper right")
    filled = np.flatnonzero(spectra[0][0].project(axis.name).values())
    last = axis.edges[filled[-1] + 1] if len(filled) else axis.edges[-1]
    panels[2].set_xlim(axis.edges[0], max(float(last), searched[-1] + 0.1))
    drawn = rf"signals drawn for $\sigma = {cross_section:g}$ fb"
    style.add_legend(panels[0], 3, title=drawn, title_fontsize=6.2)
    style.add_label(panels[0], luminosity)
    return figure


def systematic_band(
    backgrounds: Hist[Any], mass: FloatArray, parameters: Mapping[str, Parameter]
) -> FloatArray:
    """How far systematic effects carry all background up and down in each bin, (2, k).

    The axes are ``process`` and the mass. Effects of parameters, which are known for masses (H,) in
    GeV, are interpolated between these and add up in quadrature; beyond, none is known.
    """
    axis, found = backgrounds.axes[1], np.zeros((2, len(backgrounds.axes[1])))
    contents = dict(zip(backgrounds.axes["process"], backgrounds.values(), strict=True))
    for one in parameters.values():
        changes = np.zeros((2, len(axis)))
        for name, factor in one.factor.items():
            for way in range(2):
                at = np.interp(axis.centers, mass, factor[way] - 1, left=0, right=0)
                changes[way] += contents.get(name, 0.0) * at
        found += np.maximum(changes.max(axis=0), 0) ** 2, np.minimum(changes.min(axis=0), 0) ** 2
    return np.sqrt(found)


@style.style()
def features_figure(
    search: Search,
    signals: Mapping[float, WeightedFeatures],
    backgrounds: Mapping[str, WeightedFeatures],
    processes: Mapping[str, str],
) -> Figure:
    """Draw each feature, normalised to unit area, of backgrounds and up to three signals."""
    features = search.features
    drawn: list[tuple[WeightedFeatures, dict[str, Any]]] = []
    colours = style.process_colours(list(backgrounds)).items()
    for (name, colour), hatch in zip(colours, cycle(HATCHES), strict=False):
        fill = {"histtype": "fill", "facecolor": "none", "edgecolor": colour, "hatch": hatch}
        label = processes.get(name, name)
        drawn.append((backgrounds[name], {**fill, "linewidth": 0.8, "label": label}))
    for look, mass in style.signal_looks(signals, search.parameter):
        drawn.append((signals[mass], {**look, "linewidth": 0.9}))
    figure, grid = style.new_figure(1.05, nrows=-(-len(features) // 2), ncols=2, squeeze=False)
    for axes in grid.flat[len(features) :]:
        axes.set_axis_off()
    for i, (axes, feature) in enumerate(zip(grid.flat, features, strict=False)):
        _draw_shapes(axes, [(values[:, i], weight, look) for (values, weight), look in drawn])
        axes.set_xlabel(feature.axis_label)
    unit = features[0].unit if len({feature.unit for feature in features}) == 1 else ""
    for axes in grid[:, 0]:
        axes.set_ylabel(f"density [1/{unit}]" if unit else "density")
    style.add_legend(grid[0, 0], 3)
    style.add_label(grid[0, 0])
    return figure


def _draw_shapes(axes: Axes, drawn: list[tuple[FloatArray, FloatArray, dict[str, Any]]]) -> None:
    values = np.concatenate([v for v, *_ in drawn if len(v)] or [np.array([0.0, 1.0])])
    low, high = float(values.min()), float(values.max())
    axis = Regular(BINS, low, float(np.nextafter(high, np.inf)) if high > low else low + 1)
    top = 0.0
    for value, weight, look in drawn:
        density: Hist[Any] = Hist(axis, storage=Weight()).fill(value, weight=weight)
        area = float(density.values().sum()) * float(axis.widths[0])
        density *= 1 / area if area > 0 else 0.0
        top = max(top, float(density.values().max()))
        mplhep.histplot(density.values(), axis.edges, ax=axes, **look)  # without errors
    axes.set(xlim=(axis.edges[0], axis.edges[-1]), ylim=(0, 1.08 * top or 1))
    axes.locator_params(nbins=5)


@style.style()
def data_mass_figure(before: DataSpectrum, after: DataSpectrum, seen: SeenData) -> Figure:
    """Draw data and simulation before (above) and after (below) the single cut."""
    figure, grid = _draw_data([before, after], 1, 1.6, seen)
    for axes, title in zip(grid[::2, 0], TITLES, strict=True):
        axes.text(0.97, 0.93, title, transform=axes.transAxes, ha="right", va="top")
    return figure


@style.style()
def data_features_figure(features: Sequence[DataSpectrum], seen: SeenData) -> Figure:
    """Draw data and simulation of every feature."""
    figure, grid = _draw_data(features, 2, 0.75 * -(-len(features) // 2), seen)
    for axes in grid.flat:
        axes.minorticks_off()  # hundreds of lines in all
    return figure


def _draw_data(
    compared: Sequence[DataSpectrum], columns: int, height: float, seen: SeenData
) -> tuple[Figure, Any]:
    """Draw spectra with the ratio of data to simulation below each; places left over stay empty."""
    rows = -(-len(compared) // columns)
    order = _by_size(compared[0].backgrounds)
    shape: dict[str, Any] = {"nrows": 2 * rows, "ncols": columns, "squeeze": False}
    figure, grid = style.new_figure(height, height_ratios=[1.0, RATIO_HEIGHT] * rows, **shape)
    for axes, below, one in zip_longest(grid[::2].flat, grid[1::2].flat, compared):
        if one is None:
            axes.set_axis_off()
            below.set_axis_off()
        else:
            axes.tick_params(labelbottom=False)
            _draw_comparison(axes, below, one, seen.processes, order)
    for below in grid[1::2, 0]:
        below.set_ylabel("data / sim.")
    style.add_legend(grid[0, 0], 3, title=f"Seen: {seen.what}", title_fontsize=6.5)
    style.add_label(grid[0, 0], label=seen.label)
    grid[0, -1].set_title(style.luminosity_text(seen.luminosity, 3), loc="right")
    return figure, grid


def _draw_comparison(
    axes: Axes,
    below: Axes,
    one: DataSpectrum,
    processes: Mapping[str, str],
    order: Sequence[str],
) -> None:
    """Draw one variable: backgrounds stacked, data as points, and the ratio below."""
    total, variance = draw_stack(axes, one.backgrounds, processes, order)
    edges = one.data.axes[0].edges
    values = np.asarray(one.data.values(), dtype=np.float64)
    errors = poisson_errors(values, np.asarray(one.data.variances(), dtype=np.float64))
    axes.set_ylim(0, 1.25 * max(float((values + errors[1]).max()), float(total.max())))
    axes.ticklabel_format(axis="y", useMathText=True)
    axes.set_ylabel(f"events / {edges[1] - edges[0]:.2g} {one.quantity.unit}".strip())
    known = total > 0
    # Where nothing is expected and nothing is seen, usually nothing may be seen.
    values = np.where(known | (values > 0), values, np.nan)
    scale = np.divide(1.0, total, out=np.full(len(total), np.nan), where=known)
    spread = np.where(known, np.sqrt(variance) * scale, 0)
    _draw_uncertainty(below, edges, known.astype(float), spread)
    look: dict[str, Any] = {"color": "black", "markersize": 2.2, "elinewidth": 0.6, "capsize": 0}
    for panel, factor, label in ((axes, np.ones(len(total)), "data"), (below, scale, None)):
        content = {"ax": panel, "yerr": errors * factor, "histtype": "errorbar", "label": label}
        mplhep.histplot(values * factor, edges, **content, **look)
    filled = np.flatnonzero(known | (values > 0))
    ends = edges[0], edges[filled[-1] + 1] if len(filled) else edges[-1]
    axes.set(xlim=ends, xlabel="")
    below.set(xlim=ends, xlabel=one.quantity.axis_label, ylim=RATIO_RANGE)
    below.axhline(1.0, color="#444444", linewidth=0.6)


def poisson_errors(values: FloatArray, variances: FloatArray) -> FloatArray:
    """Distances down and up to the ends of the central 68 % interval of each bin, (2, k).

    Values and variances, (k,), are sums of weights and of their squares; an empty bin is no event
    of weight 1. As in `hist.intervals`, whose import of all statistics takes half a second.
    """
    weight = divided(variances, values, 1.0)
    low, high = gammaincinv(values / weight + [[0], [1]], ndtr([[-1], [1]]))
    return np.stack([values - weight * np.where(values > 0, low, 0), weight * high - values])


def _by_size(backgrounds: Hist[Any]) -> list[str]:
    """Names of the processes, the smallest one first."""
    order = np.argsort(backgrounds.values().sum(axis=1), kind="stable")
    return [backgrounds.axes["process"].value(i) for i in order]


def draw_stack(
    axes: Axes, backgrounds: Hist[Any], processes: Mapping[str, str], order: Sequence[str]
) -> tuple[FloatArray, FloatArray]:
    """Draw processes from below in some order, and the sum's uncertainty.

    The axes are ``process`` and the variable; contents and variances of the sum, (k,), come back.
    """
    variable, names = backgrounds.axes[1], list(backgrounds.axes["process"])
    values = dict(zip(names, backgrounds.values(), strict=True))
    colours = style.process_colours(names)
    look: dict[str, Any] = {"histtype": "fill", "edgecolor": "black", "linewidth": 0.3}
    look["color"] = [colours[name] for name in order]
    look["label"] = [processes.get(name, name) for name in order]
    mplhep.histplot([values[n] for n in order], variable.edges, ax=axes, stack=True, **look)
    whole = backgrounds.project(variable.name)
    total, variance = (np.asarray(v, np.float64) for v in (whole.values(), whole.variances()))
    _draw_uncertainty(axes, variable.edges, total, np.sqrt(variance), label="stat. uncertainty")
    return total, variance


def _draw_uncertainty(
    axes: Axes, edges: FloatArray, centre: FloatArray, error: FloatArray, label: str | None = None
) -> None:
    """Draw the statistical uncertainty (k,) of contents (k,), never negative, hatched."""
    low = np.maximum(centre - error, 0)
    look: dict[str, Any] = {"facecolor": "none", "edgecolor": "#444444", "hatch": "//////"}
    axes.stairs(centre + error, edges, baseline=low, fill=True, linewidth=0, label=label, **look)
