"""What figures of limits show beside them: published limits, and marks of the coupling g′."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from punzinet.analysis.limits import coupling
from punzinet.analysis.limits.coupling import PublishedLimit
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

#: Colour, dash and marker of published limits, in the order in which they come.
PUBLISHED_LOOKS = (
    (style.PURPLE, (0, (3, 1, 1, 1)), "s"),
    (style.VIOLET, (0, (6, 2)), "D"),
    (style.SLATE, (0, (2, 1)), "P"),
    ("#000000", (0, (5, 1, 1, 1, 1, 1)), "X"),
)
POINTS = 200  # masses at which marks are worked out


def draw_published(
    axes: Axes, published: Sequence[PublishedLimit], mass: FloatArray, confidence_level: float
) -> list[FloatArray]:
    """Draw published limits, and say their confidence level if it is another.

    Where there are a few numbers only, these are points and no line. Gives the values in the range
    of hypotheses (H,) in GeV.
    """
    drawn = []
    low, high = mass[[0, -1]]
    for i, one in enumerate(published):
        colour, dash, marker = PUBLISHED_LOOKS[i % len(PUBLISHED_LOOKS)]
        few = len(one.mass) <= 3
        look: dict[str, Any] = {"color": colour, "markersize": 3.5, "zorder": 5}
        look |= {"marker": marker, "linestyle": ""} if few else {"linestyle": dash}
        level = f"{100 * one.confidence_level:g} % CL"
        other = "" if one.confidence_level == confidence_level else f", {level}"
        axes.plot(one.mass, one.limit, label=one.label + other, **look)
        at = np.array(one.mass)
        drawn.append(np.array(one.limit)[(low <= at) & (at <= high)])
    return drawn


def draw_marks(axes: Axes, mass: FloatArray, resolution: FloatArray) -> None:
    """Draw what is within axes of g′: where its reach ends, and the band of the muon's g − 2.

    Hypotheses (H,) in GeV, the resolution (H,) of their mass in GeV.
    """
    low, high = axes.get_ylim()
    fine = np.geomspace(mass[0], mass[-1], POINTS)
    wide = coupling.wide_coupling(fine, np.interp(fine, mass, resolution))
    if ((low < wide) & (wide < high)).any():
        label = r"width $\Gamma$ = resolution"
        axes.plot(fine, wide, color="black", linestyle=(0, (1, 2)), linewidth=1, label=label)
    if low < coupling.PERTURBATIVE < high:
        label = r"$g'=\sqrt{4\pi}$, perturbation ends"
        look: dict[str, Any] = {"color": "black", "linestyle": (0, (8, 2, 1, 2)), "linewidth": 0.8}
        axes.axhline(coupling.PERTURBATIVE, label=label, **look)
    below, above = coupling.magnetic_moment_band(fine)
    if ((above > low) & (below < high)).any():
        label = rf"$(g-2)_\mu \pm {coupling.BAND_SIGMAS:g}\sigma$, theory of 2020"
        look = {"facecolor": "none", "edgecolor": style.SLATE, "linewidth": 0.4}
        axes.fill_between(fine, below, above, label=label, hatch="//////", zorder=1.8, **look)
