"""Batches without copying or shuffling the sample every epoch.

The training events are packed once into **tiles** of `TILE` neighbouring events. An epoch is a
random order of the tiles, and a batch the next so many of them: events are read from memory in long
stretches. All networks of an ensemble see the same batches. There are round(events / batch size) of
equal size, rather than full ones and a small rest, on which a non-linear loss means little.

Events are packed in a random order, drawn once, so that a batch is a random subset of the sample;
but the same events share a tile in every epoch. What the last tile does not fill has weight zero,
and takes part in nothing. Batches differ in size by one tile.

Every process that `torchrun` starts (a *rank*) has the same networks and batches, but only its
share of the events of each. What a batch sums up to is added up over the ranks before anything that
is not linear is done with it, and so is the gradient. All ranks then take the same step, which but
for rounding is that of one process. Rank 0 writes.
"""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numba
import numpy as np
import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from punzinet.analysis.io.files import InputError, Interrupted
from punzinet.analysis.io.workers import rank_and_count
from punzinet.analysis.training.data import Events, EventStream, Sample
from punzinet.analysis.types import SIGNAL, FloatArray, IntArray, Random

#: Neighbouring events that share the way into a batch, with four features 1.5 KiB in one place of
#: the memory, long enough to be read ahead; a tile of 16 costs twice the time.
TILE = 64
#: Bytes of a file that are filled together: filling one that is larger than the memory here and
#: there reads and writes it again and again.
FILLED_TOGETHER = 2**30
WRITTEN_TOGETHER = 2**20  # bytes that are written at once to a file that is being made
#: The (tiles,) int32 order of the tiles of an epoch, and the (batches + 1,) bounds of the batches.
Batches = tuple[IntArray, IntArray]


class LostRankError(Exception):
    """Another process has ended before its time."""


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, as one of them sees them: number `number` of `count`."""

    number: int = 0
    count: int = 1

    def sum_tensor(self, values: torch.Tensor) -> torch.Tensor:
        """Add up tensors over all ranks, the same to the last bit on each.

        All ranks share the one loss that comes of it: the gradient with respect to a rank's own
        values is that with respect to the sum. LostRankError if another process has ended.
        """
        if self.count == 1:
            return values
        total = values.clone()
        try:
            distributed.all_reduce(total.detach())  # in place, behind the back of the gradient
        except RuntimeError as error:
            raise LostRankError from error
        return total

    def sum(self, values: FloatArray) -> FloatArray:
        """Add up arrays over all ranks, see `sum_tensor`."""
        if self.count == 1:
            return values
        return self.sum_tensor(torch.from_numpy(np.ascontiguousarray(values))).numpy()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank; waits until all have come here."""
        return bool(self.sum(np.array([float(flag)]))[0])

    def device(self, name: str) -> str:
        """The device of this process; with several GPUs in a machine, each rank has its own."""
        several = self.count > 1 and name == "cuda"
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if several else name


ALONE: Final = Ranks()  # one process, which trains without others


class Batch(NamedTuple):
    """Some tiles, as compiled code takes them: all columns of a tile lie together in memory.

    Events that count in the same windows have the same **cell** in a table of sums. Signal of
    hypothesis h has cell h. The windows that a background event lies in are neighbours, and
    there are few such *ranges* of windows: background process p of range r has cell
    H + P·r + p. What a window holds is the sum over its cells.
    """

    values: FloatArray  # (tiles, F + 2, TILE) float32: features scaled to [0, 1], weights, cells
    # The same memory as uint32, of which the last row means it; unsigned, because a signed index
    # is tested for counting from the end.
    cells: IntArray
    tiles: IntArray  # int32 numbers of those of the batch


@dataclass(frozen=True, eq=False)
class PackedEvents:
    """Events in the order in which batches draw from them."""

    values: FloatArray  # (tiles, F + 2, TILE) see `Batch`
    count: int  # of events
    hypotheses: int  # H
    processes: int  # P, of background
    ranges: IntArray  # (R, 2) first, and one past the last, of the windows of each range
    batches: int  # of an epoch
    tiles: int  # of all ranks
    ranks: Ranks  # tile number t of all is number t div `ranks.count` of rank t mod that

    def __len__(self) -> int:
        """Number of tiles, without those of other ranks."""
        return len(self.values)

    def batch(self, tiles: IntArray | None = None) -> Batch:
        """The batch of some tiles; of all, in order, if not given."""
        tiles = np.arange(len(self), dtype=np.int32) if tiles is None else tiles
        return Batch(self.values, self.values.view(np.uint32), tiles)

    def epoch(self, rng: Random) -> Batches:
        """Draw the batches of one epoch, the same on all ranks; a single one is not shuffled."""
        if self.batches == 1:
            return self.batch().tiles, np.array([0, len(self)])
        bounds = np.linspace(0, self.tiles, self.batches + 1).round().astype(np.int64)
        drawn = rng.permutation(self.tiles).astype(np.int32)
        mine = drawn % self.ranks.count == self.ranks.number
        before = np.concatenate([[0], np.cumsum(mine)])
        return drawn[mine] // np.int32(self.ranks.count), before[bounds]

    def columns(self) -> tuple[FloatArray, FloatArray, IntArray, IntArray, IntArray]:
        """All events in order: scaled features (n, F), and other columns as of `Events`."""
        features = self.values[:, :-2].transpose(0, 2, 1).reshape(-1, self.values.shape[1] - 2)
        cell = self.batch().cells[:, -1].ravel()
        signal = cell < self.hypotheses
        behind = np.where(signal, 0, cell.astype(np.int64) - self.hypotheses)
        number, process = np.divmod(behind, max(self.processes, 1))
        ranges = self.ranges if len(self.ranges) > 0 else np.zeros((1, 2), np.int64)
        return (
            features,
            self.values[:, -2].ravel(),
            np.where(signal, SIGNAL, process),
            np.where(signal, cell, ranges[number, 0]),
            np.where(signal, cell + np.int64(1), ranges[number, 1]),
        )


