"""From ntuples to tensors: windows, features, what became of every entry, and what is there twice.

What is measured goes into a folder of its own. Whatever is measured, or may be seen of it, changes
nothing that networks are trained on.
"""

import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hist import Hist

from punzinet.analysis.io.errors import InputError, OutputError
from punzinet.analysis.io.files import cannot_write, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.provenance import provenance
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.peak_fit import fit_peak, peak_edges
from punzinet.analysis.windows import Windows, windows_from_fits
from punzinet.processors.candidates import BLINDED, Cutflow, is_complete
from punzinet.processors.chunks import Chunk, ChunkProcessor
from punzinet.processors.datasets import DatasetInfo, describe_datasets
from punzinet.processors.duplicates import IdentityProcessor, count_duplicates, suspicious
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.features import FeatureProcessor
from punzinet.processors.ledger import Ledger
from punzinet.processors.ntuples.inputs import Inputs, take_inputs
from punzinet.processors.ntuples.preflight import expected_entries
from punzinet.processors.ntuples.trial import Trial
from punzinet.processors.peaks import PeakProcessor
from punzinet.processors.runner import run_processor


def run_features(
    manifest: Manifest,
    output: OutputFolder,
    execution: Execution,
    *,
    allow_missing: bool = False,
    trial: Trial | None = None,
) -> list[Path]:
    """Make windows and tensors; what an earlier run finished is not done again.

    Args:
        manifest: What is analysed.
        output: Where results go.
        execution: Where chunks are processed.
        allow_missing: Go on without files and chunks that cannot be read, and rescale.
        trial: How much of every dataset is processed, and rescaled; all of it if not given.

    Returns:
        All files written.

    Raises:
        InputError: If anything is wrong with the input; nothing is left half-written.
    """
    inputs = take_inputs(manifest.without_data(), allow_missing=allow_missing, trial=trial)
    counts = (output.features_cutflow, output.completeness)
    with (
        _tensor_folder(output.tensors, (*counts, output.windows)) as folder,
        open_executor(execution, inputs.processed.total()) as pool,
    ):
        run = _Run(Ledger(output.ledger("features")), pool, folder, allow_missing)
        done = run.make_tensors(inputs)
    settings = _provenance(manifest, done, "features", allow_missing)
    done.windows.write(output.windows, settings)
    _write_counts(done, settings, *counts, allow_missing)
    return [output.windows, *sorted(output.tensors.glob("*/*.parquet")), *counts]


def run_data(
    manifest: Manifest,
    output: OutputFolder,
    execution: Execution,
    *,
    unblind: bool = False,
    allow_missing: bool = False,
    trial: Trial | None = None,
) -> list[Path]:
    """Turn measured ntuples into features, in the windows that the simulated ones have settled.

    What may not be seen is counted and not written; `unblind` shows everything. The rest is as for
    `run_features`.

    Raises:
        InputError: If anything is wrong with the input; nothing is left half-written.
    """
    windows = Windows.read(output.windows)
    inputs = take_inputs(manifest.only_data(), allow_missing=allow_missing, trial=trial)
    counts = (output.data_cutflow, output.data_completeness)
    with (
        _tensor_folder(output.data_tensors, counts) as folder,
        open_executor(execution, inputs.processed.total()) as pool,
    ):
        run = _Run(Ledger(output.ledger("data")), pool, folder, allow_missing, windows, unblind)
        done = run.make_tensors(inputs)
    settings = _provenance(manifest, done, "data", allow_missing)
    settings["settings"] |= manifest.seen_of_data(unblind=unblind)
    _write_counts(done, settings, *counts, allow_missing)
    return [*sorted(output.data_tensors.glob("*/*.parquet")), *counts]


@dataclass(frozen=True, eq=False)
class _Features:
    """What the chunks have been turned into.

    Attributes:
        inputs: What was processed.
        processor: Made the tensors.
        windows: The windows.
        chunks: What it says of each chunk.
        duplicates: By dataset and file, how often it repeats an event.
    """

    inputs: Inputs
    processor: FeatureProcessor
    windows: Windows
    chunks: dict[Chunk, Any]
    duplicates: dict[str, dict[str, int]]

    def of(self, dataset: str) -> dict[Chunk, Any]:
        """The chunks of one dataset."""
        return {chunk: part for chunk, part in self.chunks.items() if chunk.dataset == dataset}


