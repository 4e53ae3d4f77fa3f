"""e+e- -> mu+mu- with any number of photons, sorted by the hardest of them.

The hardest photon follows the exact matrix element of one-photon emission; softer ones are
radiated by each of the two beams and two muons, in leading-logarithm approximation, with
energy fractions below that of the hardest. With b_i the strengths of the four charges, no
harder photon off any of them has the probability x^(sum b_i): this factor multiplies the exact
spectrum, and the softer photons follow b z^(b-1) below x. To leading logarithm this is the
exponentiated radiation of every charge (the sum over which of its photons is the hardest is
b z^(b-1) again), and the hardest photon is right at any angle and energy.

The generators split the phase space by the energy fraction x and the polar angle of the hardest
photon, both in the frame where it is radiated, which all but coincides with the CMS. The regions
differ by orders of magnitude in how often the photon escapes detection.
"""

from dataclasses import dataclass
from math import exp, log, pi, sqrt
from typing import Final

import numpy as np
from numba import njit

from analysis.simulation.compiled_lorentz import (
    Momentum,
    Vector,
    about_z,
    dot,
    from_rest_frame,
    rotate_to,
)
from analysis.simulation.constants import ELECTRON_MASS, FB_PER_GEV2, MUON_MASS
from analysis.simulation.events import GeneratedEvents
from analysis.simulation.mumugamma_matrix_element import born_element, radiative_element
from analysis.simulation.soft_photons import (
    DIMUON_THRESHOLD,
    radiate_softly_from_beams,
    radiate_softly_from_muons,
)
from analysis.types import FloatArray

_PHOTONS: Final = 5
"""Rows of photons: the hardest one; those off electron, positron, mu+ and mu-."""

