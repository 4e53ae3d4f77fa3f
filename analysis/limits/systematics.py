"""Systematic effects on efficiency and backgrounds, measured on simulated events.

Each parameter changes the yield of a process in a window by a factor one sigma up and another one
down; what has no variation down is mirrored, by the inverse factor.

**Weights.** Of the same events, a sum of weights times factors over one of weights.

**Samples.** The varied sample takes the place of its nominal dataset. Where both hold the same
events, by their identity and the order of candidates, only what differs between them fluctuates;
where they do not, a ratio of few events would pose as an effect. So the statistical error of the
ratio is found event by event, one event at least, and neighbouring windows are taken together, as
many as it takes for an error below `PRECISE`: for background, of events that lie in any of them,
for signal, of neighbouring masses. Many shared events need no neighbours. What remains is the
`error` of an effect.

Several effects of one parameter on one process multiply. A factor stays within `EXTREME`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from punzinet.analysis.cuts import RankedEvents, selected
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.folds import GOLDEN, IDENTITY, identity_hash
from punzinet.analysis.io.files import Column, InputError, read_result, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.tensor_events import read_in_windows, tensor_paths
from punzinet.analysis.limits.expected import asymptotic_limits
from punzinet.analysis.limits.model import CountingExperiment, Effect, Yields, log_normal
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.systematics import (
    DIRECTIONS,
    factor_branches,
    factor_name,
)
from punzinet.analysis.saved_network import Perceptron
from punzinet.analysis.types import BoolArray, FloatArray, IntArray, divided
from punzinet.analysis.windows import Windows

PRECISE = 0.02  # statistical error of a factor that asks for no more neighbours
EXTREME = 10.0  # largest factor, and inverse of the smallest: a log-normal one says nothing beyond


#: Columns (n,) of events of a dataset: identity, logit, weight, start and stop (of windows),
#: and factors on the weight.
_Events = dict[str, NDArray[Any]]


def measured_figure(manifest: Manifest, output: OutputFolder, windows: Windows) -> FigureOfMerit:
    """The figure of merit, with what systematic parameters do to background if it asks for that.

    Training events before any cut say it for every window: none that choose a cut or judge do.
    InputError if tensors are missing or damaged, or no parameter changes any background.
    """
    figure = manifest.figure_of_merit
    if not figure.is_measured:
        return figure
    datasets = manifest.part().datasets.values()
    backgrounds = [*dict.fromkeys(one.process for one in datasets if not one.is_signal)]
    effects = measure_systematics(manifest, output, windows, backgrounds)
    if all((factor == 1).all() for effect in effects.values() for factor in effect.factor.values()):
        raise InputError(
            "`figure_of_merit.background_uncertainty` is `measured`, but no parameter of "
            "`systematics` changes a background; add one that does, or give numbers."
        )
    mass = windows.mass.tolist()
    shifts = {
        name: {
            process: dict(zip(mass, ((up - down) / 2).tolist(), strict=True))
            for process, (up, down) in effect.factor.items()
        }
        for name, effect in effects.items()
    }
    return figure.model_copy(update={"shifts": shifts})


def measure_systematics(
    manifest: Manifest,
    output: OutputFolder,
    windows: Windows,
    backgrounds: Sequence[str],
    behind: tuple[Perceptron, FloatArray] | None = None,
) -> dict[str, Effect]:
    """Effects of all parameters on the yields behind cuts (H,) on a network's output, by name.

    They are those on test events, or, without cuts, those on background events that train.
    InputError if tensors are missing or damaged.
    """
    if not manifest.systematics:
        return {}
    cut = behind[1] if behind else np.full(len(windows), -np.inf)
    every = windows.every
    processes = [*backgrounds, SIGNAL_PROCESS] if behind else backgrounds
    datasets = manifest.part().datasets.items()
    present = {name: one.process for name, one in datasets if one.process in processes}
    read = partial(_read, manifest, every, behind)
    nominal, found = {name: read(name, output.tensors) for name in present}, dict[str, Effect]()
    for name, one in manifest.systematics.items():
        found[name] = Effect({}, {})
        columns = [factor_name(name, way) for way in DIRECTIONS]
        known = _varied_masses(manifest, name, windows.mass)
        for process in processes:
            both, error = log_normal(one.normalisation.get(process, 0.0)), np.zeros((2, len(cut)))
            factor = np.outer(both, np.ones(len(cut)))
            own = {dataset: nominal[dataset] for dataset, of in present.items() if of == process}
            weighted = [
                (e, [e | {"weight": e["weight"] * e[column]} for column in columns if column in e])
                for e in own.values()
            ]
            sampled = [
                (e, [read(other, output.varied_tensors) for of, _, other in one.varied if of == d])
                for d, e in own.items()
            ]
            if process == SIGNAL_PROCESS:
                sampled = [
                    (_take(e, known[e["start"]]), [_take(o, known[o["start"]]) for o in others])
                    for e, others in sampled
                ]
            for pairs, precise in ((weighted, np.inf), (sampled, PRECISE)):
                if any(varied for _, varied in pairs):
                    ratio, uncertain = _ratio(pairs, cut, precise)
                    error = np.hypot(error * ratio, factor * uncertain)
                    factor = factor * ratio
            found[name].factor[process] = factor.clip(1 / EXTREME, EXTREME)
            found[name].error[process] = error
    return found


def _read(
    manifest: Manifest,
    windows: Windows,
    behind: tuple[Perceptron, FloatArray] | None,
    name: str,
    tensors: Path,
) -> _Events:
    """Events of a dataset in windows, see `measure_systematics`, that pass the lowest cut.

    InputError if tensors are damaged, or factors are none.
    """
    of, folds = manifest.datasets[name], manifest.training.folds
    features = windows.search.feature_names if behind else ()
    columns = [*features, *IDENTITY, "weight", "fold"]
    factors = [*chain(*factor_branches(manifest.systematics, of).values())]
    parts: list[_Events] = []
    for path in tensor_paths(tensors / name, "*.parquet"):
        for table, start, stop in read_in_windows(path, windows, columns, factors):
            one = {name: table[name].to_numpy() for name in table.schema.names}
            logit: FloatArray = np.zeros(len(start))
            wanted = folds.rows(one["fold"])[0]
            if behind:
                logit = behind[0].logit(np.column_stack([one[name] for name in features]))
                wanted = (one["fold"] == folds.judging) & (logit >= behind[1].min())
            identity = identity_hash(**{name: one[name] for name in IDENTITY}, dataset="")
            if of.is_signal:
                identity ^= GOLDEN * start.astype(np.uint64)
            own = {"identity": identity, "logit": logit, "weight": one["weight"]}
            own |= {"start": start, "stop": stop} | {n: one[n] for n in factors if n in one}
            parts.append(_take(own, wanted & (start < stop)))
    if not parts:
        return dict.fromkeys(("identity", "logit", "weight", "start", "stop"), np.empty(0, int))
    merged = {column: np.concatenate([part[column] for part in parts]) for column in parts[-1]}
    merged["identity"] = _candidates(merged["identity"])
    for factor in {*factors} & {*merged}:
        total = merged["weight"].sum()
        mean = merged["weight"] @ merged[factor] / total if total > 0 else 1.0
        if not 1 / EXTREME <= mean <= EXTREME:
            raise InputError(
                f"Dataset {name}: {factor} is {mean:.3g} on average, but its "
                "branch has to hold factors on the weights, which are near 1; correct it."
            )
    return merged


def _candidates(identity: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Identities (n,) that tell the candidates of an event apart, too, by their order."""
    order, place = np.argsort(identity, kind="stable"), np.arange(len(identity))
    first = np.diff(identity[order], prepend=~identity[order[:1]]) != 0
    number = place - np.maximum.accumulate(np.where(first, place, 0))
    found = identity.copy()
    found[order] += number.astype(np.uint64)
    return found


