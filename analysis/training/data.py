"""The events that train and validate, read from the tensors.

Columns are arrays of their own (structure of arrays), 25 bytes an event. Only what training
can use is kept: background in the window of at least one training hypothesis, and signal of
training hypotheses. Window ranges count training hypotheses.

A `Sample` holds them in memory. `TensorFiles` reads them anew whenever they are asked for, piece
by piece, and holds no more than one: training needs them only to put them on a shelf.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.manifest.datasets import SIGNAL as SIGNAL_PROCESS
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.types import BoolArray, FloatArray, IntArray
from punzinet.analysis.windows import Windows

COLUMNS = ("process", "window_start", "window_stop", "weight", "fold")
#: Events that are handled at once, which bounds what that needs beyond the sample itself.
ROWS = 200_000


class EventStream(Protocol):
    """Events that can be gone through any number of times, always in the same order."""

    def __len__(self) -> int:
        """How many there are."""

    def pieces(self) -> "Iterator[Events]":
        """All of them, not more than `ROWS` at a time."""


@dataclass(frozen=True, eq=False)
class Events:
    """Columns of n events.

    Attributes:
        features: (F, n) float32 unscaled features.
        weight: (n,) float32; Σ weight · ŷ is an efficiency for signal, and the events expected
            at the target luminosity for background.
        process: (n,) int8, `SIGNAL` or the index of the background process.
        start: (n,) int16 first training hypothesis whose window holds the event.
        stop: (n,) int16 one past the last; signal lies in its own only.
    """

    features: FloatArray
    weight: FloatArray
    process: IntArray
    start: IntArray
    stop: IntArray

    def __len__(self) -> int:
        return len(self.weight)

    def __getitem__(self, rows: IntArray | BoolArray | slice) -> "Events":
        """The same columns of some of the events; without a copy if they are a slice."""
        features = self.features[:, rows]
        return Events(
            features if isinstance(rows, slice) else np.ascontiguousarray(features),
            self.weight[rows],
            self.process[rows],
            self.start[rows],
            self.stop[rows],
        )

    def pieces(self) -> "Iterator[Events]":
        """See `EventStream`."""
        for start in range(0, len(self), ROWS):
            yield self[start : start + ROWS]


@dataclass(frozen=True, eq=False)
class _Summary:
    """What a stream of events amounts to.

    Attributes:
        signal: (H,) sums of weights of the signal hypotheses.
        background: (P,) sums of weights of the background processes.
        low: (F,) smallest value of each feature.
        high: (F,) largest value of each feature.
        digest: SHA-256 of all columns.
    """

    signal: FloatArray
    background: FloatArray
    low: FloatArray
    high: FloatArray
    digest: str

    @classmethod
    def of(cls, events: EventStream, features: int, hypotheses: int, processes: int) -> "_Summary":
        """Go through the events; how they are divided into pieces does not matter.

        Args:
            events: The events.
            features: F.
            hypotheses: H.
            processes: P.
        """
        signal, background = np.zeros(hypotheses), np.zeros(processes)
        low = np.full(features, np.inf, np.float32)
        high = np.full(features, -np.inf, np.float32)
        checksums = [hashlib.sha256() for _ in range(features + 4)]
        for piece in events.pieces():
            is_signal = piece.process == SIGNAL
            # One event after the other, so that rounding is the same for any pieces.
            np.add.at(signal, piece.start[is_signal], piece.weight[is_signal])
            np.add.at(background, piece.process[~is_signal], piece.weight[~is_signal])
            low = np.minimum(low, piece.features.min(axis=1, initial=np.inf))
            high = np.maximum(high, piece.features.max(axis=1, initial=-np.inf))
            columns = (*piece.features, piece.weight, piece.process, piece.start, piece.stop)
            for checksum, column in zip(checksums, columns, strict=True):
                checksum.update(np.ascontiguousarray(column).data)
        digest = "".join(checksum.hexdigest() for checksum in checksums)
        return cls(signal, background, low, high, hashlib.sha256(digest.encode()).hexdigest())


class Source:
    """Training and validation events, and what they sum up to together.

    Attributes:
        features: Names of the F features.
        mass: (H,) masses of the training hypotheses in GeV.
        backgrounds: Names of the P background processes.
        training: Events that are trained on.
        validation: Events of the validation fold.
    """

    features: tuple[str, ...]
    mass: FloatArray
    backgrounds: tuple[str, ...]
    training: EventStream
    validation: EventStream

    def check(self) -> None:
        """Check that there is something to train on.

        Raises:
            InputError: If a hypothesis has no signal, or there is no background, in the
                training or the validation part.
        """
        for part, summary in zip(("training", "validation"), self._summaries, strict=True):
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
        """What training and validation part amount to."""
        sizes = len(self.features), len(self.mass), len(self.backgrounds)
        return _Summary.of(self.training, *sizes), _Summary.of(self.validation, *sizes)

    @property
    def training_totals(self) -> tuple[FloatArray, FloatArray]:
        """Sums of weights per hypothesis (H,) and per background (P,) of the training part."""
        return self._summaries[0].signal, self._summaries[0].background

    @property
    def total(self) -> tuple[FloatArray, FloatArray]:
        """Sums of weights per hypothesis (H,) and per background (P,) of all events."""
        training, validation = self._summaries
        return training.signal + validation.signal, training.background + validation.background

    @property
    def scaling(self) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest value of each feature in the training part, (F,) each."""
        return self._summaries[0].low, self._summaries[0].high

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        names = [*self.features, *(repr(float(m)) for m in self.mass), *self.backgrounds]
        names += [summary.digest for summary in self._summaries]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Sample(Source):
    """Training and validation events in memory; see `Source`."""

    features: tuple[str, ...]
    mass: FloatArray
    backgrounds: tuple[str, ...]
    training: Events
    validation: Events

    def __post_init__(self) -> None:
        """Check that there is something to train on.

        Raises:
            InputError: If not, see `check`.
        """
        self.check()


