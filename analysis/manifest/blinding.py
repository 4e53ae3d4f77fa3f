"""Blinding: which part of the data may be seen before an analysis is final.

Either a share of all events, drawn by a hash of their identity, or the sidebands of a region of
the mass that is searched in. Which events a share holds depends on nothing but their identity: it
is the same on each run, for each name of a dataset, and a larger share holds all of a smaller one.
"""

from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from punzinet.analysis.manifest.datasets import DATA
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

Share = Annotated[float, Field(gt=0, lt=1)]
Mass = Annotated[float, Field(ge=0)]


class Blinding(BaseModel):
    """What is seen of data, and with which luminosity simulation is compared with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fraction: Share = Field(0.1, description="share of all data that is seen")
    signal_region: tuple[Mass, Mass] | None = Field(
        None,
        description="masses in GeV, from and to, that are hidden instead; all data beside "
        "them is seen",
    )

    @model_validator(mode="after")
    def _means_one_thing(self) -> Self:
        """Check that there is one kind of blinding."""
        if self.signal_region is None:
            return self
        if "fraction" in self.model_fields_set:
            raise ValueError("give a `fraction` or a `signal_region`, not both")
        if self.signal_region[0] >= self.signal_region[1]:
            raise ValueError("`signal_region` must reach from a smaller to a larger mass")
        return self

    @property
    def exposure(self) -> float:
        """Share of the luminosity that stands behind what is seen."""
        return self.fraction if self.signal_region is None else 1.0

    def beside_signal_region(self, mass: FloatArray) -> BoolArray:
        """Which events, measured or simulated, lie where data is seen at all, (n,).

        Masses in GeV are negative where the square is. A signal region that begins at zero holds
        those as well: resolution carries a light particle there.
        """
        if self.signal_region is None:
            return np.ones(len(mass), dtype=bool)
        low, high = self.signal_region
        return ((mass < low) & (low > 0)) | (mass >= high)

    def shown(self, identity: dict[str, IntArray], mass: FloatArray) -> BoolArray:
        """Which measured events are seen, (n,), by their identity (see `folds`) and mass."""
        if self.signal_region is not None:
            return self.beside_signal_region(mass)
        # Not by the name of the dataset: another name must not show other events.
        from punzinet.analysis.folds import uniform_of  # noqa: PLC0415 - numba is slow to import

        return uniform_of(**identity, dataset=DATA) < self.fraction

    def __str__(self) -> str:
        """What is seen, in words."""
        if self.signal_region is None:
            return f"{100 * self.fraction:g} % of the data"
        low, high = self.signal_region
        return f"data outside of masses from {low:g} to {high:g} GeV"
