"""Minimum detectable cross-section and Punzi figure of merit against the mass (Fig. 3, 4, 7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.types import BoolArray, FloatArray
from punzinet.plots import style

Cut = Literal["optimal", "optimal_in_training", "single", "half"]
RATIO_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
#: Label, loss of the networks, their cut, and colour of each curve. Best cuts are chosen on
#: training events: chosen on the events that judge them, they follow fluctuations of a handful of
#: events, and look better than they are.
CURVES: tuple[tuple[str, str, Cut, str], ...] = (
    ("BCE, best cut per mass", "bce", "optimal_in_training", style.ORANGE),
    ("Punzi-net, best cut per mass", "punzi", "optimal_in_training", style.GREY),
    ("Punzi-net, one cut", "punzi", "single", style.BLUE),
)


@dataclass(frozen=True, eq=False)
class Curve:
    """σ_min of H hypotheses, of one network or averaged over several."""

    mass: FloatArray  # (H,) GeV
    training: BoolArray  # (H,) which masses were trained on
    sigma: FloatArray  # (H,) fb, infinite where nothing is selected
    error: FloatArray  # (H,) fb, of the finite simulated sample, or the standard error of the mean

    @classmethod
    def of(cls, sensitivity: Sensitivity, networks: Sequence[str], cut: Cut) -> Self:
        """Average σ_min behind a cut over networks, at least one."""
        chosen = [getattr(sensitivity.networks[name], cut) for name in networks]
        sigma = np.array([selection.sigma_min for selection in chosen])
        error = chosen[0].sigma_min_error
        if len(chosen) > 1:
            seen = np.all(np.isfinite(sigma), axis=0)
            error = np.full(sigma.shape[1], np.inf)
            error[seen] = sigma[:, seen].std(axis=0, ddof=1) / np.sqrt(len(chosen))
        return cls(sensitivity.mass, sensitivity.training, sigma.mean(axis=0), error)

    @classmethod
    def of_ensemble(cls, mass: FloatArray, training: BoolArray, sigma: FloatArray) -> Self:
        """Average the figure of merit over at least two networks, σ_min (N, H) in fb.

        So one network that finds nothing at some mass counts as much as any other.
        """
        fom = np.divide(1.0, sigma, out=np.zeros_like(sigma), where=np.isfinite(sigma))
        error = fom.std(axis=0, ddof=1) / np.sqrt(len(fom))
        return cls(mass, training, fom.mean(axis=0), error).figure_of_merit

    @property
    def figure_of_merit(self) -> Self:
        """The inverse with the same relative uncertainty: 1/σ_min in 1/fb, or back; ∞ gives 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse, error = 1 / self.sigma, self.error / self.sigma**2
        seen = np.isfinite(self.sigma) & np.isfinite(inverse)
        return replace(self, sigma=inverse, error=np.where(seen, error, np.inf))

    def over(self, other: "Curve") -> Self:
        """Ratio of two curves, errors as if they were independent; NaN where either is infinite."""
        seen = np.isfinite(self.sigma) & np.isfinite(other.sigma)
        with np.errstate(invalid="ignore"):
            ratio = np.where(seen, self.sigma / other.sigma, np.nan)
            relative = np.hypot(self.error / self.sigma, other.error / other.sigma)
        return replace(self, sigma=ratio, error=ratio * relative)


@style.style()
def sigma_min_figure(sensitivity: Sensitivity, parameter: str) -> Figure:
    """Draw σ_min of the cuts against the mass, written so, and the ratio of BCE to Punzi-net."""
    curves = _curves(sensitivity)
    figure, upper, lower = style.ratio_panels(1.05)
    draw_curves(upper, curves, merit=False)
    style.add_label(upper, sensitivity.luminosity)
    bce, punzi = (curves.get(CURVES[i][0]) for i in (0, 2))
    if bce and punzi:
        ratio = bce[0].over(punzi[0])
        draw_curve(lower, ratio, "#333333", line=False)
        ratio_limits(lower, ratio.sigma)
    lower.set_ylabel("BCE / one cut\n(ratio)", loc="center")
    style.mass_axis(lower, sensitivity.mass, parameter)
    figure.align_ylabels()
    return figure


