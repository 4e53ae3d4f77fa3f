"""The features stage: from ntuples to recoil-mass windows and training tensors."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from analysis.errors import InputError
from analysis.files import write_json
from analysis.manifest import Manifest
from analysis.output import OutputFolder
from analysis.peak_fit import fit_peak
from analysis.provenance import provenance
from analysis.windows import Windows, windows_from_fits
from processors.candidates import Sample, make_samples
from processors.cutflow import merge, to_json
from processors.features import ChunkSummary, FeatureProcessor, further_candidates
from processors.peaks import PeakProcessor, merge_peaks
from processors.preflight import InputFile, expected_entries, preflight
from processors.runner import Chunk, make_executor, run_processor


def run_features(
    manifest: Manifest, output: OutputFolder, executor: str, workers: int
) -> list[Path]:
    """Make windows and tensors.

    Args:
        manifest: What is analysed.
        output: Where results go.
        executor: ``iterative`` or ``futures``.
        workers: Number of worker processes.

    Returns:
        All files written.

    Raises:
        InputError: If anything is wrong with the input; nothing is left half-written.
    """
    settings = provenance(
        manifest.digest, stage="features", **manifest.features.model_dump(mode="json")
    )
    files = preflight(manifest)
    samples = make_samples(manifest, files)
    pool = make_executor(executor, workers)
    chunk_size = manifest.features.chunk_size
    with _fresh_tensors(output) as folder:
        signal = [file for file in files if samples[file.dataset].is_signal]
        peaks = run_processor(PeakProcessor(samples), signal, pool, chunk_size, "Signal peaks")
        windows = _fit_windows(manifest, merge_peaks(peaks.values(), len(manifest.hypotheses.mass)))

        for name in samples:
            (folder / name).mkdir()
        processor = FeatureProcessor(samples, windows, files, folder)
        summaries = run_processor(processor, files, pool, chunk_size, "Features")
    windows.write(output.windows, settings)
    cutflow = {
        name: _describe(sample, manifest, _of(name, summaries)) for name, sample in samples.items()
    }
    write_json(output.features_cutflow, {"provenance": settings, "datasets": cutflow})
    complete = {name: _completeness(manifest, name, files, summaries) for name in samples}
    write_json(output.completeness, {"provenance": settings, "datasets": complete})
    tensors = sorted(output.tensors.glob("*/*.parquet"))
    return [output.windows, *tensors, output.features_cutflow, output.completeness]


@contextmanager
def _fresh_tensors(output: OutputFolder) -> Iterator[Path]:
    """A folder for new tensors that takes its final name when all of them are written.

    What an earlier run left is removed first, so that windows and tensors of different runs
    never lie side by side.

    Args:
        output: The output folder.

    Yields:
        An empty folder.

    Raises:
        InputError: If the output folder cannot be written to.
    """
    folder = output.tensors.with_name(".tensors.partial")
    try:
        for path in (output.completeness, output.features_cutflow, output.windows):
            path.unlink(missing_ok=True)
        for leftover in (folder, output.tensors):
            if leftover.exists():
                shutil.rmtree(leftover)
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"Cannot write to {output.root}: {error.strerror}. Make the folder writable, or choose "
            "another with --output (OUTPUT= for make)."
        ) from error
    try:
        yield folder
        folder.rename(output.tensors)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fit_windows(manifest: Manifest, peaks: Any) -> Windows:
    """Fit all peaks and place the windows.

    Args:
        manifest: The hypotheses.
        peaks: (H, 2, bins) sums of weights and of squared weights.

    Raises:
        InputError: If a hypothesis has no signal at all.
    """
    hypotheses = manifest.hypotheses
    empty = hypotheses.mass[~np.any(peaks[:, 0] > 0, axis=1)]
    if len(empty):
        masses = ", ".join(f"{mass:g}" for mass in empty)
        raise InputError(
            f"There is no signal event near the peak of generated mass {masses} GeV: add the "
            "ntuples, or take these masses out of `hypotheses.masses`."
        )
    fits = [fit_peak(*histogram) for histogram in peaks]
    return windows_from_fits(hypotheses.mass, hypotheses.training, fits)


def _of(name: str, summaries: Mapping[Chunk, ChunkSummary]) -> dict[Chunk, ChunkSummary]:
    """The chunks of one dataset."""
    return {chunk: summary for chunk, summary in summaries.items() if chunk.dataset == name}


def _describe(
    sample: Sample, manifest: Manifest, summaries: Mapping[Chunk, ChunkSummary]
) -> dict[str, Any]:
    """What became of the entries of a dataset, as JSON.

    Args:
        sample: The dataset.
        manifest: Knows how many signal events were generated.
        summaries: Its chunks.
    """
    description: dict[str, Any] = {
        "process": sample.process,
        "cutflow": to_json(merge(summary.cutflow for summary in summaries.values())),
        "further_candidates": further_candidates(summaries),
    }
    if sample.is_signal:
        counts = np.sum([summary.hypotheses for summary in summaries.values()], axis=0)
        description["hypotheses"] = [
            {
                "mass": mass,
                "generated": manifest.generated(mass),
                "usable": int(usable),
                "in_own_window": int(inside),
                "efficiency": efficiency,
            }
            for mass, (usable, inside, efficiency) in zip(
                sample.hypotheses.tolist(), counts.tolist(), strict=True
            )
        ]
    return description


def _completeness(
    manifest: Manifest,
    name: str,
    files: Sequence[InputFile],
    summaries: Mapping[Chunk, ChunkSummary],
) -> dict[str, Any]:
    """Entries read of a dataset against entries present and expected, as JSON.

    Args:
        manifest: Knows what is expected.
        name: Name of the dataset.
        files: All files.
        summaries: All chunks that were read whole.
    """
    dataset = manifest.datasets[name]
    rows = [
        {
            "file": file.path,
            "read": sum(len(chunk) for chunk in summaries if chunk.path == file.path),
            "present": file.entries,
            "expected": expected_entries(dataset, file),
        }
        for file in files
        if file.dataset == name
    ]
    total = dataset.entries if isinstance(dataset.entries, int) else None
    return {
        "read": sum(len(chunk) for chunk in summaries if chunk.dataset == name),
        "present": sum(file.entries for file in files if file.dataset == name),
        "expected": total,
        "files": rows,
    }
