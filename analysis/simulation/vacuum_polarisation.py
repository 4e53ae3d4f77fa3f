"""The running of the electromagnetic coupling, which every annihilation cross-section carries.

Leptons to one loop with their masses; hadrons as the parametrisation of Burkhardt and Pietrzyk
(Phys. Lett. B 513 (2001) 46) for space-like photons, which is smooth: resonances are not modelled.
"""

from math import atan, log, pi, sqrt

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, MUON_MASS, TAU_MASS
from punzinet.analysis.types import FloatArray


@njit(cache=True)
def _lepton_loop(s: float, mass: float) -> float:
    """Contribution of one lepton to the running of alpha.

    Args:
        s: invariant mass squared of the (time-like) photon, GeV^2.
        mass: of the lepton, GeV.

    Returns:
        Real part of Delta alpha to one loop, (alpha/3 pi) (ln(s/m^2) - 5/3) far above threshold.
    """
    ratio = 4 * mass**2 / s
    if ratio > 1e4:
        # leading term of the expansion in s: the closed form below has lost its digits
        return -4 * ALPHA / (15 * pi * ratio)
    if ratio < 1:
        velocity = sqrt(1 - ratio)
        # (1 - v) as ratio/(1 + v), which keeps its digits for electrons
        loop = velocity * log((1 + velocity) ** 2 / ratio)
    else:
        slope = sqrt(ratio - 1)
        loop = 2 * slope * atan(1 / slope) if slope > 0 else 0.0
    return ALPHA / (3 * pi) * (-5 / 3 - ratio + (1 + ratio / 2) * loop)


@njit(cache=True)
def _hadron_loop(s: float) -> float:
    """Contribution of the hadrons, A + B ln(1 + C s) in five ranges of sqrt(s) up to the Z."""
    if s < 0.7**2:
        return 0.0023092 * log(1 + 3.9925370 * s)
    if s < 2.0**2:
        return 0.0022333 * log(1 + 4.2191779 * s)
    if s < 4.0**2:
        return 0.0024402 * log(1 + 3.2496684 * s)
    if s < 10.0**2:
        return 0.0027340 * log(1 + 2.0995092 * s)
    return 0.0010485 + 0.0029431 * log(1 + s)


@njit(cache=True)
def vacuum_polarisation(s: float) -> float:
    """Delta alpha(s), in compiled loops: the coupling at s is alpha / (1 - Delta alpha).

    Args:
        s: invariant mass squared of a time-like photon below the Z, GeV^2, above zero.

    Returns:
        Real part of the vacuum polarisation.
    """
    leptons = (
        _lepton_loop(s, ELECTRON_MASS) + _lepton_loop(s, MUON_MASS) + _lepton_loop(s, TAU_MASS)
    )
    return leptons + _hadron_loop(s)


@njit(cache=True)
def photon_propagator_factor(s: FloatArray) -> FloatArray:
    """Factor on a Born cross-section through one virtual photon, |alpha(s)/alpha|^2.

    Args:
        s: (n,) invariant masses squared of the photons, GeV^2, above zero.

    Returns:
        (n,) factors 1 / (1 - Delta alpha)^2.
    """
    factor = np.empty_like(s)
    for i in range(len(s)):
        factor[i] = (1 - vacuum_polarisation(float(s[i]))) ** -2
    return factor
