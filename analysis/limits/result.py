"""The expected upper limits of all hypotheses: the result, and its file."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from punzinet.analysis.io import files
from punzinet.analysis.io.files import Column, InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import (
    MASS_TOLERANCE,
    Positive,
    hypothesis_rows,
    read_hypotheses,
)
from punzinet.analysis.types import BoolArray, FloatArray
from punzinet.analysis.windows import mass_index

BANDS = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])  # and median, in sigmas of the background


@dataclass(frozen=True, eq=False)
class SelectionLimits:
    """Limits behind one selection for H hypotheses: fb at `BANDS`, infinite without efficiency."""

    network: str  # its name
    efficiency: Column  # (H,) of signal
    background: Column  # (H,) expected events, as the statistical model has them
    effective_events: Column  # (H,) effective number of simulated events behind that
    asymptotic: Column  # (H, 5) by the asymptotic formulas
    counting: Column  # (H, 5) by exact Poisson sums


def check_columns(result: object, rows: int, banded: Collection[str]) -> None:
    """ValueError if a column of a result has not one row a mass, or some not one limit a band."""
    for name, column in vars(result).items():
        if isinstance(column, np.ndarray):
            shape = (rows, len(BANDS)) if name in banded else (rows,)
            if column.shape != shape:
                raise ValueError(f"{name}: needs {rows} rows")


_SELECTIONS = TypeAdapter(dict[str, SelectionLimits])


class Coupled:
    """What is known of the coupling at n masses."""

    sigma_over_g2: FloatArray  # (n,) cross-section over g′² in fb; NaN where it is not known

    def coupling(self, cross_section: FloatArray) -> FloatArray:
        """Limits on g′ from those on σ (n, …), at a branching of 1; NaN if σ/g′² is not known."""
        return np.sqrt((cross_section.T / self.sigma_over_g2).T)


@dataclass(frozen=True, eq=False)
class Limits(Coupled):
    """Limits behind selections: ``single`` (one cut), or also ``best`` (one for each mass)."""

    mass: FloatArray  # (H,) of the hypotheses in GeV
    training: BoolArray  # (H,) which of them the networks were trained on
    luminosity: float  # target, fb^-1
    confidence_level: float  # such as 0.9
    sigma_over_g2: FloatArray  # (H,) cross-section over g′² in fb; NaN where it is not known
    selections: dict[str, SelectionLimits]

    def write(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write limits.json; what is infinite or unknown there is null."""
        known = files.to_cells(self.sigma_over_g2)
        content = {
            "provenance": dict(provenance),
            "luminosity": self.luminosity,
            "confidence_level": self.confidence_level,
            "bands": BANDS.tolist(),
            "hypotheses": hypothesis_rows(self.mass, self.training, sigma_over_g2_fb=known),
            "selections": _SELECTIONS.dump_python(self.selections),
        }
        files.write_json(path, content)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read limits.json; InputError if the file is absent or does not hold limits."""
        with files.read_result(path, "limits", "punzinet limits") as content:
            rows = content["hypotheses"]
            selections = _SELECTIONS.validate_python(content["selections"])
            _ = selections["single"]  # the best cuts may be missing
            for selection in selections.values():
                check_columns(selection, len(rows), ("asymptotic", "counting"))
            known = np.array([row["sigma_over_g2_fb"] for row in rows], np.float64)
            luminosity, level = (float(content[key]) for key in ("luminosity", "confidence_level"))
            return cls(*read_hypotheses(rows), luminosity, level, known, selections)


class _CrossSection(BaseModel):
    """What the file of cross-sections says of one mass; other keys are passed over."""

    sigma_over_g2_fb: Annotated[float, Field(gt=0, allow_inf_nan=False)]


def read_sigma_over_g2(path: Path, mass: FloatArray) -> FloatArray:
    """Read cross-sections over g′² of hypotheses (H,) in GeV: (H,) in fb, NaN where not known.

    The JSON reads ``{"0.5": {"sigma_over_g2_fb": 2.0e5}, …}`` with masses in GeV. InputError if it
    cannot be read or holds something else.
    """
    content = files.read_json(path, "punzinet simulate")
    try:
        known = sorted(TypeAdapter(dict[Positive, _CrossSection]).validate_python(content).items())
    except ValidationError as error:
        raise InputError(
            f"{path} does not hold cross-sections by mass ({files.reason(error)}); it should read "
            'like {"0.5": {"sigma_over_g2_fb": 2.0e5}}.'
        ) from error
    if not known:
        return np.full(len(mass), np.nan)
    masses = np.array([one for one, _ in known])
    found = mass_index(masses, mass)
    if len(known) < len(content) or (np.diff(masses) <= MASS_TOLERANCE).any():
        raise InputError(f"{path} has two cross-sections for one mass; take one of them out.")
    if (found < 0).all():
        raise InputError(f"{path} has none of the masses that are searched for; are they in GeV?")
    values = np.array([row.sigma_over_g2_fb for _, row in known])
    return np.where(found >= 0, values[found], np.nan)


def known_sigma_over_g2(manifest: Manifest, output: OutputFolder, mass: FloatArray) -> FloatArray:
    """Cross-sections over g′² of hypotheses (H,) in GeV: (H,) in fb, NaN where not known.

    They are those of `limits.cross_sections`, or else of the simulation if it made the signal.
    """
    if (given := manifest.limits.cross_sections) is not None:
        return read_sigma_over_g2(Path(given), mass)
    if any(dataset.is_signal and dataset.simulate for dataset in manifest.datasets.values()):
        return read_sigma_over_g2(output.cross_sections, mass)
    return np.full(len(mass), np.nan)
