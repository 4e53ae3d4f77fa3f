"""Systematic uncertainties of the manifest: what changes with each nuisance parameter.

Each parameter has a name. What it does to signal and backgrounds may be known from factors on the
weights of the same events, from samples that were simulated differently, or from elsewhere as the
relative size of a normalisation. Effects of one name are correlated, whatever they act on.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from punzinet.analysis.io.files import did_you_mean
from punzinet.analysis.manifest.datasets import DATA, Dataset
from punzinet.analysis.manifest.sections import Section, Uncertainty

DIRECTIONS = ("up", "down")
FACTOR = "weight:"
"""Beginning of the columns of tensors that hold factors on weights, as ``weight:NAME:up``."""
INHERITED = ("process", "simulate", "tree", "branches", "frame", "missing", "mass", "period")
"""What a dataset has from the one that it is a variation of, unless it says otherwise; of branches,
each."""
EVENTS = ("files", "tree", "branches", "frame", "missing", "detector")
"""What says which events a dataset holds."""
RESERVED = ("luminosity", "efficiency", "signal_statistics", "background", "sidebands",
            "statistics", "cross_section")  # fmt: skip
"""Beginnings of the names of parameters that every model of the limits has."""


class VariedWeights(Section):
    """Branches of the ntuples that hold factors on an event's weight."""

    up: str = Field(min_length=1)
    """branch with the factor of every event when the parameter is one sigma up"""
    down: str | None = Field(None, min_length=1)
    """the same one sigma down; without it, `up` is mirrored"""
    datasets: tuple[str, ...] = ()
    """simulated datasets that have these branches; by default all in which they are found"""

    @model_validator(mode="after")
    def _go_two_ways(self) -> Self:
        if self.up == self.down:
            raise ValueError("`down` is the branch of `up`; leave it out, and `up` is mirrored")
        return self


class VariedSamples(Section):
    """Datasets that take the place of another one; each says `variation_of`."""

    up: str
    """dataset simulated with the parameter one sigma up"""
    down: str | None = None
    """the same one sigma down; without it, `up` is mirrored"""


class Systematic(Section):
    """What one nuisance parameter changes; several kinds of effects multiply."""

    weights: VariedWeights | None = None
    """factors on the weights of events"""
    samples: dict[str, VariedSamples] = Field({})
    """varied samples, by the dataset that they are variations of"""
    normalisation: dict[str, Uncertainty] = Field({})
    """relative uncertainty of all events of a process, or of `signal`, by its name"""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.weights is None and not self.samples and not self.normalisation:
            raise ValueError("it changes nothing; give it `weights`, `samples` or `normalisation`")
        return self

    @property
    def varied(self) -> Iterator[tuple[str, str, str]]:
        """Nominal dataset, direction and varied dataset of all its samples."""
        for nominal, samples in self.samples.items():
            yield nominal, "up", samples.up
            if samples.down is not None:
                yield nominal, "down", samples.down

    def applies_to(self, dataset: Dataset) -> bool:
        """Whether the branches of `weights` are looked for in a dataset."""
        if self.weights is None or dataset.is_data or dataset.variation_of is not None:
            return False
        return not self.weights.datasets or dataset.name in self.weights.datasets


def factor_name(name: str, direction: str) -> str:
    """Column of the tensors that holds factors of a parameter on the weights."""
    return f"{FACTOR}{name}:{direction}"


def factor_branches(
    systematics: Mapping[str, Systematic], dataset: Dataset
) -> dict[str, dict[str, str]]:
    """Branches with factors on the weights of a dataset, by parameter and column of the tensors."""
    found = {}
    for name, one in systematics.items():
        if one.weights is not None and one.applies_to(dataset):
            of = {factor_name(name, way): getattr(one.weights, way) for way in DIRECTIONS}
            found[name] = {column: branch for column, branch in of.items() if branch is not None}
    return found


