"""Signal peaks: histograms of the variable of the windows around the centre of each hypothesis."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from hist import Hist, axis, storage

from punzinet.analysis.peak_fit import PEAK_BINS
from punzinet.processors.candidates import read_candidates
from punzinet.processors.chunks import Chunk, ChunkProcessor
from punzinet.processors.datasets import DatasetInfo


class PeakProcessor(ChunkProcessor):
    """Fills M²_rec - m² of signal, or what the search has, for each mass that a chunk holds.

    The output is a histogram with the axes ``hypothesis``, the index of the mass among the
    hypotheses, and ``distance``.
    """

    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        """Fill the histogram of a chunk."""
        candidates = read_candidates(dataset, events)
        hypothesis = candidates.hypothesis[candidates.alive]
        centre = dataset.search.centre(dataset.hypotheses[hypothesis])
        distance = candidates.variable[candidates.alive] - centre
        peaks = empty_peaks(np.unique(hypothesis).tolist() or [0], dataset.search.peak_reach)
        weight = candidates.weight[candidates.alive]
        return {"peaks": peaks.fill(hypothesis, distance, weight=weight)}

    def merge(self, chunks: Mapping[Chunk, Any]) -> Hist[Any]:
        """Add up the histograms of all chunks, with every hypothesis."""
        dataset = next(iter(self.datasets.values()))
        hypotheses = list(range(len(dataset.hypotheses)))
        total = empty_peaks(hypotheses, dataset.search.peak_reach)
        for chunk in sorted(chunks):
            peaks = chunks[chunk]["peaks"]
            for row, m in enumerate(peaks.axes[0]):
                total.view(flow=True)[m] += peaks.view(flow=True)[row]
        return total

    def settings(self, dataset: DatasetInfo) -> Any:
        """What a histogram depends on: its dataset and the bins."""
        return [dataset.settings(), dataset.search.peak_reach, PEAK_BINS]


def empty_peaks(hypotheses: list[int], reach: float) -> Hist[Any]:
    """An empty histogram around the centres of some hypotheses."""
    return Hist(
        axis.IntCategory(hypotheses, name="hypothesis", overflow=False),
        axis.Regular(PEAK_BINS, -reach, reach, name="distance"),
        storage=storage.Weight(),
    )
