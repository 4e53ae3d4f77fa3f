"""Batches without copying or shuffling the sample every epoch.

The training events are packed once, in an order of their own, into **tiles** of `TILE`
neighbouring events. An epoch is a random order of the tiles, and a batch the next so many of
them: tile numbers are shuffled, and events are read from memory in long stretches. All networks
of an ensemble see the same batches.

The sample is divided into round(events / batch size) batches of equal size, rather than into
full ones and a small rest, on which a non-linear loss means little.

*Random* batches: events are packed in a random order, drawn once, and every epoch has its own
random order of the tiles. A batch is thus a random subset of the sample; but the same events
share a tile in every epoch. Batches differ in size by one tile.

*Stratified* batches: a stratum is one background process, or the signal of one hypothesis.
Tiles hold events of one stratum only, in random order, and every batch has the same number of
tiles of each. They are filled evenly, so that every batch has its share of every stratum but for
one event a tile.

What a tile does not fill has weight zero, and takes part in nothing.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import Events, EventStream, StreamedSample
from punzinet.analysis.training.ranks import Ranks
from punzinet.analysis.types import FloatArray, IntArray

#: Neighbouring events that share the way into a batch. With four features they are 1.5 KiB in
#: one place of the memory, long enough to be read ahead; a tile of 16 costs twice the time.
TILE = 64
#: Bytes of a file that are filled together, before the next so many: filling a file that is
#: larger than the memory here and there reads and writes it again and again.
FILLED_TOGETHER = 2**30
#: Bytes that are written at once to a file that is being made.
WRITTEN_TOGETHER = 2**20


class Batch(NamedTuple):
    """Some tiles, as compiled code takes them.

    All columns of a tile lie together in memory (384 bytes a row with four features), so that it
    comes from one place; columns of the whole sample would come from seven.

    Events that count in the same windows have the same **cell** in a table of sums. Signal of
    hypothesis h has cell h. The windows that a background event lies in are neighbours, and
    there are few such *ranges* of windows: background process p of range r has cell
    H + P·r + p. What a window holds is the sum over its cells.

    Attributes:
        values: (tiles, F + 2, TILE) float32: features scaled to [0, 1], weights, cells.
        cells: (tiles, F + 2, TILE) the same memory as uint32, of which the last row means it;
            unsigned, because a signed index is tested for counting from the end.
        tiles: int32 numbers of those of the batch.
    """

    values: FloatArray
    cells: IntArray
    tiles: IntArray


@dataclass(frozen=True, eq=False)
class PackedEvents:
    """Events in the order in which batches draw from them.

    Attributes:
        values: (tiles, F + 2, TILE) the events, see `Batch`.
        count: Number of events.
        hypotheses: H.
        processes: P, number of background processes.
        ranges: (R, 2) first, and one past the last, of the windows of each range.
        batches: Number of batches of an epoch.
        strata: (S,) tiles of each stratum, which lie one after the other, each a multiple of
            `batches`; or the number of tiles, if there are no strata. Those of all ranks count.
        ranks: Tile number t of all is tile number t div `ranks.count` of rank t mod that.
    """

    values: FloatArray
    count: int
    hypotheses: int
    processes: int
    ranges: IntArray
    batches: int
    strata: IntArray
    ranks: Ranks

    def __len__(self) -> int:
        """Number of tiles, without those of other ranks."""
        return len(self.values)

    def batch(self, tiles: IntArray | None = None) -> Batch:
        """The batch of some tiles; of all, in order, if not given."""
        tiles = np.arange(len(self), dtype=np.int32) if tiles is None else tiles
        return Batch(self.values, self.values.view(np.uint32), tiles)

    def epoch(self, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Draw the batches of one epoch; a single batch is not shuffled.

        Returns:
            The (tiles,) int32 order of tiles, and the (batches + 1,) bounds of the batches in
            it. All ranks draw the same, and keep what is theirs.
        """
        if self.batches == 1:
            return self.batch().tiles, np.array([0, len(self)])
        bounds = np.linspace(0, self.strata.sum(), self.batches + 1).round().astype(np.int64)
        order = [
            (rng.permutation(tiles) + begin).astype(np.int32).reshape(self.batches, -1)
            if len(self.strata) > 1
            else rng.permutation(tiles).astype(np.int32)[np.newaxis]
            for begin, tiles in zip(self.strata.cumsum() - self.strata, self.strata, strict=True)
        ]
        drawn = np.concatenate(order, axis=1).ravel()
        if self.ranks.count == 1:
            return drawn, bounds
        mine = drawn % self.ranks.count == self.ranks.number
        before = np.concatenate([[0], np.cumsum(mine)])
        return drawn[mine] // np.int32(self.ranks.count), before[bounds]

    def columns(self) -> tuple[FloatArray, FloatArray, IntArray]:
        """Features (n, F), weights and cells, (n,) each, of all events in order."""
        features = self.values[:, :-2].transpose(0, 2, 1).reshape(-1, self.values.shape[1] - 2)
        return features, self.values[:, -2].ravel(), self.batch().cells[:, -1].ravel()

    def windows_of(self, cell: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Process codes, first windows, and one past the last, of events with (n,) cells."""
        signal = cell < self.hypotheses
        behind = np.where(signal, 0, cell.astype(np.int64) - self.hypotheses)
        number, process = np.divmod(behind, max(self.processes, 1))
        ranges = self.ranges if len(self.ranges) > 0 else np.zeros((1, 2), np.int64)
        return (
            np.where(signal, SIGNAL, process),
            np.where(signal, cell, ranges[number, 0]),
            np.where(signal, cell + np.int64(1), ranges[number, 1]),
        )


def pack(
    sample: StreamedSample,
    events: EventStream,
    batch_size: int | None = None,
    rng: np.random.Generator | None = None,
    *,
    stratified: bool = False,
    disk: Path | None = None,
    ranks: Ranks | None = None,
) -> PackedEvents:
    """Pack events for batches.

    Args:
        sample: Where they are from, for its scaling, hypotheses and processes.
        events: Its training or its validation events.
        batch_size: Events a batch, or as close to it as equal batches come; None for all at once.
        rng: Source of their order; None packs them as they come.
        stratified: Whether batches are stratified.
        disk: Folder of files in which the events lie; None keeps them in memory.
        ranks: Processes that share the events.

    Raises:
        InputError: If the disk has no room for them.
    """
    batches = 1 if batch_size is None else max(1, round(len(events) / batch_size))
    order = np.arange(len(events), dtype=np.int32)
    if rng is not None:
        rng.shuffle(order)
    if stratified:
        strata, position = _stratified(sample, events, order, batches)
    else:
        strata = np.array([-(-len(events) // TILE)])
        position = np.empty_like(order)
        position[order] = np.arange(len(order), dtype=np.int32)
    del order
    ranks = Ranks() if ranks is None else ranks
    total = int(strata.sum())
    own = len(range(ranks.number, total, ranks.count))
    values = _zeros((own, len(sample.features) + 2, TILE), disk)
    ranges = _WindowRanges(len(sample.mass))
    together = own if disk is None else FILLED_TOGETHER // values[:1].nbytes
    for begin in range(0, own, max(1, together)):
        at = 0
        for piece in events.pieces():
            number = ranges.number(piece)  # of all events, on every rank
            tile, slot = np.divmod(position[at : at + len(piece)], TILE)
            at += len(piece)
            mine, tile = tile % ranks.count == ranks.number, tile // ranks.count
            mine &= (tile >= begin) & (tile < begin + together)
            if mine.all():
                _copy(sample, piece, number, values, (tile, slot))
            else:
                _copy(sample, piece[mine], number[mine], values, (tile[mine], slot[mine]))
    return PackedEvents(
        values,
        len(events),
        len(sample.mass),
        len(sample.backgrounds),
        ranges.known(),
        min(batches, total),
        strata,
        ranks,
    )


def _stratified(
    sample: StreamedSample, events: EventStream, order: IntArray, batches: int
) -> tuple[IntArray, IntArray]:
    """Numbers of tiles (S,) of the strata, and positions (n,) of the events in the tiles."""
    hypotheses = len(sample.mass)
    stratum = np.concatenate(
        [
            np.where(piece.process == SIGNAL, piece.start, hypotheses + piece.process)
            for piece in events.pieces()
        ]
    )
    sizes = np.bincount(stratum, minlength=hypotheses + len(sample.backgrounds))
    strata = batches * -(-sizes // (batches * TILE))
    held, extra = np.divmod(sizes, np.maximum(strata, 1))
    # The first tiles of a stratum hold one event more than the others.
    inside = np.arange(strata.sum()) - np.repeat(strata.cumsum() - strata, strata)
    filled = np.repeat(held, strata) + (inside < np.repeat(extra, strata))
    first = TILE * np.arange(len(filled)) - (filled.cumsum() - filled)
    position = np.empty_like(order)
    sorted_order = order[np.argsort(stratum[order], kind="stable")]
    position[sorted_order] = np.arange(len(order)) + np.repeat(first, filled)
    return strata, position


def _zeros(shape: tuple[int, ...], disk: Path | None) -> FloatArray:
    """Zeros in memory, or in a file of a folder.

    The system reads what is asked for of the file, keeps what it has room for, and gives that up
    when something else needs the memory. The file has no name and vanishes with the process.

    Raises:
        InputError: If the disk has no room for them.
    """
    size = 4 * int(np.prod(shape))
    if disk is None or size == 0:
        return np.zeros(shape, np.float32)
    try:
        disk.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=disk) as file:
            # A hole in a file for which there is no room later on kills the process.
            for _ in range(0, size, WRITTEN_TOGETHER):
                file.write(bytes(WRITTEN_TOGETHER))
            file.flush()
            return np.asarray(np.memmap(file, np.float32, mode="r+", shape=shape))
    except OSError as error:
        raise InputError(
            f"{disk} has no room for {size / 1e9:.3g} GB of training events "
            f"({error.strerror}); free some, or choose another place with --output "
            "(OUTPUT= for make)."
        ) from error


class _WindowRanges:
    """Ranges of windows that background lies in, numbered as they are met."""

    def __init__(self, hypotheses: int) -> None:
        self._width = hypotheses + 1
        self._number = np.full(self._width**2, -1, np.int32)
        self._codes: list[int] = []

    def number(self, events: Events) -> IntArray:
        """(n,) the number of each background event's range; anything for signal."""
        code = events.start.astype(np.int64) * self._width + events.stop
        unknown = code[(events.process != SIGNAL) & (self._number[code] < 0)]
        found, first = np.unique(unknown, return_index=True)
        for one in found[first.argsort()].tolist():
            self._number[one] = len(self._codes)
            self._codes.append(one)
        number: IntArray = self._number[code]
        return number

    def known(self) -> IntArray:
        """(R, 2) first, and one past the last, window of each range so far."""
        return np.stack(np.divmod(np.array(self._codes, np.int64), self._width), axis=1)


def _copy(
    sample: StreamedSample,
    events: Events,
    window_range: IntArray,
    values: FloatArray,
    at: tuple[IntArray, IntArray],
) -> None:
    """Write n events, whose ranges of windows are known, into their slots of tiles."""
    (tile, slot), (low, high) = at, sample.scaling
    for i in range(len(low)):
        values[tile, i, slot] = (events.features[i] - low[i]) / (high[i] - low[i])
    values[tile, -2, slot] = events.weight
    background = len(sample.mass) + len(sample.backgrounds) * window_range + events.process
    cell = np.where(events.process == SIGNAL, events.start, background)
    values.view(np.uint32)[tile, -1, slot] = cell