def inherited(content: Any) -> Any:
    """A manifest as it is written, its variations with what they have from nominal datasets.

    ValueError if one is a variation of none, or of another variation.
    """
    if not isinstance(content, dict) or not isinstance(datasets := content.get("datasets"), dict):
        return content
    found = dict(datasets)
    for name, one in datasets.items():
        if not isinstance(one, dict) or not isinstance(of := one.get("variation_of"), str):
            continue
        nominal = datasets.get(of)
        nominal = nominal if isinstance(nominal, dict) else {"variation_of": of}
        if nominal.get("variation_of") is not None or nominal.get("process") == DATA:
            whole = [
                n for n, d in datasets.items() if isinstance(d, dict) and "variation_of" not in d
            ]
            hint = did_you_mean(of, whole, "these are")
            raise ValueError(
                f"`datasets.{name}.variation_of`: {of!r} is no nominal simulated dataset {hint}"
            )
        own = {setting: nominal[setting] for setting in INHERITED if setting in nominal}
        if "files" in one:
            own.pop("simulate", None)
        found[name] = own | one
        if isinstance(one.get("branches"), dict) and isinstance(own.get("branches"), dict):
            found[name]["branches"] = own["branches"] | one["branches"]
    return {**content, "datasets": found}


def check_systematics(
    systematics: Mapping[str, Systematic],
    datasets: Mapping[str, Dataset],
    processes: Collection[str],
) -> None:
    """ValueError if parameters and datasets do not fit each other."""
    whole = [name for name, one in datasets.items() if not (one.is_data or one.variation_of)]
    used = dict[str, str]()
    for name, one in systematics.items():
        key = f"`systematics.{name}"
        if name == "r":
            raise ValueError(f"{key}`: datacards call the cross-section r; name it otherwise")
        if name.startswith(RESERVED):
            raise ValueError(
                f"{key}`: begin the name of a parameter with none of {', '.join(RESERVED)}, which "
                "every model has"
            )
        listed = one.weights.datasets if one.weights else ()
        _check_known(f"{key}.weights.datasets`", listed, whole, "nominal simulated dataset")
        _check_known(f"{key}.samples`", one.samples, whole, "nominal simulated dataset")
        _check_known(f"{key}.normalisation`", one.normalisation, processes, "process")
        for of, direction, varied in one.varied:
            place = f"{key}.samples.{of}.{direction}`"
            own = [other for other, dataset in datasets.items() if dataset.variation_of == of]
            _check_known(place, [varied], own, f"dataset with `variation_of: {of}`")
            if varied in used:
                raise ValueError(
                    f"{place}: {varied} is {used[varied]}; give it a sample of its own"
                )
            used[varied] = f"{direction} of `{name}`"
    for name, dataset in datasets.items():
        if (nominal := dataset.variation_of) is not None:
            _check_variation(dataset, datasets[nominal])
            if name not in used:
                raise ValueError(
                    f"`datasets.{name}`: this variation of {nominal} is not used; name it under "
                    f"`systematics.NAME.samples.{nominal}`, or take it out"
                )


def _check_variation(dataset: Dataset, nominal: Dataset) -> None:
    key = f"`datasets.{dataset.name}"
    for setting in ("process", "simulate", "mass", "period"):
        given, own = (getattr(one, setting) for one in (dataset, nominal))
        free = (setting, given) == ("simulate", None) or (setting, own) == ("mass", None)
        if given != own and not free:
            raise ValueError(
                f"{key}.{setting}`: a variation of {nominal.name} has its {setting}, "
                f"{own!r}, not {given!r}; leave it out"
            )
    if all(getattr(dataset, one) == getattr(nominal, one) for one in EVENTS):
        raise ValueError(
            f"{key}`: this variation of {nominal.name} holds the same events, and so changes "
            "nothing; give it `files`, `branches` or a `detector` of its own"
        )


def _check_known(place: str, names: Iterable[str], known: Collection[str], what: str) -> None:
    for name in names:
        if name not in known:
            hint = did_you_mean(name, [*known], "these are") if known else "(there is none)"
            raise ValueError(f"{place}: {name!r} is no {what} {hint}")
