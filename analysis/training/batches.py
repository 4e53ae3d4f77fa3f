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
from analysis.training.sample import Events, Sample
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
    """

    runs: Runs
    events: int
    hypotheses: int
    classes: int
    count: int
    strata: IntArray

    def __len__(self) -> int:
        """Number of runs."""
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
        """
        if self.count == 1:
            return self.in_order(), np.array([0, len(self)])
        bounds = np.linspace(0, len(self), self.count + 1).round().astype(np.int64)
        order = [
            (rng.permutation(runs) + begin).astype(np.int32)
            for begin, runs in zip(self.strata.cumsum() - self.strata, self.strata, strict=True)
        ]
        if len(order) == 1:
            return order[0], bounds
        return np.concatenate(
            [runs.reshape(self.count, -1) for runs in order], axis=1
        ).ravel(), bounds


def batch_count(events: int, batch_size: int | None) -> int:
    """Number of equal batches that come closest to the size asked for; None is all at once."""
    return 1 if batch_size is None else max(1, round(events / batch_size))


def shelve(sample: Sample, events: Events) -> Shelf:
    """Put events on a shelf as they come, to be taken all at once.

    Args:
        sample: The sample, for its scaling, hypotheses and processes.
        events: Its events that go on the shelf.
    """
    return _random(sample, events, np.arange(len(events)), 1)


def shelve_random(
    sample: Sample, events: Events, batch_size: int | None, rng: np.random.Generator
) -> Shelf:
    """Put events on a shelf for random batches.

    Args:
        sample: The sample, for its scaling, hypotheses and processes.
        events: Its events that go on the shelf.
        batch_size: Events a batch; None for all at once.
        rng: Source of their order.
    """
    order = rng.permutation(len(events))
    return _random(sample, events, order, batch_count(len(events), batch_size))


def _random(sample: Sample, events: Events, order: IntArray, count: int) -> Shelf:
    """Put events on a shelf in a given (n,) order, for a number of batches."""
    runs = -(-len(events) // RUN)
    places = np.full(runs * RUN, -1, dtype=np.int32)
    places[: len(events)] = order
    return Shelf(
        _fill(sample, events, places),
        len(events),
        len(sample.mass),
        len(sample.backgrounds) + 1,
        min(count, runs),
        np.array([runs]),
    )


def shelve_stratified(
    sample: Sample, events: Events, batch_size: int | None, rng: np.random.Generator
) -> Shelf:
    """Put events on a shelf for stratified batches; arguments as of `shelve_random`."""
    hypotheses, backgrounds = len(sample.mass), len(sample.backgrounds)
    count = batch_count(len(events), batch_size)
    stratum = np.where(events.process == SIGNAL, events.start, hypotheses + events.process)
    order = rng.permutation(len(events)).astype(np.int32)
    order = order[np.argsort(stratum[order], kind="stable")]
    sizes = np.bincount(stratum, minlength=hypotheses + backgrounds)
    parts, strata = [], []
    for rows in np.split(order, np.cumsum(sizes)[:-1]):
        runs = count * -(-len(rows) // (count * RUN))
        places = np.full((runs, RUN), -1, dtype=np.int32)
        held = np.full(runs, len(rows) // max(runs, 1))
        held[: len(rows) % max(runs, 1)] += 1
        places[np.arange(RUN) < held[:, np.newaxis]] = rows
        parts.append(places.ravel())
        strata.append(runs)
    return Shelf(
        _fill(sample, events, np.concatenate(parts)),
        len(events),
        hypotheses,
        backgrounds + 1,
        count,
        np.array(strata),
    )


def _fill(sample: Sample, events: Events, places: IntArray) -> Runs:
    """Copy events to their places.

    Args:
        sample: The sample, for its scaling, hypotheses and processes.
        events: The n events.
        places: Event in each place, -1 for none.

    Raises:
        InputError: If there are too many hypotheses and processes to number their windows.
    """
    hypotheses, backgrounds = len(sample.mass), len(sample.backgrounds)
    width = hypotheses + 1
    if (backgrounds + 1) * width > np.iinfo(np.int16).max:
        raise InputError(
            f"{hypotheses} training hypotheses times {backgrounds + 1} processes are too many to "
            "train on; keep (hypotheses + 1) times processes below 32767."
        )
    empty = places < 0
    low, high = sample.scaling
    values = np.zeros((len(places) // RUN, len(low) + 2, RUN), dtype=np.float32)
    numbers = values.view(np.int16)
    for i in range(len(low)):
        scaled = (events.features[i][places] - low[i]) / (high[i] - low[i])
        values[:, i] = np.where(empty, np.float32(0), scaled).reshape(-1, RUN)
    values[:, -2] = np.where(empty, np.float32(0), events.weight[places]).reshape(-1, RUN)
    offset = (events.process.astype(np.int16) + 1) * np.int16(width)
    last = np.where(events.process == SIGNAL, np.int16(hypotheses), offset + events.stop)
    for half, place in (
        (numbers[:, -1, :RUN], offset + events.start),
        (numbers[:, -1, RUN:], last),
    ):
        half[:] = np.where(empty, np.int16(0), place[places]).reshape(-1, RUN)
    return Runs(values, numbers)
