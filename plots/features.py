"""The features of the network, for some signal masses and every background."""

from collections.abc import Mapping
from typing import Any

import mplhep
import numpy as np
from hist import Hist
from hist.axis import Regular
from hist.storage import Weight
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from punzinet.analysis.search import Search
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

BINS = 40
#: (n, F) features of events of one kind, and their weights (n,).
WeightedFeatures = tuple[FloatArray, FloatArray]


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
    colours = style.process_colours(list(backgrounds))
    looks: list[tuple[WeightedFeatures, dict[str, Any]]] = []
    for name, kind in backgrounds.items():
        look = {"color": colours[name], "linewidth": 0.8}
        looks.append((kind, {**look, "histtype": "fill", "alpha": 0.3, "linewidth": 0}))
        looks.append((kind, {**look, "label": processes.get(name, name)}))
    for line, mass in zip(style.SIGNAL_LINES, sorted(signals), strict=False):
        label = f"${search.parameter.strip('$')} = {mass:g}$ GeV"
        looks.append((signals[mass], {**line, "linewidth": 0.9, "label": label}))
    with style.style():
        figure, grid = style.new_figure(1.05, nrows=-(-len(features) // 2), ncols=2, squeeze=False)
        for axes in grid.flat[len(features) :]:
            axes.set_axis_off()
        for column, (axes, feature) in enumerate(zip(grid.flat, features, strict=False)):
            _draw(axes, [(kind[0][:, column], kind[1], look) for kind, look in looks])
            axes.set_xlabel(feature.axis_label)
        units = {feature.unit for feature in features}
        unit = units.pop() if len(units) == 1 else ""
        for axes in grid[:, 0]:
            axes.set_ylabel(f"density [1/{unit}]" if unit else "density")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
        style.add_label(grid[0, 0])
    return figure


def _draw(axes: Axes, drawn: list[tuple[FloatArray, FloatArray, dict[str, Any]]]) -> None:
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
    axes.set_xlim(axis.edges[0], axis.edges[-1])
    axes.set_ylim(0, 1.08 * top or 1)