def _varied_masses(manifest: Manifest, name: str, mass: FloatArray) -> BoolArray:
    """For which masses (H,) all samples of a parameter hold signal, where they hold any.

    InputError if there is none: nothing would be known of an effect that the manifest declares.
    """
    one = manifest.systematics[name]
    datasets = [manifest.datasets[varied] for _, _, varied in one.varied]
    signals = [dataset for dataset in datasets if dataset.is_signal]
    ways = [{s.up for s in one.samples.values()}, {s.down or s.up for s in one.samples.values()}]
    known = np.array([
        [any(d.generated_at(m) for d in signals if d.name in of) for m in mass.tolist()]
        for of in ways
    ]).all(axis=0)  # fmt: skip
    if signals and not known.any():
        raise InputError(
            f"The samples of `systematics.{name}` hold no mass that is searched for both up and "
            "down; give `generated` events of the same masses in both."
        )
    return np.asarray(known)


def shifts(manifest: Manifest, mass: FloatArray) -> dict[str, dict[str, FloatArray]]:
    """With what factors events count in the changes that varied samples make, for masses (H,).

    They are given by dataset, and by ``<parameter>.up`` and ``down``: (H,) of signal, at the masses
    that are varied, else (1,). What varied samples add, nominal ones take away; without a variation
    down, it is the other way round there.
    """
    found: dict[str, dict[str, FloatArray]] = {}
    for name, one in manifest.systematics.items():
        known = _varied_masses(manifest, name, mass).astype(float)
        for nominal, samples in one.samples.items():
            size = known if manifest.datasets[nominal].is_signal else np.ones(1)
            mirrored = (samples.up, -size) if samples.down is None else (samples.down, size)
            both = (samples.up, size), mirrored
            for way, (varied, factor) in zip(DIRECTIONS, both, strict=True):
                found.setdefault(varied, {})[f"{name}.{way}"] = factor
                found.setdefault(nominal, {})[f"{name}.{way}"] = -factor
    return found


