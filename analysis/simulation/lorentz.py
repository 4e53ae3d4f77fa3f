"""Four-momentum arithmetic on arrays of shape (..., 4), in the order (E, px, py, pz)."""

import numpy as np

from punzinet.analysis.types import FloatArray


def dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Minkowski product a.b with the metric (+, -, -, -).

    Args:
        a: (..., 4) four-vectors.
        b: (..., 4) four-vectors.

    Returns:
        (...,) products, GeV^2 for momenta.
    """
    product: FloatArray = a[..., 0] * b[..., 0] - (a[..., 1:] * b[..., 1:]).sum(axis=-1)
    return product


def mass2(p: FloatArray) -> FloatArray:
    """Invariant mass squared of (..., 4) momenta, GeV^2; rounding can make it negative."""
    return dot(p, p)


def momentum(p: FloatArray) -> FloatArray:
    """Length of the three-momentum of (..., 4) momenta, GeV."""
    length: FloatArray = np.sqrt((p[..., 1:] ** 2).sum(axis=-1))
    return length


def on_shell(vector: FloatArray, mass: FloatArray | float) -> FloatArray:
    """Four-momentum of a particle of known mass.

    Args:
        vector: (..., 3) three-momenta, GeV.
        mass: mass, GeV, broadcast against the momenta.

    Returns:
        (..., 4) momenta with E = sqrt(p^2 + m^2).
    """
    energy = np.sqrt((vector**2).sum(axis=-1) + np.square(mass))
    return np.concatenate([energy[..., np.newaxis], vector], axis=-1)


def two_body_momentum(
    mass: FloatArray | float, first: FloatArray | float, second: FloatArray | float
) -> FloatArray:
    """Momentum of the two decay products in the rest frame of their mother.

    The square root of the Kaellen function over 2 M, in its factorised form, which keeps its
    digits next to threshold.

    Args:
        mass: mass of the mother, GeV.
        first: mass of one product, GeV.
        second: mass of the other, GeV.

    Returns:
        Momentum, GeV; zero below threshold.
    """
    mass = np.asarray(mass, dtype=float)
    above = np.maximum(mass**2 - np.square(np.add(first, second)), 0.0)
    beside = np.maximum(mass**2 - np.square(np.subtract(first, second)), 0.0)
    return np.asarray(np.sqrt(above * beside) / (2 * mass))


def boost(p: FloatArray, beta: FloatArray) -> FloatArray:
    """Momenta as seen after giving everything the velocity beta (an active boost).

    Args:
        p: (..., 4) momenta; a particle at rest leaves with velocity beta.
        beta: (3,) or (..., 3) velocities below 1.

    Returns:
        (..., 4) boosted momenta.
    """
    gamma = 1 / np.sqrt(1 - (beta**2).sum(axis=-1))
    along = (p[..., 1:] * beta).sum(axis=-1)
    energy = gamma * (p[..., 0] + along)
    # (gamma - 1) / beta^2 = gamma^2 / (gamma + 1) has no pole at rest
    shift = gamma**2 / (gamma + 1) * along + gamma * p[..., 0]
    vector = p[..., 1:] + shift[..., np.newaxis] * beta
    return np.concatenate([energy[..., np.newaxis], vector], axis=-1)


def to_rest_frame(p: FloatArray, frame: FloatArray) -> FloatArray:
    """Momenta in the rest frame of a massive system, without rotation of the axes.

    Args:
        p: (..., 4) momenta.
        frame: (..., 4) momentum of the system, mass above zero.

    Returns:
        (..., 4) momenta; `frame` itself becomes (M, 0, 0, 0).
    """
    mass = np.sqrt(mass2(frame))
    energy = dot(frame, p) / mass
    shift = (p[..., 0] + energy) / (frame[..., 0] + mass)
    vector = p[..., 1:] - shift[..., np.newaxis] * frame[..., 1:]
    return np.concatenate([energy[..., np.newaxis], vector], axis=-1)


def from_rest_frame(p: FloatArray, frame: FloatArray) -> FloatArray:
    """Inverse of `to_rest_frame`.

    Args:
        p: (..., 4) momenta in the rest frame of the system.
        frame: (..., 4) momentum of the system, mass above zero.

    Returns:
        (..., 4) momenta in the frame where the system has the momentum `frame`.
    """
    mass = np.sqrt(mass2(frame))
    energy = (frame * p).sum(axis=-1) / mass
    shift = (p[..., 0] + energy) / (frame[..., 0] + mass)
    vector = p[..., 1:] + shift[..., np.newaxis] * frame[..., 1:]
    return np.concatenate([energy[..., np.newaxis], vector], axis=-1)


def direction(cosine: FloatArray, azimuth: FloatArray) -> FloatArray:
    """Unit vectors from polar angle and azimuth.

    Args:
        cosine: (...,) cosine of the polar angle to the z axis.
        azimuth: (...,) radian.

    Returns:
        (..., 3) unit vectors.
    """
    sine = np.sqrt((1 - cosine) * (1 + cosine))
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=-1)


def isotropic(rng: np.random.Generator, n: int) -> FloatArray:
    """(n, 3) unit vectors, uniform on the sphere; draws two uniforms an event from `rng`."""
    return direction(rng.uniform(-1, 1, n), rng.uniform(0, 2 * np.pi, n))


def rotate_to(axis: FloatArray, vector: FloatArray) -> FloatArray:
    """Rotation that brings the z axis onto `axis`.

    R = Rz(phi) Ry(theta) with the polar angles of the axis, so that the turned x axis stays in
    the plane of z and `axis` and the turned y axis is normal to it, along z x axis.

    Args:
        axis: (..., 3) vectors of any non-zero length.
        vector: (..., 3) vectors or (..., 4) four-momenta, whose energy is left alone.

    Returns:
        The turned vectors, shaped as `vector`.
    """
    unit = axis / np.sqrt((axis**2).sum(axis=-1, keepdims=True))
    across = np.hypot(unit[..., 0], unit[..., 1])
    # Subnormal components have too few digits to say which way they point.
    on_axis = across < 1e-290
    safe = np.where(on_axis, 1.0, across)
    cos_phi = np.where(on_axis, 1.0, unit[..., 0] / safe)
    sin_phi = unit[..., 1] / safe
    x, y, z = vector[..., -3], vector[..., -2], vector[..., -1]
    radial = unit[..., 2] * x + across * z
    turned = np.stack(
        [
            cos_phi * radial - sin_phi * y,
            sin_phi * radial + cos_phi * y,
            unit[..., 2] * z - across * x,
        ],
        axis=-1,
    )
    energy = vector[..., :-3]  # no column at all for three-vectors
    energy = np.broadcast_to(energy, (*turned.shape[:-1], energy.shape[-1]))
    return np.concatenate([energy, turned], axis=-1)
