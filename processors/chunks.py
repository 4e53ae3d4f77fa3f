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
    """Consecutive entries of one file.

    Attributes:
        dataset: Name of the dataset.
        file: Path or URL of the file.
        start: First entry.
        stop: One past the last entry.
    """

    dataset: str
    file: str
    start: int
    stop: int

    @property
    def entries(self) -> int:
        """Number of entries."""
        return self.stop - self.start


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
    """A coffea processor whose output is added up in the order of the chunks.

    Attributes:
        datasets: All datasets, by name.
        by_chunk: Leave results by chunk, and collect what is wrong with the input, by chunk as
            well, instead of raising it: the output is ``{"chunks": …, "problems": …}``.
    """

    def __init__(self, datasets: Iterable[DatasetInfo], *, by_chunk: bool = False) -> None:
        """Take the descriptions of all datasets."""
        self.datasets = {dataset.name: dataset for dataset in datasets}
        self.by_chunk = by_chunk

    def process(self, events: Any) -> dict[str, dict[Chunk, Any]]:
        """Process a chunk (called by coffea).

        Raises:
            InputError: If something is wrong with the input, unless problems are collected.
        """
        chunk = chunk_of(events.metadata)
        if chunk.dataset not in self.datasets:
            raise InputError(
                f"Nothing is known of dataset {chunk.dataset}: describe it to the processor, which "
                f"knows {', '.join(self.datasets)}."
            )
        try:
            result = self.process_chunk(self.datasets[chunk.dataset], events)
        except InputError as error:
            if not self.by_chunk:
                raise
            return {"chunks": {}, "problems": {chunk: str(error)}}
        return self.output(events.metadata, result)

    @staticmethod
    def output(metadata: Mapping[str, Any], result: Any) -> dict[str, dict[Chunk, Any]]:
        """The output of a chunk, given its metadata and its result."""
        return {"chunks": {chunk_of(metadata): result}, "problems": {}}

    def postprocess(self, accumulator: dict[str, dict[Chunk, Any]]) -> Any:
        """Add up the results of all chunks in their order (called by coffea)."""
        if self.by_chunk:
            return accumulator
        return self.merge(accumulator["chunks"])

    @abstractmethod
    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        """Turn the events of one chunk into numbers, strings, lists, arrays and histograms."""

    def merge(self, chunks: Mapping[Chunk, Any]) -> Any:
        """Add up the results of chunks in their order; by default, they are only sorted."""
        return {chunk: chunks[chunk] for chunk in sorted(chunks)}

    @abstractmethod
    def settings(self, dataset: DatasetInfo) -> Any:
        """Everything but the file that a result of this dataset depends on, for its digest."""

    def still_holds(self, _result: dict[str, Any]) -> bool:
        """Whether everything a chunk left beside its result is still there."""
        return True
