"""e+e- -> mu+mu- with any number of photons, sorted by the hardest of them.

The hardest photon follows the exact matrix element of one-photon emission; softer ones are
radiated by each of the two beams and two muons, in leading-logarithm approximation, with
energy fractions below that of the hardest. With b_i the strengths of the four charges, no
harder photon off any of them has the probability x^(sum b_i): this factor multiplies the exact
spectrum, and the softer photons follow b z^(b-1) below x. To leading logarithm this is the
exponentiated radiation of every charge (the sum over which of its photons is the hardest is
b z^(b-1) again), and the hardest photon is right at any angle and energy.

The generators split the phase space by the energy fraction x and the polar angle of the hardest
photon, both in the frame where it is radiated, which all but coincides with the CMS, and by
whether it hits the calorimeter: the regions differ by orders of magnitude in how often the event
looks like two muons and nothing else.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import exp, hypot, log, pi, sqrt
from typing import Final

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import ELECTRON_MASS, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.simulation.detector import (
    EVERYWHERE,
    MISSED,
    NO_VETO,
    SEEN,
    Detector,
    Range,
    Veto,
    in_region,
    transform,
)
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.generators.mumugamma_matrix_element import (
    born_element,
    radiative_element,
)
from punzinet.analysis.simulation.generators.radiation import (
    DIMUON_THRESHOLD,
    Fractions,
    into_cms,
    radiate_off_beams,
    radiate_off_muons,
    softer_fractions,
)
from punzinet.analysis.simulation.lorentz import about_z, dot, from_rest_frame, momenta, rotate_to
from punzinet.analysis.types import FloatArray

PHOTONS: Final = 5
"""Rows of photons: the hardest one; those off electron, positron, mu+ and mu-."""

Arrays = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
"""mu+ (n, 4), mu- (n, 4), photons (n, 5, 4), weights (n,) in fb."""
Pair = tuple[float, float]


@njit(cache=True)
def largest_transverse(energy: float, x: float, y: float, softer: Fractions) -> float:
    """Upper bound on the transverse momentum of all photons together in the CMS, GeV.

    The photons off the beams contribute at most their energy, and turn and boost the rest by
    angles and velocities below the share of energy that they take.

    x and y are energy fraction and 1 - cos of the hardest photon (to the electron); the energy is
    that of a beam.
    """
    of_beams = softer[0] + softer[1]
    of_muons = softer[2] + softer[3]
    return energy * (x * sqrt(y * (2 - y)) + of_beams * (1 + 2 * x) + of_muons)


@njit(cache=True)
def _peak(low: float, high: float, scale: float, uniform: float) -> tuple[float, float]:
    """Draw y in [low, high] within [0, 2] from a density that peaks at both ends of [0, 2].

    The density is 1/(scale + y) + 1/(scale + 2 - y), the pattern of two opposite charges; its
    integral over the range is the second number.
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

    Ranges and peaks depend on the energy of the beams squared, s.

    Returns:
        x = 1 - s_mumu/s and y = 1 - cos of the photon to the electron, within their ranges; cosine
        of the angle between mu- and the direction opposite to the photon in the dimuon rest frame;
        the inverse of the density of the three.
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
def _generate(
    rng: np.random.Generator,
    sqrt_s: FloatArray,
    ranges: tuple[Pair, Pair],
    cuts: tuple[float, int, Veto],
    events: Arrays,
) -> None:
    """Fill events with a hardest photon in the given ranges.

    Ranges are those of x and y of `hardest_photon`; cuts are the least transverse momentum of all
    photons together, GeV, the region of the hardest photon, and the calorimeter that defines it.
    Trials that fail the cuts or have too little energy stay as they are.
    """
    plus, negative, photons, weight = events
    least_transverse, region, veto = cuts
    for i in range(len(sqrt_s)):
        s_beams = sqrt_s[i] ** 2
        x, y, c, volume = hardest_photon(rng, s_beams, ranges[0], ranges[1])
        softer, of_softer = softer_fractions(rng, s_beams, s_beams * (1 - x), x)
        if largest_transverse(sqrt_s[i] / 2, x, y, softer) < least_transverse:
            continue
        first, second, reduced, axis = radiate_off_beams(rng, sqrt_s[i], softer)
        s = dot(reduced, reduced)
        s_mumu = s * (1 - x)
        if s_mumu <= DIMUON_THRESHOLD:
            continue
        # the hard photon and the dimuon, where they are produced
        energy = x * sqrt(s) / 2
        photon = about_z(energy, energy, y, 2 * pi * rng.random())
        hardest = into_cms(photon, axis, reduced)
        if not in_region(hardest, region, veto):
            continue
        dimuon = (sqrt(s) - energy, -photon[1], -photon[2], -photon[3])
        backwards = (dimuon[1] / energy, dimuon[2] / energy, dimuon[3] / energy)
        turned = rotate_to(backwards, about_z(1.0, 1.0, 1 - c, 2 * pi * rng.random()))
        unit = (turned[1], turned[2], turned[3])
        mu_plus, mu_minus, off_plus, off_minus = radiate_off_muons(rng, s_mumu, softer, unit)
        off_plus = into_cms(from_rest_frame(off_plus, dimuon), axis, reduced)
        off_minus = into_cms(from_rest_frame(off_minus, dimuon), axis, reduced)
        recoil_x = hardest[1] + first[1] + second[1] + off_plus[1] + off_minus[1]
        recoil_y = hardest[2] + first[2] + second[2] + off_plus[2] + off_minus[2]
        if mu_plus[0] == 0 or hypot(recoil_x, recoil_y) < least_transverse:
            continue
        velocity = sqrt(1 - DIMUON_THRESHOLD / s_mumu)
        half = sqrt(s_mumu) / 2
        px, py, pz = half * velocity * unit[0], half * velocity * unit[1], half * velocity * unit[2]
        born_minus = from_rest_frame((half, px, py, pz), dimuon)
        born_plus = from_rest_frame((half, -px, -py, -pz), dimuon)
        element = radiative_element(s, y, photon, born_minus, born_plus)
        # flux 1/2s, and three-body phase space in x, y, c and two azimuths
        volume *= x * velocity / (8 * pi) ** 2 / (2 * pi) / 4 / 2
        weight[i] = FB_PER_GEV2 * element * volume * of_softer
        plus[i] = into_cms(from_rest_frame(mu_plus, dimuon), axis, reduced)
        negative[i] = into_cms(from_rest_frame(mu_minus, dimuon), axis, reduced)
        photons[i, 0] = hardest
        photons[i, 1] = first
        photons[i, 2] = second
        photons[i, 3] = off_plus
        photons[i, 4] = off_minus


