"""Baselines against the Punzi-net, systematics in the loss, and the ranks of observables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view

from punzinet.analysis.paper.baselines import Baselines, Ranking
from punzinet.analysis.search import Search
from punzinet.analysis.types import FloatArray
from punzinet.plots import style
from punzinet.plots.sensitivity import OPEN

#: Colour, dash and width of each baseline.
LINES: Mapping[str, tuple[str, Any, float]] = {
    "bce-interpolated": (style.ORANGE, "-", 0.9),
    "punzi-single": (style.BLUE, "-", 1.4),
    "trees-interpolated": (style.RED, "-", 0.9),
    "trees-single": (style.RED, style.DOTTED, 0.9),
    "rectangular": (style.GREY, style.DASHED, 0.9),
    "significance-single": (style.VIOLET, (0, (3, 1, 1, 1)), 0.9),
    "plain-known": (style.GREY, style.DASHED, 0.9),
    "plain-uncertain": (style.ORANGE, "-", 0.9),
    "aware-uncertain": (style.BLUE, "-", 1.4),
    "aware-known": (style.VIOLET, style.DOTTED, 0.9),
}
NEIGHBOURS = 5  # masses that lines average over
RATIO_RANGE = (0.2, 5.0)


def write_figures(
    folder: Path, comparison: Baselines, systematics: Baselines, ranking: Ranking, search: Search
) -> list[Path]:
    """Draw all baselines, the study of systematics and the ranks; return the files written."""
    one, uncertain = "ratio to\nPunzi-net, one cut", "ratio to uncertain,\ntrained for that"
    drawn = (comparison, "punzi-single", one), (systematics, "aware-uncertain", uncertain)
    first, second = (comparison_figure(*about, search.parameter) for about in drawn)
    ranks = ranking_figure(ranking, search)
    figures = {"baselines": first, "systematics": second, "observables": ranks}
    return style.save_all(figures.items(), folder)


@style.style()
def comparison_figure(
    results: Baselines, reference: str, ratio_label: str, parameter: str
) -> Figure:
    """Draw σ_min against mass, and below the ratio to the selection called `reference`.

    In small samples σ_min depends on the few background events that pass. Lines are geometric means
    over neighbouring masses; dots are the σ_min of the reference itself, open triangles its upper
    limits where none passes; the band is its uncertainty from the finite simulated sample.
    """
    mass = results.mass
    base = results.baselines[reference].selection
    sigmas = {name: one.selection.sigma_min for name, one in results.baselines.items()}
    curves = {name: np.exp(_running_mean(np.log(sigma))) for name, sigma in sigmas.items()}
    middle = curves[reference]
    with np.errstate(invalid="ignore"):
        error = _running_mean(base.sigma_min_error / base.sigma_min)
    figure, (upper, lower) = style.new_figure(1.2, nrows=2, sharex=True, height_ratios=(2.2, 1))
    for name, curve in curves.items():
        colour, dash, width = LINES[name]
        look: dict[str, Any] = {"color": colour, "linestyle": dash, "linewidth": width}
        upper.plot(mass, curve, label=results.baselines[name].label, **look)
        lower.plot(mass, curve / middle, **look)
    colour = LINES[reference][0]
    upper.plot(mass, base.sigma_min, "o", color=colour, markersize=1.6, markeredgewidth=0)
    upper.plot(mass[base.bound], base.sigma_min[base.bound], "v", color=colour, **OPEN)
    for axes, centre in ((upper, middle), (lower, np.ones(len(mass)))):
        ends = centre * (1 - error).clip(0.05), centre * (1 + error)
        axes.fill_between(mass, *ends, color=colour, alpha=0.25, linewidth=0)
    drawn = np.stack(list(curves.values()))
    style.log_axis(upper, *style.finite_range(drawn))
    upper.set_ylabel(style.SIGMA_MIN)
    style.add_legend(upper, 2, title=f"lines: mean over {NEIGHBOURS} masses, points: each mass")
    style.add_label(upper, results.luminosity)
    ratios = drawn / middle
    style.log_axis(lower, *style.finite_range(ratios.clip(*RATIO_RANGE)))
    lower.set_ylabel(ratio_label, loc="center")
    style.mass_axis(lower, mass, parameter)
    return figure


def _running_mean(values: FloatArray) -> FloatArray:
    """Mean over `NEIGHBOURS` neighbouring masses, fewer at the ends, without what is infinite."""
    padded = np.pad(values, NEIGHBOURS // 2, constant_values=np.nan)
    known = np.ma.masked_invalid(sliding_window_view(padded, NEIGHBOURS))
    return np.asarray(known.mean(axis=1).filled(np.nan))


@style.style()
def ranking_figure(ranking: Ranking, search: Search) -> Figure:
    """Draw what observables are worth, the most important one on top, the features in colour."""
    labels = {quantity.name: quantity.label for quantity in search.candidates}
    place = np.arange(len(ranking.names))
    is_feature = np.isin(ranking.names, search.feature_names)
    figure, axes = style.new_figure(1.25)
    others = (~is_feature, style.GREY, "other candidates")
    for rows, colour, label in ((is_feature, style.BLUE, "features"), others):
        bars = {"xerr": ranking.error[rows], "error_kw": {"elinewidth": 0.6}}
        axes.barh(place[rows], ranking.importance[rows], 0.7, color=colour, label=label, **bars)
    axes.set_yticks(place, [labels[name] for name in ranking.names])
    axes.tick_params(axis="y", which="both", left=False, right=False)
    axes.set_ylim(len(place) - 0.4, -0.6)
    axes.set_xlabel("growth of the cross-entropy when permuted")
    axes.legend(loc="lower right")
    style.add_label(axes)
    return figure
