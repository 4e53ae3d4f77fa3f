"""What is computed from the two muons: the recoil mass and the four features.

Everything is evaluated in double precision in one pass over the events. The four-momenta are
those of `vector`, whose objects Numba compiles, so that the formulas below read as physics and
run at tens of millions of events per second and core.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import vector
from numba import njit

from analysis.simulation.constants import MUON_MASS
from analysis.types import FloatArray

#: Names of the features, in the order of the columns of `DimuonKinematics.features`
#: (Table 1 of the Punzi-loss paper, arXiv:2110.00810).
FEATURES = ("pt_thrust", "pt_mumin_mumax", "pl_mumin_mumax", "pt_mumu")

#: Three momentum components (px, py, pz), each (n,), in GeV.
Momenta = tuple[FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class DimuonKinematics:
    """What the search uses of each event.

    Attributes:
        features: (n, 4) `FEATURES` in GeV, in the centre-of-mass system; each column lies in one
            piece of memory.
        m2_recoil: (n,) squared mass recoiling against the two muons, GeV²; it can be negative.
    """

    features: FloatArray
    m2_recoil: FloatArray


def dimuon_kinematics(
    mu_plus: Momenta, mu_minus: Momenta, beam: FloatArray, electron_direction: FloatArray
) -> DimuonKinematics:
    """Compute features and recoil mass of every event.

    Args:
        mu_plus: Momentum of one muon in the laboratory, or in any other system that the rest is
            given in as well, GeV. Which of the two is the positive one changes nothing.
        mu_minus: Momentum of the other.
        beam: Four-momentum (E, px, py, pz) of the colliding beams in the laboratory, GeV:
            (4,) for all events, or (n, 4).
        electron_direction: (3,) direction of the electron beam in the laboratory. Boosted to
            the centre-of-mass system, it is the z axis there.

    Returns:
        Features and recoil masses; not finite where an input is not.
    """
    features, m2_recoil = _compute_compiled(
        (_contiguous(mu_plus[0]), _contiguous(mu_plus[1]), _contiguous(mu_plus[2])),
        (_contiguous(mu_minus[0]), _contiguous(mu_minus[1]), _contiguous(mu_minus[2])),
        _contiguous(np.atleast_2d(beam)),
        _contiguous(electron_direction),
    )
    return DimuonKinematics(features, m2_recoil)


def _contiguous(values: FloatArray) -> FloatArray:
    """Double-precision copy in one piece of memory, or the array itself if it is that already."""
    return np.ascontiguousarray(values, dtype=np.float64)


def _compute(
    mu1_momenta: Momenta, mu2_momenta: Momenta, beam: FloatArray, electron_direction: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute features and recoil masses, event by event (to be compiled).

    The thrust axis of two momenta lies along their sum or their difference, whichever is
    longer, and both have the same component transverse to it. A muon at rest in the
    centre-of-mass system gives no axis; components with respect to it are then 0.

    Args:
        mu1_momenta: Momentum of one muon in the laboratory, three times (n,), GeV.
        mu2_momenta: Momentum of the other.
        beam: (1, 4) or (n, 4) four-momentum (E, px, py, pz) of the beams, GeV.
        electron_direction: (3,) in the laboratory.

    Returns:
        (n, 4) features in GeV, and (n,) squared recoil masses in GeV².
    """
    count = len(mu1_momenta[0])
    features = np.empty((4, count))
    m2_recoil = np.empty(count)
    x, y, z = electron_direction
    # Typed as Any because vector annotates what it computes by protocols without coordinates.
    electron: Any = vector.obj(px=x, py=y, pz=z, mass=0.0)
    for i in range(count):
        b = beam[i if len(beam) > 1 else 0]
        total: Any = vector.obj(px=b[1], py=b[2], pz=b[3], E=b[0])
        x, y, z = mu1_momenta[0][i], mu1_momenta[1][i], mu1_momenta[2][i]
        mu1: Any = vector.obj(px=x, py=y, pz=z, mass=MUON_MASS)
        x, y, z = mu2_momenta[0][i], mu2_momenta[1][i], mu2_momenta[2][i]
        mu2: Any = vector.obj(px=x, py=y, pz=z, mass=MUON_MASS)
        recoil = total - mu1 - mu2
        m2_recoil[i] = recoil.E**2 - recoil.px**2 - recoil.py**2 - recoil.pz**2

        p1 = mu1.boostCM_of_p4(total).to_Vector3D()
        p2 = mu2.boostCM_of_p4(total).to_Vector3D()
        z_axis = electron.boostCM_of_p4(total).to_Vector3D()
        transverse = p1.cross(p2).mag
        longer_axis = max((p1 + p2).mag, (p1 - p2).mag)
        shorter = min(p1.mag, p2.mag)
        features[0, i] = transverse / longer_axis if longer_axis != 0 else 0.0
        features[1, i] = transverse / shorter if shorter != 0 else 0.0
        features[2, i] = p1.dot(p2) / shorter if shorter != 0 else 0.0
        features[3, i] = (p1 + p2).cross(z_axis).mag / z_axis.mag
    return features.T, m2_recoil


_compute_compiled = njit(nogil=True, cache=True, error_model="numpy")(_compute)
