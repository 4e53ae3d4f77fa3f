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

from dataclasses import dataclass, field
from math import hypot, pi, sqrt
from typing import Final

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import FB_PER_GEV2
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.simulation import lorentz
from punzinet.analysis.simulation.compiled_lorentz import (
    Momentum,
    Vector,
    about_z,
    dot,
    from_rest_frame,
    rotate_to,
)
from punzinet.analysis.simulation.detector import Detector, polar_angle, transform
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.mumugamma_matrix_element import born_element, radiative_element
from punzinet.analysis.simulation.mumugamma_sampling import Pair, hardest_photon, largest_transverse
from punzinet.analysis.simulation.soft_photons import (
    DIMUON_THRESHOLD,
    radiate_off_beams,
    radiate_off_muons,
    softer_fractions,
)
from punzinet.analysis.simulation.veto import EVERYWHERE, MISSED, SEEN, Veto, in_region, no_veto
from punzinet.analysis.types import FloatArray

PHOTONS: Final = 5
"""Rows of photons: the hardest one; those off electron, positron, mu+ and mu-."""
TRANSVERSE_MARGIN: Final = 0.12
"""By how much, in GeV, the resolution may raise the transverse momentum of the recoil: with the
default tracking, fewer than one in ten thousand of the preselected events need more."""

Arrays = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


@njit(cache=True)
def _into_cms(p: Momentum, axis: Vector, reduced: Momentum) -> Momentum:
    """From the frame of the collision, with the electron along z, to the CMS of the beams."""
    return from_rest_frame(rotate_to(axis, p), reduced)


@njit(cache=True)
def _generate(
    rng: np.random.Generator,
    sqrt_s: FloatArray,
    ranges: tuple[Pair, Pair],
    cuts: tuple[float, int, Veto],
) -> Arrays:
    """Generate events with a hardest photon in the given ranges.

    Args:
        rng: source of the random numbers.
        sqrt_s: (n,) energies of the beams, GeV.
        ranges: of the hardest photon's energy fraction and of 1 - cos of its angle to the
            electron.
        cuts: least transverse momentum of all photons together, GeV; region of the hardest
            photon and the calorimeter that defines it.

    Returns:
        mu+ (n, 4), mu- (n, 4), photons (n, 5, 4), weights (n,) in fb; rows of zeros for trials
        that fail the cuts or have too little energy.
    """
    n = len(sqrt_s)
    plus, negative = np.zeros((n, 4)), np.zeros((n, 4))
    photons, weight = np.zeros((n, PHOTONS, 4)), np.zeros(n)
    least_transverse, region, veto = cuts
    for i in range(n):
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
        hardest = _into_cms(photon, axis, reduced)
        if not in_region(hardest, region, veto):
            continue
        dimuon = (sqrt(s) - energy, -photon[1], -photon[2], -photon[3])
        backwards = (dimuon[1] / energy, dimuon[2] / energy, dimuon[3] / energy)
        turned = rotate_to(backwards, about_z(1.0, 1.0, 1 - c, 2 * pi * rng.random()))
        unit = (turned[1], turned[2], turned[3])
        mu_plus, mu_minus, off_plus, off_minus = radiate_off_muons(rng, s_mumu, softer, unit)
        off_plus = _into_cms(from_rest_frame(off_plus, dimuon), axis, reduced)
        off_minus = _into_cms(from_rest_frame(off_minus, dimuon), axis, reduced)
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
        plus[i] = _into_cms(from_rest_frame(mu_plus, dimuon), axis, reduced)
        negative[i] = _into_cms(from_rest_frame(mu_minus, dimuon), axis, reduced)
        photons[i, 0] = hardest
        photons[i, 1] = first
        photons[i, 2] = second
        photons[i, 3] = off_plus
        photons[i, 4] = off_minus
    return plus, negative, photons, weight


