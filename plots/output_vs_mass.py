"""Network output before the sigmoid against the measured mass, with the cuts (Fig. 5, 6)."""

from dataclasses import dataclass
from typing import Any

import mplhep
import numpy as np
from hist import Hist
from hist.axis import Regular
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from punzinet.analysis.observables import Quantity
from punzinet.analysis.search import RECOIL
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

BINS = (90, 60)


@dataclass(frozen=True, eq=False)
class Outputs:
    """Outputs of a network for n events.

    Attributes:
        mass: (n,) measured masses in GeV, negative where the squared mass is.
        logit: (n,) outputs before the sigmoid.
        weight: (n,) weights.
    """

    mass: FloatArray
    logit: FloatArray
    weight: FloatArray


@dataclass(frozen=True, eq=False)
class Cuts:
    """Cuts on the output before the sigmoid.

    Attributes:
        mass: (H,) masses of the hypotheses in GeV.
        optimal: (H,) best cut for each; infinite where nothing is selected.
        single: The one cut.
    """

    mass: FloatArray
    optimal: FloatArray
    single: float


def output_figure(
    signal: Outputs,
    background: Outputs,
    cuts: Cuts,
    *,
    luminosity: float,
    variable: Quantity = RECOIL.variable,
) -> Figure:
    """Draw the density of signal (above) and background (below) with both kinds of cut.

    Args:
        signal: All signal events in the windows of their own masses; weights are efficiencies.
        background: All background events in a window; weights are events at the target
            luminosity.
        cuts: The cuts of this network.
        luminosity: Target luminosity, fb^-1.
        variable: The variable of the windows.
    """
    parts = (signal, background)
    measured = [part.mass for part in parts]
    x_limits = style.include((float(cuts.mass[0]), float(cuts.mass[-1])), *measured)
    y_limits = style.include((cuts.single, cuts.single), *(part.logit for part in parts))
    margin = 0.04 * ((y_limits[1] - y_limits[0]) or 1.0)
    y_limits = (y_limits[0] - margin, y_limits[1] + margin)
    with style.style():
        figure, panels = style.new_figure(1.35, nrows=2, sharex=True, sharey=True)
        for axes, part, x, content in zip(
            panels,
            parts,
            measured,
            ("signal efficiency", "background events"),
            strict=True,
        ):
            density: Hist[Any] = Hist(
                Regular(BINS[0], *half_open(x_limits), name="mass"),
                Regular(BINS[1], *half_open(y_limits), name="logit"),
            )
            density.fill(x, part.logit, weight=part.weight)
            draw_density(figure, axes, density, f"{content} / bin")
            _draw_cuts(axes, cuts)
            axes.set_xlabel("")  # the histogram would write the name of its axis
            axes.set_ylabel("output before sigmoid")
        negative = x_limits[0] < 0
        panels[0].set_xlim(x_limits)
        panels[0].set_ylim(y_limits[0], y_limits[1] + 0.22 * (y_limits[1] - y_limits[0]))
        panels[0].legend(loc="upper left", ncols=2)
        remark = f"  ($<0$ where ${variable.symbol}<0$)" if negative else ""
        panels[1].set_xlabel(variable.mass.axis_label + remark)
        style.add_label(panels[0], luminosity)
    return figure


def half_open(limits: tuple[float, float]) -> tuple[float, float]:
    """Limits of half-open bins that hold the largest value too.

    Args:
        limits: Smallest and largest value.
    """
    return limits[0], float(np.nextafter(limits[1], np.inf))


def draw_density(figure: Figure, axes: Axes, density: Hist[Any], label: str) -> None:
    """Draw a two-dimensional histogram with its colour bar.

    Args:
        figure: The figure.
        axes: Axes of it.
        density: The histogram.
        label: Of the colour bar.
    """
    filled = density.values()[density.values() > 0]
    top = float(filled.max()) if len(filled) else 1.0
    low = max(float(filled.min()), top / 1e4) if len(filled) else 0.1
    artists = mplhep.hist2dplot(
        density,
        ax=axes,
        cbar=False,
        flow="none",
        cmap="cividis_r",
        norm=LogNorm(low, max(top, 1.01 * low)),
        rasterized=True,
    )
    bar = figure.colorbar(artists.pcolormesh, ax=axes, pad=0.01, fraction=0.06)
    bar.set_label(label)
    bar.ax.tick_params(which="both", right=True, left=False)


def _draw_cuts(axes: Axes, cuts: Cuts) -> None:
    """Draw the best cut of each mass and the single cut."""
    optimal = np.where(np.isfinite(cuts.optimal), cuts.optimal, np.nan)
    axes.plot(
        cuts.mass,
        optimal,
        color=style.RED,
        marker="o",
        markersize=1.5,
        linewidth=0.7,
        label="best cut per mass",
    )
    axes.axhline(cuts.single, color="black", linestyle=(0, (4, 2)), label="single cut")
