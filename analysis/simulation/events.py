"""Generated events: what every generator makes and the detector reads."""

from dataclasses import dataclass, fields
from typing import Protocol, Self

import numpy as np

from punzinet.analysis.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class GeneratedEvents:
    """Generated events in the centre-of-mass system of the colliding beams.

    The z axis is the direction of the electron; four-momenta are (E, px, py, pz) in GeV.

    Attributes:
        mu_plus: (n, 4), the positive muon (or the hadron that is taken for one).
        mu_minus: (n, 4), the negative muon.
        photons: (n, k, 4), with rows of zeros where there is none.
        electrons: (n, 2, 4), scattered electron and positron, zeros where they annihilated.
        invisible: (n, 4), the sum of all that leaves no trace (neutrinos, Z').
        sqrt_s: (n,), energy of the colliding beams before any radiation.
        weight: (n,), in fb; its mean over trials is the cross-section of the sampled region.
        mass: (n,), generated Z' mass, NaN for background.
    """

    mu_plus: FloatArray
    mu_minus: FloatArray
    photons: FloatArray
    electrons: FloatArray
    invisible: FloatArray
    sqrt_s: FloatArray
    weight: FloatArray
    mass: FloatArray

    @classmethod
    def zeros(cls, sqrt_s: FloatArray, photons: int = 2, mass: float = np.nan) -> Self:
        """Events of weight zero without momenta, to be filled, for each energy of the beams."""
        n = len(sqrt_s)
        return cls(
            mu_plus=np.zeros((n, 4)),
            mu_minus=np.zeros((n, 4)),
            photons=np.zeros((n, photons, 4)),
            electrons=np.zeros((n, 2, 4)),
            invisible=np.zeros((n, 4)),
            sqrt_s=sqrt_s,
            weight=np.zeros(n),
            mass=np.full(n, mass),
        )

    def total(self) -> FloatArray:
        """Sum of all final-state momenta, (n, 4); equals (sqrt_s, 0, 0, 0)."""
        radiated: FloatArray = self.photons.sum(axis=1) + self.electrons.sum(axis=1)
        return self.mu_plus + self.mu_minus + radiated + self.invisible

    def __getitem__(self, index: BoolArray | IntArray) -> "GeneratedEvents":
        """The events that a mask or an index array picks."""
        return GeneratedEvents(*(getattr(self, field.name)[index] for field in fields(self)))


class Generator(Protocol):
    """A process, or a region of its phase space with a sampling density of its own (a stratum)."""

    @property
    def name(self) -> str:
        """What the record calls it."""
        ...

    def generate(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One weighted trial for each energy of the beams (n,), in GeV; weight zero if it fails."""
        ...
