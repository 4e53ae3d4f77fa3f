"""Quantities: how a feature or a window variable is called, written, and what its unit is."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from punzinet.analysis.types import FloatArray

Dimension = Literal[0, 1, 2]
"""A power of GeV."""

#: How figures and plain text write the powers of GeV.
UNITS = {0: ("", ""), 1: ("GeV", "GeV"), 2: ("GeV$^2$", "GeV²")}


@dataclass(frozen=True)
class Quantity:
    r"""How a feature or a window variable is written.

    Attributes:
        name: Its name in manifest, tensors and histograms.
        label: How figures write it, such as ``$p^*_t(\mu^+\mu^-)$``.
        dimension: Power of GeV that it is: 0, 1 or 2.
        title: In words, such as ``squared recoil mass``.
        root: The mass that this is the square of, None where it is no square.
    """

    name: str
    label: str
    dimension: Dimension
    title: str
    root: "Quantity | None" = None

    @property
    def unit(self) -> str:
        """Its unit as figures write it; empty for a pure number."""
        return UNITS[self.dimension][0]

    @property
    def plain_unit(self) -> str:
        """Its unit in plain text."""
        return UNITS[self.dimension][1]

    @property
    def symbol(self) -> str:
        """Its label for use within mathtext."""
        return self.label.strip("$")

    @property
    def file_name(self) -> str:
        """Its title as the name of a file."""
        return self.title.replace(" ", "_")

    @property
    def axis_label(self) -> str:
        """Label of an axis, with the unit where there is one."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    @property
    def mass(self) -> "Quantity":
        """The quantity as a mass: itself, or its root if it is a squared mass."""
        if self.dimension == 1:
            return self
        unnamed = Quantity(
            f"root_{self.name}", rf"$\sqrt{{{self.symbol}}}$", 1, f"root of the {self.title}"
        )
        return self.root or unnamed

    def signed_mass(self, values: FloatArray) -> FloatArray:
        """Values of the quantity as masses in GeV; the root of a square keeps the sign.

        Args:
            values: (n,) in its own unit.
        """
        if self.dimension == 1:
            return values
        return np.copysign(np.sqrt(np.abs(values)), values)