class TensorFiles(Source):
    """Training and validation events in Parquet files, read whenever they are needed.

    Events are in the order of dataset, file and entry, whatever chunks they were written in.
    """

    def __init__(self, folder: Path, windows: Windows, validation_fold: int) -> None:
        """Find out what there is.

        Args:
            folder: Where the tensors lie, one Parquet file a chunk.
            windows: The windows that the tensors were made with.
            validation_fold: Fold that validates; all others train.

        Raises:
            InputError: If there are no tensors, or one cannot be read.
        """
        self.features = windows.search.feature_names
        self.mass = windows.mass[windows.training]
        self.windows = windows
        self.fold = validation_fold
        self.paths = sorted(folder.glob("*/*.parquet"), key=_chunk_order)
        if not self.paths:
            raise InputError(f"{folder} holds no tensors; run `punzinet features` first.")
        names: list[str] = []
        events = np.zeros(2, np.int64)
        for path in self.paths:
            for table in _read(path, ("process", "window_start", "window_stop", "fold")):
                for name in sorted(set(table["process"].unique().to_pylist())):
                    if name != SIGNAL_PROCESS and name not in names:
                        names.append(name)
                start, stop = self._ranges(table)
                validates = table["fold"].to_numpy() == validation_fold
                events += [((start < stop) & mine).sum() for mine in (~validates, validates)]
        self.backgrounds = tuple(names)
        self.training = _TensorStream(self, int(events[0]), validates=False)
        self.validation = _TensorStream(self, int(events[1]), validates=True)

    def read(self, *, validates: bool) -> Iterator[Events]:
        """Read the events of one part.

        Args:
            validates: Which.

        Raises:
            InputError: If a file cannot be read, a feature is not finite, or a weight is
                negative or not finite.
        """
        for path in self.paths:
            for table in _read(path, (*self.features, *COLUMNS)):
                start, stop = self._ranges(table)
                wanted = (table["fold"].to_numpy() == self.fold) == validates
                yield _columns(self, table, start, stop, path)[wanted & (start < stop)]

    def _ranges(self, table: pa.RecordBatch) -> tuple[IntArray, IntArray]:
        """Window ranges of some rows, counting training hypotheses; empty for no window."""
        return self.windows.to_training(
            table["window_start"].to_numpy(), table["window_stop"].to_numpy()
        )


