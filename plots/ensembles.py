"""Ensembles of networks against the mass: the paper's Fig. 3, 4 and 7, and its own points."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from punzinet.analysis.paper.published import PUBLISHED, common_scale
from punzinet.analysis.types import FloatArray
from punzinet.plots import style
from punzinet.plots.sensitivity import (
    Curve,
    Masses,
    curve_legend,
    curve_limits,
    draw_curve,
    ratio_limits,
)

#: Colours of the curves, in the order in which they come.
COLOURS = (style.ORANGE, style.BLUE, style.PURPLE)
SIGMA_MIN = r"$\sigma_\mathrm{min}$ [fb]"
FIGURE_OF_MERIT = r"Punzi FOM $1/\sigma_\mathrm{min}$ [fb$^{-1}$]"


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
        ratio_label: Of the lower axis, σ_min of the first curve over that of the others.
    """
    drawn = {label: Curve.of_ensemble(sigma) for label, sigma in curves.items()}
    colours = dict(zip(drawn, COLOURS, strict=False))
    with style.style():
        figure, (upper, lower) = style.new_figure(
            1.05, nrows=2, sharex=True, height_ratios=(2.4, 1)
        )
        shown = [curve.figure_of_merit if merit else curve for curve in drawn.values()]
        for curve, colour in zip(shown, colours.values(), strict=True):
            draw_curve(upper, hypotheses, curve, colour)
        curve_limits(upper, shown, log=not merit)
        upper.set_ylabel(FIGURE_OF_MERIT if merit else SIGMA_MIN)
        curve_legend(upper, colours, loc="upper left")
        style.add_label(upper, luminosity)
        first, *others = drawn.items()
        lower.axhline(1, color="black", linewidth=0.6)
        ratios = [first[1].over(curve) for _, curve in others]
        for ratio, (label, _) in zip(ratios, others, strict=True):
            draw_curve(lower, hypotheses, ratio, colours[label], line=False)
        ratio_limits(lower, *ratios)
        lower.set_ylabel(ratio_label, loc="center")
        style.mass_axis(lower, hypotheses.mass)
        figure.align_ylabels()
    return figure


def published_figure(
    hypotheses: Masses, bce: FloatArray, punzi: FloatArray, *, luminosity: float
) -> Figure:
    """Draw our σ_min with the published points, which have one common arbitrary scale.

    Args:
        hypotheses: The masses.
        bce: (N, H) σ_min of the cross-entropy networks at their best cuts, fb.
        punzi: (N, H) σ_min of the Punzi-nets at one cut, fb.
        luminosity: Target luminosity, fb^-1.
    """
    ours = {
        "BCE, best cuts": Curve.of_ensemble(bce),
        "Punzi-net, one cut": Curve.of_ensemble(punzi),
    }
    colours = dict(zip(ours, COLOURS, strict=False))
    sigma = [curve.sigma for curve in ours.values()]
    scale = common_scale(hypotheses.mass, *sigma)
    mass, *published = np.array(PUBLISHED).T
    points: dict[str, Any] = {
        "linestyle": "",
        "marker": "D",
        "markersize": 5.0,
        "markerfacecolor": "white",
        "zorder": 4,
    }
    with style.style():
        figure, (upper, lower) = style.new_figure(
            1.05, nrows=2, sharex=True, height_ratios=(2.4, 1)
        )
        for (label, curve), theirs in zip(ours.items(), published, strict=True):
            draw_curve(upper, hypotheses, curve, colours[label])
            upper.plot(mass, scale * theirs, color=colours[label], **points)
        both = [*ours.values(), *(Curve(scale * p, 0 * p) for p in published)]
        curve_limits(upper, both, log=True)
        upper.set_ylabel(SIGMA_MIN)
        label = f"published × {scale:.2f} fb"
        theirs = Line2D([], [], color="black", label=label, **points)
        curve_legend(upper, colours, [theirs], loc="upper left")
        style.add_label(upper, luminosity)
        lower.axhline(1, color="black", linewidth=0.6)
        ratio = both[0].over(both[1])
        draw_curve(lower, hypotheses, ratio, "#333333", line=False)
        lower.plot(mass, published[0] / published[1], color=style.RED, **points)
        ratio_limits(lower, ratio, Curve(published[0] / published[1], 0 * mass))
        lower.set_ylabel("BCE / one cut\n(ratio)", loc="center")
        style.mass_axis(lower, hypotheses.mass)
        figure.align_ylabels()
    return figure
