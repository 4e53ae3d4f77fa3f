"""The data manifest: what is analysed, normalised to what, with which settings.

It is checked twice: by its schema (names, types, ranges) and by its meaning (datasets that
fit the processes, masses with a generated count). Each failure is one sentence that names
the key and says what the key is for.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, get_args, get_origin

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import (
    InputError,
    did_you_mean,
    is_file,
    leaves,
    read_result,
    read_yaml,
)
from punzinet.analysis.io.output import OutputFolder, digest
from punzinet.analysis.manifest import sections
from punzinet.analysis.manifest.datasets import (
    BRANCHES,
    DATA,
    SIGNAL_PROCESS,
    Blinding,
    Dataset,
    as_periods,
    check_periods,
    remarks,
)
from punzinet.analysis.manifest.systematics import Systematic, check_systematics, inherited
from punzinet.analysis.search import SearchSettings
from punzinet.analysis.training.settings import TrainingSettings

PROCESSES = {
    SIGNAL_PROCESS: r"$\mu^+\mu^- Z'$",
    "tautau": r"$\tau^+\tau^-$",
    "eemumu": r"$e^+e^-\mu^+\mu^-$",
    "mumugamma": r"$\mu^+\mu^-(\gamma)$",
}
"""Processes of the default data and how figures write them."""

TAKEN = (DATA, "data_obs", "unseen")
"""Names that mean something else, in manifests, data cards and workspaces."""
_TRIED = re.compile(r"^(function-|tuple\[|dict\[|constrained-|\[key\]$)")
"""How pydantic calls what it tried of several types, among the keys of a problem."""
LARGEST = 1e18
"""Settings are below it and above its inverse: products of several stay numbers."""
OWN_LABEL = "Punzi-net simulation"


class Manifest(sections.Section):
    """Everything a run depends on, as `data_manifest.yaml` states it."""

    label: str | None = Field(None, min_length=1, max_length=40)
    """what figures call the events, such as the name of an experiment"""
    luminosity: sections.Positive = 50.0
    """target luminosity in fb^-1"""
    periods: dict[str, sections.Positive] = Field({}, exclude_if=lambda given: not given)
    """target luminosities of periods in fb^-1, given as `luminosity: {ONE: 20, OTHER: 30}`"""
    beams: sections.Beams = sections.Beams()
    """energies of the beams and their crossing angle"""
    corrections: dict[str, sections.Positive] = Field({})
    """factors on every event's weight, such as a trigger efficiency"""
    search: SearchSettings = SearchSettings()
    """variable of the windows and features of the network"""
    hypotheses: sections.Hypotheses = sections.Hypotheses()
    """masses that are searched for"""
    processes: dict[sections.Name, str] = PROCESSES
    """every process, and how figures write it"""
    datasets: dict[sections.Name, Dataset] = Field(min_length=1)
    """the samples, by name"""
    systematics: dict[sections.Name, Systematic] = Field({}, exclude_if=lambda given: not given)
    """systematic uncertainties beside those of `limits`, by the name of their parameter"""
    blinding: Blinding = Blinding()
    """what is seen of data before `--unblind` is given"""
    simulation: sections.SimulationSettings = sections.SimulationSettings()
    """settings and seed of the default data"""
    features: sections.FeatureSettings = sections.FeatureSettings()
    """how ntuples are read and tensors are written"""
    figure_of_merit: FigureOfMerit = FigureOfMerit()
    """figure of merit that is trained for and quoted"""
    training: TrainingSettings = TrainingSettings()
    """recipe and seed of the training"""
    paper: sections.PaperSettings = sections.PaperSettings()
    """what is reproduced of the paper, with how many networks"""
    baselines: sections.BaselineSettings = sections.BaselineSettings()
    """what the networks are compared with"""
    limits: sections.LimitSettings = sections.LimitSettings()
    """confidence level and uncertainties of the upper limits"""
    figures: sections.FigureSettings = sections.FigureSettings()
    """formats of figures, and what they show beside the results"""

    @model_validator(mode="before")
    @classmethod
    def _can_be_written_down(cls, content: Any) -> Any:
        for key, value in leaves(content):
            _check_number(key, value)
            if any("\ud800" <= character <= "\udfff" for character in f"{key}{value}"):
                raise ValueError(f"{key!a}: {value!a} holds half of a character; correct the text")
        if isinstance(content, dict) and isinstance(content.get("luminosity"), dict):
            if "periods" in content:
                raise ValueError("`periods`: these are in `luminosity` already; take them out here")
            content = content | as_periods(content["luminosity"])
        return inherited(content)

    @field_validator("datasets")
    @classmethod
    def _know_their_names(cls, datasets: dict[str, Dataset]) -> dict[str, Dataset]:
        return {name: one.model_copy(update={"name": name}) for name, one in datasets.items()}

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        for key, value in leaves(self.model_dump()):
            _check_number(key, value)  # also what was a text before
        for name in TAKEN:
            if name in self.processes:
                raise ValueError(f"`processes`: no process can be called {name}; name it otherwise")
        for dataset in self.datasets.values():
            self._check_dataset(dataset)
        signals = [d for d in self.part().datasets.values() if d.is_signal]
        if not signals:
            raise ValueError("`datasets`: there is no dataset of process `signal`")
        if all(d.is_signal or d.is_data for d in self.datasets.values()):
            raise ValueError("`datasets`: there is no background dataset")
        for mass in () if any(d.simulate for d in signals) else self.hypotheses.mass:
            if all(d.generated_at(mass) is None for d in signals):
                raise ValueError(
                    f"`hypotheses.masses`: no signal dataset has a `generated` count for "
                    f"{mass:g} GeV, without which it has no efficiency"
                )
        self._check_masses()
        self._check_uncertainties()
        check_systematics(self.systematics, self.datasets, self.processes)
        named = self.nominal.datasets
        check_periods(self.luminosity, self.periods, named, self.hypotheses.mass.tolist())
        return self

    def _check_dataset(self, dataset: Dataset) -> None:
        key = f"`datasets.{dataset.name}"
        if dataset.process not in self.processes and not dataset.is_data:
            raise ValueError(
                f"{key}.process`: {dataset.process!r} is not listed in `processes` "
                f"{did_you_mean(dataset.process, [*self.processes], 'known are')}"
            )
        known = [*BRANCHES, *self.search.resolved.columns]
        for alias in dataset.branches:
            if alias not in known:
                hint = did_you_mean(alias, known, "use")
                raise ValueError(f"{key}.branches` names {alias!r}, which nothing reads {hint}")

    def _check_masses(self) -> None:
        by_mass, searched = self.limits.efficiency_uncertainty, self.hypotheses.mass
        for key, masses in (
            ("blinding.signal_region", self.blinding.signal_region or ()),
            ("limits.efficiency_uncertainty", by_mass if isinstance(by_mass, dict) else ()),
        ):
            if masses and (min(masses) > searched[-1] or max(masses) < searched[0]):
                given = ", ".join(f"{mass:g}" for mass in masses)
                raise ValueError(
                    f"`{key}`: {given} GeV is beside all masses that are searched for, "
                    f"{searched[0]:g} to {searched[-1]:g} GeV"
                )

    def _check_uncertainties(self) -> None:
        if self.figure_of_merit.shifts:
            raise ValueError(
                "`figure_of_merit.shifts` is nothing to be given; take it out, and let "
                "`background_uncertainty` be `measured`"
            )
        present = {d.process for d in self.datasets.values()} - {SIGNAL_PROCESS, DATA}
        for section, needed in (("figure_of_merit", set[str]()), ("limits", present)):
            given = getattr(self, section).background_uncertainty
            named = set(given) if isinstance(given, dict) else needed
            for name in sorted(needed - named | named - (set(self.processes) - {SIGNAL_PROCESS})):
                raise ValueError(
                    f"`{section}.background_uncertainty`: {name!r} is "
                    f"{'missing' if name in needed else 'no background of `processes`'}; give one "
                    f"number, or one for each of {', '.join(sorted(present))}"
                )

    @property
    def is_default_data(self) -> bool:
        """Whether all that is simulated is the default data."""
        return all(dataset.simulate or dataset.is_data for dataset in self.datasets.values())

    @property
    def shown_label(self) -> str:
        """What figures and report call the simulated events: only the default data is our own."""
        return self.label or (OWN_LABEL if self.is_default_data else "Simulation")

    @property
    def correction(self) -> float:
        """Product of all correction factors."""
        return math.prod(self.corrections.values(), start=1.0)

    @property
    def content(self) -> dict[str, Any]:
        """The manifest as used, defaults included, as JSON.

        What the simulation has made is no part of it, nor where: the first one did not know it.
        """
        content = self.model_dump(mode="json")
        for dataset in content["datasets"].values():
            if dataset["simulate"] is not None:
                del dataset["entries"], dataset["files"]
        return content

    @property
    def digest(self) -> str:
        """SHA-256 of its content."""
        return digest(self.content)

    @property
    def has_data(self) -> bool:
        """Whether any dataset is measured."""
        return any(dataset.is_data for dataset in self.datasets.values())

    @property
    def has_variations(self) -> bool:
        """Whether any dataset is a variation of another one."""
        return any(dataset.variation_of for dataset in self.datasets.values())

    @property
    def nominal(self) -> Self:
        """The same manifest without varied datasets."""
        return self._only(lambda one: not one.variation_of)

    def part(self, *, data: bool = False, varied: bool = False) -> Self:
        """The same manifest with the measured, the varied, or the nominal simulated datasets."""
        return self._only(lambda one: (one.is_data, bool(one.variation_of)) == (data, varied))

    def _only(self, wanted: Callable[[Dataset], bool]) -> Self:
        chosen = {name: one for name, one in self.datasets.items() if wanted(one)}
        return self.model_copy(update={"datasets": chosen})

    def seen_of_data(self, *, unblind: bool) -> dict[str, Any]:
        """What provenance and the records of stages say of the data; nothing without any."""
        if not self.has_data:
            return {}
        return {"unblind": True} if unblind else {"blinding": self.blinding.model_dump(mode="json")}

    def generated(self, mass: float) -> int:
        """Generated signal events of one mass, summed over the datasets that hold it."""
        nominal = self.part().datasets.values()
        return sum(d.generated_at(mass) or 0 for d in nominal if d.is_signal)

    def masses_of(self, dataset: str) -> int:
        """How many hypotheses a dataset holds signal of; 1 for background and data."""
        one, masses = self.datasets[dataset], self.hypotheses.mass.tolist()
        return sum(one.is_signal and one.generated_at(mass) is not None for mass in masses) or 1

    def luminosity_of(self, dataset: str) -> float:
        """Target luminosity in fb^-1 that a dataset is scaled to: of its period, or of all."""
        period = self.datasets[dataset].period
        return self.luminosity if period is None else self.periods[period]

    def luminosity_of_data(self, shares: Mapping[str, float]) -> float:
        """Luminosity of all data in fb^-1, given the processed share of datasets that lack some."""
        data = self.part(data=True).datasets.items()
        return sum(shares.get(name, 1.0) * (one.luminosity or 0) for name, one in data)

    @property
    def remarks(self) -> list[str]:
        """Sentences on what may be meant, and may be a mistake."""
        return remarks(self.periods, self.nominal.datasets)


