"""Ensembles of networks: against the mass (Fig. 3, 4, 7), what they select, other recipes."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from punzinet.analysis.paper.claims import PUBLISHED, REGIONS, Effect, common_scale
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import Claim, Statistics
from punzinet.analysis.search import RECOIL
from punzinet.analysis.types import FloatArray
from punzinet.plots import style
from punzinet.plots.sensitivity import BCE_OVER_ONE, Curve, ratio_figure

COLOURS = (style.ORANGE, style.BLUE, style.GREY)
#: How the published points are drawn.
POINTS: dict[str, Any] = {"marker": "D", "markersize": 5.0, "markerfacecolor": "white"}
POINTS |= {"linestyle": "", "zorder": 4}
#: Label, loss, cuts, colour and marker of the selections whose spectra are compared.
COMPARED = (
    ("BCE, interpolated cuts", "bce", "best", style.ORANGE, "o"),
    ("Punzi-net, one cut", "punzi", "single", style.BLUE, "^"),
)
#: Curves of which variations show the mean, with label, colour and marker.
MEANS = {
    "bce/best": ("BCE, best cuts", style.ORANGE, "^"),
    "punzi/single": ("Punzi-net, one cut", style.BLUE, "o"),
}
SMALL = 6.0


@dataclass(frozen=True)
class Ensembles:
    """Curves of ensembles by label: (V, H) variants of mean figures of merit, see `Statistics`."""

    main: Judgement
    statistics: Statistics
    variants: Mapping[str, FloatArray]

    @property
    def curves(self) -> dict[str, tuple[Curve, str]]:
        """σ_min with all errors, and its colour, by label."""
        curves = [self._curve(fom).figure_of_merit for fom in self.variants.values()]
        return dict(zip(self.variants, zip(curves, COLOURS, strict=False), strict=True))

    @property
    def ratios(self) -> list[Curve]:
        """The first σ_min over each of the others, without the errors that they share."""
        first, *others = self.variants.values()
        with np.errstate(divide="ignore", invalid="ignore"):
            found = [np.where(fom * first > 0, fom / first, np.nan) for fom in others]
        return [self._curve(ratio) for ratio in found]

    def _curve(self, values: FloatArray) -> Curve:
        mass, training = self.main.mass, self.main.training
        value, *errors = self.statistics.measure(values)
        return Curve(mass, training, value, np.hypot(*errors), 0 * mass)


def ensembles_figure(
    shown: Ensembles, ratio_label: str, *, luminosity: float, merit: bool
) -> Figure:
    """Draw means over networks, and below ratios of the first to others.

    Errors are those of the mean and of the simulated sample. Of at least two curves, the figure of
    merit is drawn, or σ_min; the ratio is that of σ_min. The luminosity is in fb^-1.
    """
    ratios = list(zip(shown.ratios, COLOURS[1:], strict=False))
    return ratio_figure(
        shown.curves, ratios, ratio_label, luminosity, RECOIL.parameter, merit=merit
    )


def published_figure(shown: Ensembles, *, luminosity: float) -> Figure:
    """Draw our σ_min, of best cuts and of one, with published points on an arbitrary scale."""
    drawn = shown.curves
    scale = common_scale(shown.main.mass, *(curve.sigma for curve, _ in drawn.values()))
    mass, *published = np.array(PUBLISHED).T
    coloured = zip(published, COLOURS, strict=False)
    points = [Line2D(mass, scale * y, color=colour, **POINTS) for y, colour in coloured]
    points.append(Line2D([], [], color="black", label=f"published × {scale:.2f} fb", **POINTS))
    below = [Line2D(mass, published[0] / published[1], color=style.RED, **POINTS)]
    ratios = [(ratio, "#333333") for ratio in shown.ratios]
    about = BCE_OVER_ONE, luminosity, RECOIL.parameter
    return ratio_figure(drawn, ratios, *about, points=points, below=below)


@style.style()
def discontinuities_figure(judged: Judgement, network: int, *, luminosity: float) -> Figure:
    """Draw what interpolated best cuts of a network leave in the spectrum, and one cut does not.

    Roughness is the mean over networks.
    """
    mass, arrays, edges = judged.mass, judged.arrays, judged.arrays["edges"]
    figure, panels = style.new_figure(1.5, nrows=3, sharex=True, height_ratios=(1, 1.3, 1.5))
    top, middle, bottom = panels
    scales = {"signal": np.maximum(arrays["total/signal"][0], 1e-300), "background": np.ones(1)}
    seen: dict[str, list[Any]] = {process: [] for process in scales}
    for name, loss, kind, colour, marker in COMPARED:
        cut = arrays[f"{loss}/{kind}/cut"][network]
        cut = np.where(np.isfinite(cut), cut, np.nan)
        top.plot(mass, cut, color=colour, marker=marker, markersize=2, linewidth=0.7)
        for axes, (process, scale) in zip((middle, bottom), scales.items(), strict=True):
            passed, squares = arrays[f"{loss}/{process}/{kind}"][network]
            seen[process].append(passed / scale)
            roughness = np.mean(arrays[f"{loss}/roughness/{process}/{kind}"])
            look: dict[str, Any] = {"fmt": marker, "color": colour, "elinewidth": 0.5}
            points = mass, passed / scale, np.sqrt(squares) / scale
            style.draw_points(axes, *points, label=f"{name}, roughness {roughness:.2f}", **look)
        bottom.stairs(seen["background"][-1], edges, baseline=None, color=colour, linewidth=0.7)
    top.set_ylabel("cut on output\nbefore sigmoid", loc="center")
    middle.set_ylabel("signal passing /\nsignal in window", loc="center")
    middle.set_ylim(0, 1.45 * (np.max(seen["signal"]) or 1.0))
    counts = np.concatenate(seen["background"])
    if (counts > 0).any():
        low, high = style.finite_range(counts[counts > 0])
        bottom.set(yscale="log", ylim=(0.4 * low, 8 * high))
    bottom.set_ylabel(f"background / {edges[2] - edges[1]:.2g} GeV")
    for axes in (middle, bottom):
        axes.legend(loc="upper right")
    style.mass_axis(bottom, mass, r"$m_{Z'}$ (signal), $M_\mathrm{rec}$ (background)")
    style.add_label(top, luminosity)
    return figure


@style.style()
def variations_figure(effects: Sequence[Effect]) -> Figure:
    """Draw a row for every recipe, the first as it is; columns are mean σ_min and ratios.

    Thick bars are the error from networks; thin ones add that of the finite sample, which is common
    to all rows.
    """
    ratios = [
        (name, textwrap.fill(words.removeprefix("from "), 6), target)
        for name, words, _, _, target in REGIONS
    ]
    ratios = [r for r in ratios if all(r[0] in effect.numbers for effect in effects)]
    shape: dict[str, Any] = {"width_ratios": [1.4] + [1] * len(ratios), "squeeze": False}
    height, columns = 0.4 + 0.075 * len(effects), 1 + len(ratios)
    figure, (row,) = style.new_figure(height, ncols=columns, sharey=True, **shape)
    first, *others = row
    for curve, (label, colour, marker) in MEANS.items():
        _draw_column(first, [effect.numbers[curve] for effect in effects], colour, marker, label)
    for axes, (name, title, target) in zip(others, ratios, strict=True):
        _draw_column(axes, [effect.numbers[name] for effect in effects], "#333333", "o")
        axes.xaxis.set_major_locator(MaxNLocator(2))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.axvline(1, color="black", linewidth=0.6)
        axes.axvline(target, color=style.RED, linewidth=0.6, linestyle=(0, (4, 2)))
        axes.set_title(title, fontsize=SMALL)
    lost = (effect.networks - effect.converged for effect in effects)
    said = (one.label + (f" ({n} lost)" if n else "") for one, n in zip(effects, lost, strict=True))
    first.set_yticks(range(len(effects))[::-1], [textwrap.fill(one, 24) for one in said])
    first.set_ylim(-0.6, len(effects) - 0.4)
    first.set_title("mean " + r"$\sigma_\mathrm{min}$" + "\n[fb]", fontsize=SMALL)
    if others:  # below the middle one, for all of them
        words = "ratio BCE / Punzi-net"
        others[len(others) // 2].set_xlabel(words, loc="center", fontsize=SMALL)
    for axes in (first, *others):
        axes.tick_params(axis="both", labelsize=SMALL)
        axes.tick_params(axis="y", which="both", length=0)
        axes.axhline(len(effects) - 1.5, color="#bbbbbb", linewidth=0.5)
    figure.suptitle(style.SHOWN_LABEL.get(), fontsize=6.5, fontweight="bold", x=0.02, ha="left")
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def _draw_column(
    axes: Axes, claims: Sequence[Claim], colour: str, marker: str, label: str | None = None
) -> None:
    """Draw one number of every recipe, from above."""
    rows = np.arange(len(claims))[::-1]
    value, *errors = np.array([(c.value, c.error, c.error_sample) for c in claims], np.float64).T
    error, sample = np.nan_to_num(errors)
    whole = np.hypot(error, sample)
    axes.errorbar(value, rows, xerr=whole, fmt="none", ecolor=colour, elinewidth=0.5)
    look = {"fmt": marker, "color": colour, "elinewidth": 1.4, "label": label}
    style.draw_points(axes, value, rows, size=2.8, xerr=error, **look)
