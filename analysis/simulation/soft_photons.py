"""Photons softer than the hardest one: leading-logarithm radiation below a given energy.

Every charge radiates one photon that stands for all its softer radiation, with an energy
fraction z that follows b z^(b-1) (1 + (1-z)^2)/2 below that of the hardest photon.
"""

from math import exp, log, pi, sqrt
from typing import Final

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, MUON_MASS
from punzinet.analysis.simulation.compiled_lorentz import (
    Momentum,
    Vector,
    about_z,
    dot,
    from_rest_frame,
    minus,
    rotate_to,
    to_rest_frame,
)
from punzinet.analysis.simulation.radiation import SOFT_AND_VIRTUAL, emission_angle_at

SOFTEST: Final = 1e-6
"""Energy fraction below which photons are left out: a few keV, which nothing resolves."""
DIMUON_THRESHOLD: Final = 4 * MUON_MASS**2
"""Least mass squared of a dimuon, GeV^2."""

_HARD_SHARE: Final = 0.06
"""Share of photons off the beams drawn from 1/(1 - z), which evens out the weights."""

Fractions = tuple[float, float, float, float]


@njit(cache=True)
def _fraction(
    rng: np.random.Generator, s: float, mass: float, below: float, share: float
) -> tuple[float, float]:
    """Energy fraction of the photon off one charge.

    Args:
        rng: source of the random numbers.
        s: mass squared of the pair that the charge belongs to, GeV^2.
        mass: of the charge, GeV.
        below: energy fraction of the hardest photon, below 1.
        share: of the fractions that are drawn from 1/(1 - z) instead of z^(b-1), because the
            cross-section of what is left of the energy rises in this way.

    Returns:
        The fraction, zero below `SOFTEST`, and the event's weight for this charge: the
        probability of nothing harder times the shape of the hard spectrum, normalised.
    """
    strength = ALPHA / pi * (log(s / mass**2) - 1)
    if strength <= 0:
        return 0.0, 1.0
    mean = 1 - strength / (1 + strength) + strength / (4 + 2 * strength)
    most = -log(1 - below)
    if rng.random() < share:
        fraction = 1 - exp(-most * rng.random())
    else:
        fraction = below * rng.random() ** (1 / strength)
    weight = below**strength * (1 + (1 - fraction) ** 2) / (2 * mean)
    if share > 0:
        # ratio of the two densities
        ratio = (fraction / below) ** (1 - strength) * below / (strength * most * (1 - fraction))
        weight /= 1 - share + share * ratio
    return fraction if fraction > SOFTEST else 0.0, weight


@njit(cache=True)
def softer_fractions(
    rng: np.random.Generator, s: float, s_mumu: float, below: float
) -> tuple[Fractions, float]:
    """Energy fractions of the photons that are softer than the hardest.

    Args:
        rng: source of the random numbers.
        s: energy of the beams squared, GeV^2.
        s_mumu: mass squared of the dimuon, GeV^2.
        below: energy fraction of the hardest photon.

    Returns:
        The fractions off electron, positron, mu+ and mu-, and the weight, which holds the soft
        and virtual corrections.
    """
    share = _HARD_SHARE if below > 0.5 else 0.0
    electron, weight_1 = _fraction(rng, s, ELECTRON_MASS, below, share)
    positron, weight_2 = _fraction(rng, s, ELECTRON_MASS, below, share)
    plus, weight_3 = _fraction(rng, s_mumu, MUON_MASS, below, 0.0)
    minus_, weight_4 = _fraction(rng, s_mumu, MUON_MASS, below, 0.0)
    weight = weight_1 * weight_2 * weight_3 * weight_4 * SOFT_AND_VIRTUAL**2
    return (electron, positron, plus, minus_), weight


@njit(cache=True)
def _photon(rng: np.random.Generator, fraction: float, energy: float, mass: float) -> Momentum:
    """A photon that a charge along the z axis radiates.

    Args:
        rng: source of the random numbers.
        fraction: its energy over that of the charge.
        energy: of the charge, GeV.
        mass: of the charge, GeV.
    """
    if fraction == 0:
        return 0.0, 0.0, 0.0, 0.0
    opening = emission_angle_at(rng.random(), energy, mass)
    return about_z(fraction * energy, fraction * energy, opening, 2 * pi * rng.random())


@njit(cache=True)
def radiate_off_beams(
    rng: np.random.Generator, sqrt_s: float, fractions: Fractions
) -> tuple[Momentum, Momentum, Momentum, Vector]:
    """Radiate photons of given energies off the beams.

    Args:
        rng: source of the random numbers.
        sqrt_s: energy of the beams, GeV.
        fractions: of `softer_fractions`.

    Returns:
        The two photons, the momentum of what collides, and the direction of the electron in its
        rest frame (see `radiation.collision_axis`).
    """
    energy = sqrt_s / 2
    first = _photon(rng, fractions[0], energy, ELECTRON_MASS)
    mirrored = _photon(rng, fractions[1], energy, ELECTRON_MASS)
    second = (mirrored[0], mirrored[1], mirrored[2], -mirrored[3])
    reduced = minus(minus((sqrt_s, 0.0, 0.0, 0.0), first), second)
    axis = (0.0, 0.0, 1.0)
    if first[0] + second[0] > 0 and dot(reduced, reduced) > DIMUON_THRESHOLD:
        electron = to_rest_frame((energy, 0.0, 0.0, energy), reduced)
        positron = to_rest_frame((energy, 0.0, 0.0, -energy), reduced)
        x = electron[1] / electron[0] - positron[1] / positron[0]
        y = electron[2] / electron[0] - positron[2] / positron[0]
        z = electron[3] / electron[0] - positron[3] / positron[0]
        length = sqrt(x**2 + y**2 + z**2)
        axis = (x / length, y / length, z / length)
    return first, second, reduced, axis


@njit(cache=True)
def radiate_off_muons(
    rng: np.random.Generator, s: float, fractions: Fractions, unit: Vector
) -> tuple[Momentum, Momentum, Momentum, Momentum]:
    """Radiate photons of given energies off the muons.

    The muons keep their common direction in their rest frame and share what energy is left.

    Args:
        rng: source of the random numbers.
        s: mass squared of the dimuon before this radiation, GeV^2.
        fractions: of `softer_fractions`.
        unit: direction of mu- in the rest frame of the dimuon.

    Returns:
        mu+, mu- and the photons off each, in the rest frame of the dimuon before radiation;
        muons of zero momentum where too little energy is left for them.
    """
    energy = sqrt(s) / 2
    opposite = (-unit[0], -unit[1], -unit[2])
    off_plus = rotate_to(opposite, _photon(rng, fractions[2], energy, MUON_MASS))
    off_minus = rotate_to(unit, _photon(rng, fractions[3], energy, MUON_MASS))
    dimuon = minus(minus((2 * energy, 0.0, 0.0, 0.0), off_plus), off_minus)
    left = dot(dimuon, dimuon)
    if left <= DIMUON_THRESHOLD:
        nothing = (0.0, 0.0, 0.0, 0.0)
        return nothing, nothing, off_plus, off_minus
    half = sqrt(left) / 2
    momentum = sqrt(left / 4 - MUON_MASS**2)
    x, y, z = momentum * unit[0], momentum * unit[1], momentum * unit[2]
    mu_plus = from_rest_frame((half, -x, -y, -z), dimuon)
    mu_minus = from_rest_frame((half, x, y, z), dimuon)
    return mu_plus, mu_minus, off_plus, off_minus
