"""What is computed from the two muons: the recoil mass and the four features.

Everything is evaluated in double precision in one pass over the events, at more than a hundred
million of them per second and core where beams are the same for all. That takes formulas in
components: with the objects of `vector`, whose results the tests hold these to, it is an eighth
of that.
"""

from dataclasses import dataclass

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.types import FloatArray

#: Names of the features, in the order of the columns of `DimuonKinematics.features`
#: (Table 1 of the Punzi-loss paper, arXiv:2110.00810).
FEATURES = ("pt_thrust", "pt_mumin_mumax", "pl_mumin_mumax", "pt_mumu")

#: Three momentum components (px, py, pz), each (n,), in GeV.
Momenta = tuple[FloatArray, FloatArray, FloatArray]

#: A vector of three components, and a four-momentum (E, px, py, pz).
Vector = tuple[float, float, float]
Vector4 = tuple[float, float, float, float]


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
    # Ntuples have momenta in single precision as a rule; the loop makes double precision of them.
    single = all(np.asarray(values).dtype == np.float32 for values in (*mu_plus, *mu_minus))
    kind = np.float32 if single else np.float64
    features, m2_recoil = _compute_compiled(
        (
            _contiguous(mu_plus[0], kind),
            _contiguous(mu_plus[1], kind),
            _contiguous(mu_plus[2], kind),
        ),
        (
            _contiguous(mu_minus[0], kind),
            _contiguous(mu_minus[1], kind),
            _contiguous(mu_minus[2], kind),
        ),
        _contiguous(np.atleast_2d(beam)),
        _contiguous(electron_direction),
    )
    return DimuonKinematics(features, m2_recoil)


def _contiguous(values: FloatArray, kind: type[np.floating] = np.float64) -> FloatArray:
    """Copy of a kind in one piece of memory, or the array itself if it is that already."""
    return np.ascontiguousarray(values, dtype=kind)


#: For what `_compute` calls. Numba puts it in place of the calls: the compiler then sees a loop
#: without any, and computes several events at once.
_in_place = njit(error_model="numpy", inline="always")


@_in_place
def _momentum(momenta: Momenta, i: int) -> Vector:
    """One of many momenta, in double precision."""
    return np.float64(momenta[0][i]), np.float64(momenta[1][i]), np.float64(momenta[2][i])


@_in_place
def _dot(a: Vector, b: Vector) -> float:
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@_in_place
def _cross(a: Vector, b: Vector) -> Vector:
    """Vector product."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@_in_place
def _plus(a: Vector, b: Vector, factor: float) -> Vector:
    """The first vector plus a multiple of the second."""
    return a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2]


@_in_place
def _boost(energy: float, p: Vector, beta: Vector, gamma: float) -> Vector:
    """Momentum in a system that moves with the velocity -beta."""
    return _plus(p, beta, gamma**2 / (1 + gamma) * _dot(beta, p) + gamma * energy)


@_in_place
def _frame(beam: Vector4, direction: Vector) -> tuple[Vector, float, Vector]:
    """Velocity of the laboratory in the CMS, its Lorentz factor, and the z axis of the CMS."""
    energy, x, y, z = beam
    beta = -x / energy, -y / energy, -z / energy
    gamma = 1 / np.sqrt(1 - _dot(beta, beta))
    electron = _boost(np.sqrt(_dot(direction, direction)), direction, beta, gamma)
    length = np.sqrt(_dot(electron, electron))
    return beta, gamma, (electron[0] / length, electron[1] / length, electron[2] / length)


@_in_place
def _event(
    p1: Vector, p2: Vector, beam: Vector4, frame: tuple[Vector, float, Vector]
) -> tuple[float, float, float, float, float]:
    """Features and squared recoil mass of two muons in the laboratory.

    The thrust axis of two momenta lies along their sum or their difference, whichever is
    longer, and both have the same component transverse to it. A muon at rest in the
    centre-of-mass system gives no axis; components with respect to it are then 0.
    """
    beta, gamma, z_axis = frame
    energy, x, y, z = beam
    e1 = np.sqrt(_dot(p1, p1) + MUON_MASS**2)
    e2 = np.sqrt(_dot(p2, p2) + MUON_MASS**2)
    recoil = _plus(_plus((x, y, z), p1, -1.0), p2, -1.0)
    m2_recoil = (energy - e1 - e2) ** 2 - _dot(recoil, recoil)

    p1, p2 = _boost(e1, p1, beta, gamma), _boost(e2, p2, beta, gamma)
    normal = _cross(p1, p2)
    both, apart = _plus(p1, p2, 1.0), _plus(p1, p2, -1.0)
    transverse = np.sqrt(_dot(normal, normal))
    longer_axis = np.sqrt(max(_dot(both, both), _dot(apart, apart)))
    shorter = np.sqrt(min(_dot(p1, p1), _dot(p2, p2)))
    to_beams = _cross(both, z_axis)
    return (
        transverse / longer_axis if longer_axis != 0 else 0.0,
        transverse / shorter if shorter != 0 else 0.0,
        _dot(p1, p2) / shorter if shorter != 0 else 0.0,
        np.sqrt(_dot(to_beams, to_beams)),
        m2_recoil,
    )


def _compute(
    mu1_momenta: Momenta, mu2_momenta: Momenta, beam: FloatArray, electron_direction: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute features and recoil masses, event by event (to be compiled).

    Args:
        mu1_momenta: Momentum of one muon in the laboratory, three times (n,), GeV, in single or
            in double precision.
        mu2_momenta: Momentum of the other.
        beam: (1, 4) or (n, 4) four-momentum (E, px, py, pz) of the beams, GeV.
        electron_direction: (3,) in the laboratory.

    Returns:
        (n, 4) features in GeV, and (n,) squared recoil masses in GeV².
    """
    count = len(mu1_momenta[0])
    features, m2_recoil = np.empty((4, count)), np.empty(count)
    f0, f1, f2, f3 = features
    direction = electron_direction[0], electron_direction[1], electron_direction[2]
    if len(beam) == 1:  # a loop of its own, in which the compiler computes several events at once
        total = beam[0, 0], beam[0, 1], beam[0, 2], beam[0, 3]
        frame = _frame(total, direction)
        for i in range(count):
            f0[i], f1[i], f2[i], f3[i], m2_recoil[i] = _event(
                _momentum(mu1_momenta, i), _momentum(mu2_momenta, i), total, frame
            )
    else:
        for i in range(count):
            total = beam[i, 0], beam[i, 1], beam[i, 2], beam[i, 3]
            f0[i], f1[i], f2[i], f3[i], m2_recoil[i] = _event(
                _momentum(mu1_momenta, i),
                _momentum(mu2_momenta, i),
                total,
                _frame(total, direction),
            )
    return features.T, m2_recoil


_compute_compiled = njit(nogil=True, cache=True, error_model="numpy")(_compute)
