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

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

import numba
import numpy as np
import pyarrow as pa
import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.workers import rank_and_count
from punzinet.analysis.training.data import Events, Sample
from punzinet.analysis.types import SIGNAL, FloatArray, IntArray, Random

#: Neighbouring events that share the way into a batch, with four features 1.5 KiB in one place of
#: the memory, long enough to be read ahead; a tile of 16 costs twice the time.
TILE = 64
#: The (tiles,) int32 order of the tiles of an epoch, and the (batches + 1,) bounds of the batches.
Batches = tuple[IntArray, IntArray]


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, as one of them sees them: number `number` of `count`."""

    number: int = 0
    count: int = 1

    def sum_tensor(self, values: torch.Tensor) -> torch.Tensor:
        """Add up tensors over all ranks, the same to the last bit on each.

        All ranks share the one loss that comes of it: the gradient with respect to a rank's own
        values is that with respect to the sum. InputError if another process has ended.
        """
        if self.count == 1:
            return values
        total = values.clone()
        try:
            distributed.all_reduce(total.detach())  # in place, behind the back of the gradient
        except RuntimeError as error:
            raise InputError(
                "Another process of this training has ended before its time; see to it that it "
                "is not killed (it may need more memory) and run the same command again, which "
                "continues from the last checkpoint."
            ) from error
        return total

    def sum(self, values: FloatArray) -> FloatArray:
        """Add up arrays over all ranks, see `sum_tensor`."""
        if self.count == 1:
            return values
        return self.sum_tensor(torch.from_numpy(np.ascontiguousarray(values))).numpy()

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
        cell = self.batch().cells[:, -1].ravel().astype(np.int64)
        signal = cell < self.hypotheses
        number, process = np.divmod(np.where(signal, 0, cell - self.hypotheses), self.processes)
        start, stop = np.where(signal, (cell, cell + 1), self.ranges[number].T)
        return features, self.values[:, -2].ravel(), np.where(signal, SIGNAL, process), start, stop


def pack(
    sample: Sample,
    events: Events,
    batch_size: int | None = None,
    rng: Random | None = None,
    ranks: Ranks = ALONE,
) -> PackedEvents:
    """Pack the training or the validation events of a sample for batches.

    Batches have the size asked for, or as close to it as equal batches come; all events are one if
    there is none. The events are shuffled by `rng`, or packed as they come.
    """
    batches = 1 if batch_size is None else max(1, round(len(events) / batch_size))
    total = -(-len(events) // TILE)
    places = np.full(total * TILE, -1, np.int32)
    order = places[: len(events)]
    order[:] = np.arange(len(events))
    if rng is not None:
        rng.shuffle(order)
    places = places.reshape(total, TILE)[ranks.number :: ranks.count]
    hypotheses, processes = len(sample.mass), len(sample.backgrounds)
    background, cell = events.process != SIGNAL, events.start.astype(np.uint32)
    code = (hypotheses + 1) * events.start.astype(np.int64) + events.stop
    ranges = pa.array(code[background]).dictionary_encode()  # numbered as they are met
    number = ranges.indices.to_numpy()
    cell[background] = hypotheses + processes * number + events.process[background]
    features = zip(events.features, *sample.scaling, strict=True)
    scaled = ((feature - low) / (high - low) for feature, low, high in features)
    values = np.empty((len(places), len(sample.features) + 2, TILE), np.float32)
    for i, column in enumerate(itertools.chain(scaled, (events.weight, cell.view(np.float32)))):
        values[:, i] = np.where(places < 0, np.float32(0), column[places])
    edges = np.stack(np.divmod(ranges.dictionary.to_numpy(), hypotheses + 1), axis=-1)
    shape = len(events), hypotheses, processes, edges, min(batches, total)
    return PackedEvents(values, *shape, total, ranks)


@contextmanager
def open_ranks() -> Iterator[Ranks]:
    """Join the other processes that torchrun has started; without it, there is one alone.

    The cores of a machine are divided between its ranks. InputError if the processes do not find
    each other. What ends them all is raised by the first of them, SystemExit by the others.
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
    except (InputError, KeyboardInterrupt) as error:
        # torchrun ends all processes once it sees one lost; not before this one has spoken.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if store.add("speakers", 1) > 1:
            raise SystemExit(1 if isinstance(error, InputError) else 130) from None
        raise
    finally:
        distributed.destroy_process_group()
