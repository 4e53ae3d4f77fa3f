"""From ntuples to tensors: windows, features, what became of every entry, and what is there twice.

What is measured goes into a folder of its own. Whatever is measured, or may be seen of it, changes
nothing that networks are trained on.
"""

import itertools
import secrets
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from hist import loc

from punzinet.analysis.io import files
from punzinet.analysis.io.histograms import Spectra, write_spectra
from punzinet.analysis.io.note import write_cutflow
from punzinet.analysis.io.output import OutputFolder, provenance
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import mass_name
from punzinet.analysis.peak_fit import fit_peak, peak_edges
from punzinet.analysis.types import FloatArray, IntArray
from punzinet.analysis.windows import Windows, windows_from_fits
from punzinet.processors import candidates, duplicates
from punzinet.processors.datasets import Chunk, DatasetInfo, by_dataset
from punzinet.processors.executors import Execution
from punzinet.processors.features import FeatureProcessor, PeakProcessor
from punzinet.processors.ledger import planned
from punzinet.processors.preflight import InputFile
from punzinet.processors.runs.reading import Reading, open_reading

#: More rows an event than this, on average over a file, no reconstruction makes.
ROWS_PER_EVENT: Final = 50
#: Standard deviations by which a sum of weights may be too large: it is one of many masses.
FLUCTUATION: Final = 5.0
#: So many impossible entries, in files of which most are, come from another unit or frame.
FEWEST: Final = 10
#: An event is reported that makes this share of its dataset, and weighs so many times the mean.
HEAVY, UNLIKE = 0.05, 10.0
#: A file of which nothing is kept is reported, if more entries than this would be in others.
LOST: Final = 20
#: Steps that drop entries for no fault of their file.
_UNFIT = candidates.NO_HYPOTHESIS, candidates.BLINDED
_UNUSABLE = (
    *(candidates.FURTHER, candidates.SEVERAL, candidates.SAME_CHARGE),
    *(candidates.NOT_FINITE, candidates.NOT_FINITE_COLUMN),
)


def run_features(
    manifest: Manifest,
    output: OutputFolder,
    execution: Execution,
    stage: str = "features",
    **options: Any,
) -> list[Path]:
    """Make windows and tensors, and return all files.

    What an earlier run finished is kept. In the stages ``data`` and ``variations``, measured and
    varied samples are turned into tensors in the windows that nominal simulation has settled; what
    may not be seen of data is counted and not written. The options are those of `open_reading`.
    InputError if anything is wrong with the input; nothing is left half-written.
    """
    chosen = manifest.part(data=stage == "data", varied=stage == "variations")
    tensors, *written = output.features(stage)
    given = None if stage == "features" else Windows.read(output.windows)
    if given is None:
        written += output.windows, output.peaks
    within = tensors.relative_to(output.root)
    files.refuse_links(output.root, [str(within / name) for name in chosen.datasets])
    options["nominal"] = manifest
    with open_reading(chosen, output.ledger(stage), execution, **options) as reading:
        own = [f"{name}.parquet" for name in planned(reading.ledger / "features")]
        tables = [written[0].with_suffix(suffix) for suffix in (".csv", ".tex")]
        folder = _work_folder(tensors, own, [*written, *tables])
        datasets = reading.describe()
        windows, peaks = (given, {}) if given else _fit_windows(reading, datasets)
        processor = FeatureProcessor(datasets.values(), windows, folder)
        chunks = _make_tensors(reading, processor)
        counts = processor.merge(chunks)
        _check_efficiencies(reading, datasets, counts)
        names = [part["file"] for part in chunks.values()]
        _put(folder, tensors, names)
    recipe = manifest.features.model_dump(mode="json")
    seen = reading.processed() | chosen.seen_of_data(unblind=reading.unblind)
    settings = provenance(manifest.digest, stage=stage, **recipe, **seen)
    if given is None:
        windows.write(output.windows, settings)
        write_spectra(output.peaks, peaks)
    fates, complete, remarks = {}, {}, chosen.remarks
    shared = _shared_files(() if stage == "variations" else reading.files, output.completeness)
    for name, parts in by_dataset(chunks).items():
        dataset = datasets[name]
        fates[name] = _fates(dataset, counts[name], chosen)
        complete[name] = _completeness(dataset, reading, parts, counts[name]["cutflow"])
        about, masses = (dataset, parts), chosen.masses_of(name)
        remarks += duplicates.say_twice(*about, shared[name], chosen.luminosity_of(name), masses)
        remarks += _say_heavy(*about, counts[name]["cutflow"][-1], masses)
        remarks += _say_lost(*about)
    files.write_json(written[0], {"provenance": settings, "datasets": fates})
    written += write_cutflow(written[0], fates)
    content: dict[str, Any] = {"provenance": settings, "datasets": complete, "twice": remarks}
    if reading.allow_missing:
        content["missing"] = [file._asdict() for file in reading.missing]
    files.write_json(written[1], content)
    return [*written, *(tensors / name for name in names)]


