"""Systematic effects on efficiency and backgrounds behind a cut, measured on test events.

Each parameter changes the yield of a process in a window by a factor one sigma up and another one
down; what has no variation down is mirrored, by the inverse factor.

**Weights.** Of the same events, a sum of weights times factors over one of weights.

**Samples.** The varied sample takes the place of its nominal dataset. Where both hold the same
events, by their identity, only what differs between them fluctuates; where they do not, a ratio of
few events would pose as an effect. So the statistical error of the ratio is found event by event,
one event at least, and neighbouring windows are taken together, as many as it takes for an error
below `PRECISE`: for background, of events that lie in any of them, for signal, of neighbouring
masses. Many shared events need no neighbours. What remains is the `error` of an effect.

Several effects of one parameter on one process multiply. A factor stays within `EXTREME`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from punzinet.analysis.cuts import RankedEvents, selected
from punzinet.analysis.folds import identity_hash
from punzinet.analysis.io.files import Column, InputError, read_result, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.tensor_events import read_in_windows, tensor_paths
from punzinet.analysis.limits.expected import asymptotic_limits
from punzinet.analysis.limits.model import CountingExperiment, Yields
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.systematics import (
    DIRECTIONS,
    Systematic,
    factor_branches,
    factor_name,
)
from punzinet.analysis.types import SIGNAL, BoolArray, FloatArray, IntArray
from punzinet.analysis.windows import Windows

if TYPE_CHECKING:  # not at run time, as in `model`
    from punzinet.analysis.network import PunziNet

PRECISE = 0.02  # statistical error of a factor that asks for no more neighbours
EXTREME = 10.0  # largest factor, and inverse of the smallest: a log-normal one says nothing beyond
IDENTITY = ("experiment", "run", "event", "production")
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # odd: masses of one identity differ


class Effect(NamedTuple):
    """What a parameter changes, one sigma up and down: (2, P + 1, H), signal in the last row."""

    factor: FloatArray  # on yields
    error: FloatArray  # statistical, of the factors


@dataclass(frozen=True, eq=False)
class _Passing:
    """The n test events of a dataset that pass the lowest cut."""

    row: int  # of its process
    #: (n,) identity, logit, weight, start and stop (of windows), and factors on the weight.
    columns: dict[str, NDArray[Any]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def take(self, rows: BoolArray | IntArray) -> "_Passing":
        """Some of the events."""
        return _Passing(self.row, {name: column[rows] for name, column in self.columns.items()})

    def weighted(self, weight: FloatArray) -> "_Passing":
        """The same with other weights (n,)."""
        return _Passing(self.row, self.columns | {"weight": weight})

    def sums(self, cut: FloatArray, reach: int, power: int = 1) -> FloatArray:
        """Sums of powers of weights behind cuts, of each window with its neighbours, (H,)."""
        start, stop = (self["start"] - reach).clip(0), (self["stop"] + reach).clip(max=len(cut))
        columns = self["weight"] ** power, np.zeros(len(start), np.int16), start, stop
        ranked = RankedEvents.rank(self["logit"], *columns, processes=1, hypotheses=len(cut))
        return np.asarray(selected(ranked, cut)[0][0])

    def shared(self, other: "_Passing") -> "_Passing":
        """What another sample holds as well, where it passes in both, with products of weights."""
        same = np.intersect1d(self["identity"], other["identity"], return_indices=True)[1:]
        one, two = self.take(same[0]), other.take(same[1])
        both = {
            "logit": np.minimum(one["logit"], two["logit"]),
            "weight": one["weight"] * two["weight"],
            "start": np.maximum(one["start"], two["start"]),
            "stop": np.minimum(one["stop"], two["stop"]),
        }
        return _Passing(self.row, both).take(both["start"] < both["stop"])


class _Reader(NamedTuple):
    """Reads the test events of datasets that pass the lowest cut."""

    manifest: Manifest
    windows: Windows
    rows: Mapping[str, int]  # of the sums, by process
    network: "PunziNet"
    cut: FloatArray  # (H,)

    def read(self, tensors: Path, dataset: str) -> _Passing:
        """Those of one dataset; InputError if its tensors are missing or damaged."""
        of = self.manifest.datasets[dataset]
        row, features = self.rows[of.process], self.windows.search.feature_names
        judging, lowest = self.manifest.training.folds.judging, self.cut.min()
        columns, factors = [*features, *IDENTITY, "weight", "fold"], list[str]()
        for named in factor_branches(self.manifest.systematics, of).values():
            factors += named
        parts = [dict.fromkeys(("identity", "logit", "weight", "start", "stop"), np.empty(0))]
        for path in tensor_paths(tensors / dataset, "*.parquet"):
            for table, start, stop in read_in_windows(path, self.windows, columns, factors):
                one = {name: table[name].to_numpy() for name in table.schema.names}
                logit = self.network.logit_numpy(np.column_stack([one[name] for name in features]))
                rows = (one["fold"] == judging) & (start < stop) & (logit >= lowest)
                identity = identity_hash(**{name: one[name] for name in IDENTITY}, dataset="")
                if row == SIGNAL:
                    identity ^= _GOLDEN * start.astype(np.uint64)
                own = {"identity": identity, "logit": logit, "weight": one["weight"]}
                own |= {"start": start, "stop": stop} | {n: one[n] for n in factors if n in one}
                parts.append({name: column[rows] for name, column in own.items()})
        *_, names = parts
        kept = parts[1:] or parts
        merged = {name: np.concatenate([part[name] for part in kept]) for name in names}
        for name in {*factors} & {*names}:
            total = merged["weight"].sum()
            mean = merged["weight"] @ merged[name] / total if total > 0 else 1.0
            if not 1 / EXTREME <= mean <= EXTREME:
                raise InputError(
                    f"Dataset {dataset}: {name} is {mean:.3g} on average behind the cut, but its "
                    "branch has to hold factors on the weights, which are near 1; correct it."
                )
        return _Passing(row, merged)


def measure_systematics(
    manifest: Manifest,
    output: OutputFolder,
    windows: Windows,
    network: "PunziNet",
    yields: Yields,
) -> dict[str, Effect]:
    """Effects of all parameters on the yields behind cuts on a network's output, by name.

    InputError if tensors are missing or damaged.
    """
    every = replace(windows, training=np.ones(len(windows), dtype=bool))
    rows = {name: row for row, name in enumerate(yields.backgrounds)} | {SIGNAL_PROCESS: SIGNAL}
    cut = yields.cut
    reader = _Reader(manifest, every, rows, network, cut)
    present = {name: d for name, d in manifest.part().datasets.items() if d.process in rows}
    nominal = {name: reader.read(output.tensors, name) for name in present}
    found = {}
    for name, one in manifest.systematics.items():
        effect = Effect(np.ones((2, len(rows), len(cut))), np.zeros((2, len(rows), len(cut))))
        for process, size in one.normalisation.items():
            if process in rows:
                effect.factor[:, rows[process]] = np.array([[1 + size], [1 / (1 + size)]])
        columns = [factor_name(name, way) for way in DIRECTIONS]
        by_weights = {
            dataset: [
                events.weighted(events["weight"] * events[column])
                for column in columns if column in events.columns
            ]
            for dataset, events in nominal.items() if columns[0] in events.columns
        }  # fmt: skip
        by_samples = {
            dataset: [
                reader.read(output.varied_tensors, varied)
                for varied in (samples.up, samples.down) if varied is not None
            ]
            for dataset, samples in one.samples.items() if dataset in present
        }  # fmt: skip
        known = _varied_masses(manifest, one, windows.mass)
        for varied, precise in ((by_weights, np.inf), (by_samples, PRECISE)):
            for row in {nominal[dataset].row for dataset in varied}:
                pairs = [(e, varied.get(d, [])) for d, e in nominal.items() if e.row == row]
                if row == SIGNAL and varied is by_samples:
                    pairs = [(e.take(known[e["start"]]), others) for e, others in pairs]
                ratio, error = _ratio(pairs, cut, precise)
                before = effect.factor[:, row].copy()
                effect.error[:, row] = np.hypot(effect.error[:, row] * ratio, before * error)
                effect.factor[:, row] = before * ratio
        found[name] = effect._replace(factor=effect.factor.clip(1 / EXTREME, EXTREME))
    return found


def _varied_masses(manifest: Manifest, one: Systematic, mass: FloatArray) -> BoolArray:
    """For which masses (H,) all samples of a parameter hold signal, where they hold any."""
    datasets = [manifest.datasets[varied] for _, _, varied in one.varied]
    signals = [dataset for dataset in datasets if dataset.is_signal]
    known = [
        [any(d.generated_at(m) for d in signals if d.name in of) for m in mass.tolist()]
        for of in (
            {s.up for s in one.samples.values()},
            {s.down or s.up for s in one.samples.values()},
        )
    ]
    return np.asarray(np.all(known, axis=0))


def _ratio(
    pairs: Sequence[tuple[_Passing, Sequence[_Passing]]], cut: FloatArray, precise: float
) -> tuple[FloatArray, FloatArray]:
    """Yields of a process up and down over nominal ones, and the error of that, (2, H) each.

    The pairs are its nominal datasets, each with none, one or two varied ones, which have other
    weights or events.
    """
    hypotheses = len(cut)
    ratio, error = np.ones((2, hypotheses)), np.zeros((2, hypotheses))
    missing = np.ones((2, hypotheses), dtype=bool)
    for reach in (0, *(2**k for k in range(hypotheses.bit_length() + 1))):
        total = np.sum([one.sums(cut, reach) for one, _ in pairs], axis=0)
        change, variance = np.zeros((2, 2, hypotheses))
        for nominal, varied in pairs:
            own, squares = (nominal.sums(cut, reach, power) for power in (1, 2))
            for way, other in enumerate([varied[0], varied[-1]] if varied else []):
                sums, spread = (other.sums(cut, reach, power) for power in (1, 2))
                of = np.divide(sums, own, out=np.ones(hypotheses), where=own > 0)
                of = of.clip(1 / EXTREME, EXTREME)
                common = nominal.shared(other).sums(cut, reach)
                spread += of**2 * squares - 2 * of * common
                if np.isfinite(precise):  # what few events say is known to one of them at best
                    one = np.divide(squares, own, out=np.zeros(hypotheses), where=own > 0)
                    spread = np.maximum(spread, one**2)
                if way == 1 and len(varied) == 1:
                    of, spread = 1 / of, spread / of**4
                change[way] += (of - 1) * own
                variance[way] += spread.clip(min=0)
        found = np.where(total > 0, total, np.inf)
        spread = np.sqrt(variance) / found
        # The widest is as good as it gets.
        use = missing & (total > 0) & ((spread <= precise) | (reach >= hypotheses))
        ratio, error = np.where(use, 1 + change / found, ratio), np.where(use, spread, error)
        missing &= ~use
        if not missing.any():
            break
    return ratio, error


def impacts(
    experiments: Sequence[CountingExperiment | None], confidence_level: float, names: Iterable[str]
) -> dict[str, FloatArray]:
    """Relative change of the median expected limit by each of some parameters, (H,) by name.

    That is the limit with all of them over the one without it, less one, by the asymptotic
    formulas; 0 where there is no experiment.
    """
    limits, found = asymptotic_limits(experiments, confidence_level)[:, 2], dict[str, FloatArray]()
    known = np.isfinite(limits)
    for name in names:
        others = [
            one and replace(one, factors={n: of for n, of in one.factors.items() if n != name})
            for one in experiments
        ]
        without = asymptotic_limits(others, confidence_level)[:, 2]
        found[name] = np.zeros(len(experiments))
        found[name][known] = limits[known] / without[known] - 1
    return found


@dataclass(frozen=True, eq=False)
class Parameter:
    """What one parameter does behind the single cut."""

    background: Column  # (2, H) factors on all background together, up and down
    factor: dict[str, Column]  # (2, H) on yields, by process
    error: dict[str, Column]  # (2, H) statistical
    impact: Column  # (H,) relative change of the median expected limit that is due to it


_PARAMETERS = TypeAdapter(dict[str, Parameter])


def write_systematics(
    path: Path,
    effects: Mapping[str, Effect],
    impact: Mapping[str, FloatArray],
    yields: Yields,
    *,
    mass: FloatArray,
    provenance: Mapping[str, Any],
) -> None:
    """Write systematics.json, for masses (H,) in GeV."""
    names = [*yields.backgrounds, SIGNAL_PROCESS]
    total = yields.background.sum(axis=0)

    def of_all(factor: FloatArray) -> FloatArray:
        varied = (yields.background * factor[:, :SIGNAL]).sum(axis=1)
        ratio: FloatArray = np.divide(varied, total, out=np.ones_like(varied), where=total > 0)
        return ratio

    parameters = {
        name: Parameter(
            of_all(effect.factor),
            {of: effect.factor[:, row] for row, of in enumerate(names)},
            {of: effect.error[:, row] for row, of in enumerate(names)},
            impact[name],
        )
        for name, effect in effects.items()
    }
    content = {"mass": mass.tolist(), "parameters": _PARAMETERS.dump_python(parameters)}
    write_json(path, {"provenance": dict(provenance), **content})


def read_systematics(path: Path) -> tuple[FloatArray, dict[str, Parameter]]:
    """Masses (H,) in GeV, and parameters by name; InputError if the file is absent or damaged."""
    with read_result(path, "systematics", "punzinet limits") as content:
        return parse_systematics(content)


def parse_systematics(content: Any) -> tuple[FloatArray, dict[str, Parameter]]:
    """The same of what the file holds; ValueError and the like if that is something else."""
    return np.array(content["mass"]), _PARAMETERS.validate_python(content["parameters"])
