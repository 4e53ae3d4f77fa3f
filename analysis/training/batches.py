"""Batches without copying or shuffling the sample every epoch.

The training events are put on a **shelf** once: copied in an order of their own, in **runs** of
`RUN` neighbouring events. An epoch is a random order of the runs, and a batch the next so many
of them: run numbers are shuffled, and events are read from memory in long stretches. All
networks of an ensemble see the same batches.

The sample is divided into round(events / batch size) batches of equal size, rather than into
full ones and a small rest, on which a non-linear loss means little.

*Random* batches: the order on the shelf is a random permutation of the events, drawn once, and
every epoch has its own random order of the runs. A batch is thus a random subset of the sample;
but the same events share a run in every epoch. Batches differ in size by one run.

*Stratified* batches: a stratum is one background process, or the signal of one hypothesis.
The random permutation is one within strata, runs hold events of one stratum only, and every
batch has the same number of runs of each. They are filled evenly, so that every batch has its
share of every stratum but for one event a run.

Places of a run that hold no event are empty: weight zero, which takes part in nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from analysis.errors import InputError
from analysis.punzi_loss import SIGNAL
from analysis.training.sample import ROWS, Events, EventStream, Source
from analysis.training.storage import IN_MEMORY, Storage
from analysis.types import FloatArray, IntArray

#: Neighbouring events that share the way into a batch. With four features they are 1.5 KiB in
#: one place of the memory, long enough to be read ahead; a run of 16 costs twice the time.
RUN = 64


class Runs(NamedTuple):
    """The runs of a shelf, as compiled code takes them.

    All columns of a run lie together in memory (384 bytes with four features), so that a run
    comes from one place; the sample's columns of their own would come from seven.

    Window sums of a class (all signal, or one background process) are rows of one table of
    H + 1 columns, signal first. An event adds to the place `first`, and takes away at `last`.
    For background these are one row's start and stop, and running sums along the row give the
    windows. Signal belongs to one window and needs no running sum; its `last` is the spare
    column.

    Attributes:
        values: (runs, F + 2, RUN) float32: features scaled to [0, 1], weights, places.
        places: (runs, F + 2, 2 RUN) the same memory as int16; the last row is the `first`, and
            then the `last`, of each event.
    """

    values: FloatArray
    places: IntArray

    def columns(self) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
        """Features (n, F), weights, `first` and `last`, (n,) each, of all places in order."""
        features = self.values[:, :-2].transpose(0, 2, 1).reshape(-1, self.values.shape[1] - 2)
        first, last = self.places[:, -1, :RUN], self.places[:, -1, RUN:]
        return features, self.values[:, -2].ravel(), first.ravel(), last.ravel()


@dataclass(frozen=True, eq=False)
class Shelf:
    """Events in the order in which batches draw from them.

    Attributes:
        runs: The events, with empty places between them.
        events: Number of events proper.
        hypotheses: H.
        classes: 1 + number of background processes.
        count: Number of batches of an epoch.
        strata: (S,) runs of each stratum, which lie one after the other, each a multiple of
            `count`; or the number of runs, if there are no strata.
        rank: Number of this process among those that share the events.
        ranks: How many there are. Of the runs of all of them, number r lies on the shelf of
            rank r mod `ranks`, as its number r div `ranks`.
    """

    runs: Runs
    events: int
    hypotheses: int
    classes: int
    count: int
    strata: IntArray
    rank: int = 0
    ranks: int = 1

    def __len__(self) -> int:
        """Number of runs, without those of other ranks."""
        return len(self.runs.values)

    def in_order(self) -> IntArray:
        """All runs as they lie on the shelf."""
        return np.arange(len(self), dtype=np.int32)

    def batches(self, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Draw the batches of one epoch.

        Args:
            rng: Source of the shuffling; a single batch is not shuffled.

        Returns:
            The (runs,) int32 order of runs, and the (count + 1,) bounds of the batches in it.
            All ranks draw the same, and keep what is theirs.
        """
        if self.count == 1:
            return self.in_order(), np.array([0, len(self)])
        bounds = np.linspace(0, self.strata.sum(), self.count + 1).round().astype(np.int64)
        order = [
            (rng.permutation(runs) + begin).astype(np.int32)
            for begin, runs in zip(self.strata.cumsum() - self.strata, self.strata, strict=True)
        ]
        drawn = (
            np.concatenate([runs.reshape(self.count, -1) for runs in order], axis=1).ravel()
            if len(order) > 1
            else order[0]
        )
        if self.ranks == 1:
            return drawn, bounds
        mine = drawn % self.ranks == self.rank
        before = np.concatenate([[0], np.cumsum(mine)])
        return drawn[mine] // np.int32(self.ranks), before[bounds]


