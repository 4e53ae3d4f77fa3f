"""What interpolated best cuts leave in the spectrum, and one cut does not."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from punzinet.analysis.paper.judgement import PassingFraction
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

LOOKS = ((style.ORANGE, "o"), (style.BLUE, "^"))


class SelectedSpectrum(NamedTuple):
    """What one network selects along the mass.

    Attributes:
        cut: (H,) its cut at each mass, on the output before the sigmoid.
        signal: What passes, in bins of the generated mass.
        background: What passes, in bins of the recoil mass.
        roughness: Mean over networks of the roughness of ``signal`` and of ``background``.
    """

    cut: FloatArray
    signal: PassingFraction
    background: PassingFraction
    roughness: Mapping[str, float]


def discontinuities_figure(
    mass: FloatArray,
    edges: FloatArray,
    selections: Mapping[str, SelectedSpectrum],
    *,
    luminosity: float,
) -> Figure:
    """Draw cuts, signal that passes and background that passes, along the mass.

    There are up to two selections by label, masses (H,) and edges (H + 1,) of bins in GeV.
    """
    with style.style():
        figure, (top, middle, bottom) = style.new_figure(
            1.5, nrows=3, sharex=True, height_ratios=(1, 1.3, 1.5)
        )
        highest = []
        for (colour, marker), (name, chosen) in zip(LOOKS, selections.items(), strict=False):
            finite = np.where(np.isfinite(chosen.cut), chosen.cut, np.nan)
            top.plot(mass, finite, color=colour, marker=marker, markersize=2, linewidth=0.7)
            whole = np.maximum(chosen.signal.total[0], 1e-300)
            passed, squares = chosen.signal.passed
            seen, seen_squares = chosen.background.passed
            bottom.stairs(seen, edges, color=colour, linewidth=0.7)
            for axes, process, y, error in (
                (middle, "signal", passed / whole, np.sqrt(squares) / whole),
                (bottom, "background", seen, np.sqrt(seen_squares)),
            ):
                label = f"{name}, roughness {chosen.roughness[process]:.2f}"
                look: dict[str, Any] = {"fmt": marker, "color": colour, "elinewidth": 0.5}
                style.draw_points(axes, mass, y, error, label=label, **look)
            highest.append(float((passed / whole).max(initial=0)) or 1.0)
        top.set_ylabel("cut on output\nbefore sigmoid", loc="center")
        middle.set_ylabel("signal passing /\nsignal in window", loc="center")
        middle.set_ylim(0, 1.45 * max(highest))
        bottom.set_yscale("log")
        counts = np.concatenate([s.background.passed[0] for s in selections.values()])
        low = counts[counts > 0].min() if (counts > 0).any() else 0.1
        bottom.set_ylim(0.4 * low, counts.max(initial=low) * 8)
        bottom.set_ylabel(f"background / {edges[2] - edges[1]:.2g} GeV")
        for axes in (middle, bottom):
            axes.legend(loc="upper right")
        style.mass_axis(bottom, mass, r"$m_{Z'}$ (signal), $M_\mathrm{rec}$ (background)")
        style.add_label(top, luminosity)
        figure.align_ylabels()
    return figure
