"""Candidate observables of muon pairs, read chunk by chunk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from punzinet.analysis.folds import fold_of, uniform_of
from punzinet.analysis.io.records import Record
from punzinet.analysis.types import BoolArray, FloatArray, IntArray
from punzinet.analysis.windows import Windows
from punzinet.processors.candidates import Sample, read_candidates, read_identity, read_pairs
from punzinet.processors.runner import Chunk, ChunkProcessor


@dataclass(frozen=True, eq=False)
class ObservedEvents:
    """Events with all their candidate observables.

    Attributes:
        observables: (n, O) float32.
        signal: (n,) which are signal.
        hypothesis: (n,) hypothesis of signal events, 0 for background.
        weight: (n,) weights.
        fold: (n,) folds.
    """

    observables: FloatArray
    signal: BoolArray
    hypothesis: IntArray
    weight: FloatArray
    fold: IntArray


class ObservableProcessor(ChunkProcessor[ObservedEvents]):
    """Computes the observables of a random share of the events that networks train on.

    Which events those are depends on their identity alone, so that neither chunks nor workers
    change it.
    """

    def __init__(
        self, samples: Mapping[str, Sample], windows: Windows, shares: Mapping[str, float]
    ) -> None:
        """Make the processor.

        Args:
            samples: All datasets, by name.
            windows: The windows.
            shares: Share of the events of each dataset that is taken.
        """
        self._samples = samples
        self._windows = windows
        self._shares = shares

    def reads(self, _column: str) -> bool:
        """All columns."""
        return True

    def process_chunk(self, chunk: Chunk, events: Any) -> ObservedEvents:
        """Compute the observables of a chunk."""
        sample = self._samples[chunk.dataset]
        candidates = read_candidates(sample, events)
        identity = read_identity(sample, events)
        windows = self._windows
        start, stop = windows.assign(candidates.variable)
        first, last = windows.to_training(start, stop)
        used = candidates.counter.alive & (first < last)
        if sample.is_signal:
            own = candidates.hypothesis
            used &= (start <= own) & (own < stop) & windows.training[own]
        used &= uniform_of(**identity, dataset=sample.name) < self._shares[sample.name]
        rows = np.flatnonzero(used)
        ranked = replace(sample.search, features=sample.search.candidates)
        observables, _ = ranked.evaluate(read_pairs(sample, events)[rows])
        kept = {name: values[rows] for name, values in identity.items()}
        return ObservedEvents(
            observables.astype(np.float32),
            np.full(len(rows), sample.is_signal),
            candidates.hypothesis[rows] if sample.is_signal else np.zeros(len(rows), np.int64),
            candidates.weight[rows].astype(np.float64),
            fold_of(**kept, dataset=sample.name),
        )

    def pack(self, result: ObservedEvents) -> Record:
        """Express events as a record."""
        return Record({}, vars(result))

    def unpack(self, record: Record) -> ObservedEvents:
        """The events that `pack` made a record of."""
        return ObservedEvents(**record.arrays)

    def settings(self, dataset: str) -> Any:
        """What is taken of a dataset: its sample, the windows, and the share."""
        windows = self._windows
        columns = [windows.mass.tolist(), windows.sigma.tolist(), windows.training.tolist()]
        return [self._samples[dataset].to_json(), columns, self._shares[dataset]]


def merge_observed(parts: Iterable[ObservedEvents]) -> ObservedEvents:
    """Put the events of chunks one after the other."""
    pieces = list(parts)
    return ObservedEvents(
        *(
            np.concatenate([getattr(piece, column.name) for piece in pieces])
            for column in fields(ObservedEvents)
        )
    )
