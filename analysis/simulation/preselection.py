"""What an event needs to enter an ntuple, on measured quantities only.

The cuts follow the two Belle II searches for an invisible Z' (PRL 124, 141801 and
PRL 130, 231801): two muons, and a recoil that would have left a cluster in the barrel of the
calorimeter had it been a photon.
"""

from collections.abc import Iterator

import numpy as np

from punzinet.analysis.simulation.detector import Detector, polar_angle, transform
from punzinet.analysis.simulation.lorentz import mass2
from punzinet.analysis.types import BoolArray, FloatArray


def preselection(muons: FloatArray, detector: Detector) -> Iterator[tuple[str, BoolArray]]:
    """Steps of the preselection, each on its own, in the order of the cutflow.

    The beams are the nominal ones: an experiment does not know the energy of one collision.

    Args:
        muons: (n, 2, 4) measured momenta in the laboratory, GeV.
        detector: what measured them; its settings hold the cuts.

    Yields:
        The step's name and which events pass it, (n,).
    """
    settings = detector.settings.preselection
    transverse = np.hypot(muons[..., 1], muons[..., 2])
    yield (
        "both muons of sufficient transverse momentum",
        np.greater(transverse.min(axis=1), settings.muon_transverse_momentum),
    )
    recoil = detector.beams.total - muons.sum(axis=1)
    low, high = np.radians(settings.recoil_polar_range)
    angle = polar_angle(recoil)
    yield "recoil points to the calorimeter barrel", (angle > low) & (angle < high)
    in_cms = transform(recoil, detector.from_laboratory)
    across = np.hypot(in_cms[:, 1], in_cms[:, 2])
    yield "recoil across the beams", np.greater(across, settings.recoil_transverse_momentum)
    low, high = settings.recoil_mass_squared
    recoil_mass2 = mass2(recoil)
    yield "recoil mass in range", (recoil_mass2 > low) & (recoil_mass2 < high)
