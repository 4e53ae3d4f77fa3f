"""All figures of the validation of the default data."""

from collections.abc import Sequence
from pathlib import Path

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.simulation import published
from punzinet.analysis.simulation.comparison import TOLERANCE, Comparison
from punzinet.analysis.simulation.spectrum_comparison import SpectrumComparison
from punzinet.analysis.windows import Windows
from punzinet.plots import style
from punzinet.plots.validation_ratios import ratios_figure
from punzinet.plots.validation_spectra import spectra_figure
from punzinet.plots.validation_widths import widths_validation_figure

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
"""What the figure of ratios shows, and how it is written; widths have a figure of their own."""


def make_validation_plots(
    output: OutputFolder,
    manifest: Manifest,
    comparisons: Sequence[Comparison],
    spectra: Sequence[SpectrumComparison],
) -> list[Path]:
    """Draw all figures of the validation.

    Args:
        output: Where the windows lie and figures go.
        manifest: How processes are written.
        comparisons: With published values.
        spectra: With Pythia, none if it is not there.

    Returns:
        All files written.

    Raises:
        InputError: If there are no windows, or the folder cannot be written to.
    """
    windows = Windows.read(output.windows)
    shown = [row for row in comparisons if row.quantity in LABELS]
    figures = {
        "validation_widths": widths_validation_figure(
            windows, published.WEIGHTED_SIGMAS, TOLERANCE
        ),
        "validation_ratios": ratios_figure(shown, [LABELS[row.quantity] for row in shown]),
    }
    for one in spectra:
        label = manifest.processes.get(one.process, one.process)
        figures[f"validation_{one.process}"] = spectra_figure(one, label)
    return [
        path
        for name, figure in figures.items()
        for path in style.save(figure, output.simulation, name)
    ]
