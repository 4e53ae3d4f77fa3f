"""What baselines achieve at every mass, in the form of sensitivity.json, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import read_result, write_json
from punzinet.analysis.manifest.hypotheses import hypothesis_rows, read_hypotheses
from punzinet.analysis.sensitivity import SELECTION, Selection
from punzinet.analysis.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Baseline:
    """What one way of selecting events achieves.

    Attributes:
        label: How figures and tables call it.
        selection: Its cuts, efficiencies, backgrounds and σ_min by hypothesis.
        mean_error: Uncertainty of its mean σ_min over the training hypotheses in fb, from the
            finite simulated sample.
    """

    label: str
    selection: Selection
    mean_error: float

    def mean(self, chosen: BoolArray) -> float:
        """Mean σ_min over some hypotheses, (H,), in fb."""
        return float(self.selection.sigma_min[chosen].mean())


@dataclass(frozen=True, eq=False)
class Baselines:
    """What several ways of selecting events achieve on the same events.

    Attributes:
        mass: (H,) masses of the hypotheses in GeV.
        training: (H,) which of them were trained on.
        figure_of_merit: Which σ_min.
        luminosity: Target luminosity in fb^-1.
        baselines: By name, in the order of tables.
    """

    mass: FloatArray
    training: BoolArray
    figure_of_merit: FigureOfMerit
    luminosity: float
    baselines: dict[str, Baseline]

    def write(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write them as JSON; what is infinite there is null."""
        content = {
            "provenance": dict(provenance),
            "luminosity": self.luminosity,
            "figure_of_merit": self.figure_of_merit.model_dump(),
            "hypotheses": hypothesis_rows(self.mass, self.training),
            "baselines": {
                name: {
                    "label": baseline.label,
                    "mean_error": baseline.mean_error if np.isfinite(baseline.mean_error) else None,
                    **SELECTION.dump_python(baseline.selection),
                }
                for name, baseline in self.baselines.items()
            },
        }
        write_json(path, content)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            InputError: If the file is absent or something else.
        """
        with read_result(path, "baselines", "punzinet baselines") as content:
            rows = content["hypotheses"]
            found = {}
            for name, entry in content["baselines"].items():
                selection = SELECTION.validate_python(entry)
                if len(selection.cut) != len(rows):
                    raise ValueError(f"columns need {len(rows)} numbers")
                error = np.inf if entry["mean_error"] is None else float(entry["mean_error"])
                found[name] = Baseline(str(entry["label"]), selection, error)
            return cls(
                *read_hypotheses(rows),
                FigureOfMerit.model_validate(content["figure_of_merit"]),
                float(content["luminosity"]),
                found,
            )


@dataclass(frozen=True, eq=False)
class Ranking:
    """How important observables are to boosted trees.

    Attributes:
        names: Observables, the most important one first.
        importance: Growth of the cross-entropy when each is permuted.
        error: Standard deviation of that between permutations.
        gain: Share of each in the gain of all splits.
        separation: Area under the ROC curve of each by itself, at least 0.5.
    """

    names: tuple[str, ...]
    importance: FloatArray
    error: FloatArray
    gain: FloatArray
    separation: FloatArray

    def write(self, path: Path, provenance: Mapping[str, Any], cross_entropy: float) -> None:
        """Write the table as JSON, with the cross-entropy of the trees with all observables."""
        columns = (self.importance, self.error, self.gain, self.separation)
        rows = zip(self.names, *(column.tolist() for column in columns), strict=True)
        keys = ("rank", "observable", "importance", "error", "gain", "auc")
        table = [dict(zip(keys, (rank, *row), strict=True)) for rank, row in enumerate(rows, 1)]
        write_json(
            path,
            {"provenance": dict(provenance), "cross_entropy": cross_entropy, "observables": table},
        )
