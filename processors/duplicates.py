"""Duplicates: events that the datasets of a process hold more than once, wherever in their files.

Several candidates of an event stand next to each other in a file; they are no duplicates. Most
files hold their events in the order of their identity, and then it is enough to compare the
ranges of the chunks: where they do not overlap, nothing is double. Chunks that overlap or are
not in order are read again, for a 64-bit hash of each identity, sorted. The hashes of all
chunks are merged range by range, so that memory stays bounded. Among n events, n²/2⁶⁵ pairs
share a hash by accident: less than one below 6·10⁹ events.
"""

import itertools
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np

from punzinet.analysis.folds import GOLDEN, identity_hash
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.io.files import atomic_path, file_digest
from punzinet.analysis.types import IntArray
from punzinet.processors.candidates import Columns
from punzinet.processors.datasets import Chunk, ChunkProcessor, DatasetInfo, name_of

#: Events of a file are usually in the order of these, the first one changing least often.
IDENTITY_ORDER = ("experiment", "run", "production", "event")
AT_ONCE: Final = 16_000_000  # hashes that are merged at the same time, or hardly more


class IdentityProcessor(ChunkProcessor):
    """Writes the hashed identities of a chunk to a file, sorted, without further candidates."""

    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        """Hash and sort identities into a ``file``."""
        columns = Columns(dataset, events)
        hashes = identity_hash(**collision(dataset, columns.identity), dataset=dataset.process)
        # Events of another mass are others, even if every job numbers its own from zero.
        hashes ^= GOLDEN * columns.hypothesis.astype(np.uint64)
        # Equal neighbours are candidates of one event.
        ordered = np.sort(hashes[np.concatenate(([True], hashes[1:] != hashes[:-1]))])
        path = (self.folder or Path()) / f"{name_of(events.metadata)}.hashes"
        with atomic_path(path) as partial:
            ordered.tofile(partial)
        return {"file": str(path), "digest": file_digest(path)}

    def settings(self, dataset: DatasetInfo) -> Any:
        """What a hash depends on: where the identity is read from, and the generated mass."""
        read = dataset.columns, dataset.missing
        return [dataset.process, dataset.mass, dataset.hypotheses, *read]


def collision(dataset: DatasetInfo, identity: Mapping[str, IntArray]) -> dict[str, IntArray]:
    """The identity, without what reprocessing changes: a collision is measured only once."""
    same = {"production": np.zeros_like(identity["event"])} if dataset.is_data else {}
    return {**identity, **same}


def summarise(identity: Mapping[str, IntArray]) -> dict[str, Any]:
    """Summarise the identities of a chunk: what `scan_identities` finds, and that of both ends."""
    ordered = [identity[name] for name in IDENTITY_ORDER]
    further, ascending = scan_identities(*ordered)
    first, last = ([int(values[row]) for values in ordered] for row in (0, -1))
    return {"further": further, "ascending": ascending, "first": first, "last": last}


@njit(nogil=True, cache=True)
def scan_identities(
    experiment: IntArray, run: IntArray, production: IntArray, event: IntArray
) -> tuple[int, bool]:
    """How many entries, of (n,), belong to the same event as the entry before (``further``).

    And whether the other ones all have a later identity than the entry before (``ascending``).
    """
    further, ascending = 0, True
    for i in range(1, len(event)):
        before = experiment[i - 1], run[i - 1], production[i - 1], event[i - 1]
        here = experiment[i], run[i], production[i], event[i]
        further += here == before
        ascending &= here >= before
    return further, ascending


def further_candidates(chunks: Mapping[Chunk, Any]) -> int:
    """Count entries that belong to the same event as the entry before them in their file."""
    total: int = sum(part["further"] for part in chunks.values())
    for (before, earlier), (chunk, part) in itertools.pairwise(chunks.items()):
        total += chunk.continues(before) and earlier["last"] == part["first"]
    return total


