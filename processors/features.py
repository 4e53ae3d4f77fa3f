"""Features: from muon pairs to the tensors that networks are trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.folds import fold_of
from analysis.types import BoolArray, FloatArray, IntArray
from analysis.windows import Windows
from processors.candidates import Sample, read_candidates, read_identity
from processors.cutflow import Cutflow
from processors.preflight import InputFile
from processors.runner import Chunk, ChunkProcessor
from processors.tensors import Rows, write_tensor

NO_WINDOW = "dropped: recoil mass in no window"
NOT_ITS_WINDOW = "dropped: recoil mass outside the window of the generated mass"


@dataclass(frozen=True, eq=False)
class ChunkSummary:
    """What is said of a chunk after its tensor is written.

    Attributes:
        cutflow: What became of every entry.
        hypotheses: (H, 3) usable signal entries by generated mass, those in their own window,
            and their efficiency; (0, 3) for background.
        further_candidates: Entries that belong to the same event as the entry before.
        first: Identity of the first entry.
        last: Identity of the last entry.
    """

    cutflow: Cutflow
    hypotheses: FloatArray
    further_candidates: int
    first: tuple[int, ...]
    last: tuple[int, ...]


class FeatureProcessor(ChunkProcessor[ChunkSummary]):
    """Assigns windows and writes the tensor of each chunk.

    Background is kept if it lies in at least one window, signal if it lies in the window of
    its own generated mass.
    """

    def __init__(
        self,
        samples: Mapping[str, Sample],
        windows: Windows,
        files: Sequence[InputFile],
        folder: Path,
    ) -> None:
        """Make the processor.

        Args:
            samples: All datasets, by name.
            windows: The recoil-mass windows.
            files: All files, which know what their tensors are called.
            folder: Where tensors go, in one folder a dataset, which has to exist.
        """
        self._samples = samples
        self._windows = windows
        self._stems = {(file.dataset, file.path): file.stem for file in files}
        self._folder = folder

    def process_chunk(self, chunk: Chunk, events: Any) -> ChunkSummary:
        """Write the tensor of a chunk and summarise it."""
        sample = self._samples[chunk.dataset]
        candidates = read_candidates(sample, events)
        identity = read_identity(sample, events)
        counter, hypothesis = candidates.counter, candidates.hypothesis
        usable = counter.alive.copy()
        start, stop = self._windows.assign(candidates.kinematics.m2_recoil)
        counter.require(NO_WINDOW, start < stop)
        if sample.is_signal:
            counter.require(NOT_ITS_WINDOW, (start <= hypothesis) & (hypothesis < stop))
            start, stop = hypothesis, hypothesis + 1
        keep = np.flatnonzero(counter.alive)
        kept = {name: values[keep] for name, values in identity.items()}
        rows = Rows(
            identity=kept,
            dataset=sample.name,
            process=sample.process,
            mass=sample.hypotheses[hypothesis[keep]] if sample.is_signal else None,
            features=candidates.kinematics.features.T[:, keep].T,
            m2_recoil=candidates.kinematics.m2_recoil[keep],
            start=start[keep],
            stop=stop[keep],
            weight=candidates.weight[keep],
            fold=fold_of(**kept, dataset=sample.name),
        )
        stem = self._stems[chunk.dataset, chunk.path]
        write_tensor(
            self._folder / chunk.dataset / f"{stem}-{chunk.start}-{chunk.stop}.parquet", rows
        )
        same = [values[1:] == values[:-1] for values in identity.values()]
        return ChunkSummary(
            cutflow=counter.finish(),
            hypotheses=_count_hypotheses(sample, hypothesis, usable, rows),
            further_candidates=int(np.count_nonzero(np.logical_and.reduce(same))),
            first=tuple(int(values[0]) for values in identity.values()),
            last=tuple(int(values[-1]) for values in identity.values()),
        )


def _count_hypotheses(
    sample: Sample, hypothesis: IntArray, usable: BoolArray, rows: Rows
) -> FloatArray:
    """Count signal by hypothesis.

    Args:
        sample: The dataset.
        hypothesis: (n,) hypotheses of all its entries in a chunk, -1 for none.
        usable: (n,) entries with a hypothesis and nothing wrong with them.
        rows: Those of them that lie in the window of their own hypothesis.

    Returns:
        (H, 3) usable entries, those in their own window, and their sum of weights, which is
        the efficiency; (0, 3) for background.
    """
    if not sample.is_signal:
        return np.zeros((0, 3))
    count = len(sample.hypotheses)
    return np.column_stack(
        [
            np.bincount(hypothesis[usable], minlength=count),
            np.bincount(rows.start, minlength=count),
            np.bincount(rows.start, rows.weight, minlength=count),
        ]
    ).astype(np.float64)


def further_candidates(summaries: Mapping[Chunk, ChunkSummary]) -> int:
    """Count entries that belong to the same event as the entry before them in their file.

    Args:
        summaries: Chunks in their order, those of a file next to each other.
    """
    total = 0
    before: tuple[Chunk, ChunkSummary] | None = None
    for chunk, summary in summaries.items():
        total += summary.further_candidates
        if before is not None:
            continues = (before[0].path, before[0].stop) == (chunk.path, chunk.start)
            total += continues and before[1].last == summary.first
        before = chunk, summary
    return total
