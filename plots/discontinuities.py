"""What interpolated best cuts leave in the spectrum, and one cut does not."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from punzinet.analysis.paper.smoothness import PassingFraction
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

COLOURS = (style.ORANGE, style.BLUE)
MARKERS = ("o", "^")


@dataclass(frozen=True, eq=False)
class Selected:
    """What one network selects along the mass.

    Attributes:
        cut: (H,) its cut at each mass, on the output before the sigmoid.
        signal: What passes, in bins of the generated mass.
        background: What passes, in bins of the recoil mass.
        roughness: Mean over networks of the roughness of ``signal`` and of ``background``.
    """

    cut: FloatArray
    signal: PassingFraction
    background: PassingFraction
    roughness: Mapping[str, float]


def discontinuities_figure(
    mass: FloatArray, edges: FloatArray, selections: Mapping[str, Selected], *, luminosity: float
) -> Figure:
    """Draw cuts, signal that passes and background that passes, along the mass.

    Args:
        mass: (H,) masses in GeV.
        edges: (H + 1,) edges of the bins in GeV.
        selections: Up to two selections, by what the figure calls them.
        luminosity: Target luminosity, fb^-1.
    """
    with style.style():
        figure, (top, middle, bottom) = style.new_figure(
            1.5, nrows=3, sharex=True, height_ratios=(1, 1.3, 1.5)
        )
        for i, (name, chosen) in enumerate(selections.items()):
            colour, marker = COLOURS[i], MARKERS[i]
            finite = np.where(np.isfinite(chosen.cut), chosen.cut, np.nan)
            top.plot(mass, finite, color=colour, marker=marker, markersize=2, linewidth=0.7)
            fraction = chosen.signal.passed / np.maximum(chosen.signal.total, 1e-300)
            _points(
                middle,
                mass,
                fraction[0],
                np.sqrt(chosen.signal.passed[1]) / np.maximum(chosen.signal.total[0], 1e-300),
                colour=colour,
                marker=marker,
                label=f"{name}, roughness {chosen.roughness['signal']:.2f}",
            )
            bottom.stairs(chosen.background.passed[0], edges, color=colour, linewidth=0.7)
            _points(
                bottom,
                mass,
                chosen.background.passed[0],
                np.sqrt(chosen.background.passed[1]),
                colour=colour,
                marker=marker,
                label=f"{name}, roughness {chosen.roughness['background']:.2f}",
            )
        top.set_ylabel("cut on output\nbefore sigmoid", loc="center")
        middle.set_ylabel("signal passing /\nsignal in window", loc="center")
        middle.set_ylim(0, 1.45 * max(_top(s.signal) for s in selections.values()))
        bottom.set_yscale("log")
        counts = np.concatenate([s.background.passed[0] for s in selections.values()])
        low = counts[counts > 0].min() if (counts > 0).any() else 0.1
        bottom.set_ylim(0.4 * low, counts.max(initial=low) * 8)
        bottom.set_ylabel(f"background / {edges[2] - edges[1]:.2g} GeV")
        for axes in (middle, bottom):
            axes.legend(loc="upper right")
        style.mass_axis(bottom, mass)
        bottom.set_xlabel(r"$m_{Z'}$ (signal), $M_\mathrm{rec}$ (background) [GeV]")
        style.add_label(top, luminosity)
        figure.align_ylabels()
    return figure


def _points(
    axes: Axes,
    x: FloatArray,
    y: FloatArray,
    error: FloatArray,
    *,
    colour: str,
    marker: str,
    label: str,
) -> None:
    """Draw points with errors."""
    axes.errorbar(x, y, error, fmt=marker, color=colour, markersize=2, elinewidth=0.5, label=label)


def _top(signal: PassingFraction) -> float:
    """Largest passing fraction."""
    weights = signal.total[0]
    fraction = np.divide(signal.passed[0], weights, out=np.zeros_like(weights), where=weights > 0)
    return float(fraction.max(initial=0)) or 1.0
