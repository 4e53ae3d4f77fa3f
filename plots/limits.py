"""Expected upper limits on the cross-section and on the coupling against the mass."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from punzinet.analysis.limits.result import Limits
from punzinet.analysis.search import Search
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

INNER, OUTER = "#7fb6e6", "#d3e5f5"  # ±1σ and ±2σ, told apart without colour by their lightness


@style.style()
def limits_figure(limits: Limits, search: Search, *, coupling: bool) -> Figure:
    """Draw bands of the single cut and all limits as lines, on σ(e⁺e⁻ → μ⁺μ⁻Z′)·B.

    Or on the coupling g′ of a Z′ that only decays as the search has it; one has to be known.
    """
    quantity = f"{search.cross_section} [fb]"
    if coupling:
        quantity = rf"$g'$  for $\mathcal{{B}}({search.decay})=1$"

    def drawable(values: FloatArray) -> FloatArray:
        """(5, H) ends of the bands and the median between them, of limits (H, 5) in fb."""
        drawn = limits.coupling(values) if coupling else values
        return np.where(np.isfinite(drawn), drawn, np.nan).T

    single = limits.selections["single"]
    bands = drawable(single.asymptotic)
    lines: list[tuple[str, FloatArray, str, Any]] = [
        ("expected (asymptotic), one cut", bands[2], "black", "-"),
        ("exact sums, one cut", drawable(single.counting)[2], "black", style.DOTTED),
    ]
    if "best" in limits.selections:
        best = drawable(limits.selections["best"].asymptotic)[2]
        lines.append(("BCE, best cut per mass", best, style.ORANGE, (0, (5, 1.5))))
    figure, axes = style.new_figure(0.9)
    axes.fill_between(limits.mass, bands[0], bands[4], color=OUTER, linewidth=0)
    axes.fill_between(limits.mass, bands[1], bands[3], color=INNER, linewidth=0)
    for label, values, colour, dash in lines:
        axes.plot(limits.mass, values, color=colour, linestyle=dash, label=label)
    axes.set_yscale("log")
    low, high = style.finite_range(bands.ravel(), *(line[1] for line in lines))
    axes.set_ylim(0.7 * low, 1.3 * high * (high / low) ** 0.25)  # room for a legend of three rows
    axes.set_ylabel(f"{100 * limits.confidence_level:g} % CL upper limit on\n{quantity}")
    colours = ((1, INNER), (2, OUTER))
    bars = [Patch(color=colour, label=rf"expected $\pm {n}\sigma$") for n, colour in colours]
    axes.legend(handles=[*axes.lines, *bars], ncols=2, loc="upper left")
    style.mass_axis(axes, limits.mass, search.parameter)
    style.add_label(axes, limits.luminosity)
    return figure
