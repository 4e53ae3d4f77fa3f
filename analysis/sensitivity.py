"""σ_min of every hypothesis behind the cuts of every network: the result, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import TypeAdapter

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import Column, OrInfinite, read_result, write_json
from punzinet.analysis.manifest.hypotheses import hypothesis_rows, read_hypotheses
from punzinet.analysis.types import BoolArray, FloatArray

CUTS = ("optimal", "optimal_in_training", "single", "half")
"""Kinds of cuts that every network is judged by, attributes of `NetworkSensitivity`."""


@dataclass(frozen=True, eq=False)
class Selection:
    """What one kind of cut achieves, for each of H hypotheses.

    Attributes:
        cut: (H,) cut on the output before the sigmoid; infinite where nothing is selected.
        efficiency: (H,) signal efficiency, selected and in the window over generated.
        background: (H,) background events in the window at the target luminosity.
        sigma_min: (H,) minimum detectable cross-section in fb, infinite without efficiency.
        sigma_min_error: (H,) its uncertainty from the finite simulated sample in fb, one
            standard deviation.
    """

    cut: Column
    efficiency: Column
    background: Column
    sigma_min: Column
    sigma_min_error: Column

    def __post_init__(self) -> None:
        """Raise ValueError if columns differ in length."""
        if len({np.shape(getattr(self, column.name)) for column in fields(self)}) != 1:
            raise ValueError("columns of a selection differ in length")


@dataclass(frozen=True, eq=False)
class NetworkSensitivity:
    """What one network achieves.

    Attributes:
        optimal: With the best cut for each hypothesis, chosen on the events that it is judged
            by: the best that this network could do, and optimistic in small samples.
        optimal_in_training: With the best cut for each hypothesis, chosen on other events.
        single: With the one cut that is best on average over the training hypotheses.
        half: With the plain cut at an output of 0.5.
        mean_error: Uncertainty of the mean σ_min over the training hypotheses in fb, from the
            finite simulated sample, by cut. Neighbouring windows share events, so that it
            does not follow from the uncertainties of each hypothesis.
    """

    optimal: Selection
    optimal_in_training: Selection
    single: Selection
    half: Selection
    mean_error: Mapping[str, OrInfinite] = field(default_factory=dict)

    @property
    def single_cut(self) -> float:
        """The one cut, on the output before the sigmoid."""
        return float(self.single.cut[0])


SELECTION = TypeAdapter(Selection)
"""Reads and writes a selection as JSON has it."""
_NETWORKS = TypeAdapter(dict[str, NetworkSensitivity])


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What several networks achieve on the same events.

    Attributes:
        mass: (H,) masses of the hypotheses in GeV.
        training: (H,) which of them the networks were trained on.
        figure_of_merit: Which σ_min.
        luminosity: Target luminosity in fb^-1.
        networks: The result of each network by its name.
    """

    mass: FloatArray
    training: BoolArray
    figure_of_merit: FigureOfMerit
    luminosity: float
    networks: dict[str, NetworkSensitivity]

    def write(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write sensitivity.json."""
        content = {
            "provenance": dict(provenance),
            "luminosity": self.luminosity,
            "figure_of_merit": self.figure_of_merit.model_dump(),
            "hypotheses": hypothesis_rows(self.mass, self.training),
            "networks": _NETWORKS.dump_python(self.networks),
        }
        write_json(path, content)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read sensitivity.json; InputError if it is absent or does not hold sensitivities."""
        with read_result(path, "sensitivities", "punzinet train") as content:
            rows = content["hypotheses"]
            networks = _NETWORKS.validate_python(content["networks"])
            for network in networks.values():
                if any(len(getattr(network, cut).cut) != len(rows) for cut in CUTS):
                    raise ValueError(f"columns need {len(rows)} numbers")
            return cls(
                *read_hypotheses(rows),
                figure_of_merit=FigureOfMerit.model_validate(content["figure_of_merit"]),
                luminosity=float(content["luminosity"]),
                networks=networks,
            )
