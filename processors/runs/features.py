"""From ntuples to tensors: windows, features, what became of every entry, and what is there twice.

What is measured goes into a folder of its own. Whatever is measured, or may be seen of it, changes
nothing that networks are trained on.
"""

import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from punzinet.analysis.io.errors import InputError, OutputError
from punzinet.analysis.io.files import cannot_write, write_json
from punzinet.analysis.io.output import OutputFolder, provenance
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.peak_fit import fit_peak, peak_edges
from punzinet.analysis.windows import Windows, windows_from_fits
from punzinet.processors.candidates import BLINDED, is_complete
from punzinet.processors.datasets import Chunk, DatasetInfo, describe_datasets
from punzinet.processors.duplicates import IdentityProcessor, count_duplicates, suspicious
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.features import FeatureProcessor, PeakProcessor
from punzinet.processors.ledger import Ledger
from punzinet.processors.ntuples.inputs import Inputs
from punzinet.processors.ntuples.preflight import expected_entries, preflight
from punzinet.processors.ntuples.trial import Trial
from punzinet.processors.runner import run_processor


def run_features(
    manifest: Manifest,
    output: OutputFolder,
    execution: Execution,
    *,
    data: bool = False,
    unblind: bool = False,
    allow_missing: bool = False,
    trial: Trial | None = None,
) -> list[Path]:
    """Make windows and tensors, and return all files; what an earlier run finished is kept.

    Measured `data` is turned into tensors in the windows that simulation has settled. What may not
    be seen of it is counted and not written; `unblind` shows everything. With `allow_missing` files
    and chunks that cannot be read are left out, a `trial` takes a part of every dataset: what is
    left is rescaled.

    Raises:
        InputError: If anything is wrong with the input; nothing is left half-written.
    """
    stage, chosen, given = "features", manifest.without_data(), None
    tensors, *written = output.tensors, output.features_cutflow, output.completeness
    if data:
        stage, chosen, given = "data", manifest.only_data(), Windows.read(output.windows)
        tensors, *written = output.data_tensors, output.data_cutflow, output.data_completeness
    else:
        written.append(output.windows)
    looked_at = preflight(chosen, allow_missing=allow_missing)
    inputs = Inputs(chosen, *looked_at, trial or Trial())
    with (
        _tensor_folder(tensors, outdated=written) as folder,
        open_executor(execution, inputs.processed.total()) as pool,
    ):
        ledger = Ledger(output.ledger(stage))
        process = partial(run_processor, executor=pool, ledger=ledger, allow_missing=allow_missing)
        made = _make_tensors(inputs, folder, process, ledger, given=given, unblind=unblind)
    inputs = made.inputs
    settings = provenance(
        manifest.digest,
        stage=stage,
        **manifest.features.model_dump(mode="json"),
        **({"processed": inputs.shares()} if allow_missing or trial else {}),
        **inputs.trial.to_json(),
        **chosen.seen_of_data(unblind=unblind),
    )
    if given is None:
        made.windows.write(output.windows, settings)
    fates, complete = (
        {name: describe(dataset, made) for name, dataset in made.datasets.items()}
        for describe in (_fates, _completeness)
    )
    missing = {"missing": inputs.to_json()} if allow_missing else {}
    write_json(written[0], {"provenance": settings, "datasets": fates})
    write_json(written[1], {"provenance": settings, "datasets": complete, **missing})
    return [*written, *tensors.glob("*/*.parquet")]


class _Tensors(NamedTuple):
    """What chunks have been turned into."""

    inputs: Inputs
    windows: Windows
    datasets: Mapping[str, DatasetInfo]
    counts: dict[str, Any]  # what `FeatureProcessor` says of each dataset
    entries: Counter[tuple[str, str]]  # that were read, by dataset and file
    duplicates: dict[str, dict[str, int]]  # by dataset and file, how often it repeats an event


