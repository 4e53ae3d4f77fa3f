"""Backgrounds of a spectrum, stacked, with their statistical uncertainty."""

from collections.abc import Mapping
from typing import Any

import mplhep
import numpy as np
from hist import Hist
from matplotlib.axes import Axes

from punzinet.analysis.types import FloatArray
from punzinet.plots import style


def draw_stack(
    axes: Axes, backgrounds: Hist[Any], processes: Mapping[str, str]
) -> tuple[FloatArray, FloatArray]:
    """Draw the largest process on top, and a band for the uncertainty of the sum.

    Args:
        axes: Where to draw.
        backgrounds: Axes ``process`` (categories) and that of the variable.
        processes: How figures write each process.

    Returns:
        (k,) contents and (k,) variances of the sum.

    Raises:
        ValueError: If the histogram keeps no sums of squared weights.
    """
    edges = backgrounds.axes[1].edges
    everything = list(backgrounds.axes["process"])
    values = dict(zip(everything, backgrounds.values(), strict=True))
    names = sorted(everything, key=lambda name: float(values[name].sum()))
    colours = style.process_colours(everything)
    mplhep.histplot(
        [values[name] for name in names],
        edges,
        ax=axes,
        stack=True,
        histtype="fill",
        color=[colours[name] for name in names],
        label=[processes.get(name, name) for name in names],
        edgecolor="none",
    )
    total, variance = stack_total(backgrounds)
    draw_uncertainty(axes, edges, total, np.sqrt(variance), label="stat. uncertainty")
    return total, variance


def stack_total(backgrounds: Hist[Any]) -> tuple[FloatArray, FloatArray]:
    """Sum all processes.

    Args:
        backgrounds: Axes ``process`` (categories) and that of the variable.

    Returns:
        (k,) contents and (k,) variances of the bins.

    Raises:
        ValueError: If the histogram keeps no sums of squared weights.
    """
    total = backgrounds.project(backgrounds.axes[1].name)
    variances = total.variances()
    if variances is None:
        raise ValueError("the spectrum needs sums of squared weights")
    return np.asarray(total.values(), dtype=np.float64), np.asarray(variances, dtype=np.float64)


def draw_uncertainty(
    axes: Axes, edges: FloatArray, centre: FloatArray, error: FloatArray, label: str | None = None
) -> None:
    """Draw the statistical uncertainty of the simulation, hatched.

    Args:
        axes: Where to draw.
        edges: (k + 1,) edges of the bins.
        centre: (k,) contents, never negative.
        error: (k,) their uncertainties.
        label: What the legend says of it.
    """
    axes.stairs(
        centre + error,
        edges,
        baseline=np.maximum(centre - error, 0),
        fill=True,
        facecolor="none",
        edgecolor="#444444",
        linewidth=0,
        hatch="//////",
        label=label,
    )