def _make_tensors(reading: Reading, processor: FeatureProcessor) -> dict[Chunk, Any]:
    """Write tensors, and count events ``repeated`` in chunks."""
    datasets, chunks = processor.datasets, reading.process(processor, "features", "Features")
    check_numbers(datasets, chunks)
    for group in dict.fromkeys(one.unrepeated for one in datasets.values()):
        own = {c: part for c, part in chunks.items() if datasets[c.dataset].unrepeated == group}
        if again := duplicates.suspicious(own):
            step = f"identities-{group}"
            hashing = duplicates.IdentityProcessor(datasets.values(), folder=reading.ledger / step)
            hashes = reading.process(hashing, step, "Identities", again)
            for chunk, count in duplicates.count_duplicates(hashes, own).items():
                chunks[chunk]["repeated"] = count
    return chunks


def check_numbers(datasets: Mapping[str, DatasetInfo], chunks: Mapping[Chunk, Any]) -> None:
    """Refuse datasets, by the results of a `PeakProcessor` or `FeatureProcessor` for their chunks.

    InputError if a weight is negative or too large, all are zero or missing, most events of a file
    are impossible, no entry is usable, or rows have one identity that cannot all be of one event.
    """
    for name, own in by_dataset(chunks).items():
        (read, *others) = candidates.merge_cutflows(part["cutflow"] for part in own.values())
        counts = {line["step"]: line["entries"] for line in others if line["entries"]}
        lost = {step: counts.pop(step) for step in _UNUSABLE if step in counts}
        none = read["entries"] == sum(lost.values())
        # Signal of no hypothesis weighs nothing; squares of what weighs less than this may be zero.
        least = read["entries"] / candidates.LARGEST
        weightless = read["weight"] <= least and candidates.NO_HYPOTHESIS not in counts
        by_file = [[*of] for _, of in itertools.groupby(own, lambda chunk: chunk.file)]
        odd = _odd_by_file(chunks, by_file)
        negative, large, impossible = odd.sum(axis=0)
        branch = datasets[name].columns.get("weight", "which no branch has")
        variable, hint = datasets[name].search.variable.name, "are momenta in GeV, `missing` said?"
        first = by_file[np.argmax(odd.any(axis=1))][0].file
        for count, problem in (
            (negative, f"have a negative weight ({branch}), with which nothing can be trained"),
            (large, f"have a weight ({branch}) of {candidates.LARGEST:g} or more once scaled"),
            (weightless * read["entries"], f"have no weight to speak of ({branch})"),
            (impossible, f"have a {variable} that none has at these beams ({hint})"),
            (none * read["entries"], f"cannot be used ({', '.join(lost)})"),
        ):
            if count:
                raise files.InputError(
                    f"Dataset {name}: {count} of its {read['entries']} entries {problem}, first in "
                    f"{first}; correct its branches, or leave it out."
                )
        for parts in by_file:
            rows = np.array([[chunk.entries, chunks[chunk].get("further", 0)] for chunk in parts])
            entries, further = rows.sum(axis=0)
            if entries > ROWS_PER_EVENT * (entries - further):
                raise files.InputError(
                    f"Dataset {name}: the {entries} entries of {parts[0].file} are "
                    f"{entries - further} events by their experiment, run, event and production "
                    "number; correct these branches, which have to tell events apart."
                )