def _make_tensors(
    inputs: Inputs,
    folder: Path,
    process: Callable[..., Any],
    ledger: Ledger,
    *,
    given: Windows | None,
    unblind: bool,
) -> _Tensors:
    """Fit windows, unless they are given, and write tensors.

    What turns out to be unreadable changes the normalisation of what is left, so everything starts
    again without it; chunks whose result does not change are found in the ledger.
    """
    problems: Mapping[Chunk, str] = {}
    while True:
        inputs = inputs.without(problems)
        datasets = describe_datasets(
            inputs.manifest, inputs.files, inputs.shares(), unblind=unblind
        )
        windows = given
        if windows is None:
            windows, problems = _fit_windows(inputs, datasets, process)
        if windows is None:
            continue
        for name in datasets:
            (folder / name).mkdir(exist_ok=True)
        processor = FeatureProcessor(datasets.values(), windows, folder)
        chunks, problems = process(
            processor, inputs.files, inputs.chunks(), step="features", title="Features"
        )
        if not problems:
            break
    entries = Counter[tuple[str, str]]()
    for chunk, part in chunks.items():
        entries[chunk.dataset, chunk.file] += chunk.entries
        if not is_complete(part["cutflow"], chunk.entries):
            raise InputError(
                f"{chunk.file}: entries {chunk.start} to {chunk.stop} are not all accounted for; "
                "run the same command with --force."
            )
    _remove_others(folder, {part["tensor"] for part in chunks.values()})
    duplicates: dict[str, dict[str, int]] = {}
    for name, dataset in datasets.items():
        own = {chunk: part for chunk, part in chunks.items() if chunk.dataset == name}
        step = f"identities-{name}"
        hashing = IdentityProcessor([dataset], ledger.folder / step)
        duplicates[name] = {}
        if again := suspicious(own):
            hashes, _ = process(
                hashing, inputs.files, again, step=step, title="Identities", allow_missing=False
            )
            duplicates[name] = count_duplicates(hashes, own)
    return _Tensors(inputs, windows, datasets, processor.merge(chunks), entries, duplicates)


def _fit_windows(
    inputs: Inputs, datasets: Mapping[str, DatasetInfo], process: Callable[..., Any]
) -> tuple[Windows | None, Mapping[Chunk, str]]:
    """Fit all peaks and place the windows, or say what is wrong with chunks of signal."""
    processor = PeakProcessor(datasets.values())
    signal = [chunk for chunk in inputs.chunks() if datasets[chunk.dataset].is_signal]
    chunks, problems = process(processor, inputs.files, signal, step="peaks", title="Signal peaks")
    if problems:
        return None, problems
    hypotheses = inputs.manifest.hypotheses
    peaks: Any = processor.merge(chunks).view()
    empty = hypotheses.mass[~(peaks["value"] > 0).any(axis=1)]
    if len(empty):
        masses = ", ".join(f"{mass:g}" for mass in empty)
        raise InputError(
            f"There is no signal event near the peak of generated mass {masses} GeV: add the "
            "ntuples, or take these masses out of `hypotheses.masses`."
        )
    search = inputs.manifest.search.resolved
    edges = peak_edges(search.peak_reach)
    fits = [fit_peak(peak["value"], peak["variance"], edges) for peak in peaks]
    return windows_from_fits(hypotheses.mass, hypotheses.training, fits, search), {}


@contextmanager
def _tensor_folder(tensors: Path, outdated: Iterable[Path]) -> Iterator[Path]:
    """A folder for tensors that takes its final name when all of them are written.

    What an earlier run left is moved there, so that windows and tensors of different runs never
    lie side by side, and what is still good need not be made again; what was written along with it
    is outdated and removed. The folder has a new name in each run: a worker that outlived its run
    cannot write into that of the next.
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


def _fates(dataset: DatasetInfo, made: _Tensors) -> dict[str, Any]:
    """What became of the entries of a dataset, as JSON."""
    counts = made.counts[dataset.name]
    found = {
        "process": dataset.process,
        "cutflow": counts["cutflow"],
        "further_candidates": counts["further"],
    }
    if dataset.is_signal:
        found["hypotheses"] = [
            {
                "mass": mass,
                "generated": made.inputs.manifest.generated(mass),
                "usable": int(usable),
                "in_own_window": int(inside),
                "efficiency": efficiency,
            }
            for mass, (usable, inside, efficiency) in zip(
                dataset.hypotheses.tolist(), counts["hypotheses"].tolist(), strict=True
            )
        ]
    return found


def _completeness(dataset: DatasetInfo, made: _Tensors) -> dict[str, Any]:
    """Entries read of a dataset against entries present and expected, as JSON.

    Of a measured one they were kept, rejected or hidden.
    """
    name, section = dataset.name, made.inputs.manifest.datasets[dataset.name]
    files = [file for file in made.inputs.files if file.dataset == name]
    read = {file.path: made.entries[name, file.location] for file in files}
    repeated = made.duplicates[name]
    by_file = {file.path: repeated[file.location] for file in files if file.location in repeated}
    fates = {}
    if dataset.is_data:
        _, *others, kept = made.counts[name]["cutflow"]
        hidden = sum(line["entries"] for line in others if line["step"] == BLINDED)
        rejected = sum(line["entries"] for line in others) - hidden
        fates = {"kept": kept["entries"], "rejected": rejected, "blinded": hidden}
    return {
        "read": sum(read.values()),
        **fates,
        "present": sum(file.entries for file in files),
        "expected": section.entries if isinstance(section.entries, int) else None,
        "duplicates": {"events": sum(by_file.values()), "by_file": by_file},
        "files": [
            {
                "file": file.path,
                "read": read[file.path],
                "present": file.entries,
                "expected": expected_entries(section, file.path),
            }
            for file in files
        ],
    }
