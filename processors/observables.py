"""Candidate observables of muon pairs, read chunk by chunk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from punzinet.analysis.folds import fold_of, uniform_of
from punzinet.analysis.types import BoolArray, FloatArray, IntArray
from punzinet.analysis.windows import Windows
from punzinet.processors.candidates import read_candidates
from punzinet.processors.chunks import Chunk, ChunkProcessor
from punzinet.processors.datasets import DatasetInfo


@dataclass(frozen=True, eq=False)
class ObservedEvents:
    """Events with all their candidate observables."""

    observables: FloatArray  # (n, O) float32
    signal: BoolArray  # (n,)
    hypothesis: IntArray  # (n,), 0 for background
    weight: FloatArray  # (n,)
    fold: IntArray  # (n,)


class ObservableProcessor(ChunkProcessor):
    """Computes the observables of a random share of the events that networks train on.

    Which events those are depends on their identity alone, so that neither chunks nor workers
    change it. The output is `ObservedEvents`.
    """

    def __init__(
        self, datasets: Iterable[DatasetInfo], windows: Windows, shares: Mapping[str, float]
    ) -> None:
        """Take the datasets, the windows, and the share of the events of each dataset."""
        super().__init__(datasets)
        self._windows = windows
        self._shares = shares

    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        """Compute the observables of a chunk."""
        candidates = read_candidates(dataset, events)
        windows, hypothesis = self._windows, candidates.hypothesis
        start, stop = windows.assign(candidates.variable)
        first, last = windows.to_training(start, stop)
        used = candidates.alive & (first < last)
        if dataset.is_signal:
            used &= (start <= hypothesis) & (hypothesis < stop) & windows.training[hypothesis]
        share = self._shares[dataset.name]
        used &= uniform_of(**candidates.identity, dataset=dataset.name) < share
        rows = np.flatnonzero(used)
        ranked = replace(dataset.search, features=dataset.search.candidates)
        observables, _ = ranked.evaluate(candidates.pairs[rows])
        identity = {name: values[rows] for name, values in candidates.identity.items()}
        signal = np.full(len(rows), dataset.is_signal)
        return {
            "observables": observables.astype(np.float32),
            "signal": signal,
            "hypothesis": np.where(signal, hypothesis[rows], 0),
            "weight": candidates.weight[rows].astype(np.float64),
            "fold": fold_of(**identity, dataset=dataset.name),
        }

    def merge(self, chunks: Mapping[Chunk, Any]) -> ObservedEvents:
        """Put the events of all chunks one after the other."""
        parts = list(chunks.values())
        return ObservedEvents(
            **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        )

    def settings(self, dataset: DatasetInfo) -> Any:
        """What is taken of a dataset: its description, the windows, and the share."""
        windows = self._windows
        columns = [windows.mass.tolist(), windows.sigma.tolist(), windows.training.tolist()]
        return [dataset.settings(), columns, self._shares[dataset.name]]
