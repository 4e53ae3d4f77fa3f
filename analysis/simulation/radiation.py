"""Photons that the colliding beams radiate before they meet, to leading logarithm.

Each beam radiates one photon that stands for all its radiation. Its energy fraction z follows the
exponentiated structure function b z^(b-1) (1 + (1-z)^2)/2 with b = (alpha/pi) (ln(s/m^2) - 1)
(Gribov and Lipatov; Kuraev and Fadin, Sov. J. Nucl. Phys. 41 (1985) 466), its angle the radiation
pattern of a charge with mass. The photons are four-vectors: the system that is left has
transverse momentum, and what leaves along a beam can be told from what a calorimeter sees.
"""

from dataclasses import dataclass
from math import exp, expm1, log1p, sqrt
from typing import Final

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import ALPHA, ELECTRON_MASS
from punzinet.analysis.simulation import lorentz
from punzinet.analysis.types import FloatArray

SOFT_AND_VIRTUAL: Final = 1 + ALPHA / np.pi * (np.pi**2 / 3 - 0.5)
"""First-order vertex correction of the annihilation that no logarithm carries (Kuraev, Fadin)."""


@dataclass(frozen=True, eq=False)
class BeamRadiation:
    """What the beams radiate, and what is left to collide.

    Attributes:
        photons: (n, 2, 4), off the electron and off the positron, CMS of the beams.
        fraction: (n, 2), energies of the photons over the beam energy.
        reduced: (n, 4), momentum of the system that collides: beams minus photons.
        axis: (n, 3), unit vector along the electron in the rest frame of `reduced` (the one of
            `lorentz.to_rest_frame`): the z axis of the collision.
        weight: (n,), correction to the sampled distribution, zero for events without enough
            energy left to collide, which are returned without photons.
    """

    photons: FloatArray
    fraction: FloatArray
    reduced: FloatArray
    axis: FloatArray
    weight: FloatArray


def exponent(sqrt_s: FloatArray | float, mass: float) -> FloatArray:
    """Strength of the radiation of one charge, b = (alpha/pi) (ln(s/m^2) - 1).

    Args:
        sqrt_s: energy of the pair that the charge belongs to, GeV.
        mass: its mass, GeV.

    Returns:
        b: the mean number of photons per unit of ln(energy).
    """
    return np.asarray(ALPHA / np.pi * (2 * np.log(np.divide(sqrt_s, mass)) - 1))


def splitting_weight(fraction: FloatArray, strength: FloatArray) -> FloatArray:
    """Weight of z drawn from b z^(b-1): the hard spectrum (1 + (1-z)^2)/2, normalised.

    Args:
        fraction: z, in [0, 1].
        strength: b of `exponent`, broadcast against z.

    Returns:
        Weights whose mean over z in (0, 1) is one: radiation only moves the collision energy.
    """
    mean = 1 - strength / (1 + strength) + strength / (4 + 2 * strength)
    return (1 + (1 - fraction) ** 2) / (2 * mean)


@njit(cache=True)
def emission_angle_at(uniform: float, energy: float, mass: float) -> float:
    """Angle of one photon to the charge that radiates it, in compiled loops.

    The density of d = 1 - cos(theta) is d/(d + a)^2 with a = m^2/2E^2: the pattern
    1/(p.k) - m^2/(p.k)^2 of one charge, whose integral is the logarithm minus one in `exponent`.
    With v = ln(1 + d/a) the cumulative density is v - 1 + exp(-v), solved by Newton's method
    from above, where it converges without overshooting.

    Args:
        uniform: random number in [0, 1).
        energy: energy of the charge before it radiates, GeV.
        mass: its mass, GeV.

    Returns:
        1 - cos(theta), in [0, 2], which keeps its digits at small angles.
    """
    scale = mass**2 / (2 * energy**2)
    largest = log1p(2 / scale)
    target = uniform * (largest - 1 + exp(-largest))
    v = target + sqrt(2 * target)
    for _ in range(4):
        slope = -expm1(-v)
        if slope <= 0:
            break
        v -= (v - slope - target) / slope
    return min(max(scale * expm1(v), 0.0), 2.0)


