"""Output before the sigmoid against the recoil mass, cross-entropy and Punzi-net (Fig. 5, 6)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from hist import Hist
from hist.axis import Regular
from matplotlib.figure import Figure

from punzinet.plots import style
from punzinet.plots.output_vs_mass import Cuts, Outputs, draw_density, half_open

BINS = (60, 90)


def outputs_figure(
    panels: Mapping[str, tuple[Outputs, Cuts]], content: str, *, luminosity: float
) -> Figure:
    """Draw the same events as several networks see them, output to the right as in the paper.

    Args:
        panels: Outputs and cuts of each network, by what the figure calls it.
        content: What is drawn, with the weights that it has, such as ``signal efficiency``.
        luminosity: Target luminosity, fb^-1.
    """
    recoil = {name: out.mass for name, (out, _) in panels.items()}
    mass = [cuts.mass for _, cuts in panels.values()]
    y_limits = style.include((float(mass[0][0]), float(mass[0][-1])), *recoil.values())
    with style.style():
        figure, grid = style.new_figure(1.5, nrows=len(panels), sharey=True, squeeze=False)
        for axes, (name, (outputs, cuts)) in zip(grid[:, 0], panels.items(), strict=True):
            x_limits = style.include((cuts.single, cuts.single), outputs.logit)
            density: Hist[Any] = Hist(
                Regular(BINS[0], *half_open(x_limits), name="logit"),
                Regular(BINS[1], *half_open(y_limits), name="recoil_mass"),
            )
            density.fill(outputs.logit, recoil[name], weight=outputs.weight)
            draw_density(figure, axes, density, f"{content} / bin")
            finite = np.isfinite(cuts.optimal)
            axes.plot(
                cuts.optimal[finite],
                cuts.mass[finite],
                color=style.RED,
                marker="o",
                markersize=1.5,
                linewidth=0.7,
                label="best cut per mass",
            )
            axes.plot(
                [cuts.single] * 2,
                y_limits,
                color="black",
                linestyle=(0, (4, 2)),
                label="single cut",
            )
            axes.set_ylim(y_limits[0], y_limits[1] + 0.16 * (y_limits[1] - y_limits[0]))
            axes.set_xlim(x_limits)
            axes.set_xlabel("")  # the histogram would write the names of its axes
            axes.set_ylabel(r"$M_\mathrm{rec}$ [GeV]")
            axes.legend(loc="upper left", ncols=3, title=name, title_fontsize=6.5, alignment="left")
        grid[-1, 0].set_xlabel("output before sigmoid")
        style.add_label(grid[0, 0], luminosity)
    return figure
