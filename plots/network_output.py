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

#: Bins of mass and output, where the output is upwards; where it is to the right, the reverse.
BINS = (90, 60)
OUTPUT = "output before sigmoid"
SINGLE: dict[str, Any] = {"color": "black", "linestyle": (0, (4, 2)), "label": "single cut"}


class Outputs(NamedTuple):
    """Outputs of a network for n events.

    Attributes:
        mass: (n,) measured masses in GeV, negative where the squared mass is.
        logit: (n,) outputs before the sigmoid.
        weight: (n,) weights.
    """

    mass: FloatArray
    logit: FloatArray
    weight: FloatArray


class Cuts(NamedTuple):
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
    signal: Outputs, background: Outputs, cuts: Cuts, *, luminosity: float, variable: Quantity
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
    parts = {style.EFFICIENCY: signal, style.BACKGROUND: background}
    mass = style.include(
        (float(cuts.mass[0]), float(cuts.mass[-1])), *(part.mass for part in parts.values())
    )
    low, high = style.include((cuts.single, cuts.single), signal.logit, background.logit)
    margin = 0.04 * ((high - low) or 1.0)
    output = (low - margin, high + margin)
    with style.style():
        figure, panels = style.new_figure(1.35, nrows=2, sharex=True, sharey=True)
        for axes, (content, part) in zip(panels, parts.items(), strict=True):
            density = _density((part.mass, mass), (part.logit, output), part.weight, BINS)
            _draw_density(figure, axes, density, f"{content} / bin")
            optimal = np.where(np.isfinite(cuts.optimal), cuts.optimal, np.nan)
            _draw_best(axes, cuts.mass, optimal)
            axes.axhline(cuts.single, **SINGLE)
            axes.set_ylabel(OUTPUT)
        panels[0].set_xlim(mass)
        panels[0].set_ylim(output[0], output[1] + 0.22 * (output[1] - output[0]))
        panels[0].legend(loc="upper left", ncols=2)
        remark = f"  ($<0$ where ${variable.symbol}<0$)" if mass[0] < 0 else ""
        panels[1].set_xlabel(variable.mass.axis_label + remark)
        style.add_label(panels[0], luminosity)
    return figure


def outputs_figure(
    panels: Mapping[str, tuple[Outputs, Cuts]], content: str, *, luminosity: float
) -> Figure:
    """Draw the same events as several networks see them, output to the right as in the paper.

    Args:
        panels: Outputs and cuts of each network, by what the figure calls it.
        content: What is drawn, with the weights that it has, such as ``signal efficiency``.
        luminosity: Target luminosity, fb^-1.
    """
    first = next(iter(panels.values()))[1].mass
    mass = style.include(
        (float(first[0]), float(first[-1])), *(outputs.mass for outputs, _ in panels.values())
    )
    with style.style():
        figure, grid = style.new_figure(1.5, nrows=len(panels), sharey=True, squeeze=False)
        for axes, (name, (outputs, cuts)) in zip(grid[:, 0], panels.items(), strict=True):
            output = style.include((cuts.single, cuts.single), outputs.logit)
            density = _density(
                (outputs.logit, output),
                (outputs.mass, mass),
                outputs.weight,
                BINS[::-1],
            )
            _draw_density(figure, axes, density, f"{content} / bin")
            finite = np.isfinite(cuts.optimal)
            _draw_best(axes, cuts.optimal[finite], cuts.mass[finite])
            axes.plot([cuts.single] * 2, mass, **SINGLE)
            axes.set_ylim(mass[0], mass[1] + 0.16 * (mass[1] - mass[0]))
            axes.set_xlim(output)
            axes.set_ylabel(r"$M_\mathrm{rec}$ [GeV]")
            axes.legend(loc="upper left", ncols=3, title=name, title_fontsize=6.5, alignment="left")
        grid[-1, 0].set_xlabel(OUTPUT)
        style.add_label(grid[0, 0], luminosity)
    return figure


def _draw_best(axes: Axes, x: FloatArray, y: FloatArray) -> None:
    """Draw the best cut of each mass."""
    axes.plot(
        x, y, color=style.RED, marker="o", markersize=1.5, linewidth=0.7, label="best cut per mass"
    )


def _density(
    x: tuple[FloatArray, tuple[float, float]],
    y: tuple[FloatArray, tuple[float, float]],
    weight: FloatArray,
    bins: tuple[int, int],
) -> Hist[Any]:
    """Fill values, each with its smallest and largest, which belong to the last bin too."""
    axes = [
        Regular(n, low, float(np.nextafter(high, np.inf)))
        for n, (_, (low, high)) in zip(bins, (x, y), strict=True)
    ]
    density: Hist[Any] = Hist(*axes)
    return density.fill(x[0], y[0], weight=weight)


def _draw_density(figure: Figure, axes: Axes, density: Hist[Any], label: str) -> None:
    """Draw a two-dimensional histogram with its colour bar."""
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
    axes.set(xlabel="", ylabel="")  # names of the histogram's axes
    bar = figure.colorbar(artists.pcolormesh, ax=axes, pad=0.01, fraction=0.06)
    bar.set_label(label)
    bar.ax.tick_params(which="both", right=True, left=False)