def _odd_by_file(chunks: Mapping[Chunk, Any], by_file: Sequence[Sequence[Chunk]]) -> IntArray:
    """``odd`` of the chunks of each file, (F, 3); impossible entries only where most of it are.

    Others may be badly measured, and so may a few that are all of their file.
    """
    odd = np.array([sum(chunks[chunk]["odd"] for chunk in parts) for parts in by_file])
    entries = np.array([sum(chunk.entries for chunk in parts) for parts in by_file])
    odd[:, 2] *= 2 * odd[:, 2] > entries
    odd[:, 2] *= odd[:, 2].sum() >= min(FEWEST, entries.sum() / 2)
    return odd


def _check_efficiencies(
    reading: Reading, datasets: Mapping[str, DatasetInfo], counts: Mapping[str, Any]
) -> None:
    """Check how much signal was generated, of every dataset by itself."""
    manifest, shares = reading.manifest, reading.shares()
    for name, dataset in datasets.items():
        if not dataset.is_signal:
            continue
        section = manifest.datasets[name]
        correction = manifest.correction * manifest.luminosity_of(name) / manifest.luminosity
        made = np.array([section.generated_at(mass) or 0 for mass in dataset.hypotheses])
        check_efficiencies(dataset, counts[name], correction, shares.get(name, 1.0) * made)
        there = counts[name]["hypotheses"][:, 0] > 0
        if section.simulate is None and isinstance(section.generated, int):
            gone, held = (dataset.hypotheses[(made > 0) & rows] for rows in (~there, there))
            if len(gone):
                raise files.InputError(
                    f"Dataset {name}: `generated: {section.generated}` counts for every mass, but "
                    f"no usable entry is of {', '.join(map(mass_name, gone))} GeV; if it "
                    "holds only some masses, say how many events of each: `generated: {"
                    f"{', '.join(f'{mass_name(mass)}: {section.generated}' for mass in held)}}}`."
                )


def check_efficiencies(
    dataset: DatasetInfo, counts: Mapping[str, Any], correction: float, generated: FloatArray
) -> None:
    """Refuse signal of which more is usable than the (H,) events that were generated.

    Counts are what a `FeatureProcessor` says of the dataset; the share of its period in the
    luminosity is part of the correction.

    The number of events that pass is never larger than that of all; what fluctuates is their
    weights. Further candidates of an event may come on top. InputError names the first mass.
    """
    usable, _, inside, weight, squares = counts["hypotheses"].T
    scale = np.where(dataset.scale > 0, dataset.scale, np.inf)  # 0 if that mass has other datasets
    variance = np.maximum(squares - weight**2 / np.maximum(usable, 1), 0) / scale**2
    found = np.maximum(weight, inside * correction) / scale
    limit = generated * (1 + 1e-9) + FLUCTUATION * np.sqrt(variance)
    for m in np.flatnonzero(found > limit + counts["further"]):
        raise files.InputError(
            f"Dataset {dataset.name}: the weights of {usable[m]:.0f} usable entries of "
            f"{dataset.hypotheses[m]:g} GeV sum up to {found[m]:.6g}, but only {generated[m]:.6g} "
            "events were generated; correct `generated`, which counts events before any selection, "
            "the weights or `corrections`."
        )


