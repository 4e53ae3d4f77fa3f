"""Radiative corrections: the running coupling, and photons to leading logarithm.

Every charge radiates one photon that stands for all its radiation below a given energy. Its
energy fraction z follows the exponentiated structure function b z^(b-1) (1 + (1-z)^2)/2 with
b = (alpha/pi) (ln(s/m^2) - 1) (Gribov and Lipatov; Kuraev and Fadin, Sov. J. Nucl. Phys. 41 (1985)
466), its angle the radiation pattern of a charge with mass, and what is left recoils.
"""

from math import atan, exp, expm1, log, log1p, pi, sqrt
from typing import Final

import numpy as np

import punzinet.analysis.simulation.events as p4
from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, MUON_MASS, TAU_MASS
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.simulation.events import Momentum, Pair, Vector
from punzinet.analysis.types import Random

SOFT_AND_VIRTUAL: Final = 1 + ALPHA / np.pi * (np.pi**2 / 3 - 0.5)
"""First-order vertex correction of the annihilation that no logarithm carries (Kuraev, Fadin)."""
SOFTEST: Final = 1e-6  # energy fraction below which photons are left out: a few keV
DIMUON_THRESHOLD: Final = 4 * MUON_MASS**2  # least mass squared of a dimuon, GeV^2
_HADRONS: Final = (
    (0.7, 0.0023092, 3.9925370),
    (2.0, 0.0022333, 4.2191779),
    (4.0, 0.0024402, 3.2496684),
    (10.0, 0.0027340, 2.0995092),
)
"""Upper ends in sqrt(s), GeV, with B and C of `hadron_loop` where A is zero."""
_HARD_SHARE: Final = 0.06  # of photons off the beams drawn from 1/(1 - z), which evens out weights

#: Energies of the photons off electron, positron, mu+ and mu- over that of their charge.
Fractions = tuple[float, float, float, float]
#: Momentum of what collides after radiation, and direction of the electron in its rest frame.
Frame = tuple[Momentum, Vector]


@njit(cache=True)
def lepton_loop(s: float, mass: float) -> float:
    """Contribution of one lepton to `vacuum_polarisation`, to one loop; not for s << mass^2."""
    ratio = 4 * mass**2 / s
    if ratio < 1:
        velocity = sqrt(1 - ratio)
        # (1 - v) as ratio/(1 + v), which keeps its digits for electrons
        loop = velocity * log((1 + velocity) ** 2 / ratio)
    else:
        slope = sqrt(ratio - 1)
        loop = 2 * slope * atan(1 / slope) if slope > 0 else 0.0
    return ALPHA / (3 * pi) * (-5 / 3 - ratio + (1 + ratio / 2) * loop)


@njit(cache=True)
def hadron_loop(s: float) -> float:
    """Contribution of the hadrons, A + B ln(1 + C s) in five ranges of sqrt(s) up to the Z.

    Burkhardt and Pietrzyk (Phys. Lett. B 513 (2001) 46), space-like photons: no resonances.
    """
    for end, scale, slope in _HADRONS:
        if s < end**2:
            return scale * log(1 + slope * s)
    return 0.0010485 + 0.0029431 * log(1 + s)


@njit(cache=True)
def vacuum_polarisation(s: float) -> float:
    """Delta alpha(s): the coupling at s, GeV^2, up to the Z is alpha / (1 - Delta alpha)."""
    leptons = lepton_loop(s, ELECTRON_MASS) + lepton_loop(s, MUON_MASS) + lepton_loop(s, TAU_MASS)
    return leptons + hadron_loop(s)


@njit(cache=True)
def exponent(s: float, mass: float) -> float:
    """Strength b of the radiation of one charge: the mean number of photons per unit of ln(energy).

    s is the mass squared of the pair that the charge belongs to, GeV^2.
    """
    return ALPHA / pi * (log(s / mass**2) - 1)


@njit(cache=True)
def hard_spectrum(z: float, strength: float) -> float:
    """Weight of z drawn from b z^(b-1): (1 + (1-z)^2)/2 over its mean for z in (0, 1)."""
    mean = 1 - strength / (1 + strength) + strength / (4 + 2 * strength)
    return (1 + (1 - z) ** 2) / (2 * mean)