def pack(
    sample: Sample[EventStream],
    events: EventStream,
    batch_size: int | None = None,
    rng: Random | None = None,
    *,
    disk: Path | None = None,
    ranks: Ranks = ALONE,
) -> PackedEvents:
    """Pack the training or the validation events of a sample for batches.

    Batches have the size asked for, or as close to it as equal batches come; all events are one if
    there is none. The events are shuffled by `rng`, or packed as they come. They are kept in
    memory, or in files of the folder `disk`; InputError if it has no room for them.
    """
    batches = 1 if batch_size is None else max(1, round(len(events) / batch_size))
    order = np.arange(len(events), dtype=np.int32)
    if rng is not None:
        rng.shuffle(order)
    position = np.empty_like(order)
    position[order] = np.arange(len(order), dtype=np.int32)
    del order
    total = -(-len(events) // TILE)
    hypotheses, processes = len(sample.mass), len(sample.backgrounds)
    own, (low, high) = len(range(ranks.number, total, ranks.count)), sample.scaling
    values = _zeros((own, len(sample.features) + 2, TILE), disk)
    # Number of each range of windows that background lies in, as they are met.
    numbers = np.full((hypotheses + 1, hypotheses + 1), -1, np.int32)
    tile_size = 4 * TILE * (len(sample.features) + 2)  # in bytes
    together = max(1, own if disk is None else FILLED_TOGETHER // tile_size)
    for begin in range(0, own, together):
        at = 0
        for piece in events.pieces():
            _number_ranges(piece, numbers)  # of all events, on every rank
            tile, slot = np.divmod(position[at : at + len(piece)], TILE)
            at += len(piece)
            mine, tile = tile % ranks.count == ranks.number, tile // ranks.count
            mine &= (tile >= begin) & (tile < begin + together)
            some, tile, slot = piece[mine], tile[mine], slot[mine]
            for i, feature in enumerate(some.features):
                values[tile, i, slot] = (feature - low[i]) / (high[i] - low[i])
            values[tile, -2, slot] = some.weight
            cell = hypotheses + processes * numbers[some.start, some.stop] + some.process
            cell = np.where(some.process == SIGNAL, some.start, cell)
            values.view(np.uint32)[tile, -1, slot] = cell
    ranges = np.argwhere(numbers >= 0)[numbers[numbers >= 0].argsort()]
    shape = len(events), hypotheses, processes, ranges, min(batches, total)
    return PackedEvents(values, *shape, total, ranks)


def _zeros(shape: tuple[int, ...], disk: Path | None) -> FloatArray:
    """Zeros in memory, or in a file of a folder, which vanishes with the process."""
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


def _number_ranges(events: Events, numbers: IntArray) -> None:
    """Give the ranges of background that have none so far the next (H + 1, H + 1) numbers."""
    known = numbers.ravel()  # the same memory
    code = events.start.astype(np.int64) * len(numbers) + events.stop
    new = code[(events.process != SIGNAL) & (known[code] < 0)]
    found, first = np.unique(new, return_index=True)
    known[found[first.argsort()]] = known.max() + 1 + np.arange(len(found))


@contextmanager
def open_ranks() -> Iterator[Ranks]:
    """Join the other processes that torchrun has started; without it, there is one alone.

    The cores of a machine are divided between its ranks. InputError if the processes do not find
    each other, or one of them ended without a word; in place of it, or of `Interrupted`, SystemExit
    on all ranks but the one that is first to say what is wrong.
    """
    if rank_and_count()[1] == 1:
        yield ALONE
        return
    try:
        store, rank, count = next(rendezvous("env://"))
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=count)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"The processes of the training do not find each other ({error}); start all of them "
            "with one torchrun."
        ) from error
    numba.set_num_threads(max(1, numba.get_num_threads() // int(os.environ["LOCAL_WORLD_SIZE"])))
    try:
        yield Ranks(rank, count)
    except (InputError, Interrupted, LostRankError) as error:
        # torchrun ends all processes once it sees one lost; not before this one has spoken.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if store.add("speakers", 1) > 1:
            raise SystemExit(130 if isinstance(error, Interrupted) else 1) from None
        if isinstance(error, LostRankError):
            raise InputError(
                "Another process of this training has ended before its time; see to it that it "
                "is not killed (it may need more memory) and run the same command again, which "
                "continues from the last checkpoint."
            ) from error
        raise
    finally:
        distributed.destroy_process_group()
