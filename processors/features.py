"""Features: from muon pairs to the tensors that networks are trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.folds import fold_of
from punzinet.analysis.io.records import Record
from punzinet.analysis.types import BoolArray, FloatArray, IntArray
from punzinet.analysis.windows import Windows
from punzinet.processors.candidates import Sample, read_candidates, read_identity
from punzinet.processors.cutflow import Cutflow, from_json, to_json
from punzinet.processors.runner import Chunk, ChunkProcessor
from punzinet.processors.tensors import Rows, is_whole, write_tensor

IDENTITY_ORDER = ("experiment", "run", "production", "event")
"""Events of a file are usually in the order of these, the first one changing least often."""
NO_WINDOW = "dropped: {} in no window"
NOT_ITS_WINDOW = "dropped: {} outside the window of the generated mass"


@dataclass(frozen=True, eq=False)
class ChunkSummary:
    """What is said of a chunk after its tensor is written.

    Attributes:
        cutflow: What became of every entry.
        hypotheses: (H, 3) usable signal entries by generated mass, those in their own window,
            and their efficiency; (0, 3) for background.
        further_candidates: Entries that belong to the same event as the entry before.
        ascending: Whether events are in the order of their identity.
        first: Identity of the first entry: experiment, run, production, event.
        last: Identity of the last entry.
        tensor: Name of the tensor file in the folder of its dataset.
        size: Its size in bytes.
    """

    cutflow: Cutflow
    hypotheses: FloatArray
    further_candidates: int
    ascending: bool
    first: tuple[int, ...]
    last: tuple[int, ...]
    tensor: str
    size: int


class FeatureProcessor(ChunkProcessor[ChunkSummary]):
    """Assigns windows and writes the tensor of each chunk.

    Background is kept if it lies in at least one window, signal if it lies in the window of
    its own generated mass.
    """

    def __init__(self, samples: Mapping[str, Sample], windows: Windows, folder: Path) -> None:
        """Make the processor.

        Args:
            samples: All datasets, by name.
            windows: The windows.
            folder: Where tensors go, in one folder a dataset, which has to exist.
        """
        self._samples = samples
        self._windows = windows
        self._folder = folder.absolute()

    def settings(self, dataset: str) -> Any:
        """What a tensor depends on: its sample and the windows."""
        windows = [self._windows.mass.tolist(), self._windows.sigma.tolist()]
        return [self._samples[dataset].to_json(), windows]

    def reads(self, _column: str) -> bool:
        """All columns."""
        return True

    def process_chunk(self, chunk: Chunk, events: Any) -> ChunkSummary:
        """Write the tensor of a chunk and summarise it."""
        sample = self._samples[chunk.dataset]
        candidates = read_candidates(sample, events)
        identity = read_identity(sample, events)
        counter, hypothesis = candidates.counter, candidates.hypothesis
        usable = counter.alive.copy()
        start, stop = self._windows.assign(candidates.variable)
        mass = sample.search.variable.mass.title
        counter.require(NO_WINDOW.format(mass), start < stop)
        if sample.is_signal:
            inside = (start <= hypothesis) & (hypothesis < stop)
            counter.require(NOT_ITS_WINDOW.format(mass), inside)
            start, stop = hypothesis, hypothesis + 1
        keep = np.flatnonzero(counter.alive)
        kept = {name: values[keep] for name, values in identity.items()}
        rows = Rows(
            identity=kept,
            dataset=sample.name,
            process=sample.process,
            mass=sample.hypotheses[hypothesis[keep]] if sample.is_signal else None,
            search=sample.search,
            features=candidates.features.T.take(keep, axis=1).T,
            variable=candidates.variable[keep],
            start=start[keep],
            stop=stop[keep],
            weight=candidates.weight[keep],
            fold=fold_of(**kept, dataset=sample.name),
        )
        tensor = self._folder / chunk.dataset / f"{chunk.name}.parquet"
        write_tensor(tensor, rows)
        ordered = [identity[name] for name in IDENTITY_ORDER]
        further, ascending = scan_identities(*ordered)
        return ChunkSummary(
            cutflow=counter.finish(),
            hypotheses=_count_hypotheses(sample, hypothesis, usable, rows),
            further_candidates=further,
            ascending=ascending,
            first=tuple(int(values[0]) for values in ordered),
            last=tuple(int(values[-1]) for values in ordered),
            tensor=f"{chunk.dataset}/{tensor.name}",
            size=tensor.stat().st_size,
        )

    def pack(self, result: ChunkSummary) -> Record:
        """Express a summary as a record."""
        content = {
            **{name: value for name, value in vars(result).items() if name != "hypotheses"},
            "cutflow": to_json(result.cutflow),
        }
        return Record(content, {"hypotheses": result.hypotheses})

    def unpack(self, record: Record) -> ChunkSummary:
        """The summary that `pack` made a record of."""
        content = record.content
        return ChunkSummary(
            **{
                **content,
                "cutflow": from_json(content["cutflow"]),
                "first": tuple(content["first"]),
                "last": tuple(content["last"]),
            },
            hypotheses=record.arrays["hypotheses"],
        )

    def still_holds(self, record: Record) -> bool:
        """Whether the tensor of a chunk is still there, and undamaged."""
        return is_whole(
            self._folder / record.content["tensor"],
            record.content["size"],
            record.content["cutflow"][-1]["entries"],
        )


@njit(nogil=True, cache=True)
def scan_identities(
    experiment: IntArray, run: IntArray, production: IntArray, event: IntArray
) -> tuple[int, bool]:
    """Compare the identity of every entry with that of the entry before.

    Args:
        experiment: (n,) experiment numbers.
        run: (n,) run numbers.
        production: (n,) production numbers.
        event: (n,) event numbers.

    Returns:
        How many entries belong to the same event as the entry before, and whether the other
        ones all have a later identity than the entry before.
    """
    further, ascending = 0, True
    for i in range(1, len(event)):
        if experiment[i] != experiment[i - 1]:
            ascending &= experiment[i] > experiment[i - 1]
        elif run[i] != run[i - 1]:
            ascending &= run[i] > run[i - 1]
        elif production[i] != production[i - 1]:
            ascending &= production[i] > production[i - 1]
        elif event[i] != event[i - 1]:
            ascending &= event[i] > event[i - 1]
        else:
            further += 1
    return further, ascending


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
