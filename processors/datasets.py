"""What processors have to know of datasets, and the chunks that their entries come in.

Coffea adds results up in the order in which they happen to be ready, and sums of floating point
numbers depend on their order. So every result carries its chunk along until `postprocess`, which
adds them up in the order of the chunks.
"""

import itertools
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from coffea.processor import ProcessorABC
from pydantic_core import to_jsonable_python

from punzinet.analysis.io.files import InputError, file_digest
from punzinet.analysis.io.output import digest
from punzinet.analysis.manifest.datasets import Blinding, Dataset, OfProcess
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import Beams, CandidatePolicy, mass_name
from punzinet.analysis.search import RECOIL, Search
from punzinet.analysis.types import FloatArray

if TYPE_CHECKING:
    from punzinet.processors.preflight import InputFile  # which imports this module

MOMENTA = ("px1", "py1", "pz1", "px2", "py2", "pz2")
BEAM = ("beam_E", "beam_px", "beam_py", "beam_pz")
CHARGES = ("charge1", "charge2")
METADATA = ("dataset", "filename", "entrystart", "entrystop")  # coffea's names of a chunk's fields
NAME = "punzinet_name"  # field with the name of a chunk: filesets may have a ``name`` of theirs


@dataclass(frozen=True, eq=False)
class DatasetInfo(OfProcess):
    """What a processor has to know of a dataset; the defaults are those of basf2's ntuples."""

    name: str
    process: str  # ``signal``, ``data`` or the name of a background
    # Factor on the weight of the events: (H,) for signal, by hypothesis, (1,) for others.
    scale: FloatArray = field(default_factory=lambda: np.ones(1))
    hypotheses: FloatArray = field(default_factory=lambda: np.zeros(0))  # (H,) GeV, sorted
    mass: float | None = None  # of all signal events, GeV; None where each has its own
    columns: Mapping[str, str] = field(default_factory=dict)  # branches that are not those of basf2
    beams: Beams = field(default_factory=Beams)  # for files that do not hold those of each event
    in_cms: bool = False  # whether momenta are given there, and not in the laboratory
    missing: tuple[float, ...] = ()  # numbers that stand for a missing value
    policy: CandidatePolicy = "all"  # which of several candidates of an event are used
    search: Search = RECOIL  # what is computed of the muon pairs
    blinding: Blinding | None = None  # what may be seen of data; None if everything may
    variation_of: str | None = None  # dataset whose events these are in another simulation

    def __post_init__(self) -> None:
        """Raise ValueError for masses that do not ascend, or have not one factor each of signal."""
        count = (self.is_signal and len(self.hypotheses)) or 1
        if self.scale.shape != (count,) or not np.all(np.diff(self.hypotheses) > 0):
            raise ValueError(
                f"dataset {self.name} needs ascending hypotheses, and {count} factors as `scale`"
            )


def describe_datasets(
    manifest: Manifest,
    files: "Iterable[InputFile]",
    shares: Mapping[str, float] | None = None,
    *,
    unblind: bool = False,
    nominal: Manifest | None = None,
) -> dict[str, DatasetInfo]:
    """Describe all datasets of a manifest to the processors, given what `preflight` found.

    Background is scaled to the target luminosity, or that of its period, so that sums of weights
    are numbers of events; signal to one generated event, so that they are efficiencies, and that
    of a period counts with its share of the luminosity. Both take the corrections. Data counts as
    it is, and `unblind` shows all of it. Luminosity and generated events shrink with the share of a
    dataset that is processed. A varied dataset takes the place of one of the `nominal` manifest;
    InputError if it has signal of a mass of which that has none.
    """
    hypotheses, shares = manifest.hypotheses.mass, shares or {}
    whole = (nominal or manifest).nominal.datasets

    def made(dataset: Dataset) -> FloatArray:
        """Generated signal events of a dataset that are processed, (H,)."""
        share = shares.get(dataset.name, 1.0)
        return np.array([share * (dataset.generated_at(mass) or 0) for mass in hypotheses])

    generated: dict[str | None, FloatArray] = {}  # by period
    for dataset in whole.values():
        if dataset.is_signal:
            generated[dataset.period] = generated.get(dataset.period, 0) + made(dataset)
    columns = {file.dataset: file.columns for file in files}
    described = {}
    for name, dataset in manifest.datasets.items():
        scale, target = np.ones(1), manifest.luminosity_of(name)
        if dataset.is_signal:
            # A hypothesis that nothing was generated for has no efficiency: its weights are 0.
            own, scale = generated[dataset.period], np.zeros(len(hypotheses))
            if dataset.variation_of:
                replaced, varied = made(whole[dataset.variation_of]), made(dataset)
                if len(more := hypotheses[(varied > 0) & (replaced == 0)]):
                    raise InputError(
                        f"Dataset {name}: {dataset.variation_of}, whose place it takes, has no "
                        f"`generated` events of {', '.join(map(mass_name, more))} GeV; take them "
                        "out here, and vary the dataset that has them."
                    )
                own = own * np.divide(varied, replaced, out=varied, where=replaced > 0)
            weighted = manifest.correction * (target / manifest.luminosity)
            np.divide(weighted, own, out=scale, where=own > 0)
        elif not dataset.is_data and dataset.luminosity is not None:
            luminosity = shares.get(name, 1.0) * dataset.luminosity
            scale = np.array([manifest.correction * target / luminosity])
        described[name] = DatasetInfo(
            name, dataset.process, scale, hypotheses, dataset.mass, columns[name], manifest.beams,
            in_cms=dataset.frame == "cms", missing=dataset.missing,
            policy=manifest.features.candidates, search=manifest.search.resolved,
            blinding=manifest.blinding if dataset.is_data and not unblind else None,
            variation_of=dataset.variation_of,
        )  # fmt: skip
    return described


