"""The colliding beams and the boost they give the centre-of-mass system."""

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from punzinet.analysis.types import FloatArray


class Beams(BaseModel):
    """Nominal beams in the laboratory, electron mass neglected.

    Both beams lean by half the crossing angle towards positive x, so the boost to the
    centre-of-mass system is not along z.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    electron_energy: float = Field(7.007, gt=0, description="electron (HER) energy in GeV")
    positron_energy: float = Field(4.000, gt=0, description="positron (LER) energy in GeV")
    crossing_angle: float = Field(
        0.083, ge=0, lt=1, description="angle between the beams in the x-z plane, in radian"
    )

    @property
    def electron_direction(self) -> FloatArray:
        """Unit vector (3,) of the electron in the laboratory."""
        return np.array([np.sin(self.crossing_angle / 2), 0.0, np.cos(self.crossing_angle / 2)])

    @property
    def electron(self) -> FloatArray:
        """Four-momentum (E, px, py, pz) of the electron in the laboratory, in GeV."""
        return self.electron_energy * np.concatenate([[1.0], self.electron_direction])

    @property
    def positron(self) -> FloatArray:
        """Four-momentum (E, px, py, pz) of the positron in the laboratory, in GeV."""
        return self.positron_energy * np.concatenate(
            [[1.0], self.electron_direction * np.array([1.0, 1.0, -1.0])]
        )

    @property
    def total(self) -> FloatArray:
        """Four-momentum (E, px, py, pz) of the colliding system in the laboratory, in GeV."""
        return self.electron + self.positron

    @property
    def sqrt_s(self) -> float:
        """Centre-of-mass energy in GeV."""
        energy, *momentum = self.total
        return float(np.sqrt(energy**2 - np.dot(momentum, momentum)))
