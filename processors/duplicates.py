"""Duplicates: events that a dataset holds more than once, wherever in its files.

Several candidates of an event stand next to each other in a file; they are no duplicates. Most
files hold their events in the order of their identity, and then it is enough to compare the
ranges of the chunks: where they do not overlap, nothing is double. Chunks that overlap or are
not in order are read again, for a 64-bit hash of each identity, sorted. The hashes of all
chunks are merged range by range, so that memory stays bounded. Among n events, n²/2⁶⁵ pairs
share a hash by accident: less than one below 6·10⁹ events.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from punzinet.analysis.folds import identity_hash
from punzinet.analysis.io.files import atomic_path
from punzinet.processors.candidates import read_identity
from punzinet.processors.chunks import Chunk, ChunkProcessor, name_of
from punzinet.processors.datasets import DatasetInfo

SLICES: Final = 1024
"""Ranges of hashes that can be merged one by one."""
AT_ONCE: Final = 16_000_000
"""Hashes that are merged at once at most, unless a single slice holds more."""


class IdentityProcessor(ChunkProcessor):
    """Hashes the identities of a chunk, and writes the hashes to a file of a folder, sorted.

    Further candidates of the same event are left out.
    """

    def __init__(self, datasets: Iterable[DatasetInfo], folder: Path) -> None:
        super().__init__(datasets)
        self._folder = folder.absolute()

    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        """Hash and sort the identities of a chunk.

        Returns:
            The ``file`` of the hashes, and the (SLICES + 1,) ``offsets`` where each slice begins.
        """
        hashes = identity_hash(**read_identity(dataset, events), dataset=dataset.name)
        # Equal neighbours are candidates of one event.
        ordered = np.sort(hashes[np.concatenate(([True], hashes[1:] != hashes[:-1]))])
        borders = np.arange(SLICES, dtype=np.uint64) * np.uint64(2**64 // SLICES)
        offsets = np.append(np.searchsorted(ordered, borders), len(ordered)).astype(np.int64)
        path = self._folder / f"{name_of(events.metadata)}.hashes"
        with atomic_path(path) as partial:
            ordered.tofile(partial)
        return {"file": str(path), "offsets": offsets}

    def still_holds(self, result: dict[str, Any]) -> bool:
        """Whether the file of the hashes is still there."""
        path, size = Path(result["file"]), 8 * int(result["offsets"][-1])
        return path.exists() and path.stat().st_size == size

    def settings(self, dataset: DatasetInfo) -> Any:
        """What a hash depends on: where the identity is read from."""
        return dataset.settings()["columns"]


def suspicious(summaries: Mapping[Chunk, Any]) -> list[Chunk]:
    """Chunks of a dataset that can share events with others or hold one twice.

    Of what `FeatureProcessor` says of all its chunks, the order of events and their range matter:
    where ranges overlap, or one is unknown as its events are not in order.
    """
    if not all(summary["ascending"] for summary in summaries.values()):
        return sorted(summaries)
    found = set()
    ranges = sorted((of["first"], of["last"], chunk) for chunk, of in summaries.items())
    reach: tuple[list[int], Chunk] | None = None
    for first, last, chunk in ranges:
        # Chunks that follow each other may share the candidates of one event.
        beyond = (
            reach is None or first > reach[0] or (first == reach[0] and chunk.continues(reach[1]))
        )
        if reach is not None and not beyond:
            found |= {reach[1], chunk}
        if reach is None or last > reach[0]:
            reach = last, chunk
    return sorted(found)


def count_duplicates(hashes: Mapping[Chunk, Any], summaries: Mapping[Chunk, Any]) -> dict[str, int]:
    """Count events that are there more than once.

    Takes the hashes of all chunks that could share events, and what else is known of chunks.

    Returns:
        By file, how often it repeats an event of an earlier place: of an earlier file or its own.
    """
    chunks = sorted(hashes)
    repeated = np.zeros(len(chunks), dtype=np.int64)
    sizes = np.sum([np.diff(hashes[chunk]["offsets"]) for chunk in chunks], axis=0)
    for low, high in _groups(sizes.tolist()):
        parts = [_slice(hashes[chunk], low, high) for chunk in chunks]
        values = np.concatenate(parts)
        origin = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        order = np.argsort(values, kind="stable")
        values, origin = values[order], origin[order]
        repeated += np.bincount(origin[1:][values[1:] == values[:-1]], minlength=len(chunks))
    for number, (before, chunk) in enumerate(itertools.pairwise(chunks), 1):
        # Candidates of one event on both sides of a border between chunks are no duplicate.
        same = summaries[before]["last"] == summaries[chunk]["first"]
        repeated[number] -= same and chunk.continues(before)
    counts: Counter[str] = Counter()
    for chunk, count in zip(chunks, repeated.tolist(), strict=True):
        counts[chunk.file] += count
    return {file: count for file, count in counts.items() if count}


def _slice(hashes: Any, low: int, high: int) -> NDArray[np.uint64]:
    """The hashes of a range of slices."""
    first, last = (int(hashes["offsets"][border]) for border in (low, high))
    return np.fromfile(hashes["file"], np.uint64, last - first, offset=8 * first)


def _groups(sizes: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Consecutive slices that together hold no more than `AT_ONCE` hashes, as ranges."""
    low = number = total = 0
    for number, size in enumerate(sizes):
        if total and total + size > AT_ONCE:
            yield low, number
            low, total = number, 0
        total += size
    yield low, number + 1
