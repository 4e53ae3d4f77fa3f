"""Selection: the one cut on the network's output, and the mass spectra before and behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.histograms import (
    STAGES,
    Comparison,
    Spectra,
    drawn_quantities,
    empty_spectrum,
    fill_spectra,
)
from punzinet.analysis.io.records import Record
from punzinet.analysis.types import FloatArray
from punzinet.analysis.windows import Windows
from punzinet.processors.candidates import Candidates, Sample, read_candidates
from punzinet.processors.cutflow import Cutflow, from_json, to_json
from punzinet.processors.runner import Chunk, ChunkProcessor

if TYPE_CHECKING:
    from hist import Hist

BELOW_CUT = "dropped: network output below the cut"


class Classifier(Protocol):
    """What a selection needs of a network."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of its inputs."""

    def logit_numpy(self, x: FloatArray) -> FloatArray:
        """Output before the sigmoid, (n,), for unscaled inputs (n, F)."""


@dataclass(frozen=True, eq=False)
class Selected:
    """What the selection makes of a chunk.

    Attributes:
        cutflow: What became of every entry.
        spectra: Histograms of the variable of the windows, of what is simulated.
        in_window: (2, H) before and after the cut: sums of weights in the window of each
            hypothesis. That is the efficiency for signal, which counts in its own window
            only, events at the target luminosity for background, and events for data.
        compared: Histograms in which data and backgrounds are compared; none without data.
    """

    cutflow: Cutflow
    spectra: Spectra
    in_window: FloatArray
    compared: Spectra = field(default_factory=dict)


class SelectionProcessor(ChunkProcessor[Selected]):
    """Cuts on the output of a network and fills histograms of the mass before and after."""

    def __init__(
        self,
        samples: Mapping[str, Sample],
        windows: Windows,
        network: Classifier,
        cut: float,
        network_digest: str = "",
        *,
        comparison: Comparison | None = None,
    ) -> None:
        """Make the processor.

        Args:
            samples: All datasets, by name.
            windows: The windows.
            network: The network.
            cut: Events with an output before the sigmoid of at least this are selected.
            network_digest: Tells this network from any other.
            comparison: How data is compared with backgrounds; None if there is no data.

        Raises:
            InputError: If the network has an input that is none of the features, or windows in
                another variable.
        """
        for search in {sample.search for sample in samples.values()}:
            unknown = [name for name in network.features if name not in search.feature_names]
            if unknown or windows.search.variable.name != search.variable.name:
                raise InputError(
                    f"The network was trained on {', '.join(network.features)} in windows of "
                    f"{windows.search.variable.name}, but `search` in the manifest has the "
                    f"features {', '.join(search.feature_names)} and the variable "
                    f"{search.variable.name}; run `punzinet features` and `punzinet train` again."
                )
        self._samples = samples
        self._windows = windows
        self._network = network
        self._cut = cut
        self._network_digest = network_digest
        self._comparison = comparison

    def process_chunk(self, chunk: Chunk, events: Any) -> Selected:
        """Select the events of a chunk."""
        sample = self._samples[chunk.dataset]
        candidates = read_candidates(sample, events)
        usable = np.flatnonzero(candidates.counter.alive)
        columns = [sample.search.feature_names.index(name) for name in self._network.features]
        # Rounded as in the tensors, so that an event is on the same side of the cut as there.
        features = candidates.features.T[columns].take(usable, axis=1).T.astype(np.float32)
        selected = np.zeros(len(events), dtype=bool)
        selected[usable] = self._network.logit_numpy(features) >= self._cut
        spectra: Spectra = {}
        compared: Spectra = {}
        in_window = np.empty((len(STAGES), len(self._windows)))
        for i, stage in enumerate(STAGES):
            if stage == "after":
                candidates.counter.require(BELOW_CUT, selected)
            if not sample.is_data:
                spectra |= _fill(stage, sample, candidates)
            if self._comparison is not None and not sample.is_signal:
                compared |= _compare(self._comparison, stage, sample, candidates)
            in_window[i] = self._sum_windows(sample, candidates)
        return Selected(candidates.counter.finish(), spectra, in_window, compared)

    def pack(self, result: Selected) -> Record:
        """Express what was selected as a record."""
        groups = {"spectra": result.spectra, "compared": result.compared}
        arrays: dict[str, Any] = {"in_window": result.in_window}
        for group, histograms in groups.items():
            for name, histogram in histograms.items():
                view: Any = histogram.view(flow=True)
                arrays |= {f"{group}/{name}/{key}": view[key] for key in ("value", "variance")}
        names = {group: list(histograms) for group, histograms in groups.items()}
        return Record({"cutflow": to_json(result.cutflow), **names}, arrays)

    def unpack(self, record: Record) -> Selected:
        """What `pack` made a record of."""
        drawn = drawn_quantities(self._windows.search.variable)
        makers: dict[str, Callable[[str], Hist[Any]]] = {
            "spectra": lambda name: empty_spectrum(drawn[name.split("/")[1]])
        }
        if self._comparison is not None:
            makers["compared"] = self._comparison.empty
        groups: dict[str, Spectra] = {group: {} for group in ("spectra", "compared")}
        for group, make in makers.items():
            for name in record.content[group]:
                histogram = make(name)
                view: Any = histogram.view(flow=True)
                for key in ("value", "variance"):
                    view[key] = record.arrays[f"{group}/{name}/{key}"]
                groups[group][name] = histogram
        return Selected(
            from_json(record.content["cutflow"]), in_window=record.arrays["in_window"], **groups
        )

    def settings(self, dataset: str) -> Any:
        """What a selection depends on: its sample, the windows, the network, the cut, the axes."""
        windows = [self._windows.mass.tolist(), self._windows.sigma.tolist()]
        compared = None if self._comparison is None else self._comparison.to_json()
        sample = self._samples[dataset].to_json()
        return [sample, windows, self._network_digest, self._cut, compared]

    def _sum_windows(self, sample: Sample, candidates: Candidates) -> FloatArray:
        """Sum up the weights in each window, (H,)."""
        alive = np.flatnonzero(candidates.counter.alive)
        weight = candidates.weight[alive]
        start, stop = self._windows.assign(candidates.variable[alive])
        if sample.is_signal:
            own = self._windows.index_of(sample.hypotheses[candidates.hypothesis[alive]])
            inside = (start <= own) & (own < stop)
            start, stop, weight = own[inside], own[inside] + 1, weight[inside]
        # Few pairs of first and last window occur: add up their events, then the pairs.
        size = len(self._windows) + 1
        flat = np.bincount(start.astype(np.int64) * size + stop, weight, minlength=size**2)
        pairs = flat.reshape(size, size)
        return np.array([pairs[: m + 1, m + 1 :].sum() for m in range(len(self._windows))])


