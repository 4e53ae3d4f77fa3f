"""Selection: the one cut on the network's output, and the mass spectra before and behind it."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from coffea.processor import accumulate
from hist import Hist

from punzinet.analysis.folds import FOLDS, fold_of, identity_hash
from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.histograms import (
    GROUPS,
    STAGES,
    Comparison,
    Spectra,
    changed_template,
    fill_spectra,
    fill_template,
)
from punzinet.analysis.manifest.sections import mass_name
from punzinet.analysis.manifest.systematics import factor_name
from punzinet.analysis.saved_network import SavedNetwork
from punzinet.analysis.training.data import Judging
from punzinet.analysis.types import FloatArray, IntArray
from punzinet.processors.candidates import Candidates, merge_cutflows, read_candidates
from punzinet.processors.datasets import Chunk, ChunkProcessor, DatasetInfo

BELOW_CUT = "dropped: network output below the cut"
NOT_JUDGING = "dropped: trained the network or chose its cut"


#: By dataset, and by ``<parameter>.up`` and ``down``, with what factors its events count in what
#: the parameter changes: (1,), or (H,) of signal by hypothesis.
Shifts = Mapping[str, Mapping[str, FloatArray]]


class SelectionProcessor(ChunkProcessor):
    """Cuts on the output of a network and fills histograms of the mass before and after.

    The output holds, added up over all chunks:

    - ``cutflows``: what became of every entry, by dataset,
    - ``in_windows``: by process, (2, H) before and after the cut: sums of weights in the window of
      each hypothesis. That is the efficiency for signal, which counts in its own window only,
      events at the target luminosity for background, and events for data,
    - ``spectra``: histograms of the variable of the windows, of what is simulated, templates, and
      what systematic parameters change about these,
    - ``compared``: histograms in which data and backgrounds are compared; none without data.
    """

    def __init__(
        self,
        datasets: Iterable[DatasetInfo],
        saved: SavedNetwork,
        comparison: Comparison | None = None,
        judging: Judging | None = None,
        shifts: Shifts | None = None,
    ) -> None:
        """Select events with the single cut of a network, and compare data with backgrounds.

        Behind the cut only the events count that judge, if it is said which: all others trained
        the network, or chose its cut. Varied datasets, and those that they are variations of, have
        `shifts`. InputError if the network has no cut, an input that is none of the features, or
        windows in another variable.
        """
        windows, network, cut = saved.windows, saved.network, saved.single_cut
        depends_on = windows.mass, windows.sigma, network, cut, judging
        super().__init__(datasets, *depends_on, comparison)
        for search in {dataset.search for dataset in self.datasets.values()}:
            unknown = set(network.features) - set(search.feature_names)
            if unknown or windows.search.variable.name != search.variable.name:
                raise InputError(
                    f"The network was trained on {', '.join(network.features)} in windows of "
                    f"{windows.search.variable.name}, but `search` in the manifest has the "
                    f"features {', '.join(search.feature_names)} and the variable "
                    f"{search.variable.name}; run `punzinet features` and `punzinet train` again."
                )
        self._windows, self._network, self._cut = windows, network, cut
        self._judging, self._comparison = judging, comparison
        self._shifts = shifts or {}

    def settings(self, dataset: DatasetInfo) -> Any:
        """A chunk of a dataset that has shifts is filled by groups, too."""
        return [*super().settings(dataset), *(["groups"] if dataset.name in self._shifts else [])]

    def process_chunk(self, dataset: DatasetInfo, events: Any) -> dict[str, Any]:
        """Select the events of a chunk."""
        candidates, search = read_candidates(dataset, events), dataset.search
        usable = np.flatnonzero(candidates.alive)
        columns = [search.feature_names.index(name) for name in self._network.features]
        # Rounded as in the tensors, so that an event is on the same side of the cut as there.
        features = candidates.features.T[columns].take(usable, axis=1).T.astype(np.float32)
        selected = np.zeros(len(events), dtype=bool)
        selected[usable] = self._network.logit(features) >= self._cut
        spectra: Spectra = {}
        compared: Spectra = {}
        in_windows = np.empty((len(STAGES), len(self._windows)))
        for i, stage in enumerate(STAGES):
            if stage == "after":
                candidates.require(BELOW_CUT, selected)
                if self._judging is not None and not dataset.is_data:
                    self._require_judging(self._judging, dataset, candidates)
            if dataset.variation_of:
                continue
            rows = np.flatnonzero(candidates.alive)
            variable, weight = candidates.variable[rows], candidates.weight[rows]
            hypothesis = candidates.hypothesis[rows]
            in_windows[i] = self._sum_windows(dataset, variable, hypothesis, weight)
            if not dataset.is_data:
                spectra |= _fill(stage, dataset, variable, hypothesis, weight)
            if self._comparison is not None and not dataset.is_signal:
                named = dict(zip(search.feature_names, candidates.features.T[:, rows], strict=True))
                named[self._comparison.mass] = search.variable.signed_mass(variable)
                compared |= self._comparison.fill(stage, dataset.process, named, weight)
        templates, groups = self._fill_templates(dataset, candidates)
        return {
            "cutflows": {dataset.name: candidates.cutflow},
            "in_windows": {} if dataset.variation_of else {dataset.process: in_windows},
            "spectra": spectra | templates,
            "groups": groups,
            "compared": compared,
        }

    def _fill_templates(
        self, dataset: DatasetInfo, candidates: Candidates
    ) -> tuple[Spectra, dict[str, FloatArray]]:
        """Templates, and those of `GROUPS` of events by identity for a dataset with shifts."""

        def fill(rows: IntArray, factor: FloatArray | float = 1.0) -> Hist[Any]:
            variable, weight = candidates.variable[rows], factor * candidates.weight[rows]
            of = dataset.hypotheses[candidates.hypothesis[rows]] if dataset.is_signal else None
            return fill_template(self._windows, variable, weight, of)

        rows, groups, templates = np.flatnonzero(candidates.alive), dict[str, Any](), Spectra()
        if dataset.name in self._shifts:
            identity = {name: of[rows] for name, of in candidates.identity.items()}
            group = identity_hash(**identity, dataset="") % np.uint64(GROUPS)
            own = [fill(rows[group == one]).values() for one in range(GROUPS)]
            groups[dataset.name] = np.array(own)
        if not (dataset.is_data or dataset.variation_of):
            factors = {"": 1.0} | _changes(candidates.factors(rows))
            templates = {
                f"templates/{dataset.process}{name}": fill(rows, factor)
                for name, factor in factors.items()
            }
        return templates, groups

    def _require_judging(
        self, judging: Judging, dataset: DatasetInfo, candidates: Candidates
    ) -> None:
        factor = np.array([judging.backgrounds.get(dataset.process, FOLDS)])
        if dataset.is_signal:
            factor = judging.signal[self._windows.index_of(dataset.hypotheses)]
            factor = factor[candidates.hypothesis]  # what has none is dropped already
        fold = fold_of(**candidates.identity, dataset=dataset.variation_of or dataset.name)
        candidates.require(NOT_JUDGING, fold == judging.fold, factor)

    def merge(self, chunks: Mapping[Chunk, Any]) -> dict[str, Any]:
        """Add up what was selected."""
        total: dict[str, Any] = accumulate(chunks.values(), {})
        for name, lines in total["cutflows"].items():
            total["cutflows"][name] = merge_cutflows([lines])
        changes: dict[str, FloatArray] = {}
        for name, groups in total.pop("groups").items():
            for parameter, factor in self._shifts[name].items():
                change = f"templates/{self.datasets[name].process}.{parameter}"
                changes[change] = changes.get(change, 0.0) + factor[:, None] * groups
        templates = {of: changed_template(self._windows, groups) for of, groups in changes.items()}
        return total | {"spectra": accumulate([templates], total["spectra"])}

    def _sum_windows(
        self, dataset: DatasetInfo, variable: FloatArray, hypothesis: IntArray, weight: FloatArray
    ) -> FloatArray:
        start, stop = self._windows.assign(variable)
        if dataset.is_signal:
            own = self._windows.index_of(dataset.hypotheses[hypothesis])
            inside = (start <= own) & (own < stop)
            start, stop, weight = own[inside], own[inside] + 1, weight[inside]
        # Few pairs of first and last window occur: add up their events, then the pairs.
        size = len(self._windows) + 1
        flat = np.bincount(start.astype(np.int64) * size + stop, weight, minlength=size**2)
        pairs = flat.reshape(size, size)
        return np.array([pairs[: m + 1, m + 1 :].sum() for m in range(len(self._windows))])


def _changes(factors: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """What factors (n,) add, relative to the weights, by ``.<parameter>.up`` and ``down``."""
    found: dict[str, FloatArray] = {}
    for name in dict.fromkeys(column.split(":")[1] for column in factors):
        up = factors[factor_name(name, "up")].astype(np.float64) - 1
        down = factors.get(factor_name(name, "down"), 1 - up) - 1
        found |= {f".{name}.up": up, f".{name}.down": down}
    return found


def _fill(
    stage: str, dataset: DatasetInfo, values: FloatArray, hypothesis: IntArray, weight: FloatArray
) -> Spectra:
    variable = dataset.search.variable
    if not dataset.is_signal:
        return fill_spectra(stage, dataset.process, variable, values, weight)
    spectra: Spectra = {}
    for m in np.unique(hypothesis):
        own = hypothesis == m
        name = f"{dataset.process}/{mass_name(dataset.hypotheses[m])}"
        spectra |= fill_spectra(stage, name, variable, values[own], weight[own])
    return spectra
