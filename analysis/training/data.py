"""The events that train, validate and test, read from the tensors.

Only what training can use is kept: background in the window of at least one training hypothesis,
and signal of training hypotheses. Window ranges count training hypotheses. The `Events` of a
`Sample` lie in memory, in columns of 25 bytes an event. `StoredEvents` are read piece by piece
whenever they are gone through: training needs them only once, to pack them into batches.
"""

import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import numpy as np

import punzinet.analysis.io.tensor_events as tensors
from punzinet.analysis.folds import FOLDS, Folds
from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.types import SIGNAL, BoolArray, FloatArray, IntArray, divided
from punzinet.analysis.windows import Windows


@dataclass(frozen=True, eq=False)
class Events:
    """Columns of n events."""

    features: FloatArray  # (F, n) float32, unscaled
    weight: FloatArray  # (n,) float32; Σ weight · ŷ is ε for signal, B for background
    process: IntArray  # (n,) int8, `SIGNAL` or the index of the background process
    start: IntArray  # (n,) int16 first training hypothesis whose window holds the event
    stop: IntArray  # (n,) int16 one past the last; signal lies in its own only

    def __len__(self) -> int:
        return len(self.weight)

    def __getitem__(self, rows: IntArray | BoolArray | slice) -> "Events":
        """The same columns of some of the events; without a copy if they are a slice."""
        features = self.features[:, rows]
        return Events(
            features if isinstance(rows, slice) else np.ascontiguousarray(features),
            *(getattr(self, name)[rows] for name in ("weight", "process", "start", "stop")),
        )

    def pieces(self) -> Iterator["Events"]:
        """All of them in order, not more than `tensor_events.ROWS` at a time."""
        rows = tensors.ROWS
        return (self[start : start + rows] for start in range(0, len(self), rows))


PARTS = ("training", "validation", "test")
#: Sums of weights per hypothesis (H,) and per background (P,).
Totals = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class StoredEvents:
    """The training, validation or test events of Parquet files, which stay there."""

    paths: Sequence[Path]
    windows: Windows
    codes: dict[str, int]  # of processes
    chosen: Folds
    part: int  # of `PARTS`
    count: int

    def __len__(self) -> int:
        return self.count

    def pieces(self) -> Iterator[Events]:
        """See `Events`.

        InputError if a file cannot be read, or holds features that are not finite, or weights
        that are negative or not finite.
        """
        names = self.windows.search.feature_names
        columns = (*names, "process", "weight", "fold")
        for path in self.paths:
            for table, start, stop in tensors.read_in_windows(path, self.windows, columns):
                features = np.stack([table[name].to_numpy() for name in names]).astype(np.float32)
                weight = table["weight"].to_numpy().astype(np.float32)
                if not (np.isfinite(features).all() and np.all((weight >= 0) & (weight < np.inf))):
                    raise InputError(
                        f"{path} holds an event whose features are not finite or whose weight is "
                        "negative or not finite; check the momentum and weight branches of the "
                        "ntuples."
                    )
                process = table["process"].dictionary_encode()
                # A dictionary may list names that no row has.
                known = [self.codes.get(name, SIGNAL) for name in process.dictionary.to_pylist()]
                code = np.array(known, dtype=np.int8)[process.indices.to_numpy()]
                edges = start.astype(np.int16), stop.astype(np.int16)
                mine = self.chosen.rows(table["fold"].to_numpy())[self.part] & (start < stop)
                yield Events(features, weight, code, *edges)[mine]

    def load(self) -> Events:
        """Copy them into memory."""
        kinds = np.float32, np.int8, np.int16, np.int16
        none = np.empty((len(self.windows.search.feature_names), 0), np.float32)
        found = [(none, *(np.empty(0, kind) for kind in kinds))]  # files may hold no event
        found += [tuple(vars(events).values()) for events in self.pieces()]
        return Events(*(np.concatenate(one, axis=-1) for one in zip(*found, strict=True)))


