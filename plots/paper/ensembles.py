"""Ensembles of networks against the mass: the paper's Fig. 3, 4 and 7, and its own points."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from punzinet.analysis.paper.published_curves import PUBLISHED, common_scale
from punzinet.analysis.search import RECOIL
from punzinet.analysis.types import FloatArray
from punzinet.plots import style
from punzinet.plots.sensitivity import Curve, Masses, draw_curve, draw_curves, ratio_limits

#: Colours of the curves, in the order in which they come.
COLOURS = (style.ORANGE, style.BLUE, style.PURPLE)
#: How the published points are drawn.
POINTS: dict[str, Any] = {
    "linestyle": "",
    "marker": "D",
    "markersize": 5.0,
    "markerfacecolor": "white",
    "zorder": 4,
}


def ensembles_figure(
    hypotheses: Masses,
    curves: Mapping[str, FloatArray],
    *,
    luminosity: float,
    merit: bool,
    ratio_label: str,
) -> Figure:
    """Draw means over networks with their standard errors, and below what they are to the first.

    Args:
        hypotheses: The masses.
        curves: (N, H) σ_min in fb by label; at least two curves of at least two networks.
        luminosity: Target luminosity, fb^-1.
        merit: Whether to draw the figure of merit, and not σ_min.
        ratio_label: Of σ_min of the first curve over that of the others.
    """
    drawn = _averaged(curves)
    with style.style():
        figure, upper, lower = style.ratio_panels(1.05)
        draw_curves(upper, hypotheses, drawn, merit=merit)
        style.add_label(upper, luminosity)
        (first, _), *others = drawn.values()
        ratios = [(first.over(curve), colour) for curve, colour in others]
        for ratio, colour in ratios:
            draw_curve(lower, hypotheses, ratio, colour, line=False)
        ratio_limits(lower, *(ratio for ratio, _ in ratios))
        lower.set_ylabel(ratio_label, loc="center")
        style.mass_axis(lower, hypotheses.mass, RECOIL.parameter)
        figure.align_ylabels()
    return figure


def published_figure(
    hypotheses: Masses, bce: FloatArray, punzi: FloatArray, *, luminosity: float
) -> Figure:
    """Draw our σ_min with the published points, which have one common arbitrary scale.

    Ours, (N, H) in fb, are of cross-entropy networks at their best cuts and of Punzi-nets at one.
    """
    ours = _averaged({"BCE, best cuts": bce, "Punzi-net, one cut": punzi})
    curves = [curve for curve, _ in ours.values()]
    scale = common_scale(hypotheses.mass, *(curve.sigma for curve in curves))
    mass, *published = np.array(PUBLISHED).T
    with style.style():
        figure, upper, lower = style.ratio_panels(1.05)
        points = [
            Line2D(mass, scale * theirs, color=colour, **POINTS)
            for theirs, colour in zip(published, COLOURS, strict=False)
        ]
        points.append(Line2D([], [], color="black", label=f"published × {scale:.2f} fb", **POINTS))
        draw_curves(upper, hypotheses, ours, merit=False, points=points)
        style.add_label(upper, luminosity)
        ratio = curves[0].over(curves[1])
        theirs = published[0] / published[1]
        draw_curve(lower, hypotheses, ratio, "#333333", line=False)
        lower.plot(mass, theirs, color=style.RED, **POINTS)
        ratio_limits(lower, ratio, Curve(theirs, 0 * mass))
        lower.set_ylabel("BCE / one cut\n(ratio)", loc="center")
        style.mass_axis(lower, hypotheses.mass, RECOIL.parameter)
        figure.align_ylabels()
    return figure


def _averaged(curves: Mapping[str, FloatArray]) -> dict[str, tuple[Curve, str]]:
    """Mean over networks, and colour, by label."""
    return {
        label: (Curve.of_ensemble(sigma), colour)
        for (label, sigma), colour in zip(curves.items(), COLOURS, strict=False)
    }