@dataclass(frozen=True, eq=False)
class _Run:
    """How ntuples are turned into tensors.

    Attributes:
        ledger: Records of the stage.
        pool: Where chunks are processed.
        folder: Where tensors go until all are there.
        allow_missing: Whether anything may be missing.
        windows: The windows; None to fit them.
        unblind: Whether everything may be seen of data.
    """

    ledger: Ledger
    pool: Any
    folder: Path
    allow_missing: bool
    windows: Windows | None = None
    unblind: bool = False

    def make_tensors(self, inputs: Inputs) -> _Features:
        """Fit windows and write tensors, and again without the chunks that cannot be read.

        What is lost changes the normalisation of what is left, so everything starts again
        without it; chunks whose result does not change are found in the ledger.

        Raises:
            InputError: If anything is wrong with the input.
        """
        while True:
            datasets = describe_datasets(
                inputs.manifest, inputs.files, inputs.shares(), unblind=self.unblind
            )
            windows, problems = self._place_windows(datasets, inputs)
            if windows is not None:
                for name in datasets:
                    (self.folder / name).mkdir(exist_ok=True)
                processor = FeatureProcessor(datasets.values(), windows, self.folder, by_chunk=True)
                chunks, problems = self._process(
                    processor, inputs, inputs.chunks(), "features", "Features"
                )
                if not problems:
                    break
            inputs = inputs.without(problems)
        for chunk, part in chunks.items():
            if not is_complete(part["cutflow"], chunk.entries):
                raise InputError(
                    f"{chunk.file}: entries {chunk.start} to {chunk.stop} are not all accounted "
                    "for; run the same command with --force."
                )
        _remove_others(self.folder, {part["tensor"] for part in chunks.values()})
        done = _Features(inputs, processor, windows, chunks, {})
        for dataset in datasets.values():
            done.duplicates[dataset.name] = self._duplicates(dataset, done)
        return done

    def _place_windows(
        self, datasets: Mapping[str, DatasetInfo], inputs: Inputs
    ) -> tuple[Windows | None, Mapping[Chunk, str]]:
        """The windows, or what is wrong with the chunks that they would be fitted to."""
        if self.windows is not None:
            return self.windows, {}
        processor = PeakProcessor(datasets.values(), by_chunk=True)
        signal = [chunk for chunk in inputs.chunks() if datasets[chunk.dataset].is_signal]
        chunks, problems = self._process(processor, inputs, signal, "peaks", "Signal peaks")
        if problems:
            return None, problems
        return _fit_windows(inputs.manifest, processor.merge(chunks)), {}

    def _process(
        self,
        processor: ChunkProcessor,
        inputs: Inputs,
        chunks: Iterable[Chunk],
        step: str,
        title: str,
    ) -> tuple[dict[Chunk, Any], dict[Chunk, str]]:
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

    def _duplicates(self, dataset: DatasetInfo, done: _Features) -> dict[str, int]:
        """Find events that a dataset holds more than once, by file.

        Raises:
            InputError: If something cannot be read any more.
        """
        chunks = suspicious(done.of(dataset.name))
        if not chunks:
            return {}
        step = f"identities-{dataset.name}"
        processor = IdentityProcessor([dataset], self.ledger.folder / step, by_chunk=True)
        hashes, problems = self._process(processor, done.inputs, chunks, step, "Identities")
        if problems:
            raise InputError(next(iter(problems.values())))
        return count_duplicates(hashes, done.of(dataset.name))


