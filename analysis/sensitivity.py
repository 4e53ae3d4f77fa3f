"""σ_min of every hypothesis behind the cuts of every network: the result, and its file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import ValidationError

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json, write_json
from punzinet.analysis.manifest.hypotheses import is_training
from punzinet.analysis.types import BoolArray, FloatArray


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

    cut: FloatArray
    efficiency: FloatArray
    background: FloatArray
    sigma_min: FloatArray
    sigma_min_error: FloatArray

    def to_json(self) -> dict[str, list[float | None]]:
        """The columns as JSON can express them; what is not finite is null."""
        return {
            key: [float(v) if np.isfinite(v) else None for v in column]
            for key, column in asdict(self).items()
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], hypotheses: int) -> Self:
        """Read what `to_json` wrote.

        Raises:
            KeyError: If a column is missing.
            ValueError: If one has not `hypotheses` entries, or holds something else than numbers.
        """
        columns = {
            field.name: np.array(
                [np.inf if value is None else value for value in content[field.name]],
                dtype=np.float64,
            )
            for field in fields(cls)
        }
        for name, column in columns.items():
            if column.shape != (hypotheses,):
                raise ValueError(f"{name} needs {hypotheses} numbers")
        return cls(**columns)


#: Kinds of cuts that every network is judged by.
CUTS = ("optimal", "optimal_in_training", "single", "half")


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
    mean_error: Mapping[str, float] = field(default_factory=dict)

    @property
    def single_cut(self) -> float:
        """The one cut, on the output before the sigmoid."""
        return float(self.single.cut[0])


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
        """Write sensitivity.json; what is infinite there is null.

        Raises:
            InputError: If the folder cannot be written to.
        """
        write_json(
            path,
            {
                "provenance": dict(provenance),
                "luminosity": self.luminosity,
                "figure_of_merit": self.figure_of_merit.model_dump(),
                "hypotheses": [
                    {"mass": float(mass), "role": "training" if training else "validation"}
                    for mass, training in zip(self.mass, self.training, strict=True)
                ],
                "networks": {
                    name: {
                        **{cut: getattr(network, cut).to_json() for cut in CUTS},
                        "mean_error": {
                            cut: error if np.isfinite(error) else None
                            for cut, error in network.mean_error.items()
                        },
                    }
                    for name, network in self.networks.items()
                },
            },
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read sensitivity.json.

        Raises:
            InputError: If the file is absent or does not hold sensitivities.
        """
        content = read_json(path, "punzinet train")
        try:
            hypotheses = content["hypotheses"]
            return cls(
                mass=np.array([row["mass"] for row in hypotheses], dtype=np.float64),
                training=np.array([is_training(row["role"]) for row in hypotheses], dtype=bool),
                figure_of_merit=FigureOfMerit.model_validate(content["figure_of_merit"]),
                luminosity=float(content["luminosity"]),
                networks={
                    name: NetworkSensitivity(
                        **{cut: Selection.from_json(network[cut], len(hypotheses)) for cut in CUTS},
                        mean_error={
                            cut: np.inf if error is None else float(error)
                            for cut, error in network.get("mean_error", {}).items()
                        },
                    )
                    for name, network in content["networks"].items()
                },
            )
        except ValidationError as error:
            raise _refusal(path, f"figure_of_merit: {error.errors()[0]['msg']}") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _refusal(path, repr(error)) from error


def _refusal(path: Path, reason: str) -> InputError:
    """Say that a file is not what it should be."""
    return InputError(
        f"{path} does not hold the sensitivities of this software ({reason}); delete it and run "
        "`punzinet train` again."
    )