@dataclass(frozen=True, eq=False)
class _TensorStream:
    """One part of the events in Parquet files; see `EventStream`."""

    files: TensorFiles
    events: int
    validates: bool

    def __len__(self) -> int:
        return self.events

    def pieces(self) -> Iterator[Events]:
        """See `EventStream`."""
        return self.files.read(validates=self.validates)


def open_sample(folder: Path, windows: Windows, validation_fold: int) -> TensorFiles:
    """Find the events of the tensors, and leave them where they are; see `load_sample`."""
    files = TensorFiles(folder, windows, validation_fold)
    files.check()
    return files


def load_sample(folder: Path, windows: Windows, validation_fold: int) -> Sample:
    """Read the tensors into memory.

    Args:
        folder: Where the tensors lie, one Parquet file a chunk.
        windows: The windows that the tensors were made with.
        validation_fold: Fold that validates; all others train.

    Raises:
        InputError: If there are no tensors, one cannot be read, or their events cannot train.
    """
    files = TensorFiles(folder, windows, validation_fold)
    parts = (_in_memory(part, len(files.features)) for part in (files.training, files.validation))
    return Sample(files.features, files.mass, files.backgrounds, *parts)


def _in_memory(stream: EventStream, features: int) -> Events:
    """Copy a stream of events with some number of features into memory."""
    count = len(stream)
    whole = Events(
        np.empty((features, count), np.float32),
        np.empty(count, np.float32),
        np.empty(count, np.int8),
        np.empty(count, np.int16),
        np.empty(count, np.int16),
    )
    at = 0
    for piece in stream.pieces():
        part = whole[at : at + len(piece)]
        part.features[:], part.weight[:], part.process[:] = (
            piece.features, piece.weight, piece.process
        )  # fmt: skip
        part.start[:], part.stop[:] = piece.start, piece.stop
        at += len(piece)
    return whole


def _chunk_order(path: Path) -> tuple[str, str, int]:
    """Order of chunks: dataset, file, first entry (``<stem>-<start>-<stop>.parquet``)."""
    name = re.fullmatch(r"(.*)-(\d+)-(\d+)", path.stem)
    if name is None:
        return path.parent.name, path.stem, 0
    return path.parent.name, name[1], int(name[2])


def _read(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read columns from one file, piece by piece.

    Raises:
        InputError: If the file cannot be read or lacks a column.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            missing = set(columns) - set(file.schema_arrow.names)
            if missing:
                raise InputError(
                    f"{path} lacks the columns {', '.join(sorted(missing))}; delete it and run "
                    "`punzinet features` again."
                )
            yield from file.iter_batches(ROWS, columns=list(columns))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"{path} is not a tensor file of this software ({error}); delete it and run "
            "`punzinet features` again."
        ) from error


def _columns(
    files: TensorFiles,
    table: pa.RecordBatch,
    start: IntArray,
    stop: IntArray,
    path: Path,
) -> Events:
    """Turn rows of a file into columns.

    Args:
        files: Know the names of features and backgrounds.
        table: Rows as the features stage wrote them.
        start: (n,) first training hypothesis of each.
        stop: (n,) one past the last.
        path: Where the table is from, for errors.

    Raises:
        InputError: If a feature is not finite or a weight is negative or not finite.
    """
    process = table["process"].dictionary_encode()
    number = {name: index for index, name in enumerate(files.backgrounds)} | {
        SIGNAL_PROCESS: SIGNAL
    }
    # A dictionary may list names that no row has.
    codes = [number.get(name, SIGNAL) for name in process.dictionary.to_pylist()]
    code = np.array(codes, dtype=np.int8)[process.indices.to_numpy()]
    features = np.stack([table[name].to_numpy() for name in files.features]).astype(np.float32)
    weight = table["weight"].to_numpy().astype(np.float32)
    if not (np.isfinite(features).all() and np.isfinite(weight).all() and (weight >= 0).all()):
        raise InputError(
            f"{path} holds an event whose features are not finite or whose weight is negative or "
            "not finite; check the momentum and weight branches of the ntuples."
        )
    return Events(features, weight, code, start.astype(np.int16), stop.astype(np.int16))
