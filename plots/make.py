"""All figures of a finished chain, from the files that its stages left."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import punzinet
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json
from punzinet.analysis.io.histograms import STAGES, read_comparison, read_spectrum
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.tensor_events import TensorEvents, read_tensor_events
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.manifest.hypotheses import MASS_TOLERANCE
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.search import Search
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows
from punzinet.plots import style
from punzinet.plots.features import features_figure
from punzinet.plots.limits import coupling_figure, cross_section_figure
from punzinet.plots.network_output import Cuts, Outputs, output_figure
from punzinet.plots.sensitivity import figure_of_merit_figure, sigma_min_figure
from punzinet.plots.spectra import (
    DataSpectrum,
    MassSpectrum,
    SeenData,
    data_features_figure,
    data_mass_figure,
    mass_figure,
)
from punzinet.plots.training_history import Phase, history_figure, read_history
from punzinet.plots.windows import example_masses, peaks_figure, widths_figure

#: Signals that are drawn over backgrounds, as shares of the way through the training masses.
SHOWN_SIGNALS = (0.2, 0.5, 0.8)
#: What losses are called, and the value that they make small.
LOSSES = {
    "punzi": ("Punzi-loss", r"mean $\sigma_\mathrm{min}$ [fb]"),
    "significance": ("significance loss", "mean $1/Z^2$"),
}
#: Signals are drawn for this many times the median σ_min, so that they are seen.
SIGNAL_STRENGTH = 10


def make_plots(
    output: OutputFolder, manifest: Manifest, network: str, *, limits: bool
) -> list[Path]:
    """Draw all figures, with outputs and history of a network, and return the files written.

    Raises:
        InputError: If a result is missing or damaged.
    """
    return style.save_all(_figures(output, manifest, network, limits=limits), output.plots)


def _figures(
    output: OutputFolder, manifest: Manifest, network: str, *, limits: bool
) -> Iterator[tuple[str, Figure]]:
    """All figures by file name, as `make_plots` has them."""
    windows = Windows.read(output.windows)
    sensitivity = Sensitivity.read(output.sensitivity)
    search = windows.search
    # Those that need no events come first: the second process saves them while events are read.
    yield "sigma_min", sigma_min_figure(sensitivity, search.parameter)
    yield "training_history", _history(output, network, manifest.training.loss)
    yield "figure_of_merit", figure_of_merit_figure(sensitivity, search.parameter)
    yield "window_widths", widths_figure(windows)
    if limits:
        result = Limits.read(output.limits)
        yield "limit_cross_section", cross_section_figure(result, search)
        if np.isfinite(result.sigma_over_g2).any():
            yield "limit_coupling", coupling_figure(result, search)
    if manifest.has_data:
        yield from _data(output, manifest, search)
    training = windows.mass[windows.training]
    shown = sorted({float(training[round(s * (len(training) - 1))]) for s in SHOWN_SIGNALS})
    sigma = sensitivity.networks[network].single.sigma_min
    strength = SIGNAL_STRENGTH * float(np.median(sigma[np.isfinite(sigma)]))
    yield search.variable.mass.file_name, _mass(output, manifest, search, strength, shown)
    tensors = read_tensor_events(output.tensors, search)
    yield "output_vs_mass", _outputs(output, tensors, sensitivity, network)
    yield "features", _features(tensors, manifest, shown)
    examples = example_masses(windows)
    peaks = {i: _of_mass(tensors, tensors.variable, windows.mass[i]) for i in examples}
    yield "signal_peaks", peaks_figure(windows, peaks)


def _of_mass(
    tensors: TensorEvents, column: FloatArray, mass: float
) -> tuple[FloatArray, FloatArray]:
    """A column of the signal of a generated mass, and its weights."""
    rows = np.abs(tensors.mass - mass) < MASS_TOLERANCE
    return column[rows], tensors.weight[rows]


def _mass(
    output: OutputFolder, manifest: Manifest, search: Search, strength: float, shown: list[float]
) -> Figure:
    """Spectra before and after the cut; signals drawn for this strength, in fb and rounded."""
    before, after = (
        MassSpectrum(backgrounds, {m: s for m, s in signals.items() if m in shown})
        for backgrounds, signals in (
            read_spectrum(output.histograms, stage, search.variable.mass) for stage in STAGES
        )
    )
    return mass_figure(
        before,
        after,
        cross_section=float(f"{strength:.1g}"),
        luminosity=manifest.luminosity,
        processes=manifest.processes,
        parameter=search.parameter,
    )


def _data(output: OutputFolder, manifest: Manifest, search: Search) -> Iterator[tuple[str, Figure]]:
    """Data against simulation, as far as the selection has seen it.

    Raises:
        InputError: If the selection left nothing of data.
    """
    selection = read_json(output.selection_cutflow, "punzinet select")
    try:
        seen = SeenData(
            selection["data"]["luminosity"], selection["data"]["seen"], manifest.processes
        )
        network = selection["provenance"]["settings"]["network"]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{output.selection_cutflow} knows of no data; run `punzinet select` again."
        ) from error
    used = punzinet.load_network(output.network(network)).network.features
    mass = search.variable.mass
    compared = {
        stage: [
            DataSpectrum(quantity, *read_comparison(output.comparison, stage, quantity.name))
            for quantity in (mass, *(f for f in search.features if f.name in used))
        ]
        for stage in STAGES
    }
    (before, *_), (after, *_) = (compared[stage] for stage in STAGES)
    yield f"data_{mass.file_name}", data_mass_figure(before, after, seen)
    for stage, (_, *features) in compared.items():
        yield f"data_features_{stage}", data_features_figure(features, seen)


def _history(output: OutputFolder, network: str, loss: str) -> Figure:
    """History of the pretraining and of the training (with this loss) that led to a network.

    Raises:
        InputError: If a history is missing.
    """
    number = network.rsplit("-", 1)[-1]
    phases = [
        Phase(*names, read_history(output.network(f"{stage}-{number}"), "punzinet train"))
        for stage, names in (
            ("bce", ("pretraining", "weighted cross-entropy")),
            ("punzi", LOSSES[loss]),
        )
    ]
    return history_figure([phase for phase in phases if len(phase.history["epoch"])])


def _outputs(
    output: OutputFolder, tensors: TensorEvents, sensitivity: Sensitivity, network: str
) -> Figure:
    """Outputs before the sigmoid of all events, with the cuts of the network."""
    judged = sensitivity.networks[network]
    # Imported only here: torch takes a second, in which the other process saves figures.
    saved = punzinet.load_network(output.network(network), tensors.search)
    logit = saved.network.logit_numpy(tensors.features)
    variable = tensors.search.variable
    mass = variable.signed_mass(tensors.variable)
    signal, background = (
        Outputs(mass[rows], logit[rows], tensors.weight[rows])
        for rows in (tensors.signal, ~tensors.signal)
    )
    cuts = Cuts(sensitivity.mass, judged.optimal_in_training.cut, judged.single_cut)
    return output_figure(
        signal, background, cuts, luminosity=sensitivity.luminosity, variable=variable
    )


def _features(tensors: TensorEvents, manifest: Manifest, shown: list[float]) -> Figure:
    """Features of some signals and of all backgrounds."""
    backgrounds = {
        name: (tensors.features[rows], tensors.weight[rows])
        for name in manifest.processes
        for rows in [tensors.process == name]
        if name != SIGNAL_PROCESS and rows.any()
    }
    return features_figure(
        tensors.search,
        {mass: _of_mass(tensors, tensors.features, mass) for mass in shown},
        backgrounds,
        manifest.processes,
    )
