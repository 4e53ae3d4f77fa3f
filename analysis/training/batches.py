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

from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import ROWS, Events, EventStream, Source
from punzinet.analysis.training.storage import IN_MEMORY, Storage
from punzinet.analysis.types import FloatArray, IntArray

#: Neighbouring events that share the way into a batch. With four features they are 1.5 KiB in
#: one place of the memory, long enough to be read ahead; a run of 16 costs twice the time.
RUN = 64


class Runs(NamedTuple):
    """The runs of a shelf, as compiled code takes them.

    All columns of a run lie together in memory (384 bytes with four features), so that a run
    comes from one place; the sample's columns of their own would come from seven.

    Events that count in the same windows have the same *place* in a table of sums. Signal of
    hypothesis h has place h. The windows that a background event lies in are neighbours, and
    there are few such *ranges* of windows: background process p of range r has place
    H + P·r + p. What a window holds is the sum over its places.

    Attributes:
        values: (runs, F + 2, RUN) float32: features scaled to [0, 1], weights, places.
        places: (runs, F + 2, RUN) the same memory as uint32, of which the last row means it;
            unsigned, because a signed index is tested for counting from the end.
    """

    values: FloatArray
    places: IntArray

    def columns(self) -> tuple[FloatArray, FloatArray, IntArray]:
        """Features (n, F), weights and places, (n,) each, of all events in order."""
        features = self.values[:, :-2].transpose(0, 2, 1).reshape(-1, self.values.shape[1] - 2)
        return features, self.values[:, -2].ravel(), self.places[:, -1].ravel()


@dataclass(frozen=True, eq=False)
class Shelf:
    """Events in the order in which batches draw from them.

    Attributes:
        runs: The events, with empty places between them.
        events: Number of events proper.
        hypotheses: H.
        backgrounds: P, number of background processes.
        ranges: (R, 2) first, and one past the last, of the windows of each range.
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
    backgrounds: int
    ranges: IntArray
    count: int
    strata: IntArray
    rank: int = 0
    ranks: int = 1

    def __len__(self) -> int:
        """Number of runs, without those of other ranks."""
        return len(self.runs.values)

    @property
    def places(self) -> int:
        """Number of places, see `Runs`."""
        return self.hypotheses + self.backgrounds * len(self.ranges)

    def windows_of(self, place: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """What events with the given places are.

        Args:
            place: (n,) places, see `Runs`.

        Returns:
            (n,) int64 process codes, first windows, and one past the last windows.
        """
        signal = place < self.hypotheses
        behind = np.where(signal, 0, place.astype(np.int64) - self.hypotheses)
        number, process = np.divmod(behind, max(self.backgrounds, 1))
        ranges = self.ranges if len(self.ranges) > 0 else np.zeros((1, 2), np.int64)
        return (
            np.where(signal, SIGNAL, process),
            np.where(signal, place, ranges[number, 0]),
            np.where(signal, place + np.int64(1), ranges[number, 1]),
        )

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
        InputError: If there is no room.
    """
    total = int(strata.sum())
    own = len(range(room.rank, total, room.ranks))
    values = room.storage.zeros((own, len(source.features) + 2, RUN), np.float32)
    runs = Runs(values, values.view(np.uint32))
    ranges = _Ranges(len(source.mass))
    span = own if room.storage.folder is None else max(1, room.storage.span // values[:1].nbytes)
    for begin in range(0, own, max(span, 1)):
        at = 0
        for piece in events.pieces():
            run, slot = np.divmod(place[at : at + len(piece)], RUN)
            at += len(piece)
            ranges.note(piece)
            mine, run = run % room.ranks == room.rank, run // room.ranks
            mine &= (run >= begin) & (run < begin + span)
            if not mine.all():
                piece, run, slot = piece[mine], run[mine], slot[mine]  # noqa: PLW2901 - narrowed
            _copy(source, piece, ranges, runs, (run, slot))
    return Shelf(
        runs,
        len(events),
        len(source.mass),
        len(source.backgrounds),
        ranges.known(),
        min(count, total),
        strata,
        room.rank,
        room.ranks,
    )


class _Ranges:
    """Ranges of windows that background lies in, numbered as they are met."""

    def __init__(self, hypotheses: int) -> None:
        self._width = hypotheses + 1
        self._number = np.full(self._width**2, -1, np.int32)
        self._codes: list[int] = []

    def note(self, events: Events) -> None:
        """Number the ranges of some events; all ranks have to note all events."""
        codes = self._code(events)[events.process != SIGNAL]
        found, first = np.unique(codes[self._number[codes] < 0], return_index=True)
        for code in found[first.argsort()].tolist():
            self._number[code] = len(self._codes)
            self._codes.append(code)

    def of(self, events: Events) -> IntArray:
        """(n,) the number of each background event's range; anything for signal."""
        return self._number[self._code(events)]

    def known(self) -> IntArray:
        """(R, 2) first, and one past the last, window of each range so far."""
        return np.stack(np.divmod(np.array(self._codes, np.int64), self._width), axis=1)

    def _code(self, events: Events) -> IntArray:
        """Both ends of each event's range in one number."""
        code: IntArray = events.start.astype(np.int64) * self._width + events.stop
        return code


def _copy(
    source: Source, events: Events, ranges: _Ranges, runs: Runs, at: tuple[IntArray, IntArray]
) -> None:
    """Copy events into runs.

    Args:
        source: Where they are from, for its scaling, hypotheses and processes.
        events: The n events.
        ranges: Knows the ranges of all of them.
        runs: Changed.
        at: (n,) run of each event, and (n,) its slot in there.
    """
    run, slot = at
    low, high = source.scaling
    for i in range(len(low)):
        runs.values[run, i, slot] = (events.features[i] - low[i]) / (high[i] - low[i])
    runs.values[run, -2, slot] = events.weight
    backgrounds = len(source.mass) + len(source.backgrounds) * ranges.of(events) + events.process
    runs.places[run, -1, slot] = np.where(events.process == SIGNAL, events.start, backgrounds)
