"""e+e- -> mu+mu- with any number of photons, sorted by the hardest of them.

The hardest photon follows the exact matrix element of one-photon emission; softer ones are
radiated by each of the two beams and two muons, to leading logarithm, with energy fractions below
that of the hardest, x. With b_i the strengths of the four charges, no harder photon off any of
them has the probability x^(sum b_i): this factor multiplies the exact spectrum, and the softer
photons follow b z^(b-1) below x. To leading logarithm this is the exponentiated radiation of every
charge (the sum over which of its photons is the hardest is b z^(b-1) again), and the hardest photon
is right at any angle and energy.

The generators split the phase space by x and the polar angle of the hardest photon, both in the
frame where it is radiated, which all but coincides with the CMS, and by whether it hits the
calorimeter: how often the event looks like two muons differs by orders of magnitude.
"""

from itertools import chain, pairwise, product
from math import exp, hypot, log, pi, sqrt
from typing import Final, NamedTuple

import numpy as np

import punzinet.analysis.simulation.events as p4
from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.simulation import radiation
from punzinet.analysis.simulation.detector import MISSED, SEEN, Detector, Region, in_region
from punzinet.analysis.simulation.events import GeneratedEvents, Momentum, Pair
from punzinet.analysis.types import FloatArray, Random

PHOTONS: Final = 5  # rows of photons: the hardest one; those off electron, positron, mu+ and mu-


class HardestPhoton(NamedTuple):
    """Muon pairs whose hardest photon lies in a range of energy and angle."""

    name: str
    fraction: Pair  # range of the photon's energy over a beam's; 1 stands for the kinematic limit
    opening: Pair = (0.0, 2.0)  # range of 1 - cos of the photon's polar angle
    # transverse momentum of all photons together below which events are left out, CMS, GeV
    least_transverse: float = 0.0
    region: Region = Region()  # where the photon has to go

    def generate(self, rng: Random, sqrt_s: FloatArray) -> GeneratedEvents:
        """One weighted trial for each energy of the beams (n,), GeV; rows of zeros if it fails."""
        events = GeneratedEvents.zeros(sqrt_s, PHOTONS)
        _generate(rng, self, events)
        return events


class SoftPhotons(NamedTuple):
    """Muon pairs without any photon above an energy fraction, at most 0.9."""

    name: str
    below: float

    def generate(self, rng: Random, sqrt_s: FloatArray) -> GeneratedEvents:
        """One weighted trial for each energy of the beams (n,), GeV."""
        events = GeneratedEvents.zeros(sqrt_s, PHOTONS)
        _generate_without(rng, self.below, events)
        return events


def whole(threshold: float = 0.01) -> tuple[SoftPhotons, HardestPhoton]:
    """Generators of all muon pairs, whatever energy fraction makes a photon hard."""
    return SoftPhotons("soft photons", threshold), HardestPhoton("hard photon", (threshold, 1.0))


def _angles_in_cms(detector: Detector, polar_range: Pair) -> Pair:
    """Range of polar angles in the CMS of one in the laboratory, with a margin, degrees."""
    angle, azimuth = np.meshgrid(np.radians(polar_range), np.radians(np.arange(360)))
    sine = np.sin(angle)
    unit = sine * np.cos(azimuth), sine * np.sin(azimuth), np.cos(angle)
    photons = p4.transform(np.stack([np.ones_like(sine), *unit], axis=-1), detector.from_laboratory)
    theta = np.degrees(p4.momenta(photons).theta)
    return float(theta.min()) - 1, float(theta.max()) + 1