@contextmanager
def _tensor_folder(tensors: Path, outdated: Iterable[Path]) -> Iterator[Path]:
    """A folder for tensors that takes its final name when all of them are written.

    What an earlier run left is moved there, so that windows and tensors of different runs never
    lie side by side, and what is still good need not be made again. The folder has a new name
    in each run: a worker that outlived its run cannot write into that of the next.

    Args:
        tensors: The final name.
        outdated: What was written along with the tensors that are there; it is removed.

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


def _remove_others(folder: Path, tensors: set[str]) -> None:
    """Remove everything from a folder of tensors that is none of this run."""
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in tensors:
            path.unlink()
    for path in folder.iterdir():
        if not any(path.iterdir()):
            path.rmdir()


def _fit_windows(manifest: Manifest, peaks: Hist[Any]) -> Windows:
    """Fit all peaks and place the windows.

    Raises:
        InputError: If a hypothesis has no signal at all.
    """
    hypotheses = manifest.hypotheses
    content: Any = peaks.view()
    empty = hypotheses.mass[~(content["value"] > 0).any(axis=1)]
    if len(empty):
        masses = ", ".join(f"{mass:g}" for mass in empty)
        raise InputError(
            f"There is no signal event near the peak of generated mass {masses} GeV: add the "
            "ntuples, or take these masses out of `hypotheses.masses`."
        )
    search = manifest.search.resolved
    edges = peak_edges(search.peak_reach)
    fits = [fit_peak(row["value"], row["variance"], edges) for row in content]
    return windows_from_fits(hypotheses.mass, hypotheses.training, fits, search)


def _provenance(
    manifest: Manifest, done: _Features, stage: str, allow_missing: bool
) -> dict[str, Any]:
    """Provenance of everything that comes of some chunks."""
    trial = done.inputs.trial
    return provenance(
        manifest.digest,
        stage=stage,
        **manifest.features.model_dump(mode="json"),
        **({"processed": done.inputs.shares()} if allow_missing or trial else {}),
        **trial.to_json(),
    )


def _write_counts(
    done: _Features,
    settings: dict[str, Any],
    cutflow: Path,
    completeness: Path,
    allow_missing: bool,
) -> None:
    """Write what became of every entry, and how many there should be, with provenance."""
    datasets = done.processor.datasets.values()
    merged = done.processor.merge(done.chunks)
    described = {
        dataset.name: _describe(dataset, done.inputs.manifest, merged[dataset.name])
        for dataset in datasets
    }
    write_json(cutflow, {"provenance": settings, "datasets": described})
    complete = {
        dataset.name: _completeness(done, dataset, merged[dataset.name]["cutflow"])
        for dataset in datasets
    }
    missing = {"missing": done.inputs.to_json()} if allow_missing else {}
    write_json(completeness, {"provenance": settings, "datasets": complete, **missing})


def _describe(
    dataset: DatasetInfo, manifest: Manifest, merged: Mapping[str, Any]
) -> dict[str, Any]:
    """What became of the entries of a dataset, as JSON."""
    description: dict[str, Any] = {
        "process": dataset.process,
        "cutflow": merged["cutflow"],
        "further_candidates": merged["further"],
    }
    if dataset.is_signal:
        description["hypotheses"] = [
            {
                "mass": mass,
                "generated": manifest.generated(mass),
                "usable": int(usable),
                "in_own_window": int(inside),
                "efficiency": efficiency,
            }
            for mass, (usable, inside, efficiency) in zip(
                dataset.hypotheses.tolist(), merged["hypotheses"].tolist(), strict=True
            )
        ]
    return description


def _completeness(done: _Features, dataset: DatasetInfo, cutflow: Cutflow) -> dict[str, Any]:
    """Entries read of a dataset against entries present and expected, as JSON."""
    section = done.inputs.manifest.datasets[dataset.name]
    read: dict[str, int] = {}
    for chunk in done.of(dataset.name):
        read[chunk.file] = read.get(chunk.file, 0) + chunk.entries
    files = [file for file in done.inputs.files if file.dataset == dataset.name]
    rows = [
        {
            "file": file.path,
            "read": read.get(file.location, 0),
            "present": file.entries,
            "expected": expected_entries(section, file.path),
        }
        for file in files
    ]
    repeated = done.duplicates[dataset.name]
    by_file = {file.path: repeated[file.location] for file in files if file.location in repeated}
    return {
        "read": sum(read.values()),
        **(_fates(cutflow) if dataset.is_data else {}),
        "present": sum(file.entries for file in files),
        "expected": section.entries if isinstance(section.entries, int) else None,
        "duplicates": {"events": sum(by_file.values()), "by_file": by_file},
        "files": rows,
    }


def _fates(cutflow: Cutflow) -> dict[str, int]:
    """How many measured entries were kept, rejected and hidden; together, all that were read."""
    _, *others, kept = cutflow
    hidden = sum(line["entries"] for line in others if line["step"] == BLINDED)
    rejected = sum(line["entries"] for line in others) - hidden
    return {"kept": kept["entries"], "rejected": rejected, "blinded": hidden}