def batch_count(events: int, batch_size: int | None) -> int:
    """Number of equal batches that come closest to the size asked for; None is all at once."""
    return 1 if batch_size is None else max(1, round(events / batch_size))


@dataclass(frozen=True)
class Room:
    """Where a shelf is put up, and which part of it.

    Attributes:
        storage: Keeps its events.
        rank: See `Shelf`.
        ranks: See `Shelf`.
    """

    storage: Storage = IN_MEMORY
    rank: int = 0
    ranks: int = 1


def shelve(source: Source, events: EventStream, room: Room | None = None) -> Shelf:
    """Put events on a shelf as they come, to be taken all at once.

    Args:
        source: Where they are from, for its scaling, hypotheses and processes.
        events: Those that go on the shelf.
        room: Where to put it up; in memory, and all of it, if not given.
    """
    runs = np.array([-(-len(events) // RUN)])
    room = Room() if room is None else room
    place = _counted(len(events), room.storage)
    return _put(source, events, place, strata=runs, count=1, room=room)


def shelve_random(
    source: Source,
    events: EventStream,
    batch_size: int | None,
    rng: np.random.Generator,
    room: Room | None = None,
) -> Shelf:
    """Put events on a shelf for random batches.

    Args:
        source: Where they are from, for its scaling, hypotheses and processes.
        events: Those that go on the shelf.
        batch_size: Events a batch; None for all at once.
        rng: Source of their order.
        room: Where to put it up; in memory, and all of it, if not given.
    """
    room = Room() if room is None else room
    order = _counted(len(events), room.storage)
    rng.shuffle(order)
    place = room.storage.zeros((len(events),), np.int32)
    for start in range(0, len(events), ROWS):
        part = order[start : start + ROWS]
        place[part] = np.arange(start, start + len(part))
    del order
    runs = np.array([-(-len(events) // RUN)])
    count = batch_count(len(events), batch_size)
    return _put(source, events, place, strata=runs, count=count, room=room)


def shelve_stratified(
    source: Source,
    events: EventStream,
    batch_size: int | None,
    rng: np.random.Generator,
    room: Room | None = None,
) -> Shelf:
    """Put events on a shelf for stratified batches; arguments as of `shelve_random`."""
    room = Room() if room is None else room
    hypotheses, backgrounds = len(source.mass), len(source.backgrounds)
    count = batch_count(len(events), batch_size)
    stratum = room.storage.zeros((len(events),), np.int16)
    at = 0
    for piece in events.pieces():
        stratum[at : at + len(piece)] = np.where(
            piece.process == SIGNAL, piece.start, hypotheses + piece.process
        )
        at += len(piece)
    sizes = np.bincount(stratum, minlength=hypotheses + backgrounds)
    runs = count * -(-sizes // (count * RUN))
    begin = runs.cumsum() - runs
    held, extra = np.divmod(sizes, np.maximum(runs, 1))  # the first `extra` runs hold one more
    order = _counted(len(events), room.storage)
    rng.shuffle(order)
    place = room.storage.zeros((len(events),), np.int32)
    taken = np.zeros(len(sizes), np.int64)
    for start in range(0, len(events), ROWS):
        part = order[start : start + ROWS]
        part = part[np.argsort(stratum[part], kind="stable")]
        kind = stratum[part]
        numbers = np.bincount(kind, minlength=len(sizes))
        # How many of its stratum come before each event.
        rank = np.arange(len(part)) + (taken - (numbers.cumsum() - numbers))[kind]
        taken += numbers
        full = extra[kind] * (held[kind] + 1)
        early, late = (
            np.divmod(rank, held[kind] + 1),
            np.divmod(rank - full, np.maximum(held[kind], 1)),
        )
        run, slot = np.where(rank < full, early, (late[0] + extra[kind], late[1]))
        place[part] = (begin[kind] + run) * RUN + slot
    del order, stratum
    return _put(source, events, place, strata=runs, count=count, room=room)


def _counted(count: int, storage: Storage) -> IntArray:
    """The numbers from 0 to `count`."""
    numbers = storage.zeros((count,), np.int32)
    for start in range(0, count, ROWS):
        numbers[start : start + ROWS] = np.arange(start, min(start + ROWS, count))
    return numbers


def _put(
    source: Source,
    events: EventStream,
    place: IntArray,
    *,
    strata: IntArray,
    count: int,
    room: Room,
) -> Shelf:
    """Put events in their places.

    Args:
        source: Where they are from, for its scaling, hypotheses and processes.
        events: The n events.
        place: (n,) place of each.
        strata: See `Shelf`.
        count: Number of batches, but not more than there are runs.
        room: Where to put up the shelf.

    Raises:
        InputError: If there are too many hypotheses and processes to number their windows, or
            there is no room.
    """
    hypotheses, backgrounds = len(source.mass), len(source.backgrounds)
    if (backgrounds + 1) * (hypotheses + 1) > np.iinfo(np.int16).max:
        raise InputError(
            f"{hypotheses} training hypotheses times {backgrounds + 1} processes are too many to "
            "train on; keep (hypotheses + 1) times processes below 32767."
        )
    total = int(strata.sum())
    own = len(range(room.rank, total, room.ranks))
    values = room.storage.zeros((own, len(source.features) + 2, RUN), np.float32)
    runs = Runs(values, values.view(np.int16))
    span = own if room.storage.folder is None else max(1, room.storage.span // values[:1].nbytes)
    for begin in range(0, own, max(span, 1)):
        at = 0
        for piece in events.pieces():
            run, slot = np.divmod(place[at : at + len(piece)], RUN)
            at += len(piece)
            mine, run = run % room.ranks == room.rank, run // room.ranks
            mine &= (run >= begin) & (run < begin + span)
            if not mine.all():
                piece, run, slot = piece[mine], run[mine], slot[mine]  # noqa: PLW2901 - narrowed
            _copy(source, piece, runs, run, slot)
    return Shelf(
        runs,
        len(events),
        hypotheses,
        backgrounds + 1,
        min(count, total),
        strata,
        room.rank,
        room.ranks,
    )


def _copy(source: Source, events: Events, runs: Runs, run: IntArray, slot: IntArray) -> None:
    """Copy events into runs.

    Args:
        source: Where they are from, for its scaling, hypotheses and processes.
        events: The n events.
        runs: Changed.
        run: (n,) run of each event.
        slot: (n,) its place in the run.
    """
    low, high = source.scaling
    for i in range(len(low)):
        runs.values[run, i, slot] = (events.features[i] - low[i]) / (high[i] - low[i])
    runs.values[run, -2, slot] = events.weight
    hypotheses = np.int16(len(source.mass))
    offset = (events.process.astype(np.int16) + 1) * (hypotheses + 1)
    last = np.where(events.process == SIGNAL, hypotheses, offset + events.stop)
    runs.places[run, -1, slot] = offset + events.start
    runs.places[run, -1, RUN + slot] = last
