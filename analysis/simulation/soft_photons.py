"""Photons softer than the hardest one: leading-logarithm radiation below a given energy.

Every charge radiates one photon that stands for all its softer radiation, with an energy
fraction z that follows b z^(b-1) (1 + (1-z)^2)/2 below that of the hardest photon.
"""

from math import log, pi, sqrt
from typing import Final

import numpy as np
from numba import njit

from analysis.simulation.compiled_lorentz import (
    Momentum,
    Vector,
    about_z,
    dot,
    from_rest_frame,
    minus,
    rotate_to,
    to_rest_frame,
)
from analysis.simulation.constants import ALPHA, ELECTRON_MASS, MUON_MASS
from analysis.simulation.radiation import SOFT_AND_VIRTUAL, emission_angle_at

SOFTEST: Final = 1e-6
"""Energy fraction below which photons are left out: a few keV, which nothing resolves."""
DIMUON_THRESHOLD: Final = 4 * MUON_MASS**2
"""Least mass squared of a dimuon, GeV^2."""


@njit(cache=True)
def _strength(s: float, mass: float) -> float:
    """Radiation strength b of a charge of a pair of squared mass s, as `radiation.exponent`."""
    return max(ALPHA / pi * (log(s / mass**2) - 1), 0.0)


@njit(cache=True)
def _softer_photon(
    rng: np.random.Generator, strength: float, below: float, energy: float, mass: float
) -> tuple[Momentum, float]:
    """A photon off one charge along the z axis, softer than the hardest.

    Args:
        rng: source of the random numbers.
        strength: b of the charge.
        below: energy fraction of the hardest photon.
        energy: of the charge, GeV.
        mass: of the charge, GeV.

    Returns:
        The photon, all zero below `SOFTEST`, and the event's weight for this charge: the
        probability of nothing harder times the shape of the hard spectrum, normalised.
    """
    mean = 1 - strength / (1 + strength) + strength / (4 + 2 * strength)
    weight = below**strength / mean
    if strength == 0:
        return (0.0, 0.0, 0.0, 0.0), weight
    fraction = below * rng.random() ** (1 / strength)
    if fraction < SOFTEST:
        return (0.0, 0.0, 0.0, 0.0), weight
    opening = emission_angle_at(rng.random(), energy, mass)
    photon = about_z(fraction * energy, fraction * energy, opening, 2 * pi * rng.random())
    return photon, weight * (1 + (1 - fraction) ** 2) / 2


@njit(cache=True)
def radiate_softly_from_beams(
    rng: np.random.Generator, sqrt_s: float, below: float
) -> tuple[Momentum, Momentum, Momentum, Vector, float]:
    """Radiate a photon off either beam that is softer than the hardest.

    Args:
        rng: source of the random numbers.
        sqrt_s: energy of the beams, GeV.
        below: energy fraction of the hardest photon.

    Returns:
        The two photons, the momentum of what collides, the direction of the electron in its
        rest frame (see `radiation.collision_axis`), and the weight.
    """
    energy = sqrt_s / 2
    strength = _strength(sqrt_s**2, ELECTRON_MASS)
    first, weight_1 = _softer_photon(rng, strength, below, energy, ELECTRON_MASS)
    mirrored, weight_2 = _softer_photon(rng, strength, below, energy, ELECTRON_MASS)
    second = (mirrored[0], mirrored[1], mirrored[2], -mirrored[3])
    reduced = minus(minus((sqrt_s, 0.0, 0.0, 0.0), first), second)
    weight = weight_1 * weight_2 * SOFT_AND_VIRTUAL
    axis = (0.0, 0.0, 1.0)
    if first[0] + second[0] > 0 and dot(reduced, reduced) > DIMUON_THRESHOLD:
        electron = to_rest_frame((energy, 0.0, 0.0, energy), reduced)
        positron = to_rest_frame((energy, 0.0, 0.0, -energy), reduced)
        x = electron[1] / electron[0] - positron[1] / positron[0]
        y = electron[2] / electron[0] - positron[2] / positron[0]
        z = electron[3] / electron[0] - positron[3] / positron[0]
        length = sqrt(x**2 + y**2 + z**2)
        axis = (x / length, y / length, z / length)
    return first, second, reduced, axis, weight


@njit(cache=True)
def radiate_softly_from_muons(
    rng: np.random.Generator, s: float, below: float, unit: Vector
) -> tuple[Momentum, Momentum, Momentum, Momentum, float]:
    """Radiate a photon off either muon that is softer than the hardest.

    The muons keep their common direction in their rest frame and share what energy is left.

    Args:
        rng: source of the random numbers.
        s: mass squared of the dimuon before this radiation, GeV^2.
        below: energy fraction of the hardest photon.
        unit: direction of mu- in the rest frame of the dimuon.

    Returns:
        mu+, mu- and the photons off each, in the rest frame of the dimuon before radiation, and
        the weight, zero where too little energy is left for two muons.
    """
    energy = sqrt(s) / 2
    strength = _strength(s, MUON_MASS)
    about_plus, weight_1 = _softer_photon(rng, strength, below, energy, MUON_MASS)
    about_minus, weight_2 = _softer_photon(rng, strength, below, energy, MUON_MASS)
    opposite = (-unit[0], -unit[1], -unit[2])
    photon_plus = rotate_to(opposite, about_plus)
    photon_minus = rotate_to(unit, about_minus)
    dimuon = minus(minus((2 * energy, 0.0, 0.0, 0.0), photon_plus), photon_minus)
    left = dot(dimuon, dimuon)
    weight = weight_1 * weight_2 * SOFT_AND_VIRTUAL
    if left <= DIMUON_THRESHOLD:
        dimuon, left, weight = (2 * energy, 0.0, 0.0, 0.0), s, 0.0
    half = sqrt(left) / 2
    momentum = sqrt(max(left / 4 - MUON_MASS**2, 0.0))
    x, y, z = momentum * unit[0], momentum * unit[1], momentum * unit[2]
    mu_minus = (half, x, y, z)
    mu_plus = (half, -x, -y, -z)
    if photon_plus[0] + photon_minus[0] > 0:
        mu_plus = from_rest_frame(mu_plus, dimuon)
        mu_minus = from_rest_frame(mu_minus, dimuon)
    return mu_plus, mu_minus, photon_plus, photon_minus, weight
