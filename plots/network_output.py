"""Network output before the sigmoid against the measured mass, with the cuts (Fig. 5, 6)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from punzinet.analysis.observables import Quantity
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

BINS = (60, 90)  # of output and mass
TOLERANCE = 0.05  # of σ_min, within which one cut is as good as another
SINGLE: dict[str, Any] = {"color": "black", "linestyle": (0, (4, 2)), "label": "single cut"}


class Outputs(NamedTuple):
    """Outputs of a network for n events."""

    mass: FloatArray  # (n,) measured, GeV; negative where the squared mass is
    logit: FloatArray  # (n,) before the sigmoid
    weight: FloatArray  # (n,)
    content: str  # what the weights are, such as ``signal efficiency``


class Cuts(NamedTuple):
    """Cuts on the output before the sigmoid."""

    mass: FloatArray  # (H,) of the hypotheses, GeV
    optimal: FloatArray  # (H,) best for each; infinite where nothing is selected
    single: float
    #: (2, H) ends of the cuts whose σ_min is within `TOLERANCE` of the best.
    nearly_optimal: FloatArray | None = None


@style.style()
def outputs_figure(
    panels: Mapping[str, tuple[Outputs, Cuts]], *, luminosity: float, variable: Quantity
) -> Figure:
    """Draw the density of events with both kinds of cut, output to the right as in the paper.

    Panels, by title, have one axis of the output if they are of one network. Events lie in their
    own windows or, of background, in any; the luminosity is in fb^-1.
    """
    (_, first), *others = panels.values()
    ends = first.mass[0], first.mass[-1]
    low, high = style.include(ends, *(one.mass for one, _ in panels.values()))
    shape = {"sharex": all(cuts is first for _, cuts in others), "sharey": True}
    figure, grid = style.new_figure(1.5, nrows=len(panels), squeeze=False, **shape)
    remark = f"\n($<0$ where ${variable.symbol}<0$)" if low < 0 else ""
    for axes, (name, (events, cuts)) in zip(grid[:, 0], panels.items(), strict=True):
        output = style.include((cuts.single, cuts.single), events.logit)
        _draw_density(axes, events, output, (low, high))
        _draw_best(axes, cuts)
        axes.plot([cuts.single] * 2, [low, high], **SINGLE)
        axes.set_ylabel(variable.mass.axis_label + remark)
        axes.text(0.03, 0.97, name, transform=axes.transAxes, va="top", fontweight="bold")
    grid[0, 0].set_ylim(low, high + 0.08 * (high - low))
    grid[-1, 0].set_xlabel("output before sigmoid")
    style.add_legend(grid[0, 0], 2)
    style.add_label(grid[0, 0], luminosity)
    return figure


def _draw_best(axes: Axes, cuts: Cuts) -> None:
    """Draw the best cut of each mass that has one, and between which cuts σ_min hardly changes."""
    finite = np.isfinite(cuts.optimal)
    look: dict[str, Any] = {"color": style.RED, "marker": "o", "markersize": 1.9, "linestyle": ""}
    look |= {"markeredgecolor": "white", "markeredgewidth": 0.25, "zorder": 3}
    axes.plot(cuts.optimal[finite], cuts.mass[finite], label="best cut per mass", **look)
    if cuts.nearly_optimal is not None:
        label = rf"$\sigma_\mathrm{{min}}$ within {100 * TOLERANCE:g} % of the best"
        loosest, tightest = cuts.nearly_optimal
        halo = [withStroke(linewidth=1.3, foreground="white")]  # red is no colour to everybody
        look = {"colors": style.RED, "linewidth": 0.6, "path_effects": halo, "label": label}
        axes.hlines(cuts.mass, loosest, tightest, **look)


def _draw_density(axes: Axes, events: Outputs, *ranges: tuple[float, float]) -> None:
    drawn = events.logit, events.mass
    density, x, y = np.histogram2d(*drawn, BINS, ranges, weights=events.weight)
    filled = density[density > 0]
    top = float(filled.max(initial=0)) or 1.0
    low = max(float(filled.min()), top / 1e4) if len(filled) else 0.1
    norm = LogNorm(low, max(top, 1.01 * low))
    seen = np.where(density > 0, density, np.nan).T
    mesh = axes.pcolormesh(x, y, seen, cmap="cividis_r", norm=norm, rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01, fraction=0.06)
    bar.set_label(f"{events.content} / bin")
    bar.ax.tick_params(which="both", right=True, left=False)
