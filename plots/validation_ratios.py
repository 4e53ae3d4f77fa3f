"""Everything that has a published value, over that value, with the band of agreement."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from punzinet.analysis.simulation.comparison import Comparison
from punzinet.plots import style


def ratios_figure(comparisons: Sequence[Comparison], labels: Sequence[str]) -> Figure:
    """Draw one line for each comparison that has a value of ours.

    Args:
        comparisons: What was compared.
        labels: How the figure writes each of them.
    """
    shown = [
        (label, row, row.ratio)
        for label, row in zip(labels, comparisons, strict=True)
        if row.ratio is not None
    ]
    with style.style():
        figure, axes = style.new_figure(0.22 + 0.075 * len(shown))
        ratio = np.array([value for _, _, value in shown])
        error = np.array([(row.error or 0.0) / row.published for _, row, _ in shown])
        place = np.arange(len(shown))
        for i, (_, row, _) in enumerate(shown):
            axes.fill_betweenx(
                (i - 0.5, i + 0.5),
                1 - row.tolerance,
                1 + row.tolerance,
                color=style.GREY,
                alpha=0.3,
                linewidth=0,
            )
        axes.axvline(1, color="black", linewidth=0.6)
        agrees = np.array([bool(row.met) for _, row, _ in shown])
        for rows, colour, marker in ((agrees, style.BLUE, "o"), (~agrees, style.RED, "D")):
            axes.errorbar(
                ratio[rows],
                place[rows],
                xerr=error[rows],
                fmt=marker,
                color=colour,
                markersize=3.2,
                elinewidth=0.7,
            )
        axes.set_yticks(place, [label for label, _, _ in shown])
        axes.tick_params(axis="y", which="both", length=0)
        axes.tick_params(axis="y", which="minor", left=False, right=False)
        low, high = style.include((0.68, 1.32), ratio - error - 0.03, ratio + error + 0.03)
        axes.set_xlim(low, high)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel("ratio to the published value")
        style.add_label(axes)
    return figure
