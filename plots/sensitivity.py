"""Minimum detectable cross-section and Punzi figure of merit against the mass (Fig. 3, 4, 7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.types import BoolArray, FloatArray
from punzinet.plots import style

Cut = Literal["optimal", "optimal_in_training", "single", "half"]
#: Ratios that are written at a logarithmic axis.
RATIO_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
#: Label, loss of the networks, their cut, and colour of each curve. Best cuts are chosen on
#: training events: chosen on the events that judge them, they follow fluctuations of a handful of
#: events, and look better than they are.
CURVES: tuple[tuple[str, str, Cut, str], ...] = (
    ("BCE, best cut per mass", "bce", "optimal_in_training", style.ORANGE),
    ("Punzi-net, best cut per mass", "punzi", "optimal_in_training", style.GREY),
    ("Punzi-net, one cut", "punzi", "single", style.BLUE),
)


class Masses(Protocol):
    """Whatever has hypotheses."""

    @property
    def mass(self) -> FloatArray:
        """(H,) masses in GeV."""

    @property
    def training(self) -> BoolArray:
        """(H,) which were trained on."""


@dataclass(frozen=True, eq=False)
class Curve:
    """σ_min against mass, of one network or averaged over several.

    Attributes:
        sigma: (H,) σ_min in fb, infinite where nothing is selected.
        error: (H,) its uncertainty in fb: that of the finite simulated sample for one network,
            the standard error of the mean for several.
    """

    sigma: FloatArray
    error: FloatArray

    @classmethod
    def of(cls, sensitivity: Sensitivity, networks: Sequence[str], cut: Cut) -> Self:
        """Average σ_min behind a cut over networks, at least one."""
        chosen = [getattr(sensitivity.networks[name], cut) for name in networks]
        sigma = np.array([selection.sigma_min for selection in chosen])
        if len(chosen) == 1:
            return cls(sigma[0], chosen[0].sigma_min_error)
        seen = np.all(np.isfinite(sigma), axis=0)
        error = np.full(sigma.shape[1], np.inf)
        error[seen] = sigma[:, seen].std(axis=0, ddof=1) / np.sqrt(len(chosen))
        return cls(sigma.mean(axis=0), error)

    @classmethod
    def of_ensemble(cls, sigma: FloatArray) -> Self:
        """Average the figure of merit over at least two networks, and give σ_min (fb) for it.

        So one network that finds nothing at some mass counts as much as any other.

        Args:
            sigma: (N, H) σ_min of the networks in fb.
        """
        fom = np.divide(1.0, sigma, out=np.zeros_like(sigma), where=np.isfinite(sigma))
        error = fom.std(axis=0, ddof=1) / np.sqrt(len(fom))
        return cls(fom.mean(axis=0), error).figure_of_merit

    @property
    def figure_of_merit(self) -> Self:
        """The inverse with the same relative uncertainty: 1/σ_min in 1/fb, or back; ∞ gives 0."""
        seen = np.isfinite(self.sigma) & (self.sigma > 0)
        inverse = np.where(self.sigma > 0, 0.0, np.inf)
        error = np.full_like(self.sigma, np.inf)
        inverse[seen] = 1 / self.sigma[seen]
        error[seen] = self.error[seen] / self.sigma[seen] ** 2
        return type(self)(inverse, error)

    def over(self, other: "Curve") -> Self:
        """Ratio of two curves, errors as if they were independent; NaN where either is infinite."""
        seen = np.isfinite(self.sigma) & np.isfinite(other.sigma)
        ratio, error = np.full((2, len(self.sigma)), np.nan)
        ratio[seen] = self.sigma[seen] / other.sigma[seen]
        relative = np.hypot(
            self.error[seen] / self.sigma[seen], other.error[seen] / other.sigma[seen]
        )
        error[seen] = ratio[seen] * relative
        return type(self)(ratio, error)


def networks_by_loss(sensitivity: Sensitivity) -> dict[str, list[str]]:
    """Names of the networks trained with each loss, ``bce`` or ``punzi``, by their prefix."""
    return {
        loss: sorted(name for name in sensitivity.networks if name.startswith(loss))
        for loss in ("bce", "punzi")
    }


def sigma_min_figure(sensitivity: Sensitivity, parameter: str) -> Figure:
    """Draw σ_min of the cuts against the mass, written so, and the ratio of BCE to Punzi-net."""
    curves = _curves(sensitivity)
    with style.style():
        figure, upper, lower = style.ratio_panels(1.05)
        draw_curves(upper, sensitivity, curves, merit=False)
        style.add_label(upper, sensitivity.luminosity)
        drawn = {label: curve for label, (curve, _) in curves.items()}
        if CURVES[0][0] in drawn and CURVES[2][0] in drawn:
            ratio = drawn[CURVES[0][0]].over(drawn[CURVES[2][0]])
            draw_curve(lower, sensitivity, ratio, "#333333", line=False)
            ratio_limits(lower, ratio)
        lower.set_ylabel("BCE / one cut\n(ratio)", loc="center")
        style.mass_axis(lower, sensitivity.mass, parameter)
        figure.align_ylabels()
    return figure


def figure_of_merit_figure(sensitivity: Sensitivity, parameter: str) -> Figure:
    """Draw the figure of merit 1/σ_min of the cuts against the mass, as `sigma_min_figure`."""
    with style.style():
        figure, axes = style.new_figure(0.8)
        draw_curves(axes, sensitivity, _curves(sensitivity), merit=True)
        style.mass_axis(axes, sensitivity.mass, parameter)
        style.add_label(axes, sensitivity.luminosity)
    return figure


def _curves(sensitivity: Sensitivity) -> dict[str, tuple[Curve, str]]:
    """The curves for which there are networks, and their colours, by label."""
    networks = networks_by_loss(sensitivity)
    return {
        label: (Curve.of(sensitivity, networks[loss], cut), colour)
        for label, loss, cut, colour in CURVES
        if networks[loss]
    }


def draw_curves(
    axes: Axes,
    hypotheses: Masses,
    curves: Mapping[str, tuple[Curve, str]],
    *,
    merit: bool,
    points: Sequence[Line2D] = (),
) -> None:
    """Draw curves with their legend.

    Args:
        axes: Where to.
        hypotheses: The masses.
        curves: σ_min and colour by label.
        merit: Whether the figure of merit is drawn, and not σ_min on a logarithmic axis.
        points: Drawn besides; the last one explains them in the legend.
    """
    shown = [(c.figure_of_merit if merit else c, colour) for c, colour in curves.values()]
    for curve, colour in shown:
        draw_curve(axes, hypotheses, curve, colour)
    for line in points:
        axes.add_line(line)
        y = np.asarray(line.get_ydata(), dtype=float)
        shown.append((Curve(y, 0 * y), ""))
    _curve_limits(axes, [curve for curve, _ in shown], log=not merit)
    axes.set_ylabel(style.FIGURE_OF_MERIT if merit else style.SIGMA_MIN)
    handles = [Line2D([], [], color=c, marker="o", label=name) for name, (_, c) in curves.items()]
    handles += [
        Line2D([], [], color="black", linestyle="", marker=marker, label=label)
        for marker, label in (
            (style.TRAINING_MARKER, "trained mass"),
            (style.VALIDATION_MARKER, "other mass"),
        )
    ]
    axes.legend(handles=[*handles, *points[-1:]], ncols=2, loc="upper left")


def draw_curve(
    axes: Axes, hypotheses: Masses, curve: Curve, colour: str, *, line: bool = True
) -> None:
    """Draw a curve, with a line or without: circles for trained masses, triangles for others."""
    finite = np.isfinite(curve.sigma)
    if line:
        shown = np.where(finite, curve.sigma, np.nan)
        axes.plot(hypotheses.mass, shown, color=colour, linewidth=0.6, alpha=0.7)
    for chosen, marker in (
        (hypotheses.training, style.TRAINING_MARKER),
        (~hypotheses.training, style.VALIDATION_MARKER),
    ):
        rows = chosen & finite
        error = np.where(np.isfinite(curve.error[rows]), curve.error[rows], np.nan)
        look = {"fmt": marker, "color": colour, "elinewidth": 0.5, "markeredgewidth": 0}
        style.draw_points(axes, hypotheses.mass[rows], curve.sigma[rows], error, 2.8, **look)


def _curve_limits(axes: Axes, curves: Sequence[Curve], *, log: bool) -> None:
    """Hold all points, and leave room for the legend above; long error bars are cut off."""
    points = np.concatenate([c.sigma[np.isfinite(c.sigma) & (c.sigma > 0)] for c in curves])
    if not len(points):
        return
    low, high = float(points.min()), float(points.max())
    if log:
        axes.set_yscale("log")
        axes.set_ylim(0.6 * low, 1.5 * high * (high / low) ** 0.5)
    else:
        ends = np.concatenate([curve.sigma + curve.error for curve in curves])
        reach = max(high, float(ends[np.isfinite(ends)].max(initial=0)))
        axes.set_ylim(0, 1.4 * min(reach, 2 * high))


def ratio_limits(axes: Axes, *ratios: Curve) -> None:
    """Hold all ratios and 1, on a logarithmic axis, for they fluctuate by factors."""
    values = np.concatenate([ratio.sigma for ratio in ratios])
    low, high = style.include((0.8, 1.25), values[values > 0])
    axes.set_yscale("log")
    axes.set_ylim(0.8 * low, 1.25 * high)
    axes.set_yticks([tick for tick in RATIO_TICKS if 0.8 * low <= tick <= 1.25 * high])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
