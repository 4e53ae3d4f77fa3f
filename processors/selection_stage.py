"""The selection stage: from ntuples and a network to the final recoil-mass spectra."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.errors import InputError
from analysis.files import write_json
from analysis.manifest import Manifest
from analysis.network import load_network
from analysis.output import OutputFolder
from analysis.provenance import provenance
from analysis.spectra import STAGES, write_spectra
from analysis.windows import Windows
from processors.candidates import Sample, make_samples
from processors.cutflow import merge, to_json
from processors.preflight import preflight
from processors.runner import Chunk, make_executor, run_processor
from processors.selection import Selected, SelectionProcessor, merge_spectra


def run_selection(
    manifest: Manifest, output: OutputFolder, executor: str, workers: int, network: str
) -> list[Path]:
    """Apply the single cut of a network to all ntuples.

    Args:
        manifest: What is analysed.
        output: Where networks lie and results go.
        executor: ``iterative`` or ``futures``.
        workers: Number of worker processes.
        network: Name of the network.

    Returns:
        All files written.

    Raises:
        InputError: If anything is wrong with the input, or the network has no cut.
    """
    saved = load_network(output.network(network))
    if saved.cut is None:
        raise InputError(
            f"Network {network} has no cut to select by; run `punzinet train` to its end first."
        )
    settings = provenance(manifest.digest, stage="select", network=network, cut=saved.cut)
    files = preflight(manifest)
    samples = make_samples(manifest, files)
    selected = run_processor(
        SelectionProcessor(samples, saved.windows, saved.network, saved.cut),
        files,
        make_executor(executor, workers),
        manifest.features.chunk_size,
        "Selection",
    )
    write_spectra(output.histograms, merge_spectra(part.spectra for part in selected.values()))
    content = {
        "provenance": settings,
        "datasets": {
            name: {
                "process": sample.process,
                "cutflow": to_json(
                    merge(p.cutflow for chunk, p in selected.items() if chunk.dataset == name)
                ),
            }
            for name, sample in samples.items()
        },
        "hypotheses": _yields(saved.windows, samples, selected),
    }
    write_json(output.selection_cutflow, content)
    return [output.histograms, output.selection_cutflow]


def _yields(
    windows: Windows, samples: Mapping[str, Sample], selected: Mapping[Chunk, Selected]
) -> list[dict[str, Any]]:
    """Efficiency and background in the window of every hypothesis, as JSON.

    Args:
        windows: The windows.
        samples: All datasets, by name.
        selected: What was made of each chunk.

    Returns:
        For every mass, before and after the cut: efficiency of the signal, and events of each
        background at the target luminosity.
    """
    totals: dict[str, Any] = {}
    for chunk, part in selected.items():
        process = samples[chunk.dataset].process
        totals[process] = totals.get(process, 0.0) + part.in_window
    return [
        {
            "mass": float(mass),
            "role": "training" if windows.training[m] else "validation",
            **{
                stage: {process: float(total[i, m]) for process, total in totals.items()}
                for i, stage in enumerate(STAGES)
            },
        }
        for m, mass in enumerate(windows.mass)
    ]
