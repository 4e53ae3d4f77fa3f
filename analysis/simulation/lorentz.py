"""Four-momenta (E, px, py, pz) as tuples, for compiled loops; `vector` does the rest.

A loop that makes one event after the other has no time for objects: with those of `vector`
the generators take several times as long.
"""

from math import cos, hypot, sin, sqrt
from typing import cast

import vector

from punzinet.analysis.compiled import njit
from punzinet.analysis.types import FloatArray

Momentum = tuple[float, float, float, float]
Vector = tuple[float, float, float]


def momenta(p: FloatArray) -> vector.MomentumNumpy4D:
    """An array (..., 4) as an array (...) of `vector`."""
    columns = {"E": p[..., 0], "px": p[..., 1], "py": p[..., 2], "pz": p[..., 3]}
    return cast("vector.MomentumNumpy4D", vector.array(columns))


@njit(cache=True)
def dot(a: Momentum, b: Momentum) -> float:
    """Minkowski product, GeV^2."""
    return a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3]


@njit(cache=True)
def minus(a: Momentum, b: Momentum) -> Momentum:
    """Difference of two momenta."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]


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
def to_rest_frame(p: Momentum, frame: Momentum) -> Momentum:
    """Momentum in the rest frame of a massive system, without rotation of the axes."""
    mass = sqrt(dot(frame, frame))
    energy = dot(frame, p) / mass
    shift = (p[0] + energy) / (frame[0] + mass)
    return energy, p[1] - shift * frame[1], p[2] - shift * frame[2], p[3] - shift * frame[3]


@njit(cache=True)
def from_rest_frame(p: Momentum, frame: Momentum) -> Momentum:
    """Inverse of `to_rest_frame`."""
    mass = sqrt(dot(frame, frame))
    energy = (frame[0] * p[0] + frame[1] * p[1] + frame[2] * p[2] + frame[3] * p[3]) / mass
    shift = (p[0] + energy) / (frame[0] + mass)
    return energy, p[1] + shift * frame[1], p[2] + shift * frame[2], p[3] + shift * frame[3]


@njit(cache=True)
def rotate_to(axis: Vector, p: Momentum) -> Momentum:
    """Rotation that brings the z axis onto a unit vector.

    R = Rz(phi) Ry(theta) with the polar angles of the axis: the turned x axis stays in the plane
    of z and `axis`.
    """
    across = hypot(axis[0], axis[1])
    # subnormal components have too few digits to say which way they point
    cos_phi, sin_phi = (axis[0] / across, axis[1] / across) if across > 1e-290 else (1.0, 0.0)
    radial = axis[2] * p[1] + across * p[3]
    return (
        p[0],
        cos_phi * radial - sin_phi * p[2],
        sin_phi * radial + cos_phi * p[2],
        axis[2] * p[3] - across * p[1],
    )


@njit(cache=True)
def rotate_from(axis: Vector, p: Momentum) -> Momentum:
    """Inverse of `rotate_to`: the rotation that brings a unit vector onto the z axis."""
    across = hypot(axis[0], axis[1])
    cos_phi, sin_phi = (axis[0] / across, axis[1] / across) if across > 1e-290 else (1.0, 0.0)
    radial = cos_phi * p[1] + sin_phi * p[2]
    return (
        p[0],
        axis[2] * radial - across * p[3],
        cos_phi * p[2] - sin_phi * p[1],
        across * radial + axis[2] * p[3],
    )


@njit(cache=True)
def about_z(energy: float, momentum: float, opening: float, azimuth: float) -> Momentum:
    """Momentum at an angle to the z axis; `opening`, 1 - cos of it, keeps small angles exact."""
    transverse = momentum * sqrt(opening * (2 - opening))
    return (
        energy,
        transverse * cos(azimuth),
        transverse * sin(azimuth),
        momentum * (1 - opening),
    )