def strata(detector: Detector) -> list[HardestPhoton]:
    """Generators of all radiative muon pairs that the detector may take for signal.

    Left out are events whose photons together have too little transverse momentum to pass the
    preselection even after the resolution, and, as part of them, events without a photon of at
    least three quarters of that: two in the same direction are rarer than the resolution's tails.
    Photons that the calorimeter misses are split by polar angle, at its edges and gaps, and by
    energy: below threshold all are missed.
    """
    veto, transverse = detector.photons, detector.least_transverse
    energy = detector.beams.sqrt_s / 2
    softest = 0.75 * transverse / energy
    # a photon at threshold has the most energy in the CMS if it flies against the boost
    total = detector.beams.total
    boosted = float(total[0] + np.linalg.norm(total[1:])) / detector.beams.sqrt_s
    threshold = max(veto.threshold * boosted / energy, 1.5 * softest)

    low, high = veto.polar_range
    features = sorted([(low, low), *veto.gaps, (high, high)])
    edges = [0.0, *chain(*(_angles_in_cms(detector, feature) for feature in features)), 180.0]
    missed, seen = (Region(where, veto, detector.to_laboratory) for where in (MISSED, SEEN))
    parts = [
        HardestPhoton("photon seen", (softest, 1.0), (0.0, 2.0), transverse, seen),
        HardestPhoton("soft photon missed", (softest, threshold), (0.0, 2.0), transverse, missed),
    ]
    for (low, high), fraction in product(pairwise(edges), ((threshold, 0.5), (0.5, 1.0))):
        opening = float(1 - np.cos(np.radians(low))), float(1 - np.cos(np.radians(high)))
        name = f"photon of x > {fraction[0]:.2f} missed at {low:.0f}-{high:.0f} degrees"
        parts.append(HardestPhoton(name, fraction, opening, transverse, missed))
    return parts


@njit(cache=True)
def largest_transverse(energy: float, x: float, y: float, softer: radiation.Fractions) -> float:
    """Upper bound on the transverse momentum of all photons together in the CMS, GeV.

    The photons off the beams contribute at most their energy, and turn and boost the rest by
    angles and velocities below their share of the beam's energy. x and y are energy fraction and
    1 - cos of the hardest photon (to the electron).
    """
    of_beams, of_muons = softer[0] + softer[1], softer[2] + softer[3]
    return energy * (x * sqrt(y * (2 - y)) + of_beams * (1 + 2 * x) + of_muons)


@njit(cache=True)
def _peak(low: float, high: float, scale: float, uniform: float) -> tuple[float, float]:
    """Draw y in [low, high] as 1/(scale + y) + 1/(scale + 2 - y), and the integral of that.

    It is the pattern of two opposite charges, which peaks at 0 and 2.
    """
    bottom = log((scale + low) / (scale + 2 - low))
    norm = log((scale + high) / (scale + 2 - high)) - bottom
    odds = exp(bottom + uniform * norm)
    y = (odds * (scale + 2) - scale) / (1 + odds)
    return min(max(y, low), high), norm


@njit(cache=True)
def hardest_photon(
    rng: Random, s: float, x_range: Pair, y_range: Pair
) -> tuple[float, float, float, float]:
    """Draw energy and angle of the hardest photon and the angle of the muons.

    Two channels: photons off the beams, peaked at both beams, with a spectrum that also rises
    towards the lowest dimuon masses, and photons off the muons. The beams have the energy sqrt(s).

    The results are x = 1 - s_mumu/s and y = 1 - cos of the photon to the electron, within their
    ranges; the cosine of the mu- to the direction opposite to the photon in the dimuon rest frame;
    the inverse of the density of the three.
    """
    x_low, x_high = x_range[0], min(x_range[1], 1 - radiation.DIMUON_THRESHOLD / s)
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
    muon_scale = radiation.DIMUON_THRESHOLD / (2 * s * (1 - x))
    _, c_norm = _peak(0.0, 2.0, muon_scale, 0.0)
    flat, peaked = 2 * rng.random() - 1, 1 - _peak(0.0, 2.0, muon_scale, rng.random())[0]
    c = flat if from_beams else peaked

    peak_y = (1 / (beam_scale + y) + 1 / (beam_scale + 2 - y)) / y_norm
    peak_c = (1 / (muon_scale + 1 - c) + 1 / (muon_scale + 1 + c)) / c_norm
    density = share / (x * (1 - x) * odds_norm) * peak_y / 2
    density += (1 - share) / (x * log_norm) / (y_high - y_low) * peak_c
    return x, y, c, 1 / density