@njit(cache=True)
def emission_angle(uniform: FloatArray, energy: FloatArray, mass: float) -> FloatArray:
    """Angles of photons to the charge that radiates them; see `emission_angle_at`.

    Args:
        uniform: (...,) random numbers in [0, 1).
        energy: (...,) energies of the charge before it radiates, GeV.
        mass: its mass, GeV.

    Returns:
        (...,) 1 - cos(theta).
    """
    opening = np.empty_like(uniform)
    for i in range(uniform.size):
        opening.flat[i] = emission_angle_at(float(uniform.flat[i]), float(energy.flat[i]), mass)
    return opening


def photon_momentum(energy: FloatArray, opening: FloatArray, azimuth: FloatArray) -> FloatArray:
    """Photon momenta about the z axis.

    Args:
        energy: (...,) GeV.
        opening: (...,) 1 - cos of the angle to the z axis.
        azimuth: (...,) radian.

    Returns:
        (..., 4) momenta.
    """
    transverse = energy * np.sqrt(opening * (2 - opening))
    return np.stack(
        [
            energy,
            transverse * np.cos(azimuth),
            transverse * np.sin(azimuth),
            energy * (1 - opening),
        ],
        axis=-1,
    )


def radiate_from_beams(
    rng: np.random.Generator, sqrt_s: FloatArray, threshold: float
) -> BeamRadiation:
    """Radiate one photon off each beam.

    The Born cross-section at the mass of `reduced`, times `weight`, is the cross-section with
    radiation; `SOFT_AND_VIRTUAL` is part of the weight.

    Args:
        rng: source of the random numbers, six an event.
        sqrt_s: (n,) energies of the beams in their CMS, GeV.
        threshold: the least mass of the system that collides, GeV.

    Returns:
        The photons and the system that is left.
    """
    n = len(sqrt_s)
    strength = exponent(sqrt_s, ELECTRON_MASS)[:, np.newaxis]
    fraction = rng.random((n, 2)) ** (1 / strength)
    energy = np.repeat(sqrt_s[:, np.newaxis] / 2, 2, axis=1)
    opening = emission_angle(rng.random((n, 2)), energy, ELECTRON_MASS)
    photons = photon_momentum(fraction * energy, opening, rng.uniform(0, 2 * np.pi, (n, 2)))
    photons[:, 1, 3] *= -1

    beams = np.zeros((n, 4))
    beams[:, 0] = sqrt_s
    reduced = beams - photons.sum(axis=1)
    collides = lorentz.mass2(reduced) > threshold**2
    photons[~collides] = 0.0
    fraction[~collides] = 0.0
    reduced[~collides] = beams[~collides]
    weight = SOFT_AND_VIRTUAL * splitting_weight(fraction, strength).prod(axis=1)
    return BeamRadiation(
        photons, fraction, reduced, collision_axis(sqrt_s, reduced), weight * collides
    )


def collision_axis(sqrt_s: FloatArray, reduced: FloatArray) -> FloatArray:
    """Direction of the electron where the radiating beams collide.

    In the rest frame of what collides, the two beams are no longer back to back if a photon took
    transverse momentum away; the axis is the bisector of the electron and the reversed positron
    (Collins and Soper, Phys. Rev. D 16 (1977) 2219), which is the beam axis if none did.

    Args:
        sqrt_s: (n,) energies of the beams in their CMS, GeV.
        reduced: (n, 4) momentum of the system that collides.

    Returns:
        (n, 3) unit vectors.
    """
    beam = np.zeros((2, len(sqrt_s), 4))
    beam[..., 0] = sqrt_s / 2
    beam[0, :, 3] = sqrt_s / 2
    beam[1, :, 3] = -sqrt_s / 2
    electron, positron = lorentz.to_rest_frame(beam, reduced)[..., 1:]
    axis = electron / np.linalg.norm(electron, axis=-1, keepdims=True)
    axis = axis - positron / np.linalg.norm(positron, axis=-1, keepdims=True)
    unit: FloatArray = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    return unit
