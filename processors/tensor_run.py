"""Tensors of all chunks: windows, features, what became of every entry, and what is there twice."""

import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from coffea.processor.executor import ExecutorBase

from punzinet.analysis.io.errors import InputError, OutputError
from punzinet.analysis.io.files import cannot_write, write_json
from punzinet.analysis.io.provenance import provenance
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.peak_fit import fit_peak, peak_edges
from punzinet.analysis.windows import Windows, windows_from_fits
from punzinet.processors.candidates import BLINDED, Sample, make_samples
from punzinet.processors.cutflow import Cutflow, is_complete, merge, to_json
from punzinet.processors.duplicates import IdentityProcessor, count_duplicates, suspicious
from punzinet.processors.features import ChunkSummary, FeatureProcessor, further_candidates
from punzinet.processors.inputs import Inputs
from punzinet.processors.ledger import Ledger
from punzinet.processors.peaks import PeakProcessor, merge_peaks
from punzinet.processors.preflight import expected_entries
from punzinet.processors.runner import Chunk, ChunkProcessor, Results, run_processor

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Made:
    """What the chunks have been turned into.

    Attributes:
        inputs: What was processed.
        samples: All datasets, by name.
        windows: The windows.
        summaries: What is said of each chunk.
        duplicates: By dataset and file, how often it repeats an event.
    """

    inputs: Inputs
    samples: dict[str, Sample]
    windows: Windows
    summaries: dict[Chunk, ChunkSummary]
    duplicates: dict[str, dict[str, int]]


@dataclass(frozen=True, eq=False)
class TensorRun:
    """One run of a stage that makes tensors.

    Attributes:
        manifest: What is analysed.
        ledger: Records of the stage.
        pool: Where chunks are processed.
        folder: Where tensors go until all are there.
        allow_missing: Whether anything may be missing.
        windows: The windows; None to fit them.
        unblind: Whether everything may be seen of data.
    """

    manifest: Manifest
    ledger: Ledger
    pool: ExecutorBase
    folder: Path
    allow_missing: bool
    windows: Windows | None = None
    unblind: bool = False

    def make(self, inputs: Inputs) -> Made:
        """Fit windows and write tensors, and again without the chunks that cannot be read.

        What is lost changes the normalisation of what is left, so everything starts again
        without it; chunks whose result does not change are found in the ledger.

        Args:
            inputs: What there is to process.

        Raises:
            InputError: If anything is wrong with the input.
        """
        while True:
            samples = make_samples(
                self.manifest, inputs.files, inputs.shares(), unblind=self.unblind
            )
            chunks = inputs.chunks()
            windows, problems = self._place_windows(samples, inputs, chunks)
            if windows is not None:
                for name in samples:
                    (self.folder / name).mkdir(exist_ok=True)
                processor = FeatureProcessor(samples, windows, self.folder)
                features = self._process(processor, inputs, chunks, "features", "Features")
                problems = features.problems
            if problems or windows is None:
                inputs = inputs.without(problems)
                continue
            summaries = dict(features)
            for chunk, summary in summaries.items():
                if not is_complete(summary.cutflow, len(chunk)):
                    raise InputError(
                        f"{chunk.path}: entries {chunk.start} to {chunk.stop} are not all "
                        "accounted for; run the same command with --force."
                    )
            duplicates = {
                name: self._duplicates(samples, inputs, _of(name, summaries)) for name in samples
            }
            return Made(inputs, samples, windows, summaries, duplicates)

    def _place_windows(
        self, samples: Mapping[str, Sample], inputs: Inputs, chunks: Sequence[Chunk]
    ) -> tuple[Windows | None, Mapping[Chunk, str]]:
        """The windows, or what is wrong with the chunks that they would be fitted to."""
        if self.windows is not None:
            return self.windows, {}
        signal = [chunk for chunk in chunks if samples[chunk.dataset].is_signal]
        peaks = self._process(PeakProcessor(samples), inputs, signal, "peaks", "Signal peaks")
        if peaks.problems:
            return None, peaks.problems
        count = len(self.manifest.hypotheses.mass)
        return _fit_windows(self.manifest, merge_peaks(peaks.values(), count)), {}

    def _process(
        self,
        processor: ChunkProcessor[Result],
        inputs: Inputs,
        chunks: Sequence[Chunk],
        step: str,
        title: str,
    ) -> Results[Result]:
        """Run a processor over chunks."""
        return run_processor(
            processor,
            inputs.files,
            chunks,
            self.pool,
            self.ledger,
            step=step,
            title=title,
            allow_missing=self.allow_missing,
        )

    def _duplicates(
        self,
        samples: Mapping[str, Sample],
        inputs: Inputs,
        summaries: Mapping[Chunk, ChunkSummary],
    ) -> dict[str, int]:
        """Find events that a dataset holds more than once, by file."""
        chunks = suspicious(summaries)
        if not chunks:
            return {}
        step = f"identities-{chunks[0].dataset}"
        hashes = self._process(IdentityProcessor(samples), inputs, chunks, step, "Identities")
        return count_duplicates(hashes, summaries)


