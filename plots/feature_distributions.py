"""The features of the network, for some signal masses and every background."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mplhep
import numpy as np
from hist import Hist
from hist.axis import Regular
from hist.storage import Weight
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from punzinet.analysis.observables import Quantity
from punzinet.analysis.search import RECOIL
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

BINS = 40


@dataclass(frozen=True, eq=False)
class FeatureSample:
    """Features of n events of one kind.

    Attributes:
        features: (n, F) features.
        weight: (n,) weights.
    """

    features: FloatArray
    weight: FloatArray


def features_figure(
    features: Sequence[Quantity],
    signals: Mapping[float, FeatureSample],
    backgrounds: Mapping[str, FeatureSample],
    processes: Mapping[str, str],
    parameter: str = RECOIL.parameter,
) -> Figure:
    """Draw each feature, normalised to unit area.

    Args:
        features: How the F features are written.
        signals: Up to three signals by mass in GeV.
        backgrounds: Backgrounds by the name of their process.
        processes: How figures write each process.
        parameter: How figures write the mass of a signal.
    """
    with style.style():
        figure, grid = style.new_figure(1.05, nrows=-(-len(features) // 2), ncols=2, squeeze=False)
        for axes in grid.flat[len(features) :]:
            axes.set_axis_off()
        for column, (axes, feature) in enumerate(zip(grid.flat, features, strict=False)):
            _draw(axes, column, signals, backgrounds, processes, parameter=parameter)
            axes.set_xlabel(feature.axis_label)
        units = {feature.unit for feature in features}
        unit = units.pop() if len(units) == 1 else ""
        for axes in grid[:, 0]:
            axes.set_ylabel(f"density [1/{unit}]" if unit else "density")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
        style.add_label(grid[0, 0])
    return figure


def _draw(
    axes: Axes,
    column: int,
    signals: Mapping[float, FeatureSample],
    backgrounds: Mapping[str, FeatureSample],
    processes: Mapping[str, str],
    *,
    parameter: str,
) -> None:
    """Draw one feature: backgrounds filled, signals as lines."""
    samples = [*backgrounds.values(), *signals.values()]
    values = [sample.features[:, column] for sample in samples]
    filled = np.concatenate([v for v in values if len(v)] or [np.array([0.0, 1.0])])
    low, high = float(filled.min()), float(filled.max())
    axis = Regular(BINS, low, float(np.nextafter(high, np.inf)) if high > low else low + 1)
    colours = style.process_colours(list(backgrounds))
    top = 0.0
    for name, sample in backgrounds.items():
        density = _density(axis, sample, column)
        top = max(top, float(density.values().max()))
        for fill in (True, False):
            mplhep.histplot(
                density,
                ax=axes,
                yerr=False,
                histtype="fill" if fill else "step",
                color=colours[name],
                alpha=0.3 if fill else 1.0,
                linewidth=0 if fill else 0.8,
                flow="none",
                label=None if fill else processes.get(name, name),
            )
    for line, (mass, sample) in zip(style.SIGNAL_LINES, sorted(signals.items()), strict=False):
        density = _density(axis, sample, column)
        top = max(top, float(density.values().max()))
        mplhep.histplot(
            density,
            ax=axes,
            yerr=False,
            linewidth=0.9,
            flow="none",
            label=f"${parameter.strip('$')} = {mass:g}$ GeV",
            **line,
        )
    axes.set_xlim(axis.edges[0], axis.edges[-1])
    axes.set_ylim(0, 1.08 * top or 1)


def _density(axis: Regular, sample: FeatureSample, column: int) -> Hist[Any]:
    """Histogram of one feature whose area is 1, or 0 where there are no events."""
    histogram = Hist(axis, storage=Weight())
    histogram.fill(sample.features[:, column], weight=sample.weight)
    area = float(histogram.values().sum()) * float(axis.widths[0])
    return histogram * (1 / area if area > 0 else 0.0)