def _fill(stage: str, sample: Sample, candidates: Candidates) -> Spectra:
    """Fill the spectra of what is left of a chunk.

    Args:
        stage: Name of the stage of the selection.
        sample: The dataset.
        candidates: Its muon pairs.
    """
    alive = np.flatnonzero(candidates.counter.alive)
    values, weight = candidates.variable[alive], candidates.weight[alive]
    variable = sample.search.variable
    if not sample.is_signal:
        return fill_spectra(stage, sample.process, variable, values, weight)
    hypothesis = candidates.hypothesis[alive]
    spectra: Spectra = {}
    for m in np.unique(hypothesis):
        own = hypothesis == m
        name = f"{sample.process}/{sample.hypotheses[m]:g}"
        spectra |= fill_spectra(stage, name, variable, values[own], weight[own])
    return spectra


def _compare(comparison: Comparison, stage: str, sample: Sample, candidates: Candidates) -> Spectra:
    """Fill the histograms in which data and backgrounds are compared.

    Args:
        comparison: How they are compared.
        stage: Name of the stage of the selection.
        sample: The dataset.
        candidates: Its muon pairs.
    """
    alive = np.flatnonzero(candidates.counter.alive)
    search = sample.search
    features = dict(zip(search.feature_names, candidates.features.T[:, alive], strict=True))
    mass = search.variable.signed_mass(candidates.variable[alive])
    return comparison.fill(stage, sample.process, mass, features, candidates.weight[alive])


def add_spectra(total: Spectra, spectra: Spectra) -> None:
    """Add histograms to those of the same name, in place."""
    for name, histogram in spectra.items():
        total[name] = total[name] + histogram if name in total else histogram
