"""σ_min and the figure of merit (Fig. 3, 4, 7) against the mass."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from punzinet.analysis.sensitivity import Curve, Sensitivity
from punzinet.plots import style

#: Label, loss of the networks, their cut, and colour of each curve.
CURVES = (
    ("BCE, best cut per mass", "bce", "optimal", style.ORANGE),
    ("Punzi-net, best cut per mass", "punzi", "optimal", style.GREY),
    ("Punzi-net, one cut", "punzi", "single", style.BLUE),
)
BCE_OVER_ONE = "BCE / one cut\n(ratio)"
#: Markers of bounds by `Curve.limit`: where no simulated background passes, σ_min is lower.
LIMIT_MARKERS = {-1: "v", 1: "^"}
OPEN: dict[str, Any] = {"linestyle": "", "markersize": 4, "markerfacecolor": "white", "zorder": 4}
UNSEEN = "no background"


#: Curves and their colours, by label.
Curves = Mapping[str, tuple[Curve, str]]


def sigma_min_figure(sensitivity: Sensitivity, parameter: str) -> Figure:
    """Draw σ_min of the cuts against the mass, a `parameter`, and the ratio of BCE to Punzi-net."""
    curves = _curves(sensitivity)
    (bce, _), _, (one_cut, _) = curves.values()
    ratios = [(bce.over(one_cut), "#333333")]
    return ratio_figure(curves, ratios, BCE_OVER_ONE, sensitivity.luminosity, parameter)


@style.style()
def figure_of_merit_figure(sensitivity: Sensitivity, parameter: str) -> Figure:
    """Draw the figure of merit 1/σ_min of the cuts against the mass, as `sigma_min_figure`."""
    figure, axes = style.new_figure(0.8)
    _draw_curves(axes, _curves(sensitivity), merit=True)
    style.mass_axis(axes, sensitivity.mass, parameter)
    style.add_label(axes, sensitivity.luminosity)
    return figure


def _curves(sensitivity: Sensitivity) -> Curves:
    return {
        label: (sensitivity.average(sensitivity.of_loss(loss), cut), colour)
        for label, loss, cut, colour in CURVES
    }


@style.style()
def ratio_figure(
    curves: Curves,
    ratios: Sequence[tuple[Curve, str]],
    ratio_label: str,
    luminosity: float | None,
    parameter: str,
    *,
    merit: bool = False,
    points: Sequence[Line2D] = (),
    below: Sequence[Line2D] = (),
) -> Figure:
    """Draw curves, σ_min or the figure of merit, and below them ratios with their colours.

    Further points are drawn in the upper panel, the last of them in the legend only, and below.
    """
    figure, (upper, lower) = style.new_figure(1.05, nrows=2, sharex=True, height_ratios=(2.4, 1))
    lower.axhline(1, color="black", linewidth=0.6)
    _draw_curves(upper, curves, merit=merit, points=points)
    style.add_label(upper, luminosity)
    ends = style.finite_range((0.8, 1.25), _ends([r for r, _ in ratios], below))
    for ratio, colour in ratios:
        _draw_curve(lower, ratio, colour, ends, line=False)
    for line in below:
        lower.add_line(line)
    style.log_axis(lower, *ends)  # for ratios fluctuate by factors
    lower.set_ylabel(ratio_label, loc="center")
    style.mass_axis(lower, next(iter(curves.values()))[0].mass, parameter)
    return figure


def _draw_curves(axes: Axes, curves: Curves, *, merit: bool, points: Sequence[Line2D] = ()) -> None:
    """Draw curves with their legend: the figure of merit, or σ_min on a logarithmic axis."""
    shown = [(c.figure_of_merit if merit else c, colour) for c, colour in curves.values()]
    _, high = ends = _ends([curve for curve, _ in shown], points)
    for curve, colour in shown:
        _draw_curve(axes, curve, colour, ends)
    for line in points:
        axes.add_line(line)
    if merit:  # long error bars are cut off
        axes.set_ylim(0, 1.08 * high)
    else:
        style.log_axis(axes, *ends)
    axes.set_ylabel(style.FIGURE_OF_MERIT if merit else style.SIGMA_MIN)
    handles = [
        Line2D([], [], color=c, linestyle=style.DASHES.get(c, "-"), marker="o", label=name)
        for name, (_, c) in curves.items()
    ]
    alone: dict[str, Any] = {"linestyle": "", "color": "black"}
    marks = [("o", "trained mass", alone), ("^", "other mass", alone)]
    if any(curve.limit.any() for curve, _ in shown):
        marks.append((LIMIT_MARKERS[1 if merit else -1], UNSEEN, alone | OPEN))
    handles += [Line2D([], [], marker=marker, label=of, **look) for marker, of, look in marks]
    style.add_legend(axes, 2, [*handles, *points[-1:]])


def _ends(curves: Iterable[Curve], points: Iterable[Line2D] = ()) -> tuple[float, float]:
    """Smallest and largest value above 0 that an axis has to hold.

    What is known to lie below some value needs no room below it, and what lies above, none above.
    """
    further = [np.asarray(line.get_ydata(), dtype=float) for line in points]
    above, below = (
        [*(curve.sigma[curve.limit != sign] for curve in curves), *further] for sign in (-1, 1)
    )
    low, _ = style.finite_range(*(values[values > 0] for values in above))
    _, high = style.finite_range(*below)
    return min(low, high), high


def _draw_curve(
    axes: Axes, curve: Curve, colour: str, ends: tuple[float, float], *, line: bool = True
) -> None:
    """Draw a curve: circles for trained masses, triangles for others, open ones for limits.

    Limits beyond the ends stand there: what they say is true there too.
    """
    finite = np.isfinite(curve.sigma)
    known = finite & (curve.limit == 0)
    if line:
        look: dict[str, Any] = {"linestyle": style.DASHES.get(colour, "-"), "linewidth": 0.8}
        axes.plot(curve.mass[known], curve.sigma[known], color=colour, **look)
    error = np.where(np.isfinite(curve.error), curve.error, np.nan)
    for chosen, marker in ((curve.training, "o"), (~curve.training, "^")):
        rows = chosen & known
        look = {"fmt": marker, "color": colour, "elinewidth": 0.5, "markeredgewidth": 0}
        style.draw_points(axes, curve.mass[rows], curve.sigma[rows], error[rows], 2.8, **look)
    for sign, marker in LIMIT_MARKERS.items():
        rows = finite & (curve.limit == sign)
        axes.plot(curve.mass[rows], curve.sigma[rows].clip(*ends), marker, color=colour, **OPEN)
