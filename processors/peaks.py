"""Signal peaks: histograms of the variable of the windows around the centre of each hypothesis."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from punzinet.analysis.io.records import Record
from punzinet.analysis.peak_fit import PEAK_BINS, peak_edges
from punzinet.analysis.types import FloatArray
from punzinet.processors.candidates import Sample, read_candidates
from punzinet.processors.runner import Chunk, ChunkProcessor

#: Histograms by index of the hypothesis: (2, bins) sums of weights and of squared weights.
Peaks = dict[int, FloatArray]


class PeakProcessor(ChunkProcessor[Peaks]):
    """Fills M²_rec - m² of signal, or what the search has, for each mass that a chunk holds."""

    def __init__(self, samples: Mapping[str, Sample]) -> None:
        """Make the processor.

        Args:
            samples: The signal datasets, by name.
        """
        self._samples = samples

    def process_chunk(self, chunk: Chunk, events: Any) -> Peaks:
        """Fill the histograms of a chunk."""
        sample = self._samples[chunk.dataset]
        candidates = read_candidates(sample, events)
        alive = candidates.counter.alive
        hypothesis = candidates.hypothesis[alive]
        centre = sample.search.centre(sample.hypotheses[hypothesis])
        distance = candidates.variable[alive] - centre
        edges = peak_edges(sample.search.peak_reach)
        bins = len(edges) - 1
        inside = (distance >= edges[0]) & (distance < edges[-1])
        width = edges[1] - edges[0]
        index = ((distance[inside] - edges[0]) / width).astype(np.int64).clip(0, bins - 1)
        present, row = np.unique(hypothesis[inside], return_inverse=True)
        weight = candidates.weight[alive][inside]
        histograms = np.empty((len(present), 2, bins))
        for i, values in enumerate((weight, weight**2)):
            flat = np.bincount(row * bins + index, values, minlength=len(present) * bins)
            histograms[:, i] = flat.reshape(len(present), bins)
        return {int(m): histograms[i] for i, m in enumerate(present)}

    def pack(self, result: Peaks) -> Record:
        """Express histograms as a record."""
        histograms = [result[m] for m in sorted(result)]
        stacked = np.stack(histograms) if histograms else np.zeros((0, 2, PEAK_BINS))
        return Record({"hypotheses": sorted(result)}, {"histograms": stacked})

    def unpack(self, record: Record) -> Peaks:
        """The histograms that `pack` made a record of."""
        return dict(zip(record.content["hypotheses"], record.arrays["histograms"], strict=True))

    def settings(self, dataset: str) -> Any:
        """What a histogram depends on: its sample and the bins."""
        sample = self._samples[dataset]
        return [sample.to_json(), peak_edges(sample.search.peak_reach).tolist()]


def merge_peaks(parts: Iterable[Peaks], hypotheses: int) -> FloatArray:
    """Add up the peaks of all chunks, in the order given.

    Args:
        parts: Histograms of each chunk.
        hypotheses: Number of hypotheses H.

    Returns:
        (H, 2, bins) sums of weights and of squared weights.
    """
    total = np.zeros((hypotheses, 2, PEAK_BINS))
    for peaks in parts:
        for m, histogram in peaks.items():
            total[m] += histogram
    return total
