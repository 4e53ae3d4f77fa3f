"""Spectra of a generator against those of Pythia 8, with their ratios."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from punzinet.analysis.simulation.spectrum_comparison import TOLERANCE, Spectrum, SpectrumComparison
from punzinet.plots import style

AXIS_LABELS = {
    "muon_momentum": r"muon momentum $p^*$ [GeV]",
    "muon_cos_theta": r"muon $\cos\theta^*$",
    "recoil_mass_squared": r"$M^2_\mathrm{rec}$ [GeV$^2$]",
}
"""How figures write what is compared."""
DENSITY_LABELS = {
    "muon_momentum": "share / GeV",
    "muon_cos_theta": "share / unit",
    "recoil_mass_squared": r"share / GeV$^2$",
}


def spectra_figure(comparison: SpectrumComparison, process: str) -> Figure:
    """Draw the shapes of all spectra of one process, each above its ratio.

    Args:
        comparison: The spectra.
        process: How figures write the process.
    """
    count = len(comparison.spectra)
    with style.style():
        figure, grid = style.new_figure(
            0.72 * count, nrows=2 * count, height_ratios=(2.2, 1) * count
        )
        for i, (name, spectrum) in enumerate(comparison.spectra.items()):
            upper, lower = grid[2 * i], grid[2 * i + 1]
            _draw_shapes(upper, spectrum)
            _draw_ratio(lower, spectrum)
            for axes in (upper, lower):
                axes.set_xlim(spectrum.edges[0], spectrum.edges[-1])
            upper.tick_params(labelbottom=False)
            upper.set_ylabel(DENSITY_LABELS[name])
            lower.set_xlabel(AXIS_LABELS[name])
            if name == "muon_cos_theta":  # the spectrum that leaves room in the middle
                upper.legend(loc="upper center")
        grid[0].set_title(process, loc="right", fontsize=7.0)
        style.add_label(grid[0])
    return figure


def _draw_shapes(axes: Axes, spectrum: Spectrum) -> None:
    """Draw ours as a line and Pythia as points, over a range that shows the whole legend."""
    axes.stairs(spectrum.ours, spectrum.edges, color=style.BLUE, label="this simulation")
    axes.errorbar(
        0.5 * (spectrum.edges[1:] + spectrum.edges[:-1]),
        spectrum.theirs,
        spectrum.theirs_error,
        fmt="o",
        color="black",
        markersize=2.0,
        elinewidth=0.5,
        label="Pythia 8",
    )
    values = np.concatenate([spectrum.ours, spectrum.theirs])
    values = values[values > 0]
    if values.max() > 30 * values.min():
        axes.set_yscale("log")
        axes.set_ylim(0.4 * values.min(), 4 * values.max())
    else:
        axes.set_ylim(0, 1.45 * values.max())


def _draw_ratio(axes: Axes, spectrum: Spectrum) -> None:
    """Draw the ratio; bins with too few events to be judged are pale."""
    axes.axhspan(1 - TOLERANCE, 1 + TOLERANCE, color=style.GREY, alpha=0.3, linewidth=0)
    axes.axhline(1, color="black", linewidth=0.6)
    centre = 0.5 * (spectrum.edges[1:] + spectrum.edges[:-1])
    looks: tuple[tuple[Any, dict[str, Any]], ...] = (
        (spectrum.judged, {"color": style.BLUE}),
        (~spectrum.judged, {"color": style.GREY, "markerfacecolor": "white"}),
    )
    for rows, look in looks:
        axes.errorbar(
            centre[rows],
            spectrum.ratio[rows],
            spectrum.ratio_error[rows],
            xerr=0.5 * np.diff(spectrum.edges)[rows],
            fmt="o",
            markersize=2.0,
            elinewidth=0.6,
            **look,
        )
    axes.set_ylim(0.75, 1.25)
    axes.set_ylabel("ratio", loc="center")