@contextmanager
def tensor_folder(tensors: Path, outdated: Iterable[Path]) -> Iterator[Path]:
    """A folder for tensors that takes its final name when all of them are written.

    What an earlier run left is moved there, so that windows and tensors of different runs never
    lie side by side, and what is still good need not be made again. The folder has a new name
    in each run: a worker that outlived its run cannot write into that of the next.

    Args:
        tensors: The final name.
        outdated: What was written along with the tensors that are there; it is removed.

    Yields:
        The folder.

    Raises:
        OutputError: If the folder around it cannot be written to.
    """
    folder = tensors.with_name(f".tensors.{secrets.token_hex(4)}")
    try:
        for path in outdated:
            path.unlink(missing_ok=True)
        leftovers = [path for path in tensors.parent.glob(".tensors.*") if path.is_dir()]
        if tensors.is_dir():
            leftovers.append(tensors)
        if leftovers:
            leftovers.pop().rename(folder)
        for leftover in leftovers:
            shutil.rmtree(leftover)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(cannot_write(tensors.parent, error)) from error
    yield folder
    folder.rename(tensors)


def provenance_of(
    manifest: Manifest, made: Made, stage: str, allow_missing: bool
) -> dict[str, Any]:
    """Provenance of everything that comes of some chunks."""
    trial = made.inputs.trial
    return provenance(
        manifest.digest,
        stage=stage,
        **manifest.features.model_dump(mode="json"),
        **({"processed": made.inputs.shares()} if allow_missing or trial else {}),
        **trial.to_json(),
    )


def write_counts(
    made: Made, settings: dict[str, Any], cutflow: Path, completeness: Path, allow_missing: bool
) -> None:
    """Write what became of every entry, and how many there should be.

    Args:
        made: What the chunks have been turned into.
        settings: Provenance.
        cutflow: Where the one goes.
        completeness: Where the other goes.
        allow_missing: Whether anything may be missing.
    """
    manifest = made.inputs.manifest
    described = {
        name: _describe(sample, manifest, _of(name, made.summaries))
        for name, sample in made.samples.items()
    }
    write_json(cutflow, {"provenance": settings, "datasets": described})
    complete = {name: _completeness(made, name) for name in made.samples}
    missing = {"missing": made.inputs.to_json()} if allow_missing else {}
    write_json(completeness, {"provenance": settings, "datasets": complete, **missing})


def remove_others(folder: Path, summaries: Iterable[ChunkSummary]) -> None:
    """Remove everything from a folder of tensors that is none of this run."""
    wanted = {folder / summary.tensor for summary in summaries}
    for path in folder.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()
    for path in folder.iterdir():
        if not any(path.iterdir()):
            path.rmdir()


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
    search = manifest.search.resolved
    edges = peak_edges(search.peak_reach)
    fits = [fit_peak(weights, squares, edges) for weights, squares in peaks]
    return windows_from_fits(hypotheses.mass, hypotheses.training, fits, search)


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


def _completeness(made: Made, name: str) -> dict[str, Any]:
    """Entries read of a dataset against entries present and expected, as JSON.

    Args:
        made: All chunks and what was made of them.
        name: Name of the dataset.
    """
    dataset = made.inputs.manifest.datasets[name]
    read: dict[str, int] = {}
    for chunk in made.summaries:
        if chunk.dataset == name:
            read[chunk.path] = read.get(chunk.path, 0) + len(chunk)
    files = [file for file in made.inputs.files if file.dataset == name]
    rows = [
        {
            "file": file.path,
            "read": read.get(file.path, 0),
            "present": file.entries,
            "expected": expected_entries(dataset, file.path),
        }
        for file in files
    ]
    total = dataset.entries if isinstance(dataset.entries, int) else None
    repeated = made.duplicates[name]
    own = _of(name, made.summaries)
    return {
        "read": sum(read.values()),
        **(_fates(summary.cutflow for summary in own.values()) if dataset.is_data else {}),
        "present": sum(file.entries for file in files),
        "expected": total,
        "duplicates": {"events": sum(repeated.values()), "by_file": repeated},
        "files": rows,
    }


def _fates(cutflows: Iterable[Cutflow]) -> dict[str, int]:
    """How many measured entries were kept, rejected and hidden; together, all that were read."""
    (_, *others, (_, kept)) = merge(cutflows).items()
    hidden = sum(line.entries for name, line in others if name == BLINDED)
    rejected = sum(line.entries for _, line in others) - hidden
    return {"kept": kept.entries, "rejected": rejected, "blinded": hidden}
