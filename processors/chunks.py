"""Chunks: consecutive entries of one file, and processors that keep the result of each apart.

Coffea adds results up in the order in which they happen to be ready, and sums of floating point
numbers depend on their order. So every result carries its chunk along until `postprocess`, which
adds them up in the order of the chunks.
"""

import itertools
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from coffea.processor import ProcessorABC

from punzinet.analysis.io.errors import InputError
from punzinet.processors.datasets import DatasetInfo


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
        return (before.file, before.stop) == (self.file, self.start)


def chunk_of(metadata: Mapping[str, Any]) -> Chunk:
    """The chunk that coffea hands over, by the metadata of its events."""
    return Chunk(*(metadata[name] for name in ("dataset", "filename", "entrystart", "entrystop")))


def name_of(metadata: Mapping[str, Any]) -> str:
    """Name for what is made of a chunk: a path without suffix, with one folder a dataset."""
    chunk = chunk_of(metadata)
    by_default = f"{chunk.dataset}/{Path(chunk.file).stem}-{chunk.start}-{chunk.stop}"
    return str(metadata.get("name", by_default))


def split(dataset: str, file: str, entries: int, chunk_size: int) -> list[Chunk]:
    """Cut a file into chunks of equal size, none of them above `chunk_size`."""
    count = -(-entries // chunk_size)
    edges = [entries * i // count for i in range(count + 1)] if count else []
    return [Chunk(dataset, file, start, stop) for start, stop in itertools.pairwise(edges)]


class ChunkProcessor(ProcessorABC):  # type: ignore[misc]  # coffea has no types
    """A coffea processor whose output is added up in the order of the chunks."""

    def __init__(self, datasets: Iterable[DatasetInfo]) -> None:
        """Take the descriptions of all datasets."""
        self.datasets = {dataset.name: dataset for dataset in datasets}

    def process(self, events: Any) -> dict[Chunk, Any]:
        """Process a chunk (called by coffea).

        Raises:
            InputError: If something is wrong with the input.
        """
        chunk = chunk_of(events.metadata)
        if chunk.dataset not in self.datasets:
            raise InputError(
                f"Nothing is known of dataset {chunk.dataset}: describe it to the processor, which "
                f"knows {', '.join(self.datasets)}."
            )
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

    @abstractmethod
    def settings(self, dataset: DatasetInfo) -> Any:
        """Everything but the file that a result of this dataset depends on, for its digest."""

    def still_holds(self, _result: dict[str, Any]) -> bool:
        """Whether everything a chunk left beside its result is still there."""
        return True