@njit(cache=True)
def _generate(rng: Random, stratum: HardestPhoton, events: GeneratedEvents) -> None:
    """Fill events; trials out of the stratum or of too little energy stay as they are."""
    transverse = stratum.least_transverse
    for i, sqrt_s in enumerate(events.sqrt_s):
        s_beams = sqrt_s**2
        x, y, c, volume = hardest_photon(rng, s_beams, stratum.fraction, stratum.opening)
        softer, of_softer = radiation.softer_fractions(rng, s_beams, s_beams * (1 - x), x)
        if largest_transverse(sqrt_s / 2, x, y, softer) < transverse:
            continue
        first, second, frame = radiation.radiate_off_beams(rng, sqrt_s, softer)
        s = p4.dot(frame[0], frame[0])
        s_mumu = s * (1 - x)
        if s_mumu <= radiation.DIMUON_THRESHOLD:
            continue
        energy = x * sqrt(s) / 2
        photon = p4.about_z(energy, energy, y, 2 * pi * rng.random())
        hardest = radiation.into_cms(photon, frame)
        if not in_region(hardest, stratum.region):
            continue
        dimuon = (sqrt(s) - energy, -photon[1], -photon[2], -photon[3])
        backwards = (dimuon[1] / energy, dimuon[2] / energy, dimuon[3] / energy)
        unit = p4.rotate_to(backwards, p4.about_z(1.0, 1.0, 1 - c, 2 * pi * rng.random()))[1:]
        mu_plus, mu_minus, third, fourth = radiation.radiate_off_muons(rng, s_mumu, softer, unit)
        third = radiation.into_cms(p4.from_rest_frame(third, dimuon), frame)
        fourth = radiation.into_cms(p4.from_rest_frame(fourth, dimuon), frame)
        recoil_x = hardest[1] + first[1] + second[1] + third[1] + fourth[1]
        recoil_y = hardest[2] + first[2] + second[2] + third[2] + fourth[2]
        if mu_plus[0] == 0 or hypot(recoil_x, recoil_y) < transverse:
            continue
        half, velocity = sqrt(s_mumu) / 2, sqrt(1 - radiation.DIMUON_THRESHOLD / s_mumu)
        plus, minus = radiation.back_to_back(half, half * velocity, unit)
        plus, minus = p4.from_rest_frame(plus, dimuon), p4.from_rest_frame(minus, dimuon)
        element = radiative_element(s, y, photon, minus, plus)
        # flux 1/2s, and three-body phase space in x, y, c and two azimuths
        volume *= x * velocity / (8 * pi) ** 2 / (2 * pi) / 4 / 2
        events.weight[i] = FB_PER_GEV2 * element * volume * of_softer
        events.mu_plus[i] = radiation.into_cms(p4.from_rest_frame(mu_plus, dimuon), frame)
        events.mu_minus[i] = radiation.into_cms(p4.from_rest_frame(mu_minus, dimuon), frame)
        for k, radiated in enumerate((hardest, first, second, third, fourth)):
            events.photons[i, k] = radiated


@njit(cache=True)
def _generate_without(rng: Random, below: float, events: GeneratedEvents) -> None:
    """Fill events without a photon harder than an energy fraction; there is always enough left."""
    for i, sqrt_s in enumerate(events.sqrt_s):
        softer, of_softer = radiation.softer_fractions(rng, sqrt_s**2, sqrt_s**2, below)
        first, second, frame = radiation.radiate_off_beams(rng, sqrt_s, softer)
        s = p4.dot(frame[0], frame[0])
        cosine = 2 * rng.random() - 1
        unit = p4.about_z(1.0, 1.0, 1 - cosine, 2 * pi * rng.random())[1:]
        mu_plus, mu_minus, third, fourth = radiation.radiate_off_muons(rng, s, softer, unit)
        # flux and two-body phase space
        volume = sqrt(1 - radiation.DIMUON_THRESHOLD / s) / (8 * pi) / (2 * s)
        events.weight[i] = FB_PER_GEV2 * born_element(s, cosine) * volume * of_softer
        events.mu_plus[i] = radiation.into_cms(mu_plus, frame)
        events.mu_minus[i] = radiation.into_cms(mu_minus, frame)
        third, fourth = radiation.into_cms(third, frame), radiation.into_cms(fourth, frame)
        for k, radiated in enumerate((first, second, third, fourth)):
            events.photons[i, 1 + k] = radiated


@njit(cache=True)
def born_element(s: float, cosine: float) -> float:
    """Matrix element squared of e+e- -> mu+mu-, averaged and summed over spins.

    With the running coupling, massless electrons, and the cosine of mu- to e- in their rest frame.
    """
    ratio = 4 * MUON_MASS**2 / s
    coupling = 4 * pi * ALPHA / (1 - radiation.vacuum_polarisation(s))
    return coupling**2 * (1 + ratio + (1 - ratio) * cosine**2)