def _shared_files(inputs: Iterable[InputFile], simulated: Path) -> dict[str, dict[str, str]]:
    """Files of each dataset that an earlier one has as well, or a simulated one, and which.

    InputError if the completeness of what was `simulated`, which comes first, cannot be read.
    """
    first, shared = dict[str, str](), defaultdict[str, dict[str, str]](dict)
    if simulated.exists():
        with files.read_result(simulated, "files", "punzinet features") as said:
            of_each = said["datasets"].items()
            first = {row["source"]: name for name, one in of_each for row in one["files"]}
    for file in inputs:
        if (other := first.setdefault(file.source, file.dataset)) != file.dataset:
            shared[file.dataset][file.location] = other
    return shared


def _fit_windows(reading: Reading, datasets: Mapping[str, DatasetInfo]) -> tuple[Windows, Spectra]:
    manifest, processor = reading.manifest, PeakProcessor(datasets.values())
    signal = [chunk for chunk in reading.chunks() if datasets[chunk.dataset].is_signal]
    found = reading.process(processor, "peaks", "Signal peaks", signal)
    check_numbers(datasets, found)
    histogram: Any = processor.merge(found)
    peaks = histogram.view()
    hypotheses, search = manifest.hypotheses, manifest.search.resolved
    empty = hypotheses.mass[~(peaks["value"] > 0).any(axis=1)]
    if len(empty):
        masses = ", ".join(f"{mass:g}" for mass in empty)
        lines = candidates.merge_cutflows(part["cutflow"] for part in found.values())
        beside = sum(line["entries"] for line in lines if line["step"] == candidates.NO_HYPOTHESIS)
        raise files.InputError(
            f"There is no signal event near the peak of generated mass {masses} GeV ({beside} "
            "entries have one that is no hypothesis): add the ntuples, correct the generated mass, "
            "or take these masses out of `hypotheses.masses`."
        )
    edges = peak_edges(search.peak_reach)
    fits = [fit_peak(peak["value"], peak["variance"], edges) for peak in peaks]
    names = enumerate(f"peaks/{mass_name(mass)}" for mass in hypotheses.mass)
    spectra = {name: histogram[{0: loc(i)}] for i, name in names}
    return windows_from_fits(hypotheses.mass, hypotheses.training, fits, search), spectra


def _work_folder(tensors: Path, own: Iterable[str], outdated: Iterable[Path]) -> Path:
    """A folder for tensors until all of them are written.

    What an earlier run left is moved there, so that windows and tensors of different runs never
    lie side by side, and what is still good need not be made again: its `own` files, no others.
    What was written along with them is outdated and removed. The folder has a new name in each run:
    a worker that outlived its run cannot write into that of the next.
    """
    folder = tensors.with_name(f".tensors.{secrets.token_hex(4)}")
    try:
        for path in outdated:
            path.unlink(missing_ok=True)
        left = tensors.parent.glob(".tensors." + 8 * "[0-9a-f]")
        leftovers = [path for path in left if not path.is_symlink()]
        folder.mkdir(parents=True)
        for place in (tensors, *leftovers):
            _move(place, folder, [name for name in own if (place / name).is_file()])
        for leftover in leftovers:
            shutil.rmtree(leftover)
    except OSError as error:
        raise files.OutputError(files.cannot_write(tensors.parent, error)) from error
    return folder


def _put(folder: Path, tensors: Path, names: Iterable[str]) -> None:
    """Give tensors their final names, and remove those that no chunk made."""
    try:
        _move(folder, tensors, names)
        shutil.rmtree(folder)
    except OSError as error:
        raise files.OutputError(files.cannot_write(tensors, error)) from error


def _move(source: Path, target: Path, names: Iterable[str]) -> None:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).replace(target / name)
        with suppress(OSError):
            (source / name).parent.rmdir()  # if that was all


