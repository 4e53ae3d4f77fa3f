"""Network output before the sigmoid against the measured mass, with the cuts (Fig. 5, 6)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import mplhep
import numpy as np
from hist import Hist
from hist.axis import Regular
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from punzinet.analysis.observables import Quantity
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

BINS = (90, 60)  # of mass and output
OUTPUT = "output before sigmoid"
SINGLE: dict[str, Any] = {"color": "black", "linestyle": (0, (4, 2)), "label": "single cut"}

Side = tuple[FloatArray, tuple[float, float]]  # values (n,) along an axis, and its ends


class Outputs(NamedTuple):
    """Outputs of a network for n events."""

    mass: FloatArray  # (n,) measured, GeV; negative where the squared mass is
    logit: FloatArray  # (n,) before the sigmoid
    weight: FloatArray  # (n,) efficiencies for signal, events for background


class Cuts(NamedTuple):
    """Cuts on the output before the sigmoid."""

    mass: FloatArray  # (H,) of the hypotheses, GeV
    optimal: FloatArray  # (H,) best for each; infinite where nothing is selected
    single: float


@style.style()
def output_figure(
    signal: Outputs, background: Outputs, cuts: Cuts, *, luminosity: float, variable: Quantity
) -> Figure:
    """Draw the density of signal (above) and background (below) with both kinds of cut.

    Events lie in their own windows or, of background, in any; the luminosity is in fb^-1.
    """
    mass = style.include((cuts.mass[0], cuts.mass[-1]), signal.mass, background.mass)
    low, high = style.include((cuts.single, cuts.single), signal.logit, background.logit)
    margin = 0.04 * ((high - low) or 1.0)
    low, high = low - margin, high + margin
    figure, panels = style.new_figure(1.35, nrows=2, sharex=True, sharey=True)
    contents = (style.EFFICIENCY, style.BACKGROUND)
    for axes, content, events in zip(panels, contents, (signal, background), strict=True):
        sides = (events.mass, mass), (events.logit, (low, high))
        _draw_density(axes, sides, BINS, events.weight, content)
        _draw_best(axes, cuts.mass, cuts.optimal)
        axes.axhline(cuts.single, **SINGLE)
        axes.set_ylabel(OUTPUT)
    panels[0].set(xlim=mass, ylim=(low, high + 0.22 * (high - low)))
    panels[0].legend(loc="upper left", ncols=2)
    remark = f"  ($<0$ where ${variable.symbol}<0$)" if mass[0] < 0 else ""
    panels[1].set_xlabel(variable.mass.axis_label + remark)
    style.add_label(panels[0], luminosity)
    return figure


@style.style()
def outputs_figure(
    panels: Mapping[str, tuple[Outputs, Cuts]], content: str, *, luminosity: float
) -> Figure:
    """Draw the same events as several networks see them, output to the right as in the paper.

    Outputs and cuts are by label of the network; the content is what weights are, such as
    ``signal efficiency``; the luminosity is in fb^-1.
    """
    (_, first), *_ = panels.values()
    masses = (events.mass for events, _ in panels.values())
    mass = style.include((first.mass[0], first.mass[-1]), *masses)
    figure, grid = style.new_figure(1.5, nrows=len(panels), sharey=True, squeeze=False)
    for axes, (name, (events, cuts)) in zip(grid[:, 0], panels.items(), strict=True):
        output = style.include((cuts.single, cuts.single), events.logit)
        sides = (events.logit, output), (events.mass, mass)
        _draw_density(axes, sides, BINS[::-1], events.weight, content)
        _draw_best(axes, cuts.optimal, cuts.mass)
        axes.plot([cuts.single] * 2, mass, **SINGLE)
        room = mass[1] + 0.16 * (mass[1] - mass[0])
        axes.set(xlim=output, ylim=(mass[0], room), ylabel=r"$M_\mathrm{rec}$ [GeV]")
        axes.legend(loc="upper left", ncols=3, title=name, title_fontsize=6.5, alignment="left")
    grid[-1, 0].set_xlabel(OUTPUT)
    style.add_label(grid[0, 0], luminosity)
    return figure


def _draw_best(axes: Axes, x: FloatArray, y: FloatArray) -> None:
    """Draw the best cut of each mass, with a gap where nothing is selected."""
    look: dict[str, Any] = {"color": style.RED, "marker": "o", "markersize": 1.5, "linewidth": 0.7}
    x, y = (np.where(np.isfinite(x) & np.isfinite(y), v, np.nan) for v in (x, y))
    axes.plot(x, y, label="best cut per mass", **look)


def _draw_density(
    axes: Axes, sides: tuple[Side, Side], bins: tuple[int, int], weight: FloatArray, content: str
) -> None:
    """Draw events in two dimensions with the colour bar; the upper ends belong to the last bins."""
    ends = ((low, float(np.nextafter(high, np.inf))) for _, (low, high) in sides)
    density: Hist[Any] = Hist(*(Regular(n, *end) for n, end in zip(bins, ends, strict=True)))
    density.fill(*(values for values, _ in sides), weight=weight)
    filled = density.values()[density.values() > 0]
    top = float(filled.max()) if len(filled) else 1.0
    low = max(float(filled.min()), top / 1e4) if len(filled) else 0.1
    look = {"cmap": "cividis_r", "norm": LogNorm(low, max(top, 1.01 * low)), "rasterized": True}
    artists = mplhep.hist2dplot(density, ax=axes, cbar=False, flow="none", **look)
    axes.set(xlabel="", ylabel="")  # names of the histogram's axes
    bar = axes.figure.colorbar(artists.pcolormesh, ax=axes, pad=0.01, fraction=0.06)
    bar.set_label(f"{content} / bin")
    bar.ax.tick_params(which="both", right=True, left=False)
