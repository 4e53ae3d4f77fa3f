"""Figures of the validation of the default data: against published values and Pythia 8."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from punzinet.analysis.simulation.published import SPECTRUM_TOLERANCE, TOLERANCE, PublishedNumber
from punzinet.plots import style

if TYPE_CHECKING:  # not at run time: generators are slow to import
    from punzinet.analysis.simulation.pythia import Spectrum

#: Rows of the figure of ratios and their labels; widths have a figure of their own.
LABELS = {
    "cross_section_mumugamma_nb": r"$\sigma(\mu^+\mu^-(\gamma))$",
    "cross_section_tautau_nb": r"$\sigma(\tau^+\tau^-)$",
    "cross_section_eemumu_nb": r"$\sigma(e^+e^-\mu^+\mu^-)$",
    "branching_ratio_tau_to_mu": r"$\mathcal{B}(\tau\to\mu\nu\bar{\nu})$",
    "signal_in_own_window": "signal in own window",
    "background_tautau": r"$\tau^+\tau^-$ in windows",
    "background_eemumu": r"$e^+e^-\mu^+\mu^-$ in windows",
    "background_mumugamma": r"$\mu^+\mu^-(\gamma)$ in windows",
    "trigger_scale": "trigger scale",
    "paper_sample_events": "sample: events",
    "paper_sample_signal_share": "sample: signal share",
}
#: Labels of both axes of each spectrum that is compared with Pythia.
SPECTRA = {
    "muon_momentum": (r"muon momentum $p^*$ [GeV]", "share / GeV"),
    "muon_cos_theta": (r"muon $\cos\theta^*$", "share / unit"),
    "recoil_mass_squared": (r"$M^2_\mathrm{rec}$ [GeV$^2$]", r"share / GeV$^2$"),
}
#: Look of the band of ratios that count as agreement.
SHADE: dict[str, Any] = {"color": style.GREY, "alpha": 0.3, "linewidth": 0}


@style.style()
def ratios_figure(comparisons: Sequence[PublishedNumber]) -> Figure:
    """Draw one line for each comparison in `LABELS` that has a value of ours."""
    shown = [row for row in comparisons if row.quantity in LABELS and row.ratio is not None]
    ratio = np.array([row.ratio for row in shown], dtype=float)
    error = np.array([(row.error or 0.0) / row.published for row in shown])
    place = np.arange(len(shown))
    agrees = np.array([bool(row.met) for row in shown])
    figure, axes = style.new_figure(0.22 + 0.075 * len(shown))
    axes.axvspan(1 - TOLERANCE, 1 + TOLERANCE, label=f"within {100 * TOLERANCE:g} %", **SHADE)
    axes.axvline(1, color="black", linewidth=0.6)
    for rows, colour, marker in ((agrees, style.BLUE, "o"), (~agrees, style.RED, "D")):
        look = {"fmt": marker, "color": colour, "elinewidth": 0.7}
        style.draw_points(axes, ratio[rows], place[rows], size=3.2, xerr=error[rows], **look)
    axes.set_yticks(place, [LABELS[row.quantity] for row in shown])
    axes.tick_params(axis="y", which="both", length=0)
    axes.set_xlim(style.finite_range((0.68, 1.32), ratio - error - 0.03, ratio + error + 0.03))
    axes.set(ylim=(len(shown) - 0.5, -0.5), xlabel="ratio to the published value")
    style.add_legend(axes, 1)
    style.add_label(axes)
    return figure


@style.style()
def spectra_figure(spectra: Mapping[str, "Spectrum"], process: str) -> Figure:
    """Draw the shapes of all spectra of a `process`, as figures write it, each above its ratio.

    Ratios of bins with too few events to be judged are pale.
    """
    count = len(spectra)
    few = not all(one.judged.all() for one in spectra.values())
    figure, grid = style.new_figure(0.72 * count, nrows=2 * count, height_ratios=(2.2, 1) * count)
    panels = zip(grid[::2], grid[1::2], spectra.items(), strict=True)
    for upper, lower, (name, one) in panels:
        middle, half = 0.5 * (one.edges[1:] + one.edges[:-1]), 0.5 * np.diff(one.edges)
        upper.stairs(one.ours, one.edges, color=style.BLUE, label="this simulation")
        look: dict[str, Any] = {"color": "black", "elinewidth": 0.5, "label": "Pythia 8"}
        style.draw_points(upper, middle, one.pythia, one.pythia_error, **look)
        values = np.concatenate([one.ours, one.pythia])
        low, high = style.finite_range(values[values > 0])
        if high > 30 * low:
            upper.set(yscale="log", ylim=(0.4 * low, 4 * high))
        else:
            upper.set_ylim(0, 1.45 * high)
        upper.tick_params(labelbottom=False)
        tolerance = SPECTRUM_TOLERANCE
        label = f"within {100 * tolerance:g} %"
        lower.axhspan(1 - tolerance, 1 + tolerance, label=label, **SHADE)
        lower.axhline(1, color="black", linewidth=0.6)
        pale = "too few events to judge" if few else None
        for rows, colour, face, said in (
            (one.judged, style.BLUE, style.BLUE, None), (~one.judged, style.GREY, "white", pale)
        ):  # fmt: skip
            look = {"color": colour, "markerfacecolor": face, "xerr": half[rows], "label": said}
            style.draw_points(lower, middle[rows], one.ratio[rows], one.ratio_error[rows], **look)
        lower.set_ylabel("ours / Pythia", loc="center")
        label, density = SPECTRA[name]
        upper.set(xlim=(one.edges[0], one.edges[-1]), ylabel=density)
        lower.set(xlim=(one.edges[0], one.edges[-1]), xlabel=label, ylim=(0.75, 1.25))
        lower.locator_params(axis="x", nbins=6)
    grid[0].set_title(process, loc="right", fontsize=7.0)
    found = (zip(*axes.get_legend_handles_labels(), strict=True) for axes in grid)
    handles = {label: one for pairs in found for one, label in pairs}
    style.add_legend(grid[0], 2, [*handles.values()])
    style.add_label(grid[0])
    return figure