Pair = tuple[float, float]
Arrays = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


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
def _hardest_photon(
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


@njit(cache=True)
def _into_cms(p: Momentum, axis: Vector, reduced: Momentum) -> Momentum:
    """From the frame of the collision, with the electron along z, to the CMS of the beams."""
    return from_rest_frame(rotate_to(axis, p), reduced)


@njit(cache=True)
def _generate(rng: np.random.Generator, sqrt_s: FloatArray, x_range: Pair, y_range: Pair) -> Arrays:
    """Generate events with a hardest photon in the given ranges.

    Args:
        rng: source of the random numbers.
        sqrt_s: (n,) energies of the beams, GeV.
        x_range: range of the hardest photon's energy fraction.
        y_range: range of 1 - cos of its angle to the electron.

    Returns:
        mu+ (n, 4), mu- (n, 4), photons (n, 5, 4), weights (n,) in fb; rows of zeros where the
        softer photons leave too little energy.
    """
    n = len(sqrt_s)
    plus, negative = np.zeros((n, 4)), np.zeros((n, 4))
    photons, weight = np.zeros((n, _PHOTONS, 4)), np.zeros(n)
    for i in range(n):
        x, y, c, volume = _hardest_photon(rng, sqrt_s[i] ** 2, x_range, y_range)
        first, second, reduced, axis, of_beams = radiate_softly_from_beams(rng, sqrt_s[i], x)
        s = dot(reduced, reduced)
        s_mumu = s * (1 - x)
        if s_mumu <= DIMUON_THRESHOLD:
            continue
        # the hard photon and the dimuon, where they are produced
        energy = x * sqrt(s) / 2
        photon = about_z(energy, energy, y, 2 * pi * rng.random())
        dimuon = (sqrt(s) - energy, -photon[1], -photon[2], -photon[3])
        backwards = (dimuon[1] / energy, dimuon[2] / energy, dimuon[3] / energy)
        turned = rotate_to(backwards, about_z(1.0, 1.0, 1 - c, 2 * pi * rng.random()))
        unit = (turned[1], turned[2], turned[3])
        velocity = sqrt(1 - DIMUON_THRESHOLD / s_mumu)
        half = sqrt(s_mumu) / 2
        px, py, pz = half * velocity * unit[0], half * velocity * unit[1], half * velocity * unit[2]
        element = radiative_element(
            s,
            y,
            photon,
            from_rest_frame((half, px, py, pz), dimuon),
            from_rest_frame((half, -px, -py, -pz), dimuon),
        )
        # flux, and three-body phase space in x, y, c and two azimuths
        volume *= x * velocity / (8 * pi) ** 2 / (2 * pi) / 4 / 2
        mu_plus, mu_minus, off_plus, off_minus, of_muons = radiate_softly_from_muons(
            rng, s_mumu, x, unit
        )
        weight[i] = FB_PER_GEV2 * element * volume * of_beams * of_muons
        plus[i] = _into_cms(from_rest_frame(mu_plus, dimuon), axis, reduced)
        negative[i] = _into_cms(from_rest_frame(mu_minus, dimuon), axis, reduced)
        photons[i, 0] = _into_cms(photon, axis, reduced)
        photons[i, 1] = first
        photons[i, 2] = second
        photons[i, 3] = _into_cms(from_rest_frame(off_plus, dimuon), axis, reduced)
        photons[i, 4] = _into_cms(from_rest_frame(off_minus, dimuon), axis, reduced)
    return plus, negative, photons, weight


@njit(cache=True)
def _generate_without(rng: np.random.Generator, sqrt_s: FloatArray, below: float) -> Arrays:
    """Generate events without a photon harder than an energy fraction.

    Args:
        rng: source of the random numbers.
        sqrt_s: (n,) energies of the beams, GeV.
        below: the energy fraction.

    Returns:
        As `_generate`; the first photon is always zero.
    """
    n = len(sqrt_s)
    plus, negative = np.zeros((n, 4)), np.zeros((n, 4))
    photons, weight = np.zeros((n, _PHOTONS, 4)), np.zeros(n)
    for i in range(n):
        first, second, reduced, axis, of_beams = radiate_softly_from_beams(rng, sqrt_s[i], below)
        s = dot(reduced, reduced)
        cosine = 2 * rng.random() - 1
        turned = about_z(1.0, 1.0, 1 - cosine, 2 * pi * rng.random())
        mu_plus, mu_minus, off_plus, off_minus, of_muons = radiate_softly_from_muons(
            rng, s, below, (turned[1], turned[2], turned[3])
        )
        volume = sqrt(1 - DIMUON_THRESHOLD / s) / (8 * pi) / (2 * s)
        weight[i] = FB_PER_GEV2 * born_element(s, cosine) * volume * of_beams * of_muons
        plus[i] = _into_cms(mu_plus, axis, reduced)
        negative[i] = _into_cms(mu_minus, axis, reduced)
        photons[i, 1] = first
        photons[i, 2] = second
        photons[i, 3] = _into_cms(off_plus, axis, reduced)
        photons[i, 4] = _into_cms(off_minus, axis, reduced)
    return plus, negative, photons, weight


def _record(sqrt_s: FloatArray, arrays: Arrays) -> GeneratedEvents:
    """The event record of what the compiled loops return."""
    plus, negative, photons, weight = arrays
    n = len(sqrt_s)
    return GeneratedEvents(
        mu_plus=plus,
        mu_minus=negative,
        photons=photons,
        electrons=np.zeros((n, 2, 4)),
        invisible=np.zeros((n, 4)),
        sqrt_s=sqrt_s,
        weight=weight,
        mass=np.full(n, np.nan),
    )


@dataclass(frozen=True)
class HardestPhoton:
    """Muon pairs whose hardest photon lies in a range of energy and angle.

    Attributes:
        name: of the stratum.
        fraction: range of the photon's energy over that of a beam; 1 as the upper end stands
            for the kinematic limit.
        opening: range of 1 - cos of the photon's polar angle, within [0, 2].
    """

    name: str
    fraction: tuple[float, float]
    opening: tuple[float, float]

    def generate(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One trial for every energy of the beams.

        Args:
            rng: source of the random numbers.
            sqrt_s: (n,) energies of the beams, GeV.

        Returns:
            Weighted events; trials of weight zero have rows of zeros.
        """
        return _record(sqrt_s, _generate(rng, sqrt_s, self.fraction, self.opening))


@dataclass(frozen=True)
class SoftPhotons:
    """Muon pairs without any photon above an energy fraction.

    Attributes:
        name: of the stratum.
        below: largest energy of a photon over that of a beam.
    """

    name: str
    below: float

    def generate(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One trial for every energy of the beams; see `HardestPhoton.generate`."""
        return _record(sqrt_s, _generate_without(rng, sqrt_s, self.below))
