"""All figures of a finished chain, from the files that its stages left."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from punzinet.analysis.cuts import RankedEvents, nearly_best_cuts
from punzinet.analysis.io.files import read_result
from punzinet.analysis.io.histograms import STAGES, read_comparison, read_peaks, read_spectrum
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.tensor_events import read_tensor_events
from punzinet.analysis.limits.coupling import SHIPPED, read_published
from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.limits.shape import ShapeLimits
from punzinet.analysis.limits.systematics import read_systematics
from punzinet.analysis.manifest.datasets import DATA, SIGNAL_PROCESS
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import MASS_TOLERANCE
from punzinet.analysis.saved_network import load_network
from punzinet.analysis.search import RECOIL, Search
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.simulation.published import WEIGHTED_SIGMAS
from punzinet.analysis.windows import Windows
from punzinet.plots import spectra, style
from punzinet.plots.limits import limits_figure, p_value_figure, shape_gain_figure
from punzinet.plots.network import TOLERANCE, Cuts, Outputs, outputs_figure
from punzinet.plots.report.lookup import read_yields
from punzinet.plots.sensitivity import figure_of_merit_figure, sigma_min_figure
from punzinet.plots.training_history import Phase, history_figure, read_history
from punzinet.plots.windows import example_masses, peaks_figure, widths_figure

#: Signals drawn over backgrounds: positions in the list of training masses, 0 first, 1 last.
SHOWN_SIGNALS = (0.2, 0.5, 0.8)
#: Name of each loss and what it minimises, as the figure of the training writes them.
LOSSES = {
    "punzi": ("Punzi-loss", r"average $\sigma_\mathrm{min}$ [fb]"),
    "significance": ("significance loss", "average $1/Z^2$"),
}
SIGNAL_STRENGTH = 10  # times the median σ_min, so that signals are seen


def make_plots(
    output: OutputFolder, manifest: Manifest, network: str, *, own: Collection[Path]
) -> list[Path]:
    """Draw all figures, with outputs and history of a network, and return the files written.

    Beside those of every run, figures are drawn of limits, systematic effects, what is observed and
    fits of the shape if these are among the run's `own` files. InputError if a result is missing or
    damaged.
    """
    results = Windows.read(output.windows), Sensitivity.read(output.sensitivity)
    with style.labelled(manifest):
        run = _Run(output, manifest, network, own, *results)
        return style.save_all(run.figures(), output.plots)


@dataclass(frozen=True, eq=False)
class _Run:
    """A finished chain; its figures come with the names of their files."""

    output: OutputFolder
    manifest: Manifest
    network: str
    own: Collection[Path]
    windows: Windows
    sensitivity: Sensitivity

    @property
    def search(self) -> Search:
        return self.windows.search

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """All of them."""
        output, manifest, windows, search = self.output, self.manifest, self.windows, self.search
        # Those that need no events come first: other processes save them while events are read.
        yield "sigma_min", sigma_min_figure(self.sensitivity, search.parameter)
        trainings = {"bce": ("pretraining", "weighted cross-entropy")}
        loss, label = LOSSES[manifest.training.loss]
        average = {"mean": "mean", "geometric": "geometric mean"}[manifest.figure_of_merit.average]
        trainings["punzi"] = loss, label.replace("average", average)
        phases = []
        for loss, words in trainings.items():
            folder = output.network(f"{loss}-{self.network.rsplit('-', 1)[-1]}")
            phases.append(Phase(*words, read_history(folder, "punzinet train")))
        trained = [one for one in phases if len(one.history["epoch"])]
        yield "training_history", history_figure(trained)
        yield "figure_of_merit", figure_of_merit_figure(self.sensitivity, search.parameter)
        default = manifest.is_default_data and search.variable == RECOIL.variable
        yield "window_widths", widths_figure(windows, WEIGHTED_SIGMAS if default else {})
        peaks = read_peaks(output.peaks)
        yield "signal_peaks", peaks_figure(windows, {i: peaks[i] for i in example_masses(windows)})
        if output.limits in self.own:
            yield from self.of_limits()
        if output.shape in self.own:
            yield "shape_gain", shape_gain_figure(ShapeLimits.read(output.shape), search)
        if manifest.has_data:
            yield from self.of_data()
        yield from self.of_events()

    def of_events(self) -> Iterator[tuple[str, Figure]]:
        """Spectra of the mass before and after the cut, outputs of the network, and features."""
        output, manifest, windows, search = self.output, self.manifest, self.windows, self.search
        mass, processes = search.variable.mass, manifest.processes
        judged = self.sensitivity.networks[self.network]
        trained = windows.mass[windows.training]
        shown = sorted({float(trained[round(s * (len(trained) - 1))]) for s in SHOWN_SIGNALS})
        sigma = judged.single.sigma_min
        strength = SIGNAL_STRENGTH * float(np.median(sigma[np.isfinite(sigma)]))
        drawn = [read_spectrum(output.histograms, stage, mass) for stage in STAGES]
        words: dict[str, Any] = {"processes": processes, "parameter": search.parameter}
        words |= {"cross_section": float(f"{strength:.1g}"), "luminosity": manifest.luminosity}
        yields = read_yields(output.selection_cutflow, windows.mass)
        signal = ([float(row[stage][SIGNAL_PROCESS]) for row in yields] for stage in STAGES)
        words |= {"efficiency": [*map(np.array, signal)], "searched": windows.mass}
        if output.systematics in self.own:
            effects = read_systematics(output.systematics)
            words["systematic"] = spectra.systematic_band(drawn[1][0], *effects)
        yield mass.file_name, spectra.mass_figure(drawn, shown, **words)
        events = read_tensor_events(output.tensors, search)
        network = load_network(output.network(self.network), search).network
        logit = network.logit(events.features)
        backgrounds = [name for name in processes if name != SIGNAL_PROCESS]
        # Ends of the cuts that are about as good as the best, by all events.
        ranked = RankedEvents.of(events, logit, windows, backgrounds)
        about = self.sensitivity.figure_of_merit, self.sensitivity.luminosity, backgrounds
        flat = nearly_best_cuts(ranked, TOLERANCE, *about)
        cuts = Cuts(self.sensitivity.mass, judged.optimal.cut, judged.single_cut, flat)
        panels = {
            name: (Outputs.of(events[rows], logit[rows], content), cuts)
            for name, rows, content in (
                ("signal", events.signal, style.EFFICIENCY),
                ("background", ~events.signal, style.BACKGROUND),
            )
        }  # fmt: skip
        words = {"luminosity": manifest.luminosity, "variable": search.variable}
        yield "output_vs_mass", outputs_figure(panels, **words)
        signals = {m: events[np.abs(events.mass - m) < MASS_TOLERANCE] for m in shown}
        found = {n: events[events.process == n] for n in backgrounds}
        spread = {n: (one.features, one.weight) for n, one in found.items() if len(one.weight)}
        shapes = {m: (one.features, one.weight) for m, one in signals.items()}
        yield "features", spectra.features_figure(search, shapes, spread, processes)

    def of_limits(self) -> Iterator[tuple[str, Figure]]:
        """Expected limits and, of data or pseudo-data, local p-values and observed limits."""
        output, manifest, windows, search = self.output, self.manifest, self.windows, self.search
        # Of the particle of the paper more is known than of any other.
        known = (search.reaction, search.decay) == (RECOIL.reaction, RECOIL.decay)
        given, shipped = manifest.figures.overlays, SHIPPED if known else ()
        published = read_published(shipped if given is None else [*map(Path, given)])
        results: dict[str, tuple[Any, str]] = {"limit": (Limits.read(output.limits), "")}
        if output.observed in self.own:
            observation = Observation.read(output.observed)
            label = f"Pseudo-data ({manifest.shown_label})"
            if observation.source == DATA:
                label = manifest.label or style.DATA_LABEL
            yield "observed_p_value", p_value_figure(observation, search, label)
            results["observed"] = observation, label
        for name, (result, label) in results.items():
            beside: dict[str, Any] = {"published": published, "label": label}
            if known:
                beside["resolution"] = np.interp(result.mass, windows.mass, windows.resolution)
            yield f"{name}_cross_section", limits_figure(result, search, coupling=False, **beside)
            if np.isfinite(result.sigma_over_g2).any():
                yield f"{name}_coupling", limits_figure(result, search, coupling=True, **beside)

    def of_data(self) -> Iterator[tuple[str, Figure]]:
        """Data against simulation, as far as the selection has seen it."""
        output, manifest, search = self.output, self.manifest, self.search
        about = manifest.processes, manifest.label or style.DATA_LABEL
        with read_result(output.selection_cutflow, "counts of data", "punzinet select") as found:
            seen = spectra.SeenData(found["data"]["luminosity"], found["data"]["seen"], *about)
            network = output.network(found["provenance"]["settings"]["network"])
        used = load_network(network).network.features
        mass = search.variable.mass
        shown = mass, *(feature for feature in search.features if feature.name in used)
        compared = []
        for stage in STAGES:
            pairs = ((q, read_comparison(output.comparison, stage, q.name)) for q in shown)
            compared.append([spectra.DataSpectrum(q, *pair) for q, pair in pairs])
        before, after = (one[0] for one in compared)
        yield f"data_{mass.file_name}", spectra.data_mass_figure(before, after, seen)
        for stage, (_, *features) in zip(STAGES, compared, strict=True):
            yield f"data_features_{stage}", spectra.data_features_figure(features, seen)
