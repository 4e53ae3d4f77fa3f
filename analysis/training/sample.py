"""The events that train and validate, read from the tensors into memory.

Columns are arrays of their own (structure of arrays), 25 bytes an event. Only what training
can use is kept: background in the window of at least one training hypothesis, and signal of
training hypotheses. Window ranges count training hypotheses.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.datasets import SIGNAL as SIGNAL_PROCESS
from analysis.errors import InputError
from analysis.kinematics import FEATURES
from analysis.punzi_loss import SIGNAL
from analysis.types import BoolArray, FloatArray, IntArray
from analysis.windows import Windows

COLUMNS = (*FEATURES, "process", "window_start", "window_stop", "weight", "fold")
#: Rows that are read at once, which bounds what reading needs beyond the sample itself.
ROWS = 200_000


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

    def __getitem__(self, rows: IntArray | BoolArray) -> "Events":
        """The same columns of some of the events."""
        return Events(
            np.ascontiguousarray(self.features[:, rows]),
            self.weight[rows],
            self.process[rows],
            self.start[rows],
            self.stop[rows],
        )


@dataclass(frozen=True, eq=False)
class Sample:
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
    training: Events
    validation: Events

    def __post_init__(self) -> None:
        """Check that there is something to train on.

        Raises:
            InputError: If a hypothesis has no signal, or there is no background, in the
                training or the validation part.
        """
        for part, events in (("training", self.training), ("validation", self.validation)):
            signal, background = self.totals(events)
            if not np.all(signal > 0):
                missing = ", ".join(f"{m:g}" for m in self.mass[~(signal > 0)])
                raise InputError(
                    f"The {part} sample holds no signal event of the hypotheses {missing} GeV; "
                    "give them more events, or take them out of the training hypotheses."
                )
            if not np.any(background > 0):
                raise InputError(
                    f"The {part} sample holds no background event in any window; check the "
                    "background datasets of the manifest."
                )

    def totals(self, events: Events) -> tuple[FloatArray, FloatArray]:
        """Sums of weights of each signal hypothesis, (H,), and background process, (P,)."""
        signal = events.process == SIGNAL
        weight = events.weight.astype(np.float64)
        by_mass = np.bincount(events.start[signal], weight[signal], len(self.mass))
        by_process = np.bincount(events.process[~signal], weight[~signal], len(self.backgrounds))
        return by_mass.astype(np.float64), by_process.astype(np.float64)

    @cached_property
    def total(self) -> tuple[FloatArray, FloatArray]:
        """Sums of weights per hypothesis (H,) and per background (P,) of all events."""
        training, validation = self.totals(self.training), self.totals(self.validation)
        return training[0] + validation[0], training[1] + validation[1]

    @cached_property
    def scaling(self) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest value of each feature in the training part, (F,) each."""
        return self.training.features.min(axis=1), self.training.features.max(axis=1)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        names = [*self.features, *(repr(float(m)) for m in self.mass), *self.backgrounds]
        checksum = hashlib.sha256("\n".join(names).encode())
        for events in (self.training, self.validation):
            for column in (
                events.features, events.weight, events.process, events.start, events.stop
            ):  # fmt: skip
                checksum.update(np.ascontiguousarray(column).data)
        return checksum.hexdigest()


def load_sample(folder: Path, windows: Windows, validation_fold: int) -> Sample:
    """Read the tensors.

    Events are in the order of dataset, file and entry, whatever chunks they were written in.

    Args:
        folder: Where the tensors lie, one Parquet file a chunk.
        windows: The windows that the tensors were made with.
        validation_fold: Fold that validates; all others train.

    Raises:
        InputError: If there are no tensors, one cannot be read, or their events cannot train.
    """
    paths = sorted(folder.glob("*/*.parquet"), key=_chunk_order)
    if not paths:
        raise InputError(f"{folder} holds no tensors; run `punzinet features` first.")
    backgrounds: list[str] = []
    training: list[Events] = []
    validation: list[Events] = []
    for path in paths:
        for batch in _read(path):
            events = _usable(batch, windows, backgrounds, path)
            used = events.stop > events.start
            validates = batch["fold"].to_numpy() == validation_fold
            training.append(events[used & ~validates])
            validation.append(events[used & validates])
    return Sample(
        FEATURES,
        windows.mass[windows.training],
        tuple(backgrounds),
        _concatenate(training),
        _concatenate(validation),
    )


def _chunk_order(path: Path) -> tuple[str, str, int]:
    """Order of chunks: dataset, file, first entry (``<stem>-<start>-<stop>.parquet``)."""
    name = re.fullmatch(r"(.*)-(\d+)-(\d+)", path.stem)
    if name is None:
        return path.parent.name, path.stem, 0
    return path.parent.name, name[1], int(name[2])


def _read(path: Path) -> Iterator[pa.RecordBatch]:
    """Read the columns that training needs from one file, piece by piece.

    Raises:
        InputError: If the file cannot be read or lacks a column.
    """
    try:
        with pq.ParquetFile(path) as file:
            missing = set(COLUMNS) - set(file.schema_arrow.names)
            if missing:
                raise InputError(
                    f"{path} lacks the columns {', '.join(sorted(missing))}; delete it and run "
                    "`punzinet features` again."
                )
            yield from file.iter_batches(ROWS, columns=list(COLUMNS))
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{path} is not a tensor file of this software ({error}); delete it and run "
            "`punzinet features` again."
        ) from error


def _usable(table: pa.RecordBatch, windows: Windows, backgrounds: list[str], path: Path) -> Events:
    """Turn rows of a file into columns; events that cannot train get an empty window range.

    Args:
        table: Rows as the features stage wrote them.
        windows: All windows.
        backgrounds: Names of background processes met so far; added to.
        path: Where the table is from, for errors.

    Raises:
        InputError: If a feature is not finite or a weight is negative or not finite.
    """
    process = table["process"].dictionary_encode()
    names = process.dictionary.to_pylist()
    for name in sorted(set(process.unique().to_pylist())):
        if name != SIGNAL_PROCESS and name not in backgrounds:
            backgrounds.append(name)
    codes = [
        SIGNAL if name == SIGNAL_PROCESS or name not in backgrounds else backgrounds.index(name)
        for name in names
    ]
    code = np.array(codes, dtype=np.int8)[process.indices.to_numpy()]
    features = np.stack([table[name].to_numpy() for name in FEATURES]).astype(np.float32)
    weight = table["weight"].to_numpy().astype(np.float32)
    if not (np.isfinite(features).all() and np.isfinite(weight).all() and (weight >= 0).all()):
        raise InputError(
            f"{path} holds an event whose features are not finite or whose weight is negative or "
            "not finite; check the momentum and weight branches of the ntuples."
        )
    start, stop = windows.to_training(
        table["window_start"].to_numpy(), table["window_stop"].to_numpy()
    )
    return Events(features, weight, code, start.astype(np.int16), stop.astype(np.int16))


def _concatenate(parts: list[Events]) -> Events:
    """Put pieces one after the other; the list is emptied, so that features are not held twice."""
    features = [part.features for part in parts]
    narrow = [(part.weight, part.process, part.start, part.stop) for part in parts]
    parts.clear()
    whole = np.concatenate(features, axis=1)
    features.clear()
    weight, process, start, stop = (np.concatenate(column) for column in zip(*narrow, strict=True))
    return Events(whole, weight, process, start, stop)
