"""The search: what the network sees, what windows are in, and how hypotheses are called.

A hypothesis is a mass. Its window lies around that mass in the unit of the window variable: m
for a mass, m² for a squared mass.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field, TypeAdapter, model_validator

from punzinet.analysis.io.files import InputError, did_you_mean
from punzinet.analysis.manifest.sections import Section
from punzinet.analysis.observables import CANDIDATES, FEATURES, OBSERVABLES, Dimension, Quantity
from punzinet.analysis.types import FloatArray

if TYPE_CHECKING:  # not at run time: `vector` is slow to import
    from punzinet.analysis.features import MuonPairs

DIMENSIONS: dict[str, Dimension] = {"": 0, "GeV": 1, "GeV^2": 2}  # of units in a manifest
PEAK_REACH = {1: 0.6, 2: 6.0}  # of histograms of peaks to either side, in GeV or GeV², by dimension
TENSOR_COLUMNS = (
    *("experiment", "run", "event", "production", "dataset", "process", "mass"),
    *("window_start", "window_stop", "weight", "fold"),
)
"""Columns that every tensor has, so that no feature can have their names."""


@dataclass(frozen=True)
class Search:
    """What `SearchSettings` stands for: features in the order of inputs, and the rest in words."""

    features: tuple[Quantity, ...]
    variable: Quantity
    particle: str
    reaction: str
    decay: str
    peak_reach: float

    def __post_init__(self) -> None:
        """Raise ValueError if no hypothesis can peak in the variable."""
        if self.variable.dimension == 0:
            raise ValueError(
                f"`variable`: {self.variable.name} is neither a mass nor a squared mass, so no "
                "hypothesis can peak in it"
            )

    @property
    def candidates(self) -> tuple[Quantity, ...]:
        """The features, and what else they might have been chosen from."""
        others = {name: OBSERVABLES[name].quantity for name in CANDIDATES}
        found = {feature.name: feature for feature in self.features} | others
        return tuple(one for name, one in found.items() if name != self.variable.name)

    @property
    def parameter(self) -> str:
        """How figures write the mass of a hypothesis."""
        return f"$m_{{{self.particle}}}$"

    @property
    def cross_section(self) -> str:
        """How figures write the cross-section that limits are set on."""
        return rf"$\sigma({self.reaction})\,\mathcal{{B}}({self.decay})$"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(feature.name for feature in self.features)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the ntuples that are read besides momenta and beams."""
        names = (*self.feature_names, self.variable.name)
        return tuple(name for name in names if name not in OBSERVABLES)

    def centre(self, mass: FloatArray) -> FloatArray:
        """Values of the window variable where the peaks of hypotheses lie, by mass in GeV."""
        return np.asarray(mass**self.variable.dimension)

    def evaluate(self, pairs: "MuonPairs") -> tuple[FloatArray, FloatArray]:
        """Compute features (n, F) and window variable (n,); not finite where an input is not."""
        with np.errstate(all="ignore"):
            variable = _values(self.variable.name, pairs)
            if self.feature_names == FEATURES:  # computed together
                return pairs.kinematics.features, variable
            features = np.empty((len(self.features), len(pairs)))
            for row, name in zip(features, self.feature_names, strict=True):
                row[:] = _values(name, pairs)
        return features.T, variable


SEARCH = TypeAdapter(Search)  # as JSON it stands beside the windows and networks made for it


def _values(name: str, pairs: "MuonPairs") -> FloatArray:
    """(n,) values of an observable, or of the column of this name where there is none."""
    if name in OBSERVABLES:
        return OBSERVABLES[name].compute(pairs)
    return np.asarray(pairs.columns[name], dtype=np.float64)


class NtupleColumn(Section):
    """A column of the ntuples that is used as it is."""

    label: str | None = None
    """how figures write it; its name by default"""
    unit: Literal["", "GeV", "GeV^2"] = ""
    """its unit"""


class SearchSettings(Section):
    """What is searched for, in which variable, with which features."""

    particle: str = "Z'"
    """the particle whose mass hypotheses differ in, as mathtext without $"""
    reaction: str = r"e^+e^-\to\mu^+\mu^-Z'"
    """how it is made, as mathtext without $"""
    decay: str = r"Z'\to\mathrm{inv.}"
    """how it decays, as mathtext without $"""
    variable: str = "m2_recoil"
    """observable or column that windows are in: a mass or its square"""
    features: tuple[str, ...] = Field(FEATURES, min_length=1)
    """observables or columns that the network sees"""
    columns: dict[str, NtupleColumn] = Field({})
    """columns of the ntuples that are used as they are, with label and unit"""
    peak_reach: Annotated[float, Field(gt=0)] | None = None
    """how far histograms of signal peaks reach to either side, in the unit of the variable; by
    default 0.6 GeV or 6 GeV^2"""

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        for name in self.columns:
            taken = name in {*OBSERVABLES, *TENSOR_COLUMNS} or name.startswith("punzinet_")
            if taken or not name.isidentifier():
                raise ValueError(
                    f"`columns` names {name!r}, which is an observable, a column of the tensors or "
                    "of friend trees, or no plain name; choose another, and say under `branches` "
                    "of the datasets which branch it is"
                )
        known = [*OBSERVABLES, *self.columns]
        for key, names in (("features", self.features), ("variable", (self.variable,))):
            for name in names:
                if name not in known:
                    raise ValueError(
                        f"`{key}` names {name!r}, which is no observable and not listed under "
                        f"`columns` {did_you_mean(name, known, 'there are')}"
                    )
        if len({*self.features, self.variable}) <= len(self.features):
            raise ValueError(
                "`features` names something twice, or the variable of the windows, by which a "
                "network would choose masses"
            )
        _ = self.resolved
        return self

    def _quantity(self, name: str) -> Quantity:
        if name in OBSERVABLES:
            return OBSERVABLES[name].quantity
        column = self.columns[name]
        return Quantity(name, column.label or name, DIMENSIONS[column.unit], name)

    @property
    def resolved(self) -> Search:
        """The search with everything that its names stand for."""
        variable = self._quantity(self.variable)
        features = tuple(self._quantity(name) for name in self.features)
        reach = self.peak_reach or PEAK_REACH.get(variable.dimension, 0.0)
        return Search(features, variable, self.particle, self.reaction, self.decay, reach)

    def require_recoil(self, command: str) -> None:
        """Raise an InputError for any other search than the paper's, which `command` is about."""
        if (self.features, self.variable) != (FEATURES, RECOIL.variable.name):
            raise InputError(
                f"`{command}` is about the recoil-mass search of the paper, but `search` in the "
                f"manifest has the variable {self.variable} and the features "
                f"{', '.join(self.features)}."
            )


RECOIL = SearchSettings().resolved  # the search of the paper, which is the default
