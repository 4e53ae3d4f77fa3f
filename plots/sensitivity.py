"""Minimum detectable cross-section and Punzi figure of merit against the mass (Fig. 3, 4, 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.sensitivity import Sensitivity
from analysis.types import BoolArray, FloatArray
from plots import style

Cut = Literal["optimal", "optimal_in_training", "single", "half"]


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

    @property
    def figure_of_merit(self) -> Self:
        """1/σ_min in 1/fb with the same relative uncertainty; 0 where σ_min is infinite."""
        seen = np.isfinite(self.sigma)
        inverse = np.zeros_like(self.sigma)
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


def sigma_min_figure(sensitivity: Sensitivity) -> Figure:
    """Draw σ_min of the cuts against the mass, and the ratio of BCE to Punzi-net below.

    Args:
        sensitivity: The result; networks are told apart by the prefixes ``bce`` and ``punzi``.
    """
    curves = _curves(sensitivity)
    with style.style():
        figure, (upper, lower) = style.new_figure(
            1.05, nrows=2, sharex=True, height_ratios=(2.4, 1)
        )
        for series, curve in curves.items():
            _draw(upper, sensitivity, curve, series.colour)
        _limits(upper, list(curves.values()), log=True)
        upper.set_ylabel(r"$\sigma_\mathrm{min}$ [fb]")
        _legend(upper, list(curves), loc="upper left")
        style.add_label(upper, sensitivity.luminosity)
        numerator, denominator = SERIES[0], SERIES[2]
        lower.axhline(1, color="black", linewidth=0.6)
        if numerator in curves and denominator in curves:
            ratio = curves[numerator].over(curves[denominator])
            _draw(lower, sensitivity, ratio, "#333333", line=False)
            _ratio_limits(lower, ratio)
        lower.set_ylabel("BCE / one cut\n(ratio)", loc="center")
        style.mass_axis(lower, sensitivity.mass)
        figure.align_ylabels()
    return figure


def figure_of_merit_figure(sensitivity: Sensitivity) -> Figure:
    """Draw the figure of merit 1/σ_min of the cuts against the mass.

    Args:
        sensitivity: As for `sigma_min_figure`.
    """
    curves = _curves(sensitivity)
    with style.style():
        figure, axes = style.new_figure(0.8)
        for series, curve in curves.items():
            _draw(axes, sensitivity, curve.figure_of_merit, series.colour)
        _limits(axes, [curve.figure_of_merit for curve in curves.values()], log=False)
        axes.set_ylabel(r"Punzi FOM $1/\sigma_\mathrm{min}$ [fb$^{-1}$]")
        style.mass_axis(axes, sensitivity.mass)
        _legend(axes, list(curves), loc="upper left")
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


def _draw(
    axes: Axes, sensitivity: Sensitivity, curve: Curve, colour: str, *, line: bool = True
) -> None:
    """Draw a curve: circles for trained masses, triangles for the others."""
    finite = np.isfinite(curve.sigma)
    if line:
        shown = np.where(finite, curve.sigma, np.nan)
        axes.plot(sensitivity.mass, shown, color=colour, linewidth=0.6, alpha=0.7)
    for chosen, marker in _roles(sensitivity.training):
        rows = chosen & finite
        error = np.where(np.isfinite(curve.error[rows]), curve.error[rows], np.nan)
        axes.errorbar(
            sensitivity.mass[rows],
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


def _limits(axes: Axes, curves: Sequence[Curve], *, log: bool) -> None:
    """Hold all points, and leave room for the legend above; long error bars are cut off."""
    values = [curve.sigma[np.isfinite(curve.sigma) & (curve.sigma > 0)] for curve in curves]
    points = np.concatenate(values)
    if not len(points):
        return
    low, high = float(points.min()), float(points.max())
    if log:
        axes.set_yscale("log")
        axes.set_ylim(0.6 * low, 1.5 * high * (high / low) ** 0.5)
    else:
        axes.set_ylim(0, 1.5 * high)


def _ratio_limits(axes: Axes, ratio: Curve) -> None:
    """Hold all ratios and 1, on a logarithmic axis, for they fluctuate by factors."""
    points = ratio.sigma[np.isfinite(ratio.sigma) & (ratio.sigma > 0)]
    low, high = style.include((0.8, 1.25), points)
    axes.set_yscale("log")
    axes.set_ylim(0.8 * low, 1.25 * high)


def _legend(axes: Axes, series: Sequence[_Series], **place: Any) -> None:
    """Explain colours and markers."""
    handles = [Line2D([], [], color=s.colour, marker="o", label=s.label) for s in series]
    handles += [
        Line2D([], [], color="black", linestyle="", marker=marker, label=label)
        for marker, label in (
            (style.TRAINING_MARKER, "trained mass"),
            (style.VALIDATION_MARKER, "other mass"),
        )
    ]
    axes.legend(handles=handles, ncols=2, **place)
