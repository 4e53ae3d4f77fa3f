"""Selection: the one cut on the network's output, and the mass spectra before and behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from analysis.errors import InputError
from analysis.records import Record
from analysis.spectra import STAGES, Spectra, drawn_quantities, empty_spectrum, fill_spectra
from analysis.types import FloatArray
from analysis.windows import Windows
from processors.candidates import Candidates, Sample, read_candidates
from processors.cutflow import Cutflow, from_json, to_json
from processors.runner import Chunk, ChunkProcessor

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
        spectra: Histograms of the variable of the windows.
        in_window: (2, H) before and after the cut: sums of weights in the window of each
            hypothesis. That is the efficiency for signal, which counts in its own window
            only, and events at the target luminosity for background.
    """

    cutflow: Cutflow
    spectra: Spectra
    in_window: FloatArray


class SelectionProcessor(ChunkProcessor[Selected]):
    """Cuts on the output of a network and fills histograms of the mass before and after."""

    def __init__(
        self,
        samples: Mapping[str, Sample],
        windows: Windows,
        network: Classifier,
        cut: float,
        network_digest: str = "",
    ) -> None:
        """Make the processor.

        Args:
            samples: All datasets, by name.
            windows: The windows.
            network: The network.
            cut: Events with an output before the sigmoid of at least this are selected.
            network_digest: Tells this network from any other.

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

    def process_chunk(self, chunk: Chunk, events: Any) -> Selected:
        """Select the events of a chunk."""
        sample = self._samples[chunk.dataset]
        candidates = read_candidates(sample, events)
        usable = np.flatnonzero(candidates.counter.alive)
        columns = [sample.search.feature_names.index(name) for name in self._network.features]
        # Rounded as in the tensors, so that an event is on the same side of the cut as there.
        features = candidates.features.T[columns][:, usable].T.astype(np.float32)
        selected = np.zeros(len(events), dtype=bool)
        selected[usable] = self._network.logit_numpy(features) >= self._cut
        spectra: Spectra = {}
        in_window = np.empty((len(STAGES), len(self._windows)))
        for i, stage in enumerate(STAGES):
            if stage == "after":
                candidates.counter.require(BELOW_CUT, selected)
            spectra |= _fill(stage, sample, candidates)
            in_window[i] = self._sum_windows(sample, candidates)
        return Selected(candidates.counter.finish(), spectra, in_window)

    def pack(self, result: Selected) -> Record:
        """Express what was selected as a record."""
        arrays: dict[str, Any] = {
            name: spectrum.view(flow=True) for name, spectrum in result.spectra.items()
        }
        return Record(
            {"cutflow": to_json(result.cutflow), "spectra": list(arrays)},
            {
                "in_window": result.in_window,
                **{f"{name}/value": view["value"] for name, view in arrays.items()},
                **{f"{name}/variance": view["variance"] for name, view in arrays.items()},
            },
        )

    def unpack(self, record: Record) -> Selected:
        """What `pack` made a record of."""
        spectra: Spectra = {}
        drawn = drawn_quantities(self._windows.search.variable)
        for name in record.content["spectra"]:
            spectrum = empty_spectrum(drawn[name.split("/")[1]])
            view: Any = spectrum.view(flow=True)
            view["value"] = record.arrays[f"{name}/value"]
            view["variance"] = record.arrays[f"{name}/variance"]
            spectra[name] = spectrum
        return Selected(from_json(record.content["cutflow"]), spectra, record.arrays["in_window"])

    def settings(self, dataset: str) -> Any:
        """What a selection depends on: its sample, the windows, the network and the cut."""
        windows = [self._windows.mass.tolist(), self._windows.sigma.tolist()]
        return [self._samples[dataset].to_json(), windows, self._network_digest, self._cut]

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


def add_spectra(total: Spectra, spectra: Spectra) -> None:
    """Add histograms to those of the same name, in place."""
    for name, histogram in spectra.items():
        total[name] = total[name] + histogram if name in total else histogram
