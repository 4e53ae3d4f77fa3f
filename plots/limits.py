"""Expected upper limits on the cross-section and on the coupling against the mass."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from punzinet.analysis.limits.result import Limits
from punzinet.analysis.search import Search
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

#: The colours of ±1σ and ±2σ, told apart without colour by their lightness.
INNER, OUTER = "#7fb6e6", "#d3e5f5"


def cross_section_figure(limits: Limits, search: Search) -> Figure:
    """Draw limits on the cross-section times branching fraction, σ(e⁺e⁻ → μ⁺μ⁻Z′)·B."""
    return _figure(limits, search, lambda values: values, f"{search.cross_section} [fb]")


def coupling_figure(limits: Limits, search: Search) -> Figure:
    """Draw limits on g′ for a Z′ that only decays as the search has it.

    Cross-sections over g′² have to be known for at least one mass.
    """
    quantity = rf"$g'$  for $\mathcal{{B}}({search.decay})=1$"
    return _figure(limits, search, limits.coupling, quantity)


def _figure(
    limits: Limits, search: Search, transform: Callable[[FloatArray], FloatArray], quantity: str
) -> Figure:
    """Draw median and bands of the single cut, with the other limits as lines.

    What is drawn is the quantity that `transform` makes of cross-sections (H, 5) in fb.
    """

    def drawable(values: FloatArray) -> FloatArray:
        """(5, H) ends of the bands and the median between them, without what is infinite."""
        drawn = transform(values)
        return np.where(np.isfinite(drawn), drawn, np.nan).T

    single = limits.selections["single"]
    low_2, low_1, median, high_1, high_2 = bands = drawable(single.asymptotic)
    lines: dict[str, tuple[FloatArray, str, Any]] = {
        "expected (asymptotic), one cut": (median, "black", "-"),
        "exact sums, one cut": (drawable(single.counting)[2], "black", style.DOTTED),
    }
    if "best" in limits.selections:
        best = drawable(limits.selections["best"].asymptotic)[2]
        lines["BCE, best cut per mass"] = (best, style.ORANGE, (0, (5, 1.5)))
    with style.style():
        figure, axes = style.new_figure(0.9)
        axes.fill_between(limits.mass, low_2, high_2, color=OUTER, linewidth=0)
        axes.fill_between(limits.mass, low_1, high_1, color=INNER, linewidth=0)
        handles: list[Any] = [
            axes.plot(limits.mass, values, color=colour, linestyle=dash, label=label)[0]
            for label, (values, colour, dash) in lines.items()
        ]
        axes.set_yscale("log")
        shown = np.concatenate([bands.ravel(), *(line[0] for line in lines.values())])
        shown = shown[np.isfinite(shown)]
        if len(shown):
            low, high = float(shown.min()), float(shown.max())
            # A legend of three rows takes three tenths of the height.
            axes.set_ylim(0.7 * low, 1.3 * high * (high / low) ** 0.25)
        axes.set_ylabel(f"{100 * limits.confidence_level:g} % CL upper limit on\n{quantity}")
        handles.append(Patch(color=INNER, label=r"expected $\pm 1\sigma$"))
        handles.append(Patch(color=OUTER, label=r"expected $\pm 2\sigma$"))
        axes.legend(handles=handles, ncols=2, loc="upper left")
        style.mass_axis(axes, limits.mass, search.parameter)
        style.add_label(axes, limits.luminosity)
    return figure