@njit(cache=True)
def _generate_without(rng: np.random.Generator, sqrt_s: FloatArray, below: float) -> Arrays:
    """Generate events without a photon harder than an energy fraction.

    Args:
        rng: source of the random numbers.
        sqrt_s: (n,) energies of the beams, GeV.
        below: the energy fraction, below 0.9 so that there is always energy for the muons.

    Returns:
        As `_generate`; the first photon is always zero.
    """
    n = len(sqrt_s)
    plus, negative = np.zeros((n, 4)), np.zeros((n, 4))
    photons, weight = np.zeros((n, PHOTONS, 4)), np.zeros(n)
    for i in range(n):
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
    veto: Veto = field(default_factory=no_veto)

    def generate(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One trial for every energy of the beams.

        Args:
            rng: source of the random numbers.
            sqrt_s: (n,) energies of the beams, GeV.

        Returns:
            Weighted events; trials of weight zero have rows of zeros.
        """
        ranges = (self.fraction, self.opening)
        cuts = (self.least_transverse, self.region, self.veto)
        return _record(sqrt_s, _generate(rng, sqrt_s, ranges, cuts))


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
        """One trial for every energy of the beams; see `HardestPhoton.generate`."""
        return _record(sqrt_s, _generate_without(rng, sqrt_s, self.below))


def whole(threshold: float = 0.01) -> tuple[SoftPhotons, HardestPhoton]:
    """Generators of all muon pairs, as no detector sees them.

    Args:
        threshold: energy fraction from which on a photon is hard; nothing depends on it.
    """
    return SoftPhotons("soft photons", threshold), HardestPhoton("hard photon", (threshold, 1.0))


def least_transverse(detector: Detector) -> float:
    """Transverse momentum of the recoil below which no event passes the preselection, GeV.

    Args:
        detector: its preselection.

    Raises:
        InputError: If the preselection demands so little that even events without a hard photon
            would pass, which no stratum holds.
    """
    demanded = detector.settings.preselection.recoil_transverse_momentum
    if demanded < 1.5 * TRANSVERSE_MARGIN:
        raise InputError(
            "`recoil_transverse_momentum` of the simulated preselection is "
            f"{demanded} GeV, below what the background generators cover: set at least "
            f"{1.5 * TRANSVERSE_MARGIN:.1f} GeV."
        )
    return demanded - TRANSVERSE_MARGIN


def _edges_in_cms(detector: Detector, polar_range: tuple[float, float]) -> tuple[float, float]:
    """Polar angles in the CMS that belong to a range in the laboratory at some azimuth.

    Args:
        detector: its beams set the boost, which is not along the z axis of the laboratory.
        polar_range: polar angles in the laboratory, degrees.

    Returns:
        Lowest and highest polar angle in the CMS, with a margin of a degree; degrees.
    """
    azimuth = np.radians(np.arange(360))
    directions = [
        lorentz.direction(np.full(360, np.cos(a)), azimuth) for a in np.radians(polar_range)
    ]
    photons = transform(lorentz.on_shell(np.concatenate(directions), 0.0), detector.from_laboratory)
    angle = np.degrees(polar_angle(photons))
    return float(angle.min()) - 1, float(angle.max()) + 1


def strata(detector: Detector) -> list[HardestPhoton]:
    """Generators of all radiative muon pairs that the detector may take for signal.

    Left out are events whose photons together have too little transverse momentum to pass the
    preselection even after the resolution (see `TRANSVERSE_MARGIN`), and, as part of them, events
    without a photon of at least three quarters of that: two of them in the same direction are
    rarer than the resolution's tails.

    A photon that the calorimeter can see comes with the small probability that it does not, and
    needs few trials. The others are split into bands of the polar angle, at the edges and gaps of
    the calorimeter, where the photon is missed more or less often, and by energy: a photon below
    threshold is missed everywhere.

    Args:
        detector: what sees the photons, and what it demands of the recoil.

    Raises:
        InputError: As `least_transverse`.
    """
    settings = detector.settings
    calorimeter = settings.calorimeter
    transverse = least_transverse(detector)
    energy = detector.beams.sqrt_s / 2
    veto = Veto(
        detector.to_laboratory,
        np.radians(calorimeter.polar_range),
        np.radians(calorimeter.gaps).reshape(-1, 2),
        calorimeter.photon_threshold,
    )
    softest = 0.75 * transverse / energy
    # a photon at threshold has the most energy in the CMS if it flies against the boost
    total = detector.beams.total
    boosted = (total[0] + lorentz.momentum(total)) / detector.beams.sqrt_s
    threshold = max(calorimeter.photon_threshold * float(boosted) / energy, 1.5 * softest)

    low, high = calorimeter.polar_range
    features = sorted([(low, low), *calorimeter.gaps, (high, high)])
    edges = [0.0]
    for feature in features:
        edges.extend(_edges_in_cms(detector, feature))
    edges.append(180.0)
    opening = (1 - np.cos(np.radians(edges))).tolist()
    seen = HardestPhoton("photon seen", (softest, 1.0), (0.0, 2.0), transverse, SEEN, veto)
    soft = HardestPhoton(
        "soft photon missed", (softest, threshold), (0.0, 2.0), transverse, MISSED, veto
    )
    bands = [
        HardestPhoton(
            f"photon of x > {fraction[0]:.2f} missed at {edges[i]:.0f}-{edges[i + 1]:.0f} degrees",
            fraction,
            (opening[i], opening[i + 1]),
            transverse,
            MISSED,
            veto,
        )
        for i in range(len(edges) - 1)
        for fraction in ((threshold, 0.5), (0.5, 1.0))
    ]
    return [seen, soft, *bands]
