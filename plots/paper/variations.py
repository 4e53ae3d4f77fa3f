"""What variations of the recipe change: mean σ_min, and the ratios by region."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from punzinet.analysis.paper.claims import REGIONS, WORST, Effect
from punzinet.analysis.paper.statistics import Claim
from punzinet.plots import style

CURVES = {
    "bce/best": ("BCE, best cuts", style.ORANGE, "^"),
    "punzi/single": ("Punzi-net, one cut", style.BLUE, "o"),
}
SMALL = 5.8


def variations_figure(effects: Sequence[Effect]) -> Figure:
    """Draw a row for every recipe, the first as it is; thick bars are the error from networks.

    Thin bars add the error of the finite sample, which is common to all rows.
    """
    ratios = [
        (name, textwrap.fill(words.removeprefix("from "), 6), target)
        for name, words, _, _, target in REGIONS
    ]
    ratios.append((WORST, "worst,\n1 to 4\nGeV", 1.0))
    ratios = [r for r in ratios if all(r[0] in effect.numbers for effect in effects)]
    with style.style():
        figure, ((first, *others),) = style.new_figure(
            0.4 + 0.075 * len(effects),
            ncols=1 + len(ratios),
            sharey=True,
            squeeze=False,
            width_ratios=[1.4] + [1] * len(ratios),
        )
        for curve, (label, colour, marker) in CURVES.items():
            _draw(first, [effect.numbers[curve] for effect in effects], colour, marker, label)
        for axes, (name, title, target) in zip(others, ratios, strict=True):
            _draw(axes, [effect.numbers[name] for effect in effects], "#333333", "o")
            axes.xaxis.set_major_locator(MaxNLocator(2))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.axvline(1, color="black", linewidth=0.6)
            axes.axvline(target, color=style.RED, linewidth=0.6, linestyle=(0, (4, 2)))
            axes.set_title(title, fontsize=SMALL)
        first.set_yticks(range(len(effects))[::-1], [_row_label(effect) for effect in effects])
        first.set_ylim(-0.6, len(effects) - 0.4)
        first.set_title("mean " + r"$\sigma_\mathrm{min}$" + "\n[fb]", fontsize=SMALL)
        if others:  # below the middle one, for all of them
            others[len(others) // 2].set_xlabel(
                "ratio BCE / Punzi-net", loc="center", fontsize=SMALL
            )
        for axes in (first, *others):
            axes.tick_params(axis="both", labelsize=SMALL)
            axes.tick_params(axis="y", which="both", length=0)
            axes.axhline(len(effects) - 1.5, color="#bbbbbb", linewidth=0.5)
        figure.suptitle(style.LABEL, fontsize=6.5, fontweight="bold", x=0.02, ha="left")
        figure.legend(loc="outside upper right", ncols=2)
    return figure


def _row_label(effect: Effect) -> str:
    """What was changed, in two lines if need be, and how many networks did not converge."""
    lost = effect.networks - effect.converged
    return textwrap.fill(effect.label + (f" ({lost} lost)" if lost else ""), 24)


def _draw(
    axes: Axes, claims: Sequence[Claim], colour: str, marker: str, label: str | None = None
) -> None:
    """Draw one number of every recipe, from above."""
    rows = np.arange(len(claims))[::-1]
    value, error, sample = np.array(
        [(c.value, c.error, c.error_sample) for c in claims], dtype=np.float64
    ).T
    error = np.nan_to_num(error)
    whole = np.hypot(error, np.nan_to_num(sample))
    axes.errorbar(value, rows, xerr=whole, fmt="none", ecolor=colour, elinewidth=0.5)
    look = {"fmt": marker, "color": colour, "elinewidth": 1.4, "label": label}
    style.draw_points(axes, value, rows, size=2.8, xerr=error, **look)