def _say_heavy(
    dataset: DatasetInfo, chunks: Mapping[Chunk, Any], kept: Mapping[str, Any], masses: int
) -> list[str]:
    """A sentence if one event, of weights very different, makes much of a dataset, or a mass."""
    heaviest = max((part["heaviest"] for part in chunks.values()), default=0.0)
    # Where they are few, but alike, each of them makes much.
    if heaviest <= kept["weight"] * max(HEAVY / masses, UNLIKE / max(kept["entries"], 1)):
        return []
    return [
        f"Dataset {dataset.name}: one event is {masses * heaviest / kept['weight']:.0%} of what is "
        "kept" + " of its mass" * dataset.is_signal + "; all that is quoted depends on whether it "
        "trains or judges. Leave it out, or make events whose weights are more alike."
    ]


def _say_lost(dataset: DatasetInfo, chunks: Mapping[Chunk, Any]) -> list[str]:
    """Sentences if nothing of a background is kept, or nothing of a file, unlike of others."""
    fit, kept = Counter[str](), Counter[str]()
    for chunk, part in chunks.items():
        unfit = sum(line["entries"] for line in part["cutflow"] if line["step"] in _UNFIT)
        fit[chunk.file] += chunk.entries - unfit
        kept[chunk.file] += (last := part["cutflow"][-1])["entries"] * (last["weight"] > 0)
    share = kept.total() / max(fit.total(), 1)
    if not (share or dataset.is_signal or dataset.is_data):
        return [
            f"Dataset {dataset.name}: none of its entries lies in a window with any weight, so it "
            "is no background to anything; see to it that its momenta and beams are in GeV."
        ]
    return [
        f"Dataset {dataset.name}: none of the {own} entries of {file} is kept with any weight, but "
        f"about {own * share:.0f} of as many others; see what is dropped in the cutflow. Correct "
        "its branches, or take it out, with its share of the normalisation."
        for file, own in fit.items() if not kept[file] and own * share > LOST
    ]  # fmt: skip


def _fates(dataset: DatasetInfo, counts: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    cutflow, further = counts["cutflow"], counts["further"]
    found = {"process": dataset.process, "cutflow": cutflow, "further_candidates": further}
    if counts["unsaid"]:
        found["not_missing"] = dict(counts["unsaid"])
    if dataset.is_signal:
        rows = zip(dataset.hypotheses.tolist(), counts["hypotheses"].tolist(), strict=True)
        own = manifest.datasets[dataset.name].generated_at
        generated = own if dataset.variation_of else manifest.generated
        found["hypotheses"] = [
            {"mass": mass, "generated": generated(mass) or 0, "usable": int(usable),
             "in_own_window": int(inside), "efficiency": efficiency}
            for mass, (usable, inside, efficiency, *_) in rows
        ]  # fmt: skip
    return found


def _completeness(
    dataset: DatasetInfo, reading: Reading, chunks: Mapping[Chunk, Any], cutflow: candidates.Cutflow
) -> dict[str, Any]:
    """Entries of a dataset as JSON: read, present, expected; of data kept, rejected, hidden."""
    section = reading.manifest.datasets[dataset.name]
    files = [file for file in reading.files if file.dataset == dataset.name]
    read, twice = Counter[str](), Counter[str]()
    for chunk, part in chunks.items():
        read[chunk.file] += chunk.entries
        twice[chunk.file] += part.get("repeated", 0)
    rows = [
        {"file": file.path, "source": file.source, "read": read[file.location],
         "present": file.entries, "expected": file.expected}
        for file in files
    ]  # fmt: skip
    by_file = {file.path: count for file in files if (count := twice[file.location])}
    fates = {}
    if dataset.is_data:
        (_, *others, kept), hidden = cutflow, candidates.BLINDED
        blinded = sum(line["entries"] for line in others if line["step"] == hidden)
        rejected = sum(line["entries"] for line in others) - blinded
        fates = {"kept": kept["entries"], "rejected": rejected, "blinded": blinded}
    return {
        "read": sum(row["read"] for row in rows),
        **fates,
        "present": sum(file.entries for file in files),
        "expected": section.entries if isinstance(section.entries, int) else None,
        "duplicates": {"events": sum(by_file.values()), "by_file": by_file},
        "files": rows,
    }
