"""The mass hypotheses of the search, and which of them the network is trained on."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from punzinet.analysis.manifest.sections import Section
from punzinet.analysis.types import BoolArray, FloatArray

MASS_TOLERANCE = 1e-6
"""Two masses closer than this (GeV) are the same hypothesis."""
MOST_MASSES = 10_000
"""Masses that a grid may have: many more than any search needs, and few enough for memory."""

PositiveMass = Annotated[float, Field(gt=0)]


class MassGrid(Section):
    """Equidistant masses, both ends included."""

    start: PositiveMass = 0.1
    """lightest mass in GeV"""
    stop: PositiveMass = 8.7
    """heaviest mass in GeV"""
    step: PositiveMass = 0.1
    """distance between masses in GeV"""

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        steps = (self.stop - self.start) / self.step
        if not 0 <= steps < MOST_MASSES:
            raise ValueError(
                f"masses from {self.start} to {self.stop} in steps of {self.step} are none, or "
                f"{MOST_MASSES} or more"
            )
        if abs(steps - round(steps)) > 1e-6:
            raise ValueError(
                f"masses from {self.start} in steps of {self.step} never reach {self.stop}"
            )
        return self


class Hypotheses(Section):
    """All masses that are searched for (section "training" of the Punzi-loss paper)."""

    masses: MassGrid | tuple[PositiveMass, ...] = MassGrid()
    """masses in GeV: a list, or a grid with start, stop and step"""
    training_every: int = Field(2, ge=1)
    """every n-th mass, from the lightest, trains; the rest check generalisation"""

    @model_validator(mode="after")
    def _masses_differ(self) -> Self:
        if not len(self.mass):
            raise ValueError("at least one mass is needed")
        if np.any(np.diff(self.mass) <= MASS_TOLERANCE):
            raise ValueError("two masses are the same")
        return self

    @property
    def mass(self) -> FloatArray:
        """All masses, ascending, in GeV, (H,)."""
        if not isinstance(self.masses, MassGrid):
            return np.sort(np.array(self.masses, dtype=float))
        grid = self.masses
        count = round((grid.stop - grid.start) / grid.step) + 1
        # Rounded, so that 0.1 + 2 * 0.1 is the 0.3 that a person wrote elsewhere.
        return np.round(grid.start + grid.step * np.arange(count), 9)

    @property
    def training(self) -> BoolArray:
        """Which masses the network is trained on, (H,)."""
        return np.equal(np.arange(len(self.mass)) % self.training_every, 0)


def is_training(role: str) -> bool:
    """Whether networks are trained for a mass, by its role in a result: training or validation."""
    if role not in {"training", "validation"}:
        raise ValueError(f"the role of a mass is {role!r}")
    return role == "training"


def hypothesis_rows(mass: FloatArray, training: BoolArray) -> list[dict[str, Any]]:
    """Masses and roles as results have them in JSON."""
    roles = np.where(training, "training", "validation").tolist()
    return [{"mass": m, "role": role} for m, role in zip(mass.tolist(), roles, strict=True)]


def read_hypotheses(rows: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, BoolArray]:
    """Masses (H,), and which networks are trained for, from such rows of a result."""
    mass = np.array([row["mass"] for row in rows], dtype=np.float64)
    return mass, np.array([is_training(row["role"]) for row in rows], dtype=bool)