#: Events that can be gone through any number of times, always in the same order.
EventStream = Events | StoredEvents
#: Which of both the parts of a sample are.
Part_co = TypeVar("Part_co", bound=EventStream, covariant=True)


class _Summary(NamedTuple):
    signal: FloatArray  # (H,) sums of weights of the hypotheses
    background: FloatArray  # (P,) and of the processes
    low: FloatArray  # (F,) smallest value of each feature
    high: FloatArray  # (F,) and largest


@dataclass(frozen=True, eq=False)
class Sample(Generic[Part_co]):
    """Training and validation events, what they say of all events, and events that only judge."""

    features: tuple[str, ...]  # F names
    mass: FloatArray  # (H,) of the training hypotheses, GeV
    backgrounds: tuple[str, ...]  # names of the P processes
    known: float  # share of all events that train or validate
    training: Part_co
    validation: Part_co
    test: Part_co  # maybe none; nothing reads them before everything is chosen

    def __post_init__(self) -> None:
        """InputError if a hypothesis has no signal in one part, or there is no background in it."""
        for part, summary in zip(PARTS, self._summaries, strict=False):
            if not np.all(summary.signal > 0):
                missing = ", ".join(f"{m:g}" for m in self.mass[~(summary.signal > 0)])
                raise InputError(
                    f"The {part} sample holds no signal event of the hypotheses {missing} GeV; "
                    "give them more events, or take them out of the training hypotheses."
                )
            if not np.any(summary.background > 0):
                raise InputError(
                    f"The {part} sample holds no background event in any window; check the "
                    "background datasets of the manifest."
                )

    @cached_property
    def _summaries(self) -> tuple[_Summary, _Summary]:
        return self._summary(self.training), self._summary(self.validation)

    def _summary(self, events: EventStream) -> _Summary:
        """Go through events, one after the other, so that rounding is the same for any pieces."""
        signal, background = np.zeros(len(self.mass)), np.zeros(len(self.backgrounds))
        low = np.full(len(self.features), np.inf, np.float32)
        high = -low
        for piece in events.pieces():
            is_signal = piece.process == SIGNAL
            np.add.at(signal, piece.start[is_signal], piece.weight[is_signal])
            np.add.at(background, piece.process[~is_signal], piece.weight[~is_signal])
            low = np.minimum(low, piece.features.min(axis=1, initial=np.inf))
            high = np.maximum(high, piece.features.max(axis=1, initial=-np.inf))
        return _Summary(signal, background, low, high)

    @property
    def training_total(self) -> Totals:
        """`Totals` of the training part."""
        return self._summaries[0][:2]

    @property
    def total(self) -> Totals:
        """`Totals` of all events; test events are not looked at: their share is."""
        one, other = self._summaries
        signal, background = one.signal + other.signal, one.background + other.background
        return signal / self.known, background / self.known

    @property
    def scaling(self) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest value of each feature in the training part, (F,) each."""
        return self._summaries[0].low, self._summaries[0].high

    @property
    def digest(self) -> str:
        """SHA-256 of names, numbers of events, sums of weights and ranges of features."""
        names = self.features, self.backgrounds, len(self.training), len(self.validation)
        arrays = itertools.chain([self.mass], *self._summaries)
        content = repr(names).encode() + b"".join(array.tobytes() for array in arrays)
        return hashlib.sha256(content).hexdigest()


def open_sample(folder: Path, windows: Windows, chosen: Folds) -> Sample[StoredEvents]:
    """Find the events of the tensors, and leave them where they are; see `load_sample`."""
    about, stored = _find(folder, windows, chosen)
    return Sample(*about, *stored)


def load_sample(folder: Path, windows: Windows, chosen: Folds) -> Sample[Events]:
    """Read the tensors into memory, in the order of dataset, file and entry.

    They lie in one Parquet file a chunk, made with the same windows. InputError if there are no
    tensors, one cannot be read, or their events cannot train.
    """
    about, stored = _find(folder, windows, chosen)
    return Sample(*about, *(part.load() for part in stored))


class Judging(NamedTuple):
    """For how many events each of those that judge stands, as where networks are judged."""

    backgrounds: dict[str, float]  # factors on weights, by process
    signal: FloatArray  # (H,) the same by hypothesis of the windows
    fold: int  # of the events that judge


def judging_factors(folder: Path, windows: Windows, chosen: Folds) -> Judging:
    """Measure the factors on the tensors in a folder; InputError if they cannot be read."""
    sums: dict[str, FloatArray] = {}  # of all events, and of those that judge
    for path in tensors.tensor_paths(folder):
        columns = ("process", "weight", "fold")
        for table, start, stop in tensors.read_in_windows(path, windows.every, columns):
            weight = table["weight"].to_numpy() * (start < stop)
            judged = weight * (table["fold"].to_numpy() == chosen.judging)
            process = table["process"].dictionary_encode()
            code = process.indices.to_numpy()
            for number, name in enumerate(process.dictionary.to_pylist()):
                mine = code == number
                where = start[mine] if name == SIGNAL_PROCESS else np.zeros(mine.sum(), np.int64)
                held = [np.bincount(where, w[mine], len(windows) + 1) for w in (weight, judged)]
                sums[name] = sums.get(name, 0.0) + np.array(held)
    factors = {name: divided(whole, own) for name, (whole, own) in sums.items()}
    signal = factors.pop(SIGNAL_PROCESS)[:-1]
    backgrounds = {name: float(factor[0]) for name, factor in factors.items()}
    return Judging(backgrounds, signal, chosen.judging)


def judging_events(folder: Path, windows: Windows, chosen: Folds) -> tensors.TensorEvents:
    """Events that judge, also those between windows, with weights that make them stand for all.

    InputError if tensors cannot be read.
    """
    backgrounds, signal, _ = judging_factors(folder, windows, chosen)
    events = tensors.read_tensor_events(folder, windows.search, fold=chosen.judging, between=True)
    names, code = np.unique(events.process, return_inverse=True)
    factor = np.array([backgrounds.get(name, FOLDS) for name in names])[code]
    factor[events.signal] = signal[windows.index_of(events.mass[events.signal])]
    return replace(events, weight=factor * events.weight)


def _find(
    folder: Path, windows: Windows, chosen: Folds
) -> tuple[tuple[tuple[str, ...], FloatArray, tuple[str, ...], float], list[StoredEvents]]:
    """What a `Sample` is made of, and its `PARTS`; arguments as of `load_sample`."""
    paths = sorted(tensors.tensor_paths(folder), key=_entries)
    for one, other in itertools.pairwise(paths):
        (*before, _, end), (*after, begin, _) = _entries(one), _entries(other)
        if before == after and begin < end:
            raise InputError(
                f"{one} and {other} hold the same entries, in chunks of two runs; delete the files "
                "of one of them, lest events count twice."
            )
    names: list[str] = []
    count = np.zeros(len(PARTS), np.int64)
    for path in paths:
        for table, start, stop in tensors.read_in_windows(path, windows, ("process", "fold")):
            names += sorted({*table["process"].unique().to_pylist()} - {SIGNAL_PROCESS, *names})
            count += np.sum(chosen.rows(table["fold"].to_numpy()[start < stop]), axis=1)
    codes = {name: code for code, name in enumerate(names)} | {SIGNAL_PROCESS: SIGNAL}
    given = paths, windows, codes, chosen
    stored = [StoredEvents(*given, part, size) for part, size in enumerate(count.tolist())]
    mass = windows.mass[windows.training]
    return (windows.search.feature_names, mass, tuple(names), chosen.known), stored


def _entries(path: Path) -> tuple[str, str, int, int]:
    """Dataset, file, first entry and one past the last (``<stem>-<start>-<stop>.parquet``)."""
    name = re.fullmatch(r"(.*)-(\d+)-(\d+)", path.stem)
    stem, start, stop = name.groups() if name else (path.stem, 0, 0)
    return path.parent.name, stem, int(start), int(stop)
