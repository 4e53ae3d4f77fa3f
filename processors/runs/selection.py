"""The selection stage: from ntuples and a network to the final spectra."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from punzinet.analysis.io.files import write_json
from punzinet.analysis.io.histograms import STAGES, Comparison, scaled_to_data, write_spectra
from punzinet.analysis.io.note import write_cutflow
from punzinet.analysis.io.output import OutputFolder, provenance
from punzinet.analysis.limits.systematics import shifts
from punzinet.analysis.manifest.datasets import DATA, Blinding
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import hypothesis_rows
from punzinet.analysis.saved_network import Perceptron, load_network
from punzinet.analysis.training.data import judging_factors
from punzinet.analysis.windows import Windows
from punzinet.processors.executors import Execution
from punzinet.processors.runs.reading import open_reading
from punzinet.processors.selection import SelectionProcessor


def run_selection(
    manifest: Manifest, output: OutputFolder, execution: Execution, network: str, **options: Any
) -> list[Path]:
    """Apply the single cut of a network to all ntuples, and return all files written.

    What is finished is not done again; the options are those of `open_reading`. InputError if
    anything is wrong with the input, or the network has no cut.
    """
    saved = load_network(output.network(network))
    # Events are counted in the windows of this run, in whichever the network was trained.
    windows = replace(Windows.read(output.windows), search=saved.windows.search)
    saved = replace(saved, windows=windows)
    cut, unblind = saved.single_cut, options.get("unblind", False)
    comparison = _comparison(manifest, saved.network, unblind=unblind)
    folds = manifest.training.folds  # as in the sensitivity of the network
    judging = judging_factors(output.tensors, windows, folds)

    by = saved, comparison, judging, shifts(manifest, windows.mass)
    with open_reading(manifest, output.ledger("select"), execution, **options) as reading:
        processor = SelectionProcessor(reading.describe().values(), *by)
        selected = processor.merge(reading.process(processor, "selection", "Selection"))
    cutflows, totals = selected["cutflows"], selected["in_windows"]
    seen = {**manifest.seen_of_data(unblind=unblind), **reading.processed()}
    settings = provenance(manifest.digest, stage="select", network=network, cut=cut, **seen)
    write_spectra(output.histograms, selected["spectra"])
    observed = totals.pop(DATA, None)
    datasets = {
        name: {"process": dataset.process, "cutflow": cutflows[name]}
        for name, dataset in processor.datasets.items()
        if not dataset.variation_of
    }
    # In the window of each: efficiency of signal, background at the target luminosity.
    hypotheses = hypothesis_rows(windows.mass, windows.training)
    for m, row in enumerate(hypotheses):
        for i, stage in enumerate(STAGES):
            row[stage] = {process: float(of[i, m]) for process, of in totals.items()}
    content = {"provenance": settings, "datasets": datasets, "hypotheses": hypotheses}
    written = [output.histograms, output.selection_cutflow]
    if comparison is not None:
        blinding, luminosity = manifest.blinding, manifest.luminosity_of_data(reading.shares())
        luminosity *= 1.0 if unblind else blinding.exposure
        compared = scaled_to_data(selected["compared"], luminosity / manifest.luminosity)
        write_spectra(output.comparison, compared)
        written.append(output.comparison)
        content["data"] = {
            "luminosity": luminosity,  # behind the data that is seen, fb^-1
            "seen": "all of the data" if unblind else str(blinding),
            "in_windows": {stage: observed[i].tolist() for i, stage in enumerate(STAGES)},
        }
    write_json(output.selection_cutflow, content)
    return written + write_cutflow(output.selection_cutflow, datasets)


def _comparison(manifest: Manifest, network: Perceptron, *, unblind: bool) -> Comparison | None:
    """How data is compared with simulation: features in the range that the network is scaled to."""
    if not manifest.has_data:
        return None
    low, high = network.low.tolist(), network.high.tolist()
    ranges = dict(zip(network.features, zip(low, high, strict=True), strict=True))
    mass = manifest.search.resolved.variable.mass.name
    region = None if unblind else manifest.blinding.signal_region
    return Comparison(mass, ranges, Blinding(signal_region=region))
