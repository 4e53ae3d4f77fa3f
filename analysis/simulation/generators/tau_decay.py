"""Decays of polarised taus: tau -> mu nu nu with the muon mass, and tau -> pi nu.

In its rest frame a tau- with the polarisation P decays with the probability
dGamma (1 + P.h), h the polarimeter of the decay: a vector along the charged particle, whose length
is the analysing power. The Standard Model's V-A coupling fixes it; the tau+ has the opposite sign.
"""

import math
from typing import Final

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import MUON_MASS, PION_MASS, TAU_MASS
from punzinet.analysis.simulation.lorentz import Momentum, Vector, about_z, rotate_to

LARGEST_ENERGY: Final = (TAU_MASS**2 + MUON_MASS**2) / (2 * TAU_MASS)
"""Energy of the muon, GeV, when both neutrinos run against it: W = (M^2 + m^2) / 2M."""
LEAST_FRACTION: Final = MUON_MASS / LARGEST_ENERGY
"""x0 = m/W, the energy fraction of a muon at rest."""
PION_MOMENTUM: Final = (TAU_MASS**2 - PION_MASS**2) / (2 * TAU_MASS)


@njit(cache=True)
def michel_spectrum(x: float) -> float:
    """Spectrum of the muon from unpolarised taus, Michel's rho = 3/4, not normalised.

    Exact at tree level for massless neutrinos (PDG review "Muon decay parameters", eq. 58.1, six
    times over); x is the energy over its largest value, from x0 to 1.
    """
    least2 = LEAST_FRACTION * LEAST_FRACTION
    return math.sqrt(max(0.0, x * x - least2)) * (3 * x - 2 * x * x - least2)


@njit(cache=True)
def muon_analysing_power(x: float) -> float:
    """Length of the polarimeter of tau- -> mu- nu nu, Michel's xi = 1, delta = 3/4.

    The ratio of the anisotropic to the isotropic part (PDG review "Muon decay parameters",
    eq. 58.1): between -1 (hard muons leave against the spin) and about 1/3 (soft ones along it).
    """
    least2 = LEAST_FRACTION * LEAST_FRACTION
    momentum = math.sqrt(max(0.0, x * x - least2))
    return momentum * (2 - math.sqrt(1 - least2) - 2 * x) / (3 * x - 2 * x * x - least2)


@njit(cache=True)
def _muon_fraction(rng: np.random.Generator) -> float:
    """Draw x of `michel_spectrum`: x^2 uniform, then rejection against 9/8 of x (9 of 10 pass)."""
    least2 = LEAST_FRACTION * LEAST_FRACTION
    while True:
        x = math.sqrt(least2 + (1 - least2) * rng.random())
        if 1.125 * x * rng.random() < michel_spectrum(x):
            return x


@njit(cache=True)
def _cosine(rng: np.random.Generator, slope: float) -> float:
    """Draw a cosine c of density (1 + slope c) / 2, for a slope between -1 and 1."""
    centred = slope + 2 * (2 * rng.random() - 1)
    # root of slope c^2 + 2c = centred that has no pole at slope zero
    return centred / (1 + math.sqrt(max(0.0, 1 + slope * centred)))


@njit(cache=True)
def decay(
    rng: np.random.Generator, charge: float, polarisation: Vector, pion_share: float
) -> tuple[Momentum, Vector]:
    """Decay a tau of known polarisation.

    Its charge is -1 or 1, its polarisation a vector in its rest frame of a length up to one.

    Returns:
        Momentum of the muon or pion in the rest frame of the tau, GeV, and the polarimeter.
    """
    if pion_share > 0 and rng.random() < pion_share:
        momentum, mass, power = PION_MOMENTUM, PION_MASS, -charge
    else:
        x = _muon_fraction(rng)
        momentum = LARGEST_ENERGY * math.sqrt(x * x - LEAST_FRACTION * LEAST_FRACTION)
        mass, power = MUON_MASS, -charge * muon_analysing_power(x)
    length = math.sqrt(polarisation[0] ** 2 + polarisation[1] ** 2 + polarisation[2] ** 2)
    energy = math.sqrt(momentum * momentum + mass * mass)
    opening = 1 - _cosine(rng, power * length)
    p = about_z(energy, momentum, opening, 2 * math.pi * rng.random())
    if length > 0:
        axis = (polarisation[0] / length, polarisation[1] / length, polarisation[2] / length)
        p = rotate_to(axis, p)
    scale = power / momentum if momentum > 0 else 0.0
    return p, (scale * p[1], scale * p[2], scale * p[3])