@njit(cache=True)
def _generate_without(
    rng: np.random.Generator, sqrt_s: FloatArray, below: float, events: Arrays
) -> None:
    """As `_generate` without a photon harder than an energy fraction: the first is always zero.

    The fraction is below 0.9, so that there is always energy for the muons.
    """
    plus, negative, photons, weight = events
    for i in range(len(sqrt_s)):
        softer, of_softer = softer_fractions(rng, sqrt_s[i] ** 2, sqrt_s[i] ** 2, below)
        first, second, reduced, axis = radiate_off_beams(rng, sqrt_s[i], softer)
        s = dot(reduced, reduced)
        cosine = 2 * rng.random() - 1
        turned = about_z(1.0, 1.0, 1 - cosine, 2 * pi * rng.random())
        unit = (turned[1], turned[2], turned[3])
        mu_plus, mu_minus, off_plus, off_minus = radiate_off_muons(rng, s, softer, unit)
        # flux and two-body phase space
        volume = sqrt(1 - DIMUON_THRESHOLD / s) / (8 * pi) / (2 * s)
        weight[i] = FB_PER_GEV2 * born_element(s, cosine) * volume * of_softer
        plus[i] = into_cms(mu_plus, axis, reduced)
        negative[i] = into_cms(mu_minus, axis, reduced)
        photons[i, 1] = first
        photons[i, 2] = second
        photons[i, 3] = into_cms(off_plus, axis, reduced)
        photons[i, 4] = into_cms(off_minus, axis, reduced)


def _no_events(sqrt_s: FloatArray) -> tuple[GeneratedEvents, Arrays]:
    """Events without momenta, and their arrays that compiled loops fill."""
    events = GeneratedEvents.zeros(sqrt_s, PHOTONS)
    return events, (events.mu_plus, events.mu_minus, events.photons, events.weight)