def suspicious(summaries: Mapping[Chunk, Any]) -> list[Chunk]:
    """Chunks of a process that can share events with others or hold one twice.

    By the summaries of all chunks, these are those whose ranges of identities overlap; ranges are
    unknown where events are not in order.
    """
    if not all(summary["ascending"] for summary in summaries.values()):
        return sorted(summaries)
    found = set()
    ranges = sorted((of["first"], of["last"], chunk) for chunk, of in summaries.items())
    ends = ((last, chunk) for _, last, chunk in ranges)
    furthest = itertools.accumulate(ends, lambda *two: max(two, key=itemgetter(0)))
    for (reach, before), (first, _, chunk) in zip(furthest, ranges[1:], strict=False):
        # Chunks that follow each other may share the candidates of one event.
        if first < reach or (first == reach and not chunk.continues(before)):
            found |= {before, chunk}
    return sorted(found)


def count_duplicates(
    hashes: Mapping[Chunk, Any], summaries: Mapping[Chunk, Any]
) -> dict[Chunk, int]:
    """By chunk, how often it repeats an event of an earlier place: of an earlier chunk or its own.

    Takes the hashes of all chunks that could share events, and the summaries of chunks.
    """
    chunks = sorted(hashes)
    repeated = np.zeros(len(chunks), dtype=np.int64)
    # Of equal width, as hashes are spread evenly.
    ranges = -(-sum(chunk.entries for chunk in chunks) // AT_ONCE)
    borders = np.array([2**64 * i // ranges for i in range(1, ranges)], dtype=np.uint64)
    for i in range(ranges):
        parts = []
        for chunk in chunks:
            ordered = np.memmap(hashes[chunk]["file"], np.uint64, mode="r")
            first, last = [0, *np.searchsorted(ordered, borders), len(ordered)][i : i + 2]
            parts.append(np.array(ordered[first:last]))
        values = np.concatenate(parts)
        origin = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        order = np.argsort(values, kind="stable")
        values, origin = values[order], origin[order]
        repeated += np.bincount(origin[1:][values[1:] == values[:-1]], minlength=len(chunks))
    for number, (before, chunk) in enumerate(itertools.pairwise(chunks), 1):
        # Candidates of one event on both sides of a border between chunks are no duplicate.
        same = summaries[before]["last"] == summaries[chunk]["first"]
        repeated[number] -= same and chunk.continues(before)
    return dict(zip(chunks, np.maximum(repeated, 0).tolist(), strict=True))


def say_twice(
    dataset: DatasetInfo,
    chunks: Mapping[Chunk, Any],
    shared: Mapping[str, str],
    luminosity: float,
    masses: int,
) -> list[str]:
    """Sentences on what counts more than once in a dataset, and how much of its yield that makes.

    Takes what `FeatureProcessor` says of its chunks, with events that are ``repeated``, which other
    dataset has a file of it as well, the target luminosity in fb^-1, and of how many masses it is.
    """
    kept = {chunk: part["cutflow"][-1]["weight"] for chunk, part in chunks.items()}
    cases = [
        ({chunk: part.get("repeated", 0) for chunk, part in chunks.items()},
         "repeats {} events of its own or of another file of its process",
         "take copies out of `files`; other events that have the same numbers may stay"),
        ({c: part["further"] for c, part in chunks.items() if dataset.policy == "all"},
         "holds {} further candidates of an event",
         "`features.candidates` says which of them are used"),
        *(({chunk: chunk.entries for chunk in chunks if chunk.file == file},
           f"with {{}} entries is a file of dataset {other} as well",
           "name it once, unless that is meant") for file, other in shared.items()),
    ]  # fmt: skip
    form, unit = ",.0f", "events" + f" at {luminosity:g} fb⁻¹" * (not dataset.is_data)
    if dataset.is_signal:
        form, unit = ".3f", "in efficiency"
    whole, said = sum(kept.values()) / masses, []
    for entries, what, advice in cases:
        if files := list(dict.fromkeys(chunk.file for chunk, count in entries.items() if count)):
            where = files[0] + f" (with {len(files) - 1} more)" * (len(files) > 1)
            part = sum(n / chunk.entries * kept[chunk] for chunk, n in entries.items()) / masses
            said.append(
                f"Dataset {dataset.name}: {where} {what.format(sum(entries.values()))}, which "
                f"makes about {part:{form}} of {whole:{form}} {unit}; {advice}."
            )
    return said