@njit(cache=True)
def emission_angle(uniform: float, energy: float, mass: float) -> float:
    """Angle of a photon to the charge that radiates it, as 1 - cos(theta) in [0, 2].

    The density of d = 1 - cos(theta) is d/(d + a)^2 = 1/(d + a) - a/(d + a)^2 with a = m^2/2E^2:
    the pattern of one charge, whose integral is the logarithm minus one in `exponent`.
    With v = ln(1 + d/a) the cumulative density is v - 1 + exp(-v), solved by Newton's method
    from above, without overshooting. Energy and mass are those of the charge.
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
def fraction_off_beam(rng: Random, sqrt_s: float, threshold: float) -> Pair:
    """Draw the energy fraction z of the photon off one beam, and its weight.

    Sampled in proportion to b z^(b-1) + b / 2(1-z), because the cross-section of what is left rises
    as 1/(1-z): events after hard radiation weigh no more than others. What needs the energy
    `threshold` is left it by either photon alone; z is zero below `SOFTEST`.
    """
    strength, least = exponent(sqrt_s**2, ELECTRON_MASS), (threshold / sqrt_s) ** 2
    soft, hard = (1 - least) ** strength, -strength / 2 * log(least)
    if (hard + soft) * rng.random() < hard:
        z = 1 - least ** rng.random()
    else:
        z = (1 - least) * rng.random() ** (1 / strength)
    weight = (hard + soft) / (1 + z ** (1 - strength) / (2 * (1 - z)))
    return z if z > SOFTEST else 0.0, weight * hard_spectrum(z, strength)


@njit(cache=True)
def softer_fraction(rng: Random, s: float, mass: float, below: float, share: float) -> Pair:
    """Energy fraction of the photon off one charge, below that of the hardest photon.

    s is that of `exponent`. A `share` of the fractions is drawn from 1/(1 - z) instead of z^(b-1):
    so does the cross-section of what is left rise. The fraction is zero below `SOFTEST`; with it
    comes the event's weight for this charge: the probability of nothing harder times the hard
    spectrum, normalised.
    """
    strength = exponent(s, mass)
    most = -log(1 - below)
    if rng.random() < share:
        fraction = 1 - exp(-most * rng.random())
    else:
        fraction = below * rng.random() ** (1 / strength)
    weight = below**strength * hard_spectrum(fraction, strength)
    if share > 0:
        # ratio of the two densities
        ratio = (fraction / below) ** (1 - strength) * below / (strength * most * (1 - fraction))
        weight /= 1 - share + share * ratio
    return fraction if fraction > SOFTEST else 0.0, weight


@njit(cache=True)
def softer_fractions(rng: Random, s: float, s_mumu: float, below: float) -> tuple[Fractions, float]:
    """Energy fractions below that of the hardest, and the weight, with virtual corrections."""
    share = _HARD_SHARE if below > 0.5 else 0.0
    electron, weight_1 = softer_fraction(rng, s, ELECTRON_MASS, below, share)
    positron, weight_2 = softer_fraction(rng, s, ELECTRON_MASS, below, share)
    mu_plus, weight_3 = softer_fraction(rng, s_mumu, MUON_MASS, below, 0.0)
    mu_minus, weight_4 = softer_fraction(rng, s_mumu, MUON_MASS, below, 0.0)
    weight = weight_1 * weight_2 * weight_3 * weight_4 * SOFT_AND_VIRTUAL**2
    return (electron, positron, mu_plus, mu_minus), weight


@njit(cache=True)
def _photon(rng: Random, fraction: float, energy: float, mass: float) -> Momentum:
    """A photon of an energy fraction off a charge of some energy and mass along the z axis."""
    if fraction == 0:
        return 0.0, 0.0, 0.0, 0.0
    opening = emission_angle(rng.random(), energy, mass)
    return p4.about_z(fraction * energy, fraction * energy, opening, 2 * pi * rng.random())


@njit(cache=True)
def radiate_off_beams(
    rng: Random, sqrt_s: float, fractions: Fractions
) -> tuple[Momentum, Momentum, Frame]:
    """Radiate photons of given energies off the beams, and find the frame of the collision.

    Where the two beams are no longer back to back there, the bisector of electron and reversed
    positron is the direction of the electron (Collins and Soper, Phys. Rev. D 16 (1977) 2219).
    """
    energy = sqrt_s / 2
    first = _photon(rng, fractions[0], energy, ELECTRON_MASS)
    mirrored = _photon(rng, fractions[1], energy, ELECTRON_MASS)
    second = (mirrored[0], mirrored[1], mirrored[2], -mirrored[3])
    reduced = p4.minus(p4.minus((sqrt_s, 0.0, 0.0, 0.0), first), second)
    axis = (0.0, 0.0, 1.0)
    if first[0] + second[0] > 0 and p4.dot(reduced, reduced) > DIMUON_THRESHOLD:
        electron = p4.to_rest_frame((energy, 0.0, 0.0, energy), reduced)
        positron = p4.to_rest_frame((energy, 0.0, 0.0, -energy), reduced)
        x = electron[1] / electron[0] - positron[1] / positron[0]
        y = electron[2] / electron[0] - positron[2] / positron[0]
        z = electron[3] / electron[0] - positron[3] / positron[0]
        axis = p4.direction((0.0, x, y, z))
    return first, second, (reduced, axis)


@njit(cache=True)
def into_cms(p: Momentum, frame: Frame) -> Momentum:
    """From the frame of the collision, with the electron along z, to the CMS of the beams."""
    reduced, axis = frame
    return p4.from_rest_frame(p4.rotate_to(axis, p), reduced)


@njit(cache=True)
def back_to_back(energy: float, momentum: float, unit: Vector) -> tuple[Momentum, Momentum]:
    """Momenta of mu+ and mu- in their rest frame, of which the mu- has a given direction."""
    x, y, z = momentum * unit[0], momentum * unit[1], momentum * unit[2]
    return (energy, -x, -y, -z), (energy, x, y, z)


@njit(cache=True)
def radiate_off_muons(
    rng: Random, s: float, fractions: Fractions, unit: Vector
) -> tuple[Momentum, Momentum, Momentum, Momentum]:
    """Radiate photons of given energies off the muons.

    The muons keep their common direction, `unit` that of the mu-, in their rest frame and share
    what energy is left; where that is too little they have zero momentum. mu+, mu- and the photons
    off each are in the rest frame of the dimuon before radiation (mass squared s).
    """
    energy = sqrt(s) / 2
    opposite = (-unit[0], -unit[1], -unit[2])
    off_plus = p4.rotate_to(opposite, _photon(rng, fractions[2], energy, MUON_MASS))
    off_minus = p4.rotate_to(unit, _photon(rng, fractions[3], energy, MUON_MASS))
    dimuon = p4.minus(p4.minus((2 * energy, 0.0, 0.0, 0.0), off_plus), off_minus)
    left = p4.dot(dimuon, dimuon)
    if left <= DIMUON_THRESHOLD:
        return (0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0), off_plus, off_minus
    plus, minus = back_to_back(sqrt(left) / 2, sqrt(left / 4 - MUON_MASS**2), unit)
    plus, minus = p4.from_rest_frame(plus, dimuon), p4.from_rest_frame(minus, dimuon)
    return plus, minus, off_plus, off_minus
