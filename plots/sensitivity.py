"""Minimum detectable cross-section and Punzi figure of merit against the mass (Fig. 3, 4, 7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from punzinet.analysis.search import RECOIL
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.types import BoolArray, FloatArray
from punzinet.plots import style


class Masses(Protocol):
    """Whatever has hypotheses."""

    @property
    def mass(self) -> FloatArray:
        """(H,) masses in GeV."""

    @property
    def training(self) -> BoolArray:
        """(H,) which were trained on."""


Cut = Literal["optimal", "optimal_in_training", "single", "half"]


#: Ratios that are written at a logarithmic axis.
RATIO_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


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
        """Average σ_min over networks.

        Args:
            sensitivity: The result.
            networks: Names of the networks, at least one.
            cut: Which of their cuts.
        """
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
        """Average the figure of merit over networks, and give σ_min for it.

        So one network that finds nothing at some mass counts as much as any other.

        Args:
            sigma: (N, H) σ_min in fb of at least two networks.
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


@dataclass(frozen=True)
class _Series:
    """One curve of the figure: which network, which cut, and how it is drawn."""

    network: Literal["bce", "punzi"]
    cut: Cut
    label: str
    colour: str


SERIES = (
    # Best cuts are chosen on training events: chosen on the events that judge them, they follow
    # fluctuations of a handful of events, and look better than they are.
    _Series("bce", "optimal_in_training", "BCE, best cut per mass", style.ORANGE),
    _Series("punzi", "optimal_in_training", "Punzi-net, best cut per mass", style.GREY),
    _Series("punzi", "single", "Punzi-net, one cut", style.BLUE),
)


def networks_by_loss(sensitivity: Sensitivity) -> dict[str, list[str]]:
    """Names of the networks trained with each loss, ``bce`` or ``punzi``, by their prefix."""
    return {
        loss: sorted(name for name in sensitivity.networks if name.startswith(loss))
        for loss in ("bce", "punzi")
    }


def sigma_min_figure(sensitivity: Sensitivity, parameter: str = RECOIL.parameter) -> Figure:
    """Draw σ_min of the cuts against the mass, and the ratio of BCE to Punzi-net below.

    Args:
        sensitivity: The result; networks are told apart by the prefixes ``bce`` and ``punzi``.
        parameter: How figures write the mass of a hypothesis.
    """
    curves = _curves(sensitivity)
    with style.style():
        figure, (upper, lower) = style.new_figure(
            1.05, nrows=2, sharex=True, height_ratios=(2.4, 1)
        )
        for series, curve in curves.items():
            draw_curve(upper, sensitivity, curve, series.colour)
        curve_limits(upper, list(curves.values()), log=True)
        upper.set_ylabel(r"$\sigma_\mathrm{min}$ [fb]")
        curve_legend(upper, {s.label: s.colour for s in curves}, loc="upper left")
        style.add_label(upper, sensitivity.luminosity)
        numerator, denominator = SERIES[0], SERIES[2]
        lower.axhline(1, color="black", linewidth=0.6)
        if numerator in curves and denominator in curves:
            ratio = curves[numerator].over(curves[denominator])
            draw_curve(lower, sensitivity, ratio, "#333333", line=False)
            ratio_limits(lower, ratio)
        lower.set_ylabel("BCE / one cut\n(ratio)", loc="center")
        style.mass_axis(lower, sensitivity.mass, parameter)
        figure.align_ylabels()
    return figure


def figure_of_merit_figure(sensitivity: Sensitivity, parameter: str = RECOIL.parameter) -> Figure:
    """Draw the figure of merit 1/σ_min of the cuts against the mass.

    Args:
        sensitivity: As for `sigma_min_figure`.
        parameter: As well.
    """
    curves = _curves(sensitivity)
    with style.style():
        figure, axes = style.new_figure(0.8)
        for series, curve in curves.items():
            draw_curve(axes, sensitivity, curve.figure_of_merit, series.colour)
        curve_limits(axes, [curve.figure_of_merit for curve in curves.values()], log=False)
        axes.set_ylabel(r"Punzi FOM $1/\sigma_\mathrm{min}$ [fb$^{-1}$]")
        style.mass_axis(axes, sensitivity.mass, parameter)
        curve_legend(axes, {s.label: s.colour for s in curves}, loc="upper left")
        style.add_label(axes, sensitivity.luminosity)
    return figure


def _curves(sensitivity: Sensitivity) -> dict[_Series, Curve]:
    """The curves for which there are networks."""
    networks = networks_by_loss(sensitivity)
    return {
        series: Curve.of(sensitivity, networks[series.network], series.cut)
        for series in SERIES
        if networks[series.network]
    }


def draw_curve(
    axes: Axes, hypotheses: Masses, curve: Curve, colour: str, *, line: bool = True
) -> None:
    """Draw a curve: circles for trained masses, triangles for the others.

    Args:
        axes: Where to.
        hypotheses: The masses.
        curve: What to draw, at these masses.
        colour: Its colour.
        line: Whether to connect the points.
    """
    finite = np.isfinite(curve.sigma)
    if line:
        shown = np.where(finite, curve.sigma, np.nan)
        axes.plot(hypotheses.mass, shown, color=colour, linewidth=0.6, alpha=0.7)
    for chosen, marker in _roles(hypotheses.training):
        rows = chosen & finite
        error = np.where(np.isfinite(curve.error[rows]), curve.error[rows], np.nan)
        axes.errorbar(
            hypotheses.mass[rows],
            curve.sigma[rows],
            error,
            fmt=marker,
            color=colour,
            elinewidth=0.5,
            markeredgewidth=0,
        )


def _roles(training: BoolArray) -> tuple[tuple[BoolArray, str], ...]:
    """Trained masses and the others, each with its marker."""
    return (training, style.TRAINING_MARKER), (~training, style.VALIDATION_MARKER)


def curve_limits(axes: Axes, curves: Sequence[Curve], *, log: bool) -> None:
    """Hold all points, and leave room for the legend above; long error bars are cut off.

    Args:
        axes: The axes.
        curves: What is drawn in them.
        log: Whether the axis is logarithmic.
    """
    values = [curve.sigma[np.isfinite(curve.sigma) & (curve.sigma > 0)] for curve in curves]
    points = np.concatenate(values)
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
    """Hold all ratios and 1, on a logarithmic axis, for they fluctuate by factors.

    Args:
        axes: The axes.
        ratios: What is drawn in them.
    """
    values = np.concatenate([ratio.sigma for ratio in ratios])
    points = values[np.isfinite(values) & (values > 0)]
    low, high = style.include((0.8, 1.25), points)
    axes.set_yscale("log")
    axes.set_ylim(0.8 * low, 1.25 * high)
    axes.set_yticks([tick for tick in RATIO_TICKS if 0.8 * low <= tick <= 1.25 * high])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def curve_legend(
    axes: Axes, series: Mapping[str, str], extra: Sequence[Line2D] = (), **place: Any
) -> None:
    """Explain colours and markers.

    Args:
        axes: The axes.
        series: Label and colour of each curve.
        extra: Handles of what else is drawn.
        place: As for `Axes.legend`.
    """
    handles = [Line2D([], [], color=c, marker="o", label=label) for label, c in series.items()]
    handles += [
        Line2D([], [], color="black", linestyle="", marker=marker, label=label)
        for marker, label in (
            (style.TRAINING_MARKER, "trained mass"),
            (style.VALIDATION_MARKER, "other mass"),
        )
    ]
    axes.legend(handles=[*handles, *extra], ncols=2, **place)
