"""Duplicates: events that a dataset holds more than once, wherever in its files.

Several candidates of an event stand next to each other in a file; they are no duplicates. Most
files hold their events in the order of their identity, and then it is enough to compare the
ranges of the chunks: where they do not overlap, nothing is double. Chunks that overlap or are
not in order are read again, for a 64-bit hash of each identity, sorted. The hashes of all
chunks are merged range by range, so that memory stays bounded. Among n events, n²/2⁶⁵ pairs
share a hash by accident: less than one below 6·10⁹ events.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from punzinet.analysis.folds import identity_hash
from punzinet.analysis.io.records import Record
from punzinet.processors.candidates import Sample, read_identity
from punzinet.processors.columns import IDENTITY
from punzinet.processors.features import ChunkSummary
from punzinet.processors.runner import Chunk, ChunkProcessor

SLICES: Final = 1024
"""Ranges of hashes that can be merged one by one."""
AT_ONCE: Final = 16_000_000
"""Hashes that are merged at once at most, unless a single slice holds more."""


@dataclass(frozen=True, eq=False)
class Hashes:
    """Identities of a chunk.

    Attributes:
        sorted: Hashes of its events, further candidates of the same event left out.
        offsets: (SLICES + 1,) where each slice begins.
    """

    sorted: NDArray[np.uint64]
    offsets: NDArray[np.int64]


class IdentityProcessor(ChunkProcessor[Hashes]):
    """Hashes the identities of a chunk."""

    def __init__(self, samples: Mapping[str, Sample]) -> None:
        """Make the processor.

        Args:
            samples: All datasets, by name.
        """
        self._samples = samples

    def reads(self, column: str) -> bool:
        """What tells events apart."""
        return column in IDENTITY

    def process_chunk(self, chunk: Chunk, events: Any) -> Hashes:
        """Hash and sort the identities of a chunk."""
        identity = read_identity(self._samples[chunk.dataset], events)
        hashes = identity_hash(**identity, dataset=chunk.dataset)
        # Equal neighbours are candidates of one event.
        first = np.concatenate(([True], hashes[1:] != hashes[:-1]))
        ordered = np.sort(hashes[first])
        borders = np.arange(SLICES, dtype=np.uint64) * np.uint64(2**64 // SLICES)
        offsets = np.append(np.searchsorted(ordered, borders), len(ordered))
        return Hashes(ordered, offsets.astype(np.int64))

    def pack(self, result: Hashes) -> Record:
        """Express hashes as a record."""
        return Record({}, {"sorted": result.sorted, "offsets": result.offsets})

    def unpack(self, record: Record) -> Hashes:
        """The hashes that `pack` made a record of."""
        return Hashes(record.arrays["sorted"], record.arrays["offsets"])

    def settings(self, dataset: str) -> Any:
        """What a hash depends on: where the identity is read from."""
        return self._samples[dataset].to_json()["columns"]


def suspicious(summaries: Mapping[Chunk, ChunkSummary]) -> list[Chunk]:
    """Chunks of a dataset that can share events with others or hold one twice.

    Args:
        summaries: All chunks of the dataset.

    Returns:
        Those that are not in order, and those whose range of identities overlaps another's.
    """
    found = {chunk for chunk, summary in summaries.items() if not summary.ascending}
    if found:
        # The range of a chunk that is not in order is unknown.
        return sorted(summaries)
    ranges = sorted((summary.first, summary.last, chunk) for chunk, summary in summaries.items())
    reach: tuple[tuple[int, ...], Chunk] | None = None
    for first, last, chunk in ranges:
        if reach is not None and first <= reach[0] and not _continues(reach, first, chunk):
            found |= {reach[1], chunk}
        if reach is None or last > reach[0]:
            reach = last, chunk
    return sorted(found)


def _continues(reach: tuple[tuple[int, ...], Chunk], first: tuple[int, ...], chunk: Chunk) -> bool:
    """Whether a chunk goes on with the candidates of the event that the one before ended with."""
    last, before = reach
    return last == first and (before.path, before.stop) == (chunk.path, chunk.start)


def count_duplicates(
    hashes: Mapping[Chunk, Hashes], summaries: Mapping[Chunk, ChunkSummary]
) -> dict[str, int]:
    """Count events that are there more than once.

    Args:
        hashes: Hashes of all chunks that could share events.
        summaries: What else is known of them.

    Returns:
        By file, how often it repeats an event of an earlier place: of an earlier file or its own.
    """
    chunks = sorted(hashes)
    sizes = np.sum([np.diff(hashes[chunk].offsets) for chunk in chunks], axis=0)
    repeated = np.zeros(len(chunks), dtype=np.int64)
    for low, high in _groups(sizes):
        parts = [_slice(hashes[chunk], low, high) for chunk in chunks]
        values = np.concatenate(parts)
        origin = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        order = np.argsort(values, kind="stable")
        values, origin = values[order], origin[order]
        again = origin[1:][values[1:] == values[:-1]]
        repeated += np.bincount(again, minlength=len(chunks))
    for number, (before, chunk) in enumerate(itertools.pairwise(chunks), 1):
        # Candidates of one event on both sides of a border between chunks are no duplicate.
        reach = summaries[before].last, before
        repeated[number] -= _continues(reach, summaries[chunk].first, chunk)
    counts: dict[str, int] = {}
    for chunk, count in zip(chunks, repeated.tolist(), strict=True):
        counts[chunk.path] = counts.get(chunk.path, 0) + count
    return {path: count for path, count in counts.items() if count}


def _slice(hashes: Hashes, low: int, high: int) -> NDArray[np.uint64]:
    """The hashes of a range of slices."""
    return hashes.sorted[hashes.offsets[low] : hashes.offsets[high]]


def _groups(sizes: Sequence[int] | NDArray[np.int64]) -> Iterable[tuple[int, int]]:
    """Consecutive slices that together hold no more than `AT_ONCE` hashes, as ranges."""
    low, total = 0, 0
    for number, size in enumerate(sizes):
        if total and total + size > AT_ONCE:
            yield low, number
            low, total = number, 0
        total += int(size)
    yield low, len(sizes)
