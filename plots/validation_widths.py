"""Weighted sigma of the signal peaks against the published values, with their ratio."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from punzinet.analysis.windows import Windows
from punzinet.plots import style


def widths_validation_figure(
    windows: Windows, published: Mapping[float, float], tolerance: float
) -> Figure:
    """Draw widths against mass, and below the ratio where a value is published.

    Args:
        windows: The windows with their fits.
        published: Published widths in GeV^2 by mass in GeV.
        tolerance: Relative difference that is shaded.
    """
    with style.style():
        figure, (upper, lower) = style.new_figure(
            0.95, nrows=2, sharex=True, height_ratios=(2.5, 1)
        )
        error = np.array([0.0 if fit is None else fit.sigma_error for fit in windows.fits])
        upper.errorbar(
            windows.mass,
            windows.sigma,
            error,
            fmt="o",
            color=style.BLUE,
            markersize=2.2,
            elinewidth=0.6,
            label="this simulation",
        )
        masses, values = np.array(list(published)), np.array(list(published.values()))
        upper.plot(masses, values, "D", color=style.RED, markersize=3.6, label="published")
        index = windows.index_of(masses)
        there = index >= 0
        chosen = index[there]
        lower.axhspan(1 - tolerance, 1 + tolerance, color=style.GREY, alpha=0.3, linewidth=0)
        lower.axhline(1, color="black", linewidth=0.6)
        lower.errorbar(
            masses[there],
            windows.sigma[chosen] / values[there],
            error[chosen] / values[there],
            fmt="o",
            color=style.BLUE,
            markersize=2.8,
            elinewidth=0.6,
        )
        _, top = style.include((0, 0), windows.sigma + error, values)
        upper.set_ylim(0, 1.25 * top)
        upper.set_ylabel(r"$\sigma(M^2_\mathrm{rec})$ [GeV$^2$]")
        upper.legend(loc="upper right")
        ratio = windows.sigma[chosen] / values[there]
        low, high = style.include((0.7, 1.3), ratio * 0.97, ratio * 1.03)
        lower.set_ylim(low, high)
        lower.set_ylabel("ratio", loc="center")
        style.mass_axis(lower, windows.mass)
        style.add_label(upper)
    return figure