@style.style()
def figure_of_merit_figure(sensitivity: Sensitivity, parameter: str) -> Figure:
    """Draw the figure of merit 1/σ_min of the cuts against the mass, as `sigma_min_figure`."""
    figure, axes = style.new_figure(0.8)
    draw_curves(axes, _curves(sensitivity), merit=True)
    style.mass_axis(axes, sensitivity.mass, parameter)
    style.add_label(axes, sensitivity.luminosity)
    return figure


def _curves(sensitivity: Sensitivity) -> dict[str, tuple[Curve, str]]:
    """The curves for which there are networks, by the prefix of their names; colours by label."""
    return {
        label: (Curve.of(sensitivity, names, cut), colour)
        for label, loss, cut, colour in CURVES
        if (names := sorted(name for name in sensitivity.networks if name.startswith(loss)))
    }


def draw_curves(
    axes: Axes,
    curves: Mapping[str, tuple[Curve, str]],
    *,
    merit: bool,
    points: Sequence[Line2D] = (),
) -> None:
    """Draw curves with their legend: the figure of merit, or σ_min on a logarithmic axis.

    The last one of further points explains them in the legend.
    """
    shown = [(c.figure_of_merit if merit else c, colour) for c, colour in curves.values()]
    for curve, colour in shown:
        draw_curve(axes, curve, colour)
    for line in points:
        axes.add_line(line)
    values = [curve.sigma for curve, _ in shown]
    values += [np.asarray(line.get_ydata(), dtype=float) for line in points]
    low, high = style.finite_range(*(v[v > 0] for v in values))
    if not merit:  # room for the legend above
        axes.set(yscale="log", ylim=(0.6 * low, 1.5 * high * (high / low) ** 0.5))
    else:  # long error bars are cut off
        _, reach = style.finite_range(*(c.sigma + c.error for c, _ in shown), *values)
        axes.set_ylim(0, 1.4 * min(reach, 2 * high))
    axes.set_ylabel(style.FIGURE_OF_MERIT if merit else style.SIGMA_MIN)
    handles = [Line2D([], [], color=c, marker="o", label=name) for name, (_, c) in curves.items()]
    handles += [
        Line2D([], [], color="black", linestyle="", marker=marker, label=label)
        for marker, label in (("o", "trained mass"), ("^", "other mass"))
    ]
    axes.legend(handles=[*handles, *points[-1:]], ncols=2, loc="upper left")


def draw_curve(axes: Axes, curve: Curve, colour: str, *, line: bool = True) -> None:
    """Draw a curve: circles for trained masses, triangles for others."""
    finite = np.isfinite(curve.sigma)
    if line:
        shown = np.where(finite, curve.sigma, np.nan)
        axes.plot(curve.mass, shown, color=colour, linewidth=0.6, alpha=0.7)
    error = np.where(np.isfinite(curve.error), curve.error, np.nan)
    for chosen, marker in ((curve.training, "o"), (~curve.training, "^")):
        rows = chosen & finite
        look = {"fmt": marker, "color": colour, "elinewidth": 0.5, "markeredgewidth": 0}
        style.draw_points(axes, curve.mass[rows], curve.sigma[rows], error[rows], 2.8, **look)


def ratio_limits(axes: Axes, *ratios: FloatArray) -> None:
    """Hold all ratios and 1, on a logarithmic axis, for they fluctuate by factors."""
    low, high = style.include((0.8, 1.25), *(ratio[ratio > 0] for ratio in ratios))
    axes.set(yscale="log", ylim=(0.8 * low, 1.25 * high))
    axes.set_yticks([tick for tick in RATIO_TICKS if 0.8 * low <= tick <= 1.25 * high])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