def _take(events: _Events, rows: BoolArray | IntArray) -> _Events:
    return {name: column[rows] for name, column in events.items()}


def _shared(one: _Events, other: _Events) -> _Events:
    """Events that both samples hold, where they pass in both, with products of weights."""
    _, *same = np.intersect1d(one["identity"], other["identity"], return_indices=True)
    one, other = _take(one, same[0]), _take(other, same[1])
    both = {
        "logit": np.minimum(one["logit"], other["logit"]),
        "weight": one["weight"] * other["weight"],
        "start": np.maximum(one["start"], other["start"]),
        "stop": np.minimum(one["stop"], other["stop"]),
    }
    return _take(both, both["start"] < both["stop"])


def _sums(cut: FloatArray, reach: int, events: _Events) -> tuple[FloatArray, FloatArray]:
    """Sums of weights and of their squares behind cuts, of windows with their neighbours, (H,)."""
    start, stop = (events["start"] - reach).clip(0), (events["stop"] + reach).clip(max=len(cut))
    none, start, stop = (of.astype(np.int16) for of in (np.zeros(len(start)), start, stop))
    weight = events["weight"].astype(np.float64)
    # In no order, which sums do not need.
    passing = RankedEvents(events["logit"], weight, none, start, stop, 1, len(cut))
    sums, squares = selected(passing, cut)
    return sums[0], squares[0]


def _ratio(
    pairs: Sequence[tuple[_Events, Sequence[_Events]]], cut: FloatArray, precise: float
) -> tuple[FloatArray, FloatArray]:
    """Yields of a process up and down over nominal ones, and the error of that, (2, H) each.

    The pairs are its nominal datasets, each with none, one or two varied ones, which have other
    weights or events.
    """
    hypotheses = len(cut)
    ratio, error = np.ones((2, hypotheses)), np.zeros((2, hypotheses))
    missing = np.ones((2, hypotheses), dtype=bool)
    known = [(one, [(other, _shared(one, other)) for other in varied]) for one, varied in pairs]
    for reach in (0, *(2**k for k in range(hypotheses.bit_length() + 1))):
        sums = partial(_sums, cut, reach)
        total, (change, variance) = np.zeros(hypotheses), np.zeros((2, 2, hypotheses))
        for nominal, varied in known:
            own, squares = sums(nominal)
            total += own
            for way, (other, common) in enumerate([varied[0], varied[-1]] if varied else []):
                whole, spread = sums(other)
                of = divided(whole, own, 1.0).clip(1 / EXTREME, EXTREME)
                spread = spread + of**2 * squares - 2 * of * sums(common)[0]
                if np.isfinite(precise):  # what few events say is known to one of them at best
                    spread = np.maximum(spread, divided(squares, own) ** 2)
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
    yields: Yields,
    impact: Mapping[str, FloatArray],
    mass: FloatArray,
    provenance: Mapping[str, Any],
) -> None:
    """Write systematics.json: effects and `impacts`, by name, for masses (H,) in GeV."""
    share = divided(yields.background, yields.background.sum(axis=0))  # of each process, (P, H)
    parameters = {}
    for name, effect in yields.effects.items():
        changes = [effect.factor[process] - 1 for process in yields.backgrounds]
        background = 1 + (share[:, None] * changes).sum(axis=0)
        parameters[name] = Parameter(background, *effect, impact[name])
    content = {"mass": mass.tolist(), "parameters": _PARAMETERS.dump_python(parameters)}
    write_json(path, {"provenance": dict(provenance), **content})


def read_systematics(path: Path) -> tuple[FloatArray, dict[str, Parameter]]:
    """Masses (H,) in GeV, and parameters by name; InputError if the file is absent or damaged."""
    with read_result(path, "systematics", "punzinet limits") as content:
        return parse_systematics(content)


def parse_systematics(content: Any) -> tuple[FloatArray, dict[str, Parameter]]:
    """The same of what the file holds; ValueError and the like if that is something else."""
    return np.array(content["mass"]), _PARAMETERS.validate_python(content["parameters"])
