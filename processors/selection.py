"""Selection: the one cut on the network's output, and the mass spectra before and behind it."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.histograms import STAGES, Comparison, Spectra, fill_spectra
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows
from punzinet.processors.candidates import Candidates, merge_cutflows, read_candidates
from punzinet.processors.chunks import Chunk, ChunkProcessor
from punzinet.processors.datasets import DatasetInfo

BELOW_CUT = "dropped: network output below the cut"


class Classifier(Protocol):
    """What a selection needs of a network."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of its inputs."""

    def logit_numpy(self, x: FloatArray) -> FloatArray:
        """Output before the sigmoid, (n,), for unscaled inputs (n, F)."""


class SelectionProcessor(ChunkProcessor):
    """Cuts on the output of a network and fills histograms of the mass before and after.

    The output holds, added up over all chunks:

    - ``cutflows``: what became of every entry, by dataset,
    - ``in_windows``: by process, (2, H) before and after the cut: sums of weights in the window of
      each hypothesis. That is the efficiency for signal, which counts in its own window only,
      events at the target luminosity for background, and events for data,
    - ``spectra``: histograms of the variable of the windows, of what is simulated,
    - ``compared``: histograms in which data and backgrounds are compared; none without data.
    """

    def __init__(
        self,
        datasets: Iterable[DatasetInfo],
        windows: Windows,
        network: Classifier,
        cut: float,
        *,
        comparison: Comparison | None = None,
        network_digest: str = "",
        by_chunk: bool = False,
    ) -> None:
        """Make the processor.

        Args:
            datasets: All datasets.
            windows: The windows.
            network: The network.
            cut: Events with an output before the sigmoid of at least this are selected.
            comparison: How data is compared with backgrounds; None if there is no data.
            network_digest: Tells this network from any other.
            by_chunk: See `ChunkProcessor`.

        Raises:
            InputError: If the network has an input that is none of the features, or windows in
                another variable.
        """
        super().__init__(datasets, by_chunk=by_chunk)
        for search in {dataset.search for dataset in self.datasets.values()}:
            unknown = [name for name in network.features if name not in search.feature_names]
            if unknown or windows.search.variable.name != search.variable.name:
                raise InputError(
                    f"The network was trained on {', '.join(network.features)} in windows of "
                    f"{windows.search.variable.name}, but `search` in the manifest has the "
                    f"features {', '.join(search.feature_names)} and the variable "
                    f"{search.variable.name}; run `punzinet features` and `punzinet train` again."
                )
        self._windows = windows
        self._network = network
        self._cut = cut
        self._comparison = comparison
        self._network_digest = network_digest

    def settings(self, dataset: DatasetInfo) -> Any:
        """What a selection depends on: its dataset, the windows, the network, the cut, the axes."""
        windows = [self._windows.mass.tolist(), self._windows.sigma.tolist()]
        compared = None if self._comparison is None else self._comparison.to_json()
        return [dataset.settings(), windows, self._network_digest, self._cut, compared]

    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        """Select the events of a chunk."""
        candidates = read_candidates(dataset, events)
        usable = np.flatnonzero(candidates.alive)
        columns = [dataset.search.feature_names.index(name) for name in self._network.features]
        # Rounded as in the tensors, so that an event is on the same side of the cut as there.
        features = candidates.features.T[columns].take(usable, axis=1).T.astype(np.float32)
        selected = np.zeros(len(events), dtype=bool)
        selected[usable] = self._network.logit_numpy(features) >= self._cut
        spectra: Spectra = {}
        compared: Spectra = {}
        in_windows = np.empty((len(STAGES), len(self._windows)))
        for i, stage in enumerate(STAGES):
            if stage == "after":
                candidates.require(BELOW_CUT, selected)
            if not dataset.is_data:
                spectra |= _fill(stage, candidates)
            if self._comparison is not None and not dataset.is_signal:
                compared |= _compare(self._comparison, stage, candidates)
            in_windows[i] = self._sum_windows(candidates)
        return {
            "cutflow": candidates.cutflow,
            "in_windows": in_windows,
            "spectra": spectra,
            "compared": compared,
        }

    def merge(self, chunks: Mapping[Chunk, Any]) -> dict[str, dict[str, Any]]:
        """Add up what was selected."""
        total: dict[str, dict[str, Any]] = {"in_windows": {}, "spectra": {}, "compared": {}}
        cutflows: dict[str, list[Any]] = {}
        for chunk in sorted(chunks):
            part, process = chunks[chunk], self.datasets[chunk.dataset].process
            cutflows.setdefault(chunk.dataset, []).append(part["cutflow"])
            windows = {process: part["in_windows"]}
            for group, values in {**part, "in_windows": windows}.items():
                if group != "cutflow":
                    _add(total[group], values)
        merged = {name: merge_cutflows(parts) for name, parts in cutflows.items()}
        return {"cutflows": merged, **total}

    def _sum_windows(self, candidates: Candidates) -> FloatArray:
        """Sum up the weights in each window, (H,)."""
        alive, dataset = np.flatnonzero(candidates.alive), candidates.dataset
        weight = candidates.weight[alive]
        start, stop = self._windows.assign(candidates.variable[alive])
        if dataset.is_signal:
            own = self._windows.index_of(dataset.hypotheses[candidates.hypothesis[alive]])
            inside = (start <= own) & (own < stop)
            start, stop, weight = own[inside], own[inside] + 1, weight[inside]
        # Few pairs of first and last window occur: add up their events, then the pairs.
        size = len(self._windows) + 1
        flat = np.bincount(start.astype(np.int64) * size + stop, weight, minlength=size**2)
        pairs = flat.reshape(size, size)
        return np.array([pairs[: m + 1, m + 1 :].sum() for m in range(len(self._windows))])


def _fill(stage: str, candidates: Candidates) -> Spectra:
    """Fill the spectra of what is left of a chunk at a stage of the selection."""
    alive, dataset = np.flatnonzero(candidates.alive), candidates.dataset
    values, weight = candidates.variable[alive], candidates.weight[alive]
    variable = dataset.search.variable
    if not dataset.is_signal:
        return fill_spectra(stage, dataset.process, variable, values, weight)
    hypothesis = candidates.hypothesis[alive]
    spectra: Spectra = {}
    for m in np.unique(hypothesis):
        own = hypothesis == m
        name = f"{dataset.process}/{dataset.hypotheses[m]:g}"
        spectra |= fill_spectra(stage, name, variable, values[own], weight[own])
    return spectra


def _compare(comparison: Comparison, stage: str, candidates: Candidates) -> Spectra:
    """Fill the histograms in which data and backgrounds are compared."""
    alive, search = np.flatnonzero(candidates.alive), candidates.dataset.search
    features = dict(zip(search.feature_names, candidates.features.T[:, alive], strict=True))
    mass = search.variable.signed_mass(candidates.variable[alive])
    process, weight = candidates.dataset.process, candidates.weight[alive]
    return comparison.fill(stage, process, mass, features, weight)


def _add(total: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Add arrays or histograms to those of the same name, in place."""
    for name, value in values.items():
        total[name] = total[name] + value if name in total else value
