"""Generated events, and the four-vectors of the compiled loops that make them.

With objects of `vector` the generators take several times as long: in their loops a four-momentum
(E, px, py, pz) is a tuple.
"""

from math import cos, hypot, sin, sqrt
from typing import NamedTuple, Protocol, Self, cast

import numpy as np
import vector

from punzinet.analysis.io.compiled import njit
from punzinet.analysis.types import BoolArray, FloatArray, IntArray, Random

Momentum = tuple[float, float, float, float]
Vector = tuple[float, float, float]
Pair = tuple[float, float]
Momenta = vector.MomentumNumpy4D


class GeneratedEvents(NamedTuple):
    """Generated events in the centre-of-mass system of the colliding beams, the electron along z.

    Four-momenta are (E, px, py, pz) in GeV, zeros where there is no particle.
    """

    mu_plus: FloatArray  # (n, 4), the positive muon, or the hadron that is taken for one
    mu_minus: FloatArray  # (n, 4), the negative one
    photons: FloatArray  # (n, k, 4)
    electrons: FloatArray  # (n, 2, 4), scattered electron and positron
    invisible: FloatArray  # (n, 4), the sum of all that leaves no trace (neutrinos, Z')
    sqrt_s: FloatArray  # (n,), energy of the colliding beams before any radiation
    weight: FloatArray  # (n,), fb; its mean over trials is the cross-section of the sampled region
    mass: FloatArray  # (n,), generated Z' mass, NaN for background

    @classmethod
    def zeros(cls, sqrt_s: FloatArray, photons: int = 2, mass: float = np.nan) -> Self:
        """Events of weight zero without momenta, to be filled, for each energy of the beams."""
        n = len(sqrt_s)
        plus, minus, invisible = np.zeros((3, n, 4))
        radiated, electrons = np.zeros((n, photons, 4)), np.zeros((n, 2, 4))
        weight, masses = np.zeros(n), np.full(n, mass)
        return cls(plus, minus, radiated, electrons, invisible, sqrt_s, weight, masses)

    def pick(self, index: BoolArray | IntArray) -> "GeneratedEvents":
        """The events that a mask or an index array picks."""
        return GeneratedEvents(*(column[index] for column in self))


class Generator(Protocol):
    """A process, or a region of its phase space with a sampling density of its own (a stratum)."""

    @property
    def name(self) -> str:
        """What the record calls it."""

    def generate(self, rng: Random, sqrt_s: FloatArray) -> GeneratedEvents:
        """One weighted trial for each energy of the beams (n,), in GeV; weight zero if it fails."""


def momenta(p: FloatArray) -> Momenta:
    """An array (..., 4) as an array (...) of `vector`."""
    columns = {"E": p[..., 0], "px": p[..., 1], "py": p[..., 2], "pz": p[..., 3]}
    return cast("Momenta", vector.array(columns))


def components(p: Momenta) -> FloatArray:
    """Inverse of `momenta`: an array (...) of `vector` as an array (..., 4)."""
    return np.stack([p.E, p.px, p.py, p.pz], axis=-1)


def transform(p: FloatArray, matrix: FloatArray) -> FloatArray:
    """(..., 4) momenta times a (4, 4) matrix; not by BLAS, whose last digit depends on threads."""
    return np.asarray(np.einsum("...i,ij->...j", p, matrix))


@njit(cache=True)
def dot(a: Momentum, b: Momentum) -> float:
    """Minkowski product, GeV^2."""
    return a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3]


@njit(cache=True)
def minus(a: Momentum, b: Momentum) -> Momentum:
    """Difference of two momenta."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]


@njit(cache=True)
def direction(p: Momentum) -> Vector:
    """Unit vector along a momentum."""
    length = sqrt(p[1] ** 2 + p[2] ** 2 + p[3] ** 2)
    return p[1] / length, p[2] / length, p[3] / length


@njit(cache=True)
def transformed(p: Momentum, matrix: FloatArray) -> Momentum:
    """Momentum, from the left, times a (4, 4) matrix."""
    return (
        p[0] * matrix[0, 0] + p[1] * matrix[1, 0] + p[2] * matrix[2, 0] + p[3] * matrix[3, 0],
        p[0] * matrix[0, 1] + p[1] * matrix[1, 1] + p[2] * matrix[2, 1] + p[3] * matrix[3, 1],
        p[0] * matrix[0, 2] + p[1] * matrix[1, 2] + p[2] * matrix[2, 2] + p[3] * matrix[3, 2],
        p[0] * matrix[0, 3] + p[1] * matrix[1, 3] + p[2] * matrix[2, 3] + p[3] * matrix[3, 3],
    )


@njit(cache=True)
def from_rest_frame(p: Momentum, frame: Momentum) -> Momentum:
    """Momentum, given in the rest frame of a massive system, where that has the one of `frame`."""
    mass = sqrt(dot(frame, frame))
    energy = (frame[0] * p[0] + frame[1] * p[1] + frame[2] * p[2] + frame[3] * p[3]) / mass
    shift = (p[0] + energy) / (frame[0] + mass)
    return energy, p[1] + shift * frame[1], p[2] + shift * frame[2], p[3] + shift * frame[3]


@njit(cache=True)
def to_rest_frame(p: Momentum, frame: Momentum) -> Momentum:
    """Inverse of `from_rest_frame`."""
    return from_rest_frame(p, (frame[0], -frame[1], -frame[2], -frame[3]))


@njit(cache=True)
def _azimuth(axis: Vector) -> Vector:
    """Length across z of a unit vector, and cosine and sine of its azimuth."""
    across = hypot(axis[0], axis[1])
    # subnormal components have too few digits to say which way they point
    return (across, axis[0] / across, axis[1] / across) if across > 1e-290 else (across, 1.0, 0.0)


@njit(cache=True)
def rotate_to(axis: Vector, p: Momentum) -> Momentum:
    """Rotation Rz(phi) Ry(theta) that brings the z axis onto a unit vector."""
    across, cos_phi, sin_phi = _azimuth(axis)
    radial = axis[2] * p[1] + across * p[3]
    x, y = cos_phi * radial - sin_phi * p[2], sin_phi * radial + cos_phi * p[2]
    return p[0], x, y, axis[2] * p[3] - across * p[1]


@njit(cache=True)
def rotate_from(axis: Vector, p: Momentum) -> Momentum:
    """Inverse of `rotate_to`: the rotation that brings a unit vector onto the z axis."""
    across, cos_phi, sin_phi = _azimuth(axis)
    radial = cos_phi * p[1] + sin_phi * p[2]
    x, z = axis[2] * radial - across * p[3], across * radial + axis[2] * p[3]
    return p[0], x, cos_phi * p[2] - sin_phi * p[1], z


@njit(cache=True)
def about_z(energy: float, momentum: float, opening: float, azimuth: float) -> Momentum:
    """Momentum at an angle to the z axis; `opening`, 1 - cos of it, keeps small angles exact."""
    across = momentum * sqrt(opening * (2 - opening))
    return energy, across * cos(azimuth), across * sin(azimuth), momentum * (1 - opening)
