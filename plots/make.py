"""All figures of a finished chain, from the files that its stages left."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from punzinet.analysis.io.comparison import read_comparison
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.spectra import STAGES, read_spectrum
from punzinet.analysis.io.tensor_events import TensorEvents, read_tensor_events
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.manifest.datasets import SIGNAL
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.network import load_network
from punzinet.analysis.search import Search
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.windows import Windows
from punzinet.plots import style
from punzinet.plots.data_comparison import Compared, Seen, data_features_figure, data_mass_figure
from punzinet.plots.feature_distributions import FeatureSample, features_figure
from punzinet.plots.limits import coupling_figure, cross_section_figure
from punzinet.plots.output_vs_mass import Cuts, Outputs, output_figure
from punzinet.plots.recoil_mass import MassSpectrum, recoil_mass_figure
from punzinet.plots.sensitivity import figure_of_merit_figure, sigma_min_figure
from punzinet.plots.training_history import Phase, history_figure
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
    """Draw all figures.

    Args:
        output: Where results lie and figures go.
        manifest: Luminosity, and how processes are written.
        network: The network whose outputs and history are shown.
        limits: Whether upper limits are drawn as well.

    Returns:
        All files written.

    Raises:
        InputError: If a result is missing or damaged.
    """
    windows = Windows.read(output.windows)
    sensitivity = Sensitivity.read(output.sensitivity)
    search = windows.search
    tensors = read_tensor_events(output.tensors, search)
    training = windows.mass[windows.training]
    chosen = [float(training[round(s * (len(training) - 1))]) for s in SHOWN_SIGNALS]
    shown = sorted(set(chosen))
    figures = {
        search.variable.mass.file_name: _mass(
            output, manifest, search, sensitivity, network, shown=shown
        ),
        "sigma_min": sigma_min_figure(sensitivity, search.parameter),
        "figure_of_merit": figure_of_merit_figure(sensitivity, search.parameter),
        "training_history": history_figure(_history(output, network, manifest.training.loss)),
        "output_vs_mass": _outputs(output, tensors, sensitivity, network),
        "features": _features(tensors, manifest, shown),
        "window_widths": widths_figure(windows),
        "signal_peaks": _peaks(tensors, windows),
    }
    if limits:
        result = Limits.read(output.limits)
        figures["limit_cross_section"] = cross_section_figure(result, search)
        if np.isfinite(result.sigma_over_g2).any():
            figures["limit_coupling"] = coupling_figure(result, search)
    if manifest.has_data:
        figures |= _data(output, manifest, search)
    return [
        path for name, figure in figures.items() for path in style.save(figure, output.plots, name)
    ]


def _mass(
    output: OutputFolder,
    manifest: Manifest,
    search: Search,
    sensitivity: Sensitivity,
    network: str,
    *,
    shown: list[float],
) -> Figure:
    """Spectra before and after the cut, signals at a round multiple of what can be seen."""
    before, after = (
        MassSpectrum(backgrounds, {m: s for m, s in signals.items() if m in shown})
        for backgrounds, signals in (
            read_spectrum(output.histograms, stage, search.variable.mass) for stage in STAGES
        )
    )
    sigma = sensitivity.networks[network].single.sigma_min
    reach = SIGNAL_STRENGTH * float(np.median(sigma[np.isfinite(sigma)]))
    return recoil_mass_figure(
        before,
        after,
        cross_section=float(f"{reach:.1g}"),
        luminosity=manifest.luminosity,
        processes=manifest.processes,
        parameter=search.parameter,
    )


def _data(output: OutputFolder, manifest: Manifest, search: Search) -> dict[str, Figure]:
    """Data against simulation, as far as the selection has seen it.

    Raises:
        InputError: If the selection left nothing of data.
    """
    selection = read_json(output.selection_cutflow, "punzinet select")
    try:
        seen = Seen(selection["data"]["luminosity"], selection["data"]["seen"], manifest.processes)
        network = selection["provenance"]["settings"]["network"]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{output.selection_cutflow} knows of no data; run `punzinet select` again."
        ) from error
    features = load_network(output.network(network)).network.features
    mass = search.variable.mass
    shown = [mass, *(feature for feature in search.features if feature.name in features)]
    compared = {
        stage: [
            Compared(quantity, *read_comparison(output.comparison, stage, quantity.name))
            for quantity in shown
        ]
        for stage in STAGES
    }
    before, after = (compared[stage].pop(0) for stage in STAGES)
    return {
        f"data_{mass.file_name}": data_mass_figure(before, after, seen),
        **{f"data_features_{s}": data_features_figure(compared[s], seen) for s in STAGES},
    }


def _history(output: OutputFolder, network: str, loss: str) -> list[Phase]:
    """History of the pretraining and the training that led to a network.

    Args:
        output: Where networks lie.
        network: Its name.
        loss: What it was trained with after the pretraining.

    Raises:
        InputError: If a history is missing.
    """
    number = network.rsplit("-", 1)[-1]
    phases = []
    for stage, name, label in (
        ("bce", "pretraining", "weighted cross-entropy"),
        ("punzi", *LOSSES[loss]),
    ):
        path = output.network(f"{stage}-{number}") / "history.parquet"
        try:
            table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
            columns = {key: table[key].to_numpy() for key in table.column_names}
            phases.append(
                Phase(
                    name,
                    label,
                    columns["epoch"],
                    columns["loss"],
                    columns["validation_loss"],
                    columns["learning_rate"],
                )
            )
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise InputError(
                f"{path} holds no history of a training ({error}); run `punzinet train` again."
            ) from error
    return [phase for phase in phases if len(phase.epoch)]


def _outputs(
    output: OutputFolder, tensors: TensorEvents, sensitivity: Sensitivity, network: str
) -> Figure:
    """Outputs before the sigmoid of all events, with the cuts of the network."""
    judged = sensitivity.networks[network]
    saved = load_network(output.network(network), tensors.search)
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
    signals = {
        mass: FeatureSample(tensors.features[rows], tensors.weight[rows])
        for mass in shown
        for rows in [np.abs(tensors.mass - mass) < 1e-6]
    }
    backgrounds = {
        name: FeatureSample(tensors.features[rows], tensors.weight[rows])
        for name in manifest.processes
        for rows in [tensors.process == name]
        if name != SIGNAL and rows.any()
    }
    search = tensors.search
    return features_figure(
        search.features, signals, backgrounds, manifest.processes, search.parameter
    )


def _peaks(tensors: TensorEvents, windows: Windows) -> Figure:
    """Some of the signal peaks with their fits."""
    samples = {}
    for index in example_masses(windows):
        rows = np.abs(tensors.mass - windows.mass[index]) < 1e-6
        samples[index] = (tensors.variable[rows], tensors.weight[rows])
    return peaks_figure(windows, samples)