@dataclass(frozen=True, eq=False)
class HardestPhoton:
    """Muon pairs whose hardest photon lies in a range of energy and angle.

    Attributes:
        name: of the stratum.
        fraction: range of the photon's energy over that of a beam; 1 as the upper end stands
            for the kinematic limit.
        opening: range of 1 - cos of the photon's polar angle, within [0, 2].
        least_transverse: transverse momentum of all photons together, in the CMS and in GeV,
            below which events are left out.
        region: `EVERYWHERE`, `MISSED` or `SEEN`, where the photon has to go.
        veto: the calorimeter that defines these regions.
    """

    name: str
    fraction: tuple[float, float]
    opening: tuple[float, float] = (0.0, 2.0)
    least_transverse: float = 0.0
    region: int = EVERYWHERE
    veto: Veto = NO_VETO

    def generate(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One weighted trial for each energy of the beams (n,), GeV; rows of zeros if it fails."""
        ranges = (self.fraction, self.opening)
        cuts = (self.least_transverse, self.region, self.veto)
        events, arrays = _no_events(sqrt_s)
        _generate(rng, sqrt_s, ranges, cuts, arrays)
        return events


@dataclass(frozen=True)
class SoftPhotons:
    """Muon pairs without any photon above an energy fraction.

    Attributes:
        name: of the stratum.
        below: largest energy of a photon over that of a beam, at most 0.9.
    """

    name: str
    below: float

    def generate(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One weighted trial for each energy of the beams (n,), GeV."""
        events, arrays = _no_events(sqrt_s)
        _generate_without(rng, sqrt_s, self.below, arrays)
        return events


def whole(threshold: float = 0.01) -> tuple[SoftPhotons, HardestPhoton]:
    """Generators of all muon pairs, as no detector sees them.

    `threshold`, the energy fraction from which on a photon is hard, changes nothing.
    """
    return SoftPhotons("soft photons", threshold), HardestPhoton("hard photon", (threshold, 1.0))


def _angles_in_cms(detector: Detector, polar_range: Range) -> Range:
    """Polar angles in the CMS that belong to a range in the laboratory at some azimuth, degrees.

    The boost is not along the z axis of the laboratory; there is a margin of a degree.
    """
    angle, azimuth = np.meshgrid(np.radians(polar_range), np.radians(np.arange(360)))
    sine = np.sin(angle)
    unit = sine * np.cos(azimuth), sine * np.sin(azimuth), np.cos(angle)
    photons = transform(np.stack([np.ones_like(sine), *unit], axis=-1), detector.from_laboratory)
    theta = np.degrees(momenta(photons).theta)
    return float(theta.min()) - 1, float(theta.max()) + 1


def strata(detector: Detector) -> list[HardestPhoton]:
    """Generators of all radiative muon pairs that the detector may take for signal.

    Left out are events whose photons together have too little transverse momentum to pass the
    preselection even after the resolution, and, as part of them, events without a photon of at
    least three quarters of that: two of them in the same direction are rarer than the
    resolution's tails.

    A photon that the calorimeter can see comes with the small probability that it does not, and
    needs few trials. The others are split into bands of the polar angle, at the edges and gaps of
    the calorimeter, where the photon is missed more or less often, and by energy: a photon below
    threshold is missed everywhere.

    """
    calorimeter = detector.calorimeter
    transverse = detector.least_transverse
    energy = detector.beams.sqrt_s / 2
    veto = Veto(
        detector.to_laboratory,
        calorimeter.polar_range,
        calorimeter.gaps,
        calorimeter.photon_threshold,
    )
    softest = 0.75 * transverse / energy
    # a photon at threshold has the most energy in the CMS if it flies against the boost
    total = detector.beams.total
    boosted = float(total[0] + np.linalg.norm(total[1:])) / detector.beams.sqrt_s
    threshold = max(calorimeter.photon_threshold * boosted / energy, 1.5 * softest)

    low, high = calorimeter.polar_range
    features = sorted([(low, low), *calorimeter.gaps, (high, high)])
    edges = [0.0]
    for feature in features:
        edges.extend(_angles_in_cms(detector, feature))
    edges.append(180.0)
    rest = (transverse, MISSED, veto)
    parts = [
        HardestPhoton("photon seen", (softest, 1.0), (0.0, 2.0), transverse, SEEN, veto),
        HardestPhoton("soft photon missed", (softest, threshold), (0.0, 2.0), *rest),
    ]
    for low, high in pairwise(edges):
        opening = float(1 - np.cos(np.radians(low))), float(1 - np.cos(np.radians(high)))
        for fraction in ((threshold, 0.5), (0.5, 1.0)):
            name = f"photon of x > {fraction[0]:.2f} missed at {low:.0f}-{high:.0f} degrees"
            parts.append(HardestPhoton(name, fraction, opening, *rest))
    return parts
