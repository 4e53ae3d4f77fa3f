"""What an event needs to enter an ntuple, on measured quantities only.

The cuts follow the two Belle II searches for an invisible Z' (PRL 124, 141801 and
PRL 130, 231801): two muons, and a recoil that would have left a cluster in the barrel of the
calorimeter had it been a photon.
"""

from collections.abc import Iterator

import numpy as np

from analysis.beams import Beams
from analysis.simulation.detector import polar_angle
from analysis.simulation.lorentz import dot, mass2
from analysis.simulation.settings import PreselectionSettings
from analysis.types import BoolArray, FloatArray


def preselection(
    muons: FloatArray, beams: Beams, settings: PreselectionSettings
) -> Iterator[tuple[str, BoolArray]]:
    """Steps of the preselection, each on its own, in the order of the cutflow.

    Args:
        muons: (n, 2, 4) measured momenta in the laboratory, GeV.
        beams: nominal beams; an experiment does not know the energy of a single collision.
        settings: the cuts.

    Yields:
        The step's name and which events pass it, (n,).
    """
    transverse = np.hypot(muons[..., 1], muons[..., 2])
    yield (
        "both muons of sufficient transverse momentum",
        np.greater(transverse.min(axis=1), settings.muon_transverse_momentum),
    )
    recoil = beams.total - muons.sum(axis=1)
    recoil_mass2 = mass2(recoil)
    energy = dot(recoil, beams.total) / beams.sqrt_s
    momentum = np.sqrt(np.maximum(energy**2 - recoil_mass2, 0.0))
    yield "recoil of sufficient momentum", np.greater(momentum, settings.recoil_momentum)
    low, high = np.radians(settings.recoil_polar_range)
    angle = polar_angle(recoil)
    yield "recoil points to the calorimeter barrel", (angle > low) & (angle < high)
    low, high = settings.recoil_mass_squared
    yield "recoil mass in range", (recoil_mass2 > low) & (recoil_mass2 < high)
