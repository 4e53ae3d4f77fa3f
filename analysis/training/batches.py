"""Batches without copying or shuffling the sample every epoch.

The training events are put on a **shelf** once: copied in an order of their own, in **runs** of
`RUN` neighbouring events. An epoch is a random order of the runs, and a batch the next so many
of them; only run numbers are shuffled (0.25 bytes an event), and each run is read from memory
as whole cache lines. All networks of an ensemble see the same batches.

*Random* batches: the order on the shelf is a random permutation of the events, drawn once. A
batch is then a random subset of the sample, in which events only share the fate of the fifteen
random others of their run.

*Stratified* batches: a stratum is one background process or the signal of one hypothesis. Runs
hold events of one stratum only, and every batch receives its share of the runs of each
stratum, to ± 1 run. Runs of a rare stratum are filled only partly, so that there are at least
`RUNS_PER_BATCH` of them for each batch.

Places of a run that hold no event (and those at the end of the shelf) are empty: weight zero,
which takes part in nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from analysis.errors import InputError
from analysis.punzi_loss import SIGNAL
from analysis.training.sample import Events, Sample
from analysis.types import FloatArray, IntArray

#: Neighbouring events that share the way into a batch: one cache line of single-precision
#: numbers, one vector register of the widest kind.
RUN = 16
#: Runs of each stratum that a stratified batch shall hold at least, events permitting.
RUNS_PER_BATCH = 4


class Columns(NamedTuple):
    """Columns of the events on a shelf, as compiled code takes them.

    Window sums of a class (all signal, or one background process) are rows of one table of
    H + 1 columns, signal first. An event adds to the place `first`, and takes away at `last`.
    For background these are one row's start and stop, and running sums along the row give the
    windows. Signal belongs to one window and needs no running sum; its `last` is the spare
    column.

    Attributes:
        features: (F, n) float32 features scaled to [0, 1].
        weight: (n,) float32 weights.
        first: (n,) int16 place in the flattened table.
        last: (n,) int16 place in the flattened table.
    """

    features: FloatArray
    weight: FloatArray
    first: IntArray
    last: IntArray


@dataclass(frozen=True, eq=False)
class Shelf:
    """Events in the order in which batches draw from them.

    Attributes:
        columns: The events, RUN · `runs` of them including empty places.
        events: Number of events proper.
        hypotheses: H.
        classes: 1 + number of background processes.
        strata: (S,) runs of each stratum, which lie one after the other; one if unstratified.
    """

    columns: Columns
    events: int
    hypotheses: int
    classes: int
    strata: IntArray

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len(self.columns.weight) // RUN

    def in_order(self) -> IntArray:
        """All runs as they lie on the shelf."""
        return np.arange(self.runs, dtype=np.int32)

    def batches(
        self, batch_size: int | None, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray]:
        """Draw the batches of one epoch.

        The sample is divided into round(events / batch_size) batches, equal to one run, rather
        than into full ones and a small rest, on which a non-linear loss means little.

        Args:
            batch_size: Events a batch; None takes all at once, in order.
            rng: Source of the shuffling.

        Returns:
            The (runs,) int32 order of runs, and the (batches + 1,) bounds of the batches in it.
        """
        count = batch_count(self.events, batch_size)
        if count == 1:
            return self.in_order(), np.array([0, self.runs])
        order = [
            first + rng.permutation(np.int32(runs)).astype(np.int32)
            for first, runs in zip(np.cumsum(self.strata) - self.strata, self.strata, strict=True)
        ]
        if len(self.strata) == 1:
            return order[0].astype(np.int32), np.linspace(0, self.runs, count + 1).round().astype(
                int
            )
        batch = np.concatenate(
            [
                np.minimum((np.arange(runs) + rng.random()) * (count / runs), count - 1).astype(int)
                for runs in self.strata
            ]
        )
        sorted_runs = np.concatenate(order).astype(np.int32)[np.argsort(batch, kind="stable")]
        bounds = np.concatenate(([0], np.cumsum(np.bincount(batch, minlength=count))))
        return sorted_runs, bounds


def batch_count(events: int, batch_size: int | None) -> int:
    """Number of equal batches that come closest to the size asked for."""
    return 1 if batch_size is None else max(1, round(events / batch_size))


def shelve(
    sample: Sample,
    events: Events,
    order: IntArray | None = None,
) -> Shelf:
    """Put events on a shelf for random batches, or as they come.

    Args:
        sample: The sample, for its scaling, hypotheses and processes.
        events: Its n events that go on the shelf.
        order: (n,) permutation of the events; as they come if not given.
    """
    n = len(events)
    places = np.full(-(-n // RUN) * RUN, -1, dtype=np.int32)
    places[:n] = np.arange(n) if order is None else order
    runs = np.array([len(places) // RUN])
    return _fill(sample, events, places, runs)


def shelve_stratified(
    sample: Sample,
    events: Events,
    batch_size: int | None,
    rng: np.random.Generator,
) -> Shelf:
    """Put events on a shelf for stratified batches.

    Args:
        sample: The sample, for its scaling, hypotheses and processes.
        events: Its n events that go on the shelf.
        batch_size: Events a batch that is going to be asked for.
        rng: Source of the order within strata.
    """
    hypotheses, backgrounds = len(sample.mass), len(sample.backgrounds)
    count = batch_count(len(events), batch_size)
    signal = events.process == SIGNAL
    stratum = np.where(signal, events.start.astype(int), hypotheses + events.process)
    order = rng.permutation(len(events)).astype(np.int32)
    order = order[np.argsort(stratum[order].astype(np.int16), kind="stable")]
    sizes = np.bincount(stratum, minlength=hypotheses + backgrounds)
    parts, runs = [], []
    for rows in np.split(order, np.cumsum(sizes)[:-1]):
        if not len(rows):
            continue
        filled = int(np.clip(len(rows) // (RUNS_PER_BATCH * count), 1, RUN))
        places = np.full((-(-len(rows) // filled), RUN), -1, dtype=np.int32)
        full = len(rows) // filled
        places[:full, :filled] = rows[: full * filled].reshape(full, filled)
        places[full:, : len(rows) - full * filled] = rows[full * filled :]
        parts.append(places.ravel())
        runs.append(len(places))
    return _fill(sample, events, np.concatenate(parts), np.array(runs))


def _fill(
    sample: Sample,
    events: Events,
    places: IntArray,
    strata: IntArray,
) -> Shelf:
    """Copy events to their places.

    Args:
        sample: The sample, for its scaling, hypotheses and processes.
        events: Its n events that go on the shelf.
        places: Event in each place, -1 for none.
        strata: (S,) runs of each stratum.

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
    features = np.empty((len(low), len(places)), dtype=np.float32)
    for row, values, smallest, largest in zip(features, events.features, low, high, strict=True):
        row[:] = (values[places] - smallest) / (largest - smallest)
        row[empty] = 0
    offset = ((events.process.astype(np.int16) + 1) * width).astype(np.int16)
    signal = events.process == SIGNAL
    first = offset + events.start
    last = np.where(signal, np.int16(hypotheses), offset + events.stop)
    columns = Columns(
        features,
        np.where(empty, np.float32(0), events.weight[places]),
        np.where(empty, np.int16(0), first[places]),
        np.where(empty, np.int16(0), last[places]),
    )
    return Shelf(columns, len(events), hypotheses, backgrounds + 1, strata)
