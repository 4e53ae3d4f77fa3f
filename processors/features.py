"""Peaks of signal for the windows, tensors that networks are trained on, other observables."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from hist import Hist, axis, storage

from punzinet.analysis.folds import fold_of, uniform_of
from punzinet.analysis.io.files import write_whole
from punzinet.analysis.peak_fit import PEAK_BINS
from punzinet.analysis.search import Search
from punzinet.analysis.types import BoolArray, FloatArray, IntArray
from punzinet.analysis.windows import Windows
from punzinet.processors.candidates import Candidates, merge_cutflows, read_candidates
from punzinet.processors.datasets import Chunk, ChunkProcessor, DatasetInfo, by_dataset, name_of
from punzinet.processors.duplicates import collision, further_candidates, summarise

NO_WINDOW = "dropped: {} in no window"
NOT_ITS_WINDOW = "dropped: {} outside the window of the generated mass"
_NAME = pa.dictionary(pa.int32(), pa.string())
_DIFFERENCES = ("event", "window_start", "window_stop", "fold")


class PeakProcessor(ChunkProcessor):
    """Fills M²_rec - m² of signal, or what the search has, for each mass that a chunk holds.

    The output is a histogram with the axes ``hypothesis`` (index of the mass) and ``distance``.
    """

    def __init__(self, datasets: Iterable[DatasetInfo]) -> None:
        """ValueError unless all signal has the same search and hypotheses, which indices count."""
        super().__init__(datasets)
        signals = [dataset for dataset in self.datasets.values() if dataset.is_signal]
        if len({(dataset.search, *dataset.hypotheses) for dataset in signals}) != 1:
            raise ValueError("peaks are of signal datasets that all have one search and hypotheses")
        self._signal = signals[0]

    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        """Fill the histogram of a chunk."""
        candidates, search = read_candidates(dataset, events), dataset.search
        alive = candidates.alive & (candidates.hypothesis >= 0)  # no background
        hypothesis = candidates.hypothesis[alive]
        distance = candidates.variable[alive] - search.centre(dataset.hypotheses[hypothesis])
        peaks = _empty_peaks(np.unique(hypothesis).tolist() or [0], search.peak_reach)
        peaks.fill(hypothesis, distance, weight=candidates.weight[alive])
        return {"peaks": peaks, "cutflow": candidates.cutflow, "odd": candidates.odd}

    def merge(self, chunks: Mapping[Chunk, Any]) -> Hist[Any]:
        """Add up the histograms of all chunks, with every hypothesis."""
        count, reach = len(self._signal.hypotheses), self._signal.search.peak_reach
        total = _empty_peaks(list(range(count)), reach)
        for part in chunks.values():
            for row, m in enumerate(part["peaks"].axes[0]):
                total.view(flow=True)[m] += part["peaks"].view(flow=True)[row]
        return total


def _empty_peaks(hypotheses: list[int], reach: float) -> Hist[Any]:
    mass = axis.IntCategory(hypotheses, name="hypothesis", overflow=False)
    distance = axis.Regular(PEAK_BINS, -reach, reach, name="distance")
    return Hist(mass, distance, storage=storage.Weight())


class FeatureProcessor(ChunkProcessor):
    """Assigns windows and makes the tensor of each chunk: a table of one row an event.

    Background is kept if it lies in at least one window, signal if it lies in the window of
    its own generated mass. What lies between two windows counts as dropped, but is in the table,
    for scans between the hypotheses. The output is by dataset: its cutflow, and its table unless
    there is a folder for tables, with a Parquet file a chunk in a folder of its own.
    """

    def __init__(
        self, datasets: Iterable[DatasetInfo], windows: Windows, folder: Path | None = None
    ) -> None:
        """ValueError if the search of a dataset has windows in another variable."""
        super().__init__(datasets, windows.mass, windows.sigma, folder=folder)
        for one in {dataset.search.variable.name for dataset in self.datasets.values()}:
            if one != windows.search.variable.name:
                raise ValueError(f"the windows are in {windows.search.variable.name}, not in {one}")
        self._windows = windows

    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        """Make the tensor of a chunk, as ``table``, or name and digest of the file that holds it.

        There are also its ``cutflow``, what `check_numbers` looks at, ``unsaid`` missing numbers,
        the weight of the ``heaviest`` event, what `summarise` says of identities, and the
        ``hypotheses`` of signal: (H, 5) usable entries by generated mass, those in their own
        window, their efficiency, and sums of weights and of their squares of the usable ones.
        """
        candidates = read_candidates(dataset, events)
        usable = candidates.alive.copy()
        start, stop = self._windows.assign(candidates.variable)
        mass = dataset.search.variable.mass.title
        between = candidates.alive & (start == stop) & (stop > 0) & (stop < len(self._windows))
        candidates.require(NO_WINDOW.format(mass), start < stop)
        if dataset.is_signal:
            own = self._windows.index_of(dataset.hypotheses)[candidates.hypothesis]
            candidates.require(NOT_ITS_WINDOW.format(mass), (start <= own) & (own < stop))
            start, stop, between = own, own + 1, np.zeros_like(between)
        rows = np.concatenate([*map(np.flatnonzero, (candidates.alive, between))])
        table = make_table(candidates, rows, start, stop)
        identity = collision(dataset, candidates.identity)
        result = {"cutflow": candidates.cutflow, "odd": candidates.odd, **summarise(identity)}
        result["unsaid"] = candidates.unsaid()
        result["heaviest"] = float(candidates.weight[candidates.alive].max(initial=0.0))
        if dataset.is_signal:
            of, weight = candidates.hypothesis[usable], candidates.weight[usable]
            inside, size = candidates.alive[usable], len(dataset.hypotheses)
            columns = np.ones(len(of)), inside, inside * weight, weight, weight**2
            sums = [np.bincount(of, column, size) for column in columns]
            result["hypotheses"] = np.column_stack(sums)
        if self.folder is None:
            return {**result, "table": table}
        tensor = f"{name_of(events.metadata)}.parquet"
        digest = write_table(self.folder / tensor, table, dataset.search)
        return {**result, "file": tensor, "digest": digest}

    def merge(self, chunks: Mapping[Chunk, Any]) -> dict[str, dict[str, Any]]:
        """Put the results of each dataset together."""
        merged: dict[str, dict[str, Any]] = {}
        for name, own in by_dataset(chunks).items():
            parts = own.values()
            merged[name] = {
                "cutflow": merge_cutflows(part["cutflow"] for part in parts),
                "further": further_candidates(own),
                "unsaid": sum((Counter(part["unsaid"]) for part in parts), Counter()),
            }
            if self.datasets[name].is_signal:
                merged[name]["hypotheses"] = sum(part["hypotheses"] for part in parts)
            if self.folder is None:
                tables = [part["table"] for part in parts]
                merged[name]["table"] = pa.concat_tables(tables).combine_chunks()
        return merged


def tensor_schema(search: Search) -> pa.Schema:
    """Columns of a tensor, in their order.

    `mass` is the generated mass in GeV, null for background; the event lies in the windows
    `window_start` to `window_stop` - 1 of all hypotheses sorted by mass (a signal event in its own
    only), and between two windows if both are equal; sums of `weight` are events at the target
    luminosity for background and efficiencies for signal. Datasets with systematic factors on
    weights have a column ``weight:NAME:up`` (and down) for each besides.
    """
    types = {
        **dict.fromkeys(("experiment", "run", "event", "production"), pa.int64()),
        **dict.fromkeys(("dataset", "process"), _NAME),
        "mass": pa.float64(),
        **dict.fromkeys(search.feature_names, pa.float32()),
        search.variable.name: pa.float64(),
        **dict.fromkeys(("window_start", "window_stop"), pa.int16()),
        "weight": pa.float64(),
        "fold": pa.int8(),
    }
    # Where nothing can be missing, nothing has to say for every row that it is there.
    return pa.schema([pa.field(*column, nullable=column[0] == "mass") for column in types.items()])


def make_table(candidates: Candidates, rows: IntArray, start: IntArray, stop: IntArray) -> pa.Table:
    """The tensor of some of the muon pairs, which lie in the windows start..stop-1."""
    dataset, search = candidates.dataset, candidates.dataset.search
    identity = {name: values[rows] for name, values in candidates.identity.items()}
    same, of = np.zeros(len(rows), dtype=np.int32), candidates.hypothesis[rows]
    named = zip(search.feature_names, candidates.features.T, strict=True)
    columns = {
        **identity,
        "dataset": pa.DictionaryArray.from_arrays(same, [dataset.name]),
        "process": pa.DictionaryArray.from_arrays(same, [dataset.process]),
        "mass": dataset.hypotheses[of] if dataset.is_signal else pa.nulls(len(rows), pa.float64()),
        **{name: values.take(rows).astype(np.float32) for name, values in named},
        search.variable.name: candidates.variable[rows],
        "window_start": start[rows].astype(np.int16),
        "window_stop": stop[rows].astype(np.int16),
        "weight": candidates.weight[rows],
        "fold": fold_of(**identity, dataset=dataset.variation_of or dataset.name),
    }
    factors = candidates.factors(rows)
    schema = [*tensor_schema(search), *(pa.field(name, pa.float32(), False) for name in factors)]
    return pa.table(columns | factors, schema=pa.schema(schema))


def write_table(path: Path, table: pa.Table, search: Search) -> str:
    """Write the tensor of a chunk, whole or not at all, and return its `file_digest`.

    Events in windows come first, as one group of rows; those between windows are another one.
    InputError if that is impossible.
    """
    # Numbers that repeat are small as a dictionary, small numbers as differences, which takes less
    # time; a dictionary of weights, or compression, saves a tenth, and takes more than it is worth.
    others = {*_DIFFERENCES, "weight", search.variable.name, *search.feature_names}
    content = pa.BufferOutputStream()  # to be digested without reading it again
    inside = int(np.count_nonzero(np.less(table["window_start"], table["window_stop"])))
    with pq.ParquetWriter(
        content, table.schema, compression="none",
        use_dictionary=[name for name in table.column_names if name not in others],
        column_encoding=dict.fromkeys(_DIFFERENCES, "DELTA_BINARY_PACKED"),
        write_batch_size=2**16, write_page_checksum=True,
        write_statistics=False,  # whoever reads a tensor reads whole groups of its rows
    ) as writer:  # fmt: skip
        for part in (table[:inside], table[inside:]):
            writer.write_table(part, row_group_size=max(part.num_rows, 1))
    write_whole(path, whole := content.getvalue())
    return xxhash.xxh3_128_hexdigest(whole)


class ObservedEvents(NamedTuple):
    """Events with all their candidate observables."""

    observables: FloatArray  # (n, O) float32
    signal: BoolArray  # (n,)
    hypothesis: IntArray  # (n,), 0 for background
    weight: FloatArray  # (n,)
    fold: IntArray  # (n,)


class ObservableProcessor(ChunkProcessor):
    """Computes the observables of a random share of the events of each dataset that train networks.

    Which events those are depends on their identity alone, so that neither chunks nor workers
    change it. The output is `ObservedEvents`.
    """

    def __init__(
        self, datasets: Iterable[DatasetInfo], windows: Windows, shares: Mapping[str, float]
    ) -> None:
        super().__init__(datasets, windows.mass, windows.sigma, windows.training, shares)
        self._windows, self._shares = windows, shares

    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        """Compute the observables of a chunk."""
        candidates = read_candidates(dataset, events)
        windows, hypothesis = self._windows, candidates.hypothesis
        start, stop = windows.assign(candidates.variable)
        first, last = windows.to_training(start, stop)
        used = candidates.alive & (first < last)
        if dataset.is_signal:
            used &= (start <= hypothesis) & (hypothesis < stop) & windows.training[hypothesis]
        drawn = uniform_of(**candidates.identity, dataset=dataset.name)
        rows = np.flatnonzero(used & (drawn < self._shares[dataset.name]))
        ranked = replace(dataset.search, features=dataset.search.candidates)
        observables, _ = ranked.evaluate(candidates.pairs[rows])
        identity = {name: values[rows] for name, values in candidates.identity.items()}
        return ObservedEvents(
            observables.astype(np.float32),
            np.full(len(rows), dataset.is_signal),
            hypothesis[rows].clip(min=0),
            candidates.weight[rows].astype(np.float64),
            fold_of(**identity, dataset=dataset.name),
        )._asdict()

    def merge(self, chunks: Mapping[Chunk, Any]) -> ObservedEvents:
        """Put the events of all chunks one after the other."""
        columns = zip(*(part.values() for part in chunks.values()), strict=True)
        return ObservedEvents(*map(np.concatenate, columns))
