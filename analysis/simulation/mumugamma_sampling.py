"""Sampling of the hardest photon of mu+mu- gamma."""

from math import exp, log, sqrt

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import ELECTRON_MASS, MUON_MASS
from punzinet.analysis.simulation.soft_photons import DIMUON_THRESHOLD, Fractions

Pair = tuple[float, float]


@njit(cache=True)
def largest_transverse(energy: float, x: float, y: float, softer: Fractions) -> float:
    """Upper bound on the transverse momentum of all photons together in the CMS, GeV.

    The photons off the beams contribute at most their energy, and turn and boost the rest by
    angles and velocities below the share of energy that they take.

    Args:
        energy: of a beam, GeV.
        x: energy fraction of the hardest photon.
        y: 1 - cos of its angle to the electron.
        softer: energy fractions of the other photons.
    """
    of_beams = softer[0] + softer[1]
    of_muons = softer[2] + softer[3]
    return energy * (x * sqrt(y * (2 - y)) + of_beams * (1 + 2 * x) + of_muons)


@njit(cache=True)
def _peak(low: float, high: float, scale: float, uniform: float) -> tuple[float, float]:
    """Draw y in [low, high] within [0, 2] from a density that peaks at both ends of [0, 2].

    The density is 1/(scale + y) + 1/(scale + 2 - y), the pattern of two opposite charges.

    Args:
        low: lower end.
        high: upper end.
        scale: width of the peaks.
        uniform: random number in [0, 1).

    Returns:
        y and the integral of the density over the range.
    """
    bottom = log((scale + low) / (scale + 2 - low))
    norm = log((scale + high) / (scale + 2 - high)) - bottom
    odds = exp(bottom + uniform * norm)
    y = (odds * (scale + 2) - scale) / (1 + odds)
    return min(max(y, low), high), norm


@njit(cache=True)
def hardest_photon(
    rng: np.random.Generator, s: float, x_range: Pair, y_range: Pair
) -> tuple[float, float, float, float]:
    """Draw energy and angle of the hardest photon and the angle of the muons.

    Two channels: photons off the beams, peaked at both beams, with a spectrum that also rises
    towards the lowest dimuon masses, and photons off the muons.

    Args:
        rng: source of the random numbers.
        s: energy of the beams squared, GeV^2, which sets the ranges and the peaks.
        x_range: range of the energy fraction x = 1 - s_mumu/s.
        y_range: range of y = 1 - cos(theta) of the photon to the electron.

    Returns:
        x, y, cosine of the angle between mu- and the direction opposite to the photon in the
        dimuon rest frame, and the inverse of the density of the three.
    """
    x_low, x_high = x_range[0], min(x_range[1], 1 - DIMUON_THRESHOLD / s)
    y_low, y_high = y_range
    beam_scale = 2 * ELECTRON_MASS**2 / s
    log_norm = log(x_high / x_low)
    odds_low = log(x_low / (1 - x_low))
    odds_norm = log(x_high / (1 - x_high)) - odds_low
    _, y_norm = _peak(y_low, y_high, beam_scale, 0.0)

    # leading logarithms give the two shares: beams by solid angle, muons by theirs
    of_beams = y_norm * odds_norm / 2
    of_muons = (y_high - y_low) / 2 * log_norm * (log(s / MUON_MASS**2) - 1)
    share = of_beams / (of_beams + of_muons)
    from_beams = rng.random() < share
    if from_beams:
        odds = exp(odds_low + rng.random() * odds_norm)
        x = odds / (1 + odds)
        y, _ = _peak(y_low, y_high, beam_scale, rng.random())
    else:
        x = x_low * exp(rng.random() * log_norm)
        y = y_low + rng.random() * (y_high - y_low)
    # 1 - velocity of the muons in their rest frame is half the width of their peaks
    muon_scale = DIMUON_THRESHOLD / (2 * s * (1 - x))
    _, c_norm = _peak(0.0, 2.0, muon_scale, 0.0)
    flat, peaked = 2 * rng.random() - 1, 1 - _peak(0.0, 2.0, muon_scale, rng.random())[0]
    c = flat if from_beams else peaked

    peak_y = (1 / (beam_scale + y) + 1 / (beam_scale + 2 - y)) / y_norm
    peak_c = (1 / (muon_scale + 1 - c) + 1 / (muon_scale + 1 + c)) / c_norm
    density = share / (x * (1 - x) * odds_norm) * peak_y / 2
    density += (1 - share) / (x * log_norm) / (y_high - y_low) * peak_c
    return x, y, c, 1 / density
