"""The record that every generator makes and the detector reads."""

from dataclasses import dataclass

import numpy as np

from punzinet.analysis.types import FloatArray


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

    def total(self) -> FloatArray:
        """Sum of all final-state momenta, (n, 4); equals (sqrt_s, 0, 0, 0)."""
        radiated: FloatArray = self.photons.sum(axis=1) + self.electrons.sum(axis=1)
        return self.mu_plus + self.mu_minus + radiated + self.invisible

    def __getitem__(self, index: np.ndarray | slice) -> "GeneratedEvents":
        """The events that a mask, an index array or a slice picks."""
        return GeneratedEvents(
            self.mu_plus[index],
            self.mu_minus[index],
            self.photons[index],
            self.electrons[index],
            self.invisible[index],
            self.sqrt_s[index],
            self.weight[index],
            self.mass[index],
        )
