"""Signal peaks: histograms of the squared recoil mass around that of each hypothesis."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from analysis.peak_fit import PEAK_EDGES
from analysis.records import Record
from analysis.types import FloatArray
from processors.candidates import Sample, read_candidates
from processors.runner import Chunk, ChunkProcessor

#: Histograms by index of the hypothesis: (2, bins) sums of weights and of squared weights.
Peaks = dict[int, FloatArray]


class PeakProcessor(ChunkProcessor[Peaks]):
    """Fills M²_rec - m² of signal, for each generated mass that a chunk holds."""

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
        distance = candidates.kinematics.m2_recoil[alive] - sample.hypotheses[hypothesis] ** 2
        bins = len(PEAK_EDGES) - 1
        inside = (distance >= PEAK_EDGES[0]) & (distance < PEAK_EDGES[-1])
        width = PEAK_EDGES[1] - PEAK_EDGES[0]
        index = ((distance[inside] - PEAK_EDGES[0]) / width).astype(np.int64).clip(0, bins - 1)
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
        stacked = np.stack(histograms) if histograms else np.zeros((0, 2, len(PEAK_EDGES) - 1))
        return Record({"hypotheses": sorted(result)}, {"histograms": stacked})

    def unpack(self, record: Record) -> Peaks:
        """The histograms that `pack` made a record of."""
        return dict(zip(record.content["hypotheses"], record.arrays["histograms"], strict=True))

    def settings(self, dataset: str) -> Any:
        """What a histogram depends on: its sample and the bins."""
        return [self._samples[dataset].to_json(), PEAK_EDGES.tolist()]


def merge_peaks(parts: Iterable[Peaks], hypotheses: int) -> FloatArray:
    """Add up the peaks of all chunks, in the order given.

    Args:
        parts: Histograms of each chunk.
        hypotheses: Number of hypotheses H.

    Returns:
        (H, 2, bins) sums of weights and of squared weights.
    """
    total = np.zeros((hypotheses, 2, len(PEAK_EDGES) - 1))
    for peaks in parts:
        for m, histogram in peaks.items():
            total[m] += histogram
    return total