def as_json(settings: Any) -> Any:
    """Settings, with arrays and the like in them, as JSON can express them."""
    return to_jsonable_python(settings, fallback=lambda array: array.tolist())


class Chunk(NamedTuple):
    """Consecutive entries of one file."""

    dataset: str
    file: str  # path or URL
    start: int  # first entry
    stop: int  # one past the last entry

    @property
    def entries(self) -> int:
        """Number of entries."""
        return self.stop - self.start

    def continues(self, before: "Chunk") -> bool:
        """Whether its entries follow those of another chunk in the same file."""
        return (*before[:2], before.stop) == self[:3]


def chunk_of(metadata: Mapping[str, Any]) -> Chunk:
    """The chunk that coffea hands over, by the metadata of its events."""
    return Chunk(*(metadata[name] for name in METADATA))


def name_of(metadata: Mapping[str, Any]) -> str:
    """Name for what is made of a chunk: a path without suffix, with one folder a dataset.

    By default files of the same name in several folders are told apart by a hash of their paths.
    """
    chunk = chunk_of(metadata)
    where = chunk.file if "://" in chunk.file else str(Path(chunk.file).absolute())
    file = f"{Path(chunk.file).stem}-{digest(where)[:8]}"
    by_default = f"{chunk.dataset}/{file}-{chunk.start}-{chunk.stop}"
    return str(metadata.get(NAME, by_default))


def by_dataset(chunks: Mapping[Chunk, Any]) -> dict[str, dict[Chunk, Any]]:
    """The results of chunks, which are in their order, apart by dataset."""
    groups = itertools.groupby(chunks, lambda chunk: chunk.dataset)
    return {name: {chunk: chunks[chunk] for chunk in own} for name, own in groups}


def split(dataset: str, file: str, entries: int, chunk_size: int) -> list[Chunk]:
    """Cut a file into chunks of equal size, none of them above `chunk_size`."""
    count = -(-entries // chunk_size)
    edges = [entries * i // count for i in range(count + 1)] if count else []
    return [Chunk(dataset, file, start, stop) for start, stop in itertools.pairwise(edges)]


class ChunkProcessor(ProcessorABC):  # type: ignore[misc]  # coffea has no types
    """A coffea processor whose output is added up in the order of the chunks."""

    def __init__(
        self, datasets: Iterable[DatasetInfo], *depends_on: Any, folder: Path | None = None
    ) -> None:
        """Of these datasets, with whatever else results depend on.

        A chunk that leaves a file in a folder has its name and digest in the result: ``file``,
        relative to the folder, and ``digest``.
        """
        self.datasets = {dataset.name: dataset for dataset in datasets}
        self.folder = folder and folder.absolute()
        self._depends_on = depends_on

    def process(self, events: Any) -> dict[Chunk, Any]:
        """Process a chunk (called by coffea); InputError if something is wrong with the input."""
        chunk = chunk_of(events.metadata)
        if chunk.dataset not in self.datasets:
            raise InputError(
                f"Nothing is known of dataset {chunk.dataset}: describe it to the processor, which "
                f"knows {', '.join(self.datasets)}."
            )
        if not chunk.entries:  # coffea has one of a file without entries
            return {}
        return {chunk: self.process_chunk(self.datasets[chunk.dataset], events)}

    def postprocess(self, accumulator: dict[Chunk, Any]) -> Any:
        """Add up the results of all chunks in their order (called by coffea)."""
        return self.merge({chunk: accumulator[chunk] for chunk in sorted(accumulator)})

    @abstractmethod
    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        """Turn the events of one chunk into numbers, strings, lists, arrays and histograms."""

    def merge(self, chunks: Mapping[Chunk, Any]) -> Any:
        """Add up the results of chunks, which are in their order; by default, they stay apart."""
        return dict(chunks)

    def settings(self, dataset: DatasetInfo) -> Any:
        """Everything but the file that a result of this dataset depends on."""
        return [dataset, *self._depends_on]

    def still_holds(self, result: dict[str, Any]) -> bool:
        """Whether what a chunk left beside its result is still there, and undamaged."""
        if self.folder is None:
            return True
        return bool(file_digest(self.folder / result["file"]) == result["digest"])