def load_manifest(path: Path, output: OutputFolder, scale: str = "default") -> Manifest:
    """Read a manifest and settle everything it leaves to a convention.

    Relative files start at the manifest's folder; datasets that are simulated get their
    ntuple under the output folder and the normalisation of `scale`, one of `simulation.scales`.
    InputError if the file cannot be read or anything in it is wrong.
    """
    manifest = _read(path)
    scales = manifest.simulation.scales
    if scale not in scales:
        raise InputError(
            f"{path}: there is no scale {scale!r} in `simulation.scales`; choose one of "
            f"{', '.join(scales)}."
        )
    simulated, size = _simulated(output), scales[scale]
    settled = dict(manifest.datasets)
    for name, dataset in settled.items():
        if dataset.simulate is not None:
            changes: dict[str, Any] = {"files": (str(output.ntuple(name)),)}
            changes["entries"] = simulated.get(name)
            signal, other = {"generated": size.signal_events}, {"luminosity": size.luminosity}
            changes |= signal if dataset.is_signal else other
            settled[name] = dataset.model_copy(update=changes)
    return manifest.model_copy(update={"datasets": settled})


def _read(path: Path) -> Manifest:
    """Read a manifest; InputError with a sentence a problem."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} must be a mapping that holds at least `datasets`.")
    try:
        return Manifest.model_validate(content, context=path.parent)
    except ValidationError as error:
        problems = error.errors()
        # What else is wrong may come of it, as it may of what is wrong further inside.
        misspelt = [problem for problem in problems if problem["type"] == "extra_forbidden"]
        outer = [place[:end] for place in map(_place, problems) for end in range(len(place))]
        inner = [problem for problem in problems if _place(problem) not in outer]
        raise InputError("\n".join(_sentence(path, one) for one in misspelt or inner)) from None


def _place(problem: ErrorDetails) -> list[str]:
    """Keys of a problem, without what pydantic tried of several types."""
    return [str(part) for part in problem["loc"] if not _TRIED.search(str(part))]


def _sentence(path: Path, problem: ErrorDetails) -> str:
    message = problem["msg"].removeprefix("Value error, ").rstrip(".")
    if problem["type"] != "value_error":  # in YAML's words
        message = re.sub(r" or instance of \w+", "", message)
        message = message.replace("tuple", "list").replace("dictionary", "mapping")
    *above, name = _place(problem) or [""]
    key = ".".join([*above, name])
    if not key:
        return f"{path}: {message}."
    meaning, _ = _described([*above, name])
    about = f"`{key}` ({' '.join(meaning.split())})" if meaning else f"`{key}`"
    if problem["type"] == "missing":
        return f"{path}: {about} is missing."
    if problem["type"] == "extra_forbidden":
        hint = did_you_mean(name, _described(above)[1], "use")
        return f"{path}: `{key}` is not a setting {hint}."
    shown = repr(problem["input"])
    given = f", not {shown}" if len(shown) <= 60 and problem["type"] != "value_error" else ""
    return f"{path}: {about}: {message[:1].lower()}{message[1:]}{given}."


def _described(location: Iterable[str]) -> tuple[str | None, list[str]]:
    """What the key at `location` is for, by the description of its field, and what keys it has."""
    meaning, fields, parts = None, Manifest.model_fields, iter(location)
    for part in parts:
        if part in fields:
            meaning = fields[part].description
            types: list[Any] = [fields[part].annotation]
            if get_origin(types[0]) is dict:
                next(parts, None)  # the keys are the user's
            while types and not hasattr(types[0], "model_fields"):
                types = [*get_args(types.pop(0)), *types]
            fields = types[0].model_fields if types else {}
    return meaning, list(fields)


def _check_number(key: str, value: Any) -> None:
    """Raise ValueError for a number that cannot be meant; `missing` may be what others wrote."""
    if value is True or value is False:
        raise ValueError(f"`{key}`: {value} (yes, no, on, off) is no setting; put a name in quotes")
    if not isinstance(value, int | float) or value == 0 or re.search(r"\.missing\.\d+$", key):
        return
    if not 1 / LARGEST <= abs(value) <= LARGEST:
        raise ValueError(
            f"`{key}`: no setting is as large or small as this number; give one between "
            f"{1 / LARGEST:g} and {LARGEST:g}"
        )


def _simulated(output: OutputFolder) -> dict[str, int]:
    """Entries that the simulation says it wrote, by dataset; nothing where it has not run."""
    if not is_file(output.simulation_record):
        return {}
    with read_result(output.simulation_record, "ntuples", "punzinet simulate") as record:
        return {name: int(dataset["entries"]) for name, dataset in record["datasets"].items()}
