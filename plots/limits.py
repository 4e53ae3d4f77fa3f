"""Figures of limits: expected and observed ones, local p-values, and fits of the shape."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtr

from punzinet.analysis.limits import coupling as coupling_of
from punzinet.analysis.limits.coupling import PublishedLimit
from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.limits.shape import ShapeLimits
from punzinet.analysis.manifest.datasets import DATA
from punzinet.analysis.search import Search
from punzinet.analysis.types import FloatArray
from punzinet.plots import style
from punzinet.plots.sensitivity import OPEN, UNSEEN

#: Label, selection and method, colour and dash of each limit.
LIMIT_LINES: tuple[tuple[str, str, str, str, Any], ...] = (
    ("one cut, exact sums", "single", "counting", "black", "-"),
    ("one cut, asymptotic", "single", "asymptotic", style.RED, style.DOTTED),
    ("BCE, best cut per mass", "best", "counting", style.ORANGE, style.DASHED),
)
INNER, OUTER = "#7fb6e6", "#d3e5f5"  # ±1σ and ±2σ, told apart without colour by their lightness
#: Colour, dash and marker of published limits, in the order in which they come.
PUBLISHED_LOOKS: tuple[tuple[str, Any, str], ...] = (
    (style.PURPLE, (0, (3, 1, 1, 1)), "s"),
    (style.VIOLET, (0, (6, 2)), "D"),
    (style.SLATE, (0, (2, 1)), "P"),
    ("black", (0, (5, 1, 1, 1, 1, 1)), "X"),
)
POINTS = 200  # masses at which marks are worked out
SIGMAS = np.arange(1, 6)  # significances that have a line
LEAST = 1e-16  # p-values below are drawn there, lest the lines of sigmas lie on one another


@style.style()
def limits_figure(
    limits: Limits | Observation,
    search: Search,
    *,
    coupling: bool,
    published: Sequence[PublishedLimit] = (),
    resolution: FloatArray | None = None,
    label: str = "",
) -> Figure:
    """Draw bands of the single cut and all limits as lines, on σ(e⁺e⁻ → μ⁺μ⁻Z′)·B.

    Or on the coupling g′ of a Z′ that only decays as the search has it; one has to be known. Of an
    observation, the lines are what is observed and expected, and the label says of which events.
    Published limits on the same are drawn as well, and marks of g′ in L_μ − L_τ if there is a
    resolution of the mass, (H,) in GeV.
    """

    def drawable(values: FloatArray) -> FloatArray:
        """(5, H) ends of the bands and the median between them, of limits (H, 5) in fb."""
        return _finite(limits.coupling(values) if coupling else values)

    lines: list[tuple[Any, ...]]  # label, limits (H,), effective events (H,), colour and dash
    if isinstance(limits, Observation):
        bands, effective = drawable(limits.expected), limits.effective_events
        observed = "observed" if limits.source == DATA else "observed (pseudo-data)"
        lines = [
            (observed, drawable(limits.limit), np.ones(len(effective)), "black", "-"),
            ("expected (median)", bands[2], effective, "black", style.DASHED),
        ]
    else:
        bands = drawable(limits.selections["single"].counting)
        lines = [
            (name, drawable(getattr(one, method))[2], one.effective_events, *look)
            for name, key, method, *look in LIMIT_LINES
            if (one := limits.selections.get(key)) is not None
        ]
    figure, axes = style.new_figure(0.9)
    drawn, unseen = [bands], []
    for name, values, effective, colour, dash in lines:
        drawn.append(values)
        axes.plot(limits.mass, values, color=colour, linestyle=dash, label=name)
        unseen.append(np.where(effective == 0, values, np.nan))
    for n, colour in ((1, INNER), (2, OUTER)):
        look = {"color": colour, "linewidth": 0, "zorder": 2 - n}
        name = rf"expected $\pm {n}\sigma$"
        axes.fill_between(limits.mass, bands[2 - n], bands[2 + n], label=name, **look)
    if np.isfinite(unseen).any():
        points = np.tile(limits.mass, len(unseen)), np.ravel(unseen)
        axes.plot(*points, color="black", marker="v", label=UNSEEN, **OPEN)
    limited = "coupling" if coupling else "cross_section"
    shown = [one for one in published if one.quantity == limited]
    drawn += _draw_published(axes, shown, limits.mass, limits.confidence_level)
    style.log_axis(axes, *style.finite_range(*drawn))
    if coupling and resolution is not None:
        _draw_marks(axes, limits.mass, resolution)
    of_cross_section = f"{search.cross_section} [fb]"
    on = rf"$g'$  for $\mathcal{{B}}({search.decay})=1$" if coupling else of_cross_section
    axes.set_ylabel(_upper_limit(limits.confidence_level, on))
    style.add_legend(axes, 2)
    style.mass_axis(axes, limits.mass, search.parameter)
    style.add_label(axes, limits.luminosity, label)
    return figure


def _finite(limits: FloatArray) -> FloatArray:
    """Limits (H, …) by band, without those that are infinite."""
    return np.where(np.isfinite(limits), limits, np.nan).T


def _upper_limit(confidence_level: float, on: str) -> str:
    return f"{100 * confidence_level:g} % CL upper limit on\n{on}"


def _draw_published(
    axes: Axes, published: Sequence[PublishedLimit], mass: FloatArray, confidence_level: float
) -> list[FloatArray]:
    """Draw published limits, and say their confidence level if it is another.

    Where there are a few numbers only, these are points and no line. Gives the values in the range
    of hypotheses (H,) in GeV.
    """
    drawn = []
    for one, (colour, dash, marker) in zip(published, cycle(PUBLISHED_LOOKS), strict=False):
        few = len(one.mass) <= 3
        look: dict[str, Any] = {"color": colour, "markersize": 3.5, "zorder": 5}
        look |= {"marker": marker, "linestyle": ""} if few else {"linestyle": dash}
        level = f", {100 * one.confidence_level:g} % CL"
        other = "" if one.confidence_level == confidence_level else level
        axes.plot(one.mass, one.limit, label=one.label + other, **look)
        at = np.array(one.mass)
        drawn.append(np.array(one.limit)[(mass[0] <= at) & (at <= mass[-1])])
    return drawn


def _draw_marks(axes: Axes, mass: FloatArray, resolution: FloatArray) -> None:
    """Draw what is within axes of g′: where its reach ends, and the band of the muon's g − 2.

    Hypotheses (H,) in GeV, the resolution (H,) of their mass in GeV.
    """
    low, high = axes.get_ylim()
    fine = np.geomspace(mass[0], mass[-1], POINTS)
    wide = coupling_of.wide_coupling(fine, np.interp(fine, mass, resolution))
    if ((low < wide) & (wide < high)).any():
        label = r"width $\Gamma$ = resolution"
        axes.plot(fine, wide, color="black", linestyle=(0, (1, 2)), linewidth=1, label=label)
    if low < coupling_of.PERTURBATIVE < high:
        label = r"$g'=\sqrt{4\pi}$, perturbation ends"
        look: dict[str, Any] = {"color": "black", "linestyle": (0, (8, 2, 1, 2)), "linewidth": 0.8}
        axes.axhline(coupling_of.PERTURBATIVE, label=label, **look)
    below, above = coupling_of.magnetic_moment_band(fine)
    if ((above > low) & (below < high)).any():
        label = rf"$(g-2)_\mu \pm {coupling_of.BAND_SIGMAS:g}\sigma$, theory of 2020"
        look = {"facecolor": "none", "edgecolor": style.SLATE, "linewidth": 0.4}
        axes.fill_between(fine, below, above, label=label, hatch="//////", zorder=1.8, **look)


@style.style()
def p_value_figure(observation: Observation, search: Search, label: str) -> Figure:
    """Draw the local p-value at all scan points, with lines at 1 to 5 sigma and the global one.

    The label says of which events. Masses that pseudo-data has signal at are marked.
    """
    figure, axes = style.new_figure(0.85)
    mass, p_value = observation.mass, observation.p_value.clip(LEAST)
    axes.plot(mass, p_value, color="black", linewidth=0.7)
    tested = observation.hypothesis
    for rows, name, face, size in (
        (tested, "masses searched for", "black", 2.4),
        (~tested, "between them", "white", 1.8),
    ):
        if rows.any():
            look = {"markersize": size, "markerfacecolor": face, "markeredgewidth": 0.5}
            axes.plot(mass[rows], p_value[rows], "o", color="black", label=name, **look)
    for injected, section in observation.injected.items():
        name = f"injected: {section:g} fb at {injected:g} GeV"
        axes.axvline(injected, color=style.RED, linestyle=style.DASHED, linewidth=0.8, label=name)
    lines = ndtr(-SIGMAS.astype(float))
    for line in lines.tolist():
        axes.axhline(line, color=style.GREY, linestyle=style.DOTTED, linewidth=0.6, zorder=0)
    style.log_axis(axes, min(lines[-1], float(p_value.min())), 1.0)
    axes.set_ylabel("local p-value")
    axes.tick_params(which="both", right=False)
    right = axes.twinx()  # a secondary axis cannot go to another process
    right.set(yscale="log", ylim=axes.get_ylim())
    right.set_yticks(lines, [rf"${sigma}\sigma$" for sigma in SIGMAS], minor=False)
    right.minorticks_off()
    style.mass_axis(axes, mass, search.parameter)
    style.add_label(axes, observation.luminosity, label)
    known, error = observation.global_p_value, observation.global_error
    said = f"{known:.2g} ± {error:.1g}" if known else f"< {error:.1g}"
    title = f"global p-value {said} ({observation.experiments:,} pseudo-experiments)"
    style.add_legend(axes, 1 + bool(observation.injected), title=title)
    return figure


@style.style()
def shape_gain_figure(limits: ShapeLimits, search: Search) -> Figure:
    """Draw median limits by both methods, with ±1σ of the fits, and their ratio below."""
    figure, (upper, lower) = style.new_figure(1.05, nrows=2, sharex=True, height_ratios=(2.4, 1))
    counting, shape = _finite(limits.counting), _finite(limits.shape)
    dash: dict[str, Any] = {"color": style.ORANGE, "linestyle": style.DASHED}
    upper.plot(limits.mass, counting[2], label="counting in the window", **dash)
    upper.plot(limits.mass, shape[2], color="black", label="fit of the shape")
    label = r"fit, expected $\pm 1\sigma$"
    upper.fill_between(limits.mass, shape[1], shape[3], color=INNER, linewidth=0, label=label)
    style.log_axis(upper, *style.finite_range(counting[2], *shape[1:4]))
    upper.set_ylabel(_upper_limit(limits.confidence_level, f"{search.cross_section} [fb]"))
    style.add_legend(upper, 2)
    style.add_label(upper, limits.luminosity)
    lower.axhline(1, color="black", linewidth=0.6)
    style.draw_points(lower, limits.mass, limits.gain, color=style.BLUE)
    style.log_axis(lower, *style.finite_range((0.95, 1.25), limits.gain))
    lower.set_ylabel("counting / shape\n(ratio)", loc="center")
    style.mass_axis(lower, limits.mass, search.parameter)
    return figure