@njit(cache=True)
def radiative_element(
    s: float, opening: float, photon: Momentum, minus: Momentum, plus: Momentum
) -> float:
    """Matrix element squared of e+e- -> mu+mu- gamma, averaged and summed over spins, GeV^-2.

    Radiation off the muons, and the interference of both, factorise into a hard part and an
    eikonal one with mass terms (Berends and Kleiss, Nucl. Phys. B 177 (1981) 237), exact but for
    terms of order m_mu^2 over the dimuon mass squared. The photon couples with the coupling at
    rest, the virtual photons with the running one.

    The electron flies along z, the positron against it. `opening`, 1 - cos of the angle between
    photon and electron, is given apart from the momenta because it keeps its digits.
    """
    energy = sqrt(s) / 2
    beam = sqrt(energy**2 - ELECTRON_MASS**2)
    electron, positron = (energy, 0.0, 0.0, beam), (energy, 0.0, 0.0, -beam)
    s_mumu = 2 * (MUON_MASS**2 + p4.dot(minus, plus))
    # products with the photon: (1 - velocity) + velocity (1 - cos), without cancellation
    slow = ELECTRON_MASS**2 / (energy + beam)
    k_electron = photon[0] * (slow + beam * opening)
    k_positron = photon[0] * (slow + beam * (2 - opening))
    k_minus, k_plus = p4.dot(minus, photon), p4.dot(plus, photon)
    # like charges: electron with mu-, positron with mu+
    like_1, like_2 = 2 * p4.dot(electron, minus), 2 * p4.dot(positron, plus)
    unlike_1, unlike_2 = 2 * p4.dot(electron, plus), 2 * p4.dot(positron, minus)
    like, unlike = (like_1, like_2), (unlike_1, unlike_2)
    initial = _off_the_beams(s, s_mumu, (k_electron, k_positron), like, unlike)
    hard = (like_1**2 + like_2**2 + unlike_1**2 + unlike_2**2) / (s * s_mumu)
    dipole = 2 * p4.dot(minus, plus) / (k_minus * k_plus)
    mass_minus = (like_2**2 + unlike_1**2) / k_minus**2
    mass_plus = (like_1**2 + unlike_2**2) / k_plus**2
    final = hard * dipole - 2 * MUON_MASS**2 / s**2 * (mass_minus + mass_plus)
    interference = hard * (
        like_1 / (k_electron * k_minus)
        + like_2 / (k_positron * k_plus)
        - unlike_1 / (k_electron * k_plus)
        - unlike_2 / (k_positron * k_minus)
    )
    before = 1 / (1 - radiation.vacuum_polarisation(s))
    after = 1 / (1 - radiation.vacuum_polarisation(s_mumu))
    total = initial * after**2 + final * before**2 + interference * before * after
    # what the interference neglects can make a cancelling sum negative
    return (4 * pi * ALPHA) ** 3 * max(total, 0.0)


@njit(cache=True)
def _off_the_beams(s: float, s_mumu: float, photon: Pair, like: Pair, unlike: Pair) -> float:
    """The square of the two diagrams with a photon off the beams, without couplings, GeV^-2.

    The exact tensor with the electron mass (up to its fourth power), contracted with that of
    massive muons, over s_mumu^2 (Binner, Kuehn and Melnikov, Phys. Lett. B 459 (1999) 279).

    Products of momenta are those of the photon with electron and positron, and twice those of
    electron with mu- and positron with mu+ (like), electron with mu+ and positron with mu-.
    """
    y1, y2 = 2 * photon[0] / s, 2 * photon[1] / s
    q2, m2 = s_mumu / s, ELECTRON_MASS**2 / s
    # the muon tensor, contracted with the metric and with pairs of beam momenta, units of s
    metric = -4 * (q2 + 2 * MUON_MASS**2 / s)
    electrons = 2 * (like[0] * unlike[0] / s**2 - m2 * q2)
    positrons = 2 * (like[1] * unlike[1] / s**2 - m2 * q2)
    mixed = (like[0] * like[1] + unlike[0] * unlike[1]) / s**2 - (1 - 2 * m2) * q2
    product = y1 * y2
    tensor = (
        (2 * m2 * q2 * (1 - q2) ** 2 / product**2 - (2 * q2 + y1**2 + y2**2) / product) * metric
        + (8 * m2 / y2**2 - 4 * q2 / product) * electrons
        + (8 * m2 / y1**2 - 4 * q2 / product) * positrons
        - 16 * m2 / product * mixed
    )
    return tensor / (q2**2 * s)
