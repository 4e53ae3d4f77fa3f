"""e+e- -> e+e- mu+mu- by the collision of two virtual photons.

The matrix element is exact (see `twophoton_matrix_element`), as are all momenta. In most events
both virtualities Q^2 are tiny and the pair has no transverse momentum; what looks like signal has
one photon of Q^2 above some 0.03 GeV^2. The harder photon's virtuality is drawn evenly in its
logarithm, the softer one's below that of the harder; then transverse mass and rapidity of the pair,
between the ends that energy and direction of the recoil leave them. Which beam radiates the harder
photon, and whether the calorimeter sees a scattered electron, makes the strata.

Left out are other diagrams of the same order (muon pairs off a virtual photon that an electron
radiates), which matter for dimuon masses below some 0.5 GeV, and radiation off the beams.
"""

from itertools import pairwise
from math import cos, exp, hypot, inf, log, pi, radians, sin, sqrt, tan
from typing import Final, NamedTuple

import punzinet.analysis.simulation.events as p4
from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.simulation.detector import MISSED, SEEN, Detector, Region, in_region
from punzinet.analysis.simulation.events import GeneratedEvents, Momentum, Pair, Vector
from punzinet.analysis.simulation.twophoton_matrix_element import element_square
from punzinet.analysis.types import FloatArray, Random

ANGLE_MARGIN: Final = 2.0  # degrees that the resolution may turn the recoil: 1e-5 turn further
MASS_MARGIN: Final = 0.2  # GeV^2 by which the resolution may change the largest recoil mass squared
MUON_MARGIN: Final = 0.97  # of the preselection's transverse momentum that a muon must have
BOOST_SHARE: Final = 0.8  # of a muon's transverse momentum (lab) that it has at least in the CMS
VIRTUALITIES: Final = (0.3, 0.8, 2.0, 4.0)  # larger virtualities at which strata are cut, GeV^2
COMPARABLE: Final = 3.0  # logarithm of the ratio of virtualities below which both are comparable
COMPARABLE_SHARE: Final = 0.1  # of events drawn with such virtualities, where weights are largest
TINY: Final = 1e-30  # transverse momentum that stands for none, GeV
TRANSVERSE_SLACK: Final = 0.1  # GeV that bounds on the recoil's transverse momentum (lab) leave out
BEAMS: Final = ("electron", "positron")
ALL: Final = (-inf, inf)


class TwoPhoton(NamedTuple):
    """Muon pairs from two photons that may pass for signal; slopes are cot(theta) in the lab."""

    name: str
    harder: int  # which of `BEAMS` radiates the photon of larger virtuality
    virtuality: Pair  # range of the larger one, GeV^2
    pair_mass: float  # least mass of the muon pair, GeV
    transverse_mass: float  # least transverse mass of the pair in the CMS, GeV
    transverse: float = 0.0  # least transverse momentum of the pair in the CMS, GeV
    recoil_slope: Pair = ALL
    recoil_mass2: float = inf  # largest mass squared of the recoil, GeV^2
    muon_slope: Pair = ALL  # of both muons
    muon_transverse: float = 0.0  # least one of either muon in the laboratory, GeV
    region: Region = Region()  # `MISSED` if both scattered electrons have to be, `SEEN` if not both

    def generate(self, rng: Random, sqrt_s: FloatArray) -> GeneratedEvents:
        """One weighted trial for each energy of the beams (n,), GeV; rows of zeros if it fails."""
        events = GeneratedEvents.zeros(sqrt_s, photons=0)
        _generate(rng, self, events)
        return events


def whole(pair_mass: float) -> list[TwoPhoton]:
    """Generators of all events above a mass of the muon pair, GeV."""
    about = (0.0, inf), pair_mass, pair_mass
    return [TwoPhoton(f"{beam}'s photon harder", i, *about) for i, beam in enumerate(BEAMS)]


def _slopes(low: float, high: float) -> Pair:
    """Range of the cotangent that belongs to a range of polar angles in degrees."""
    return 1 / tan(radians(high)), 1 / tan(radians(low))


def strata(detector: Detector) -> list[TwoPhoton]:
    """Generators of all two-photon events that the detector may take for signal.

    Left out are events that cannot pass acceptance and preselection even after the resolution:
    muons outside the drift chamber or of too little transverse momentum, recoils of too little of
    it or too far from the calorimeter barrel. The pair has at most the sum of the roots of both
    virtualities, so the larger one is at least a quarter of its square.
    """
    preselection = detector.preselection
    low, high = preselection.recoil_polar_range
    least_muon = MUON_MARGIN * preselection.muon_transverse_momentum
    softest = detector.least_transverse**2 / 4
    edges = (softest, *(edge for edge in VIRTUALITIES if edge > softest), inf)
    parts = []
    for harder, beam in enumerate(BEAMS):
        about = f"{beam}'s photon harder, electrons seen", harder, (softest, inf)
        seen = TwoPhoton(
            *about,
            pair_mass=2 * MUON_MASS,
            transverse_mass=2 * hypot(BOOST_SHARE * least_muon, MUON_MASS),
            transverse=detector.least_transverse,
            recoil_slope=_slopes(low - ANGLE_MARGIN, high + ANGLE_MARGIN),
            recoil_mass2=preselection.recoil_mass_squared[1] + MASS_MARGIN,
            muon_slope=_slopes(*detector.tracking.polar_range),
            muon_transverse=least_muon,
            region=Region(SEEN, detector.electrons, detector.to_laboratory),
        )
        parts.append(seen)
        for ends in pairwise(edges):
            q2, missed = f"{ends[0]:.2f} < Q2 < {ends[1]:.2f}", seen.region._replace(where=MISSED)
            name = f"{beam}'s photon of {q2} harder, electrons missed"
            parts.append(seen._replace(name=name, virtuality=ends, region=missed))
    return parts


@njit(cache=True)
def scattered_electron(
    sqrt_s: float, y: float, virtuality: float, azimuth: float, towards: float
) -> tuple[Momentum, bool]:
    """Scattered electron by its photon, and whether it exists; `towards` is +1 along z, else -1."""
    energy = sqrt_s / 2
    beam2 = energy**2 - ELECTRON_MASS**2
    # products of the momentum with those of both beams
    with_own, with_other = ELECTRON_MASS**2 + virtuality / 2, (1 - y) * (energy**2 + beam2)
    scattered = (with_own + with_other) / (2 * energy)
    along = (with_other - with_own) / (2 * sqrt(beam2))
    across2 = scattered**2 - ELECTRON_MASS**2 - along**2
    across = sqrt(max(across2, 0.0))
    p = (scattered, across * cos(azimuth), across * sin(azimuth), towards * along)
    return p, across2 > 0


@njit(cache=True)
def _power_at(slope: float, along: float, target: float) -> float:
    """Exponential of the rapidity at which slope cosh + along sinh, along > slope, has a value."""
    root = sqrt(target**2 + along**2 - slope**2)
    # two forms of the same, of which one does not cancel
    below, above = (along - slope) / (root - target), (target + root) / (slope + along)
    return above if target > 0 else below


@njit(cache=True)
def _power_range(sqrt_s: float, transverse_mass: float, across: Pair, stratum: TwoPhoton) -> Pair:
    """Range of the exponential of the pair's rapidity that leaves the recoil in reach.

    The recoil's momentum along z in the laboratory falls with the rapidity; across z it has that of
    the pair, at most the one of the photons (`across`, in the CMS), and that of the boost, which is
    not quite along z. The range can be empty.
    """
    matrix = stratum.region.to_laboratory
    slope, along = matrix[0, 3], matrix[3, 3]
    # of the boost of the energy that the pair leaves, about 85 % of all
    x, y = 0.85 * sqrt_s * matrix[0, 1], 0.85 * sqrt_s * matrix[0, 2]
    most = max(hypot(x, y), hypot(x - across[0], y - across[1])) + TRANSVERSE_SLACK
    along_z = slope * sqrt_s - max(most * stratum.recoil_slope[1], 0.0)
    low = _power_at(slope, along, along_z / transverse_mass)
    along_z = slope * sqrt_s - min(most * stratum.recoil_slope[0], 0.0)
    high = _power_at(slope, along, along_z / transverse_mass)
    energy = (sqrt_s**2 + stratum.pair_mass**2 - stratum.recoil_mass2) / (2 * sqrt_s)
    if energy > transverse_mass:
        ratio = energy / transverse_mass
        least = ratio + sqrt(ratio**2 - 1)
        if low * least > 1:
            low = max(low, least)
    return low, high


@njit(cache=True)
def _draw_photons(rng: Random, sqrt_s: float, stratum: TwoPhoton) -> tuple[Pair, Pair, Pair, float]:
    """Draw both photons.

    With Q^2 given, y = q.p'/p.p' of either photon (p and p' the momenta of its own and of the
    other beam) is the share of the pair's energy along its own beam plus the other photon's
    Q^2/s; transverse mass and rapidity of the pair make the shares. With y, Q^2 and the azimuths
    of the electrons comes the inverse density of y and Q^2, zero if out of reach.
    """
    nothing = (0.0, 0.0), (0.0, 0.0), (0.0, 0.0), 0.0
    s = sqrt_s**2
    # the least virtuality of a photon of y = 1/2 is a lower end that is never reached
    bottom = max(stratum.virtuality[0], 1e-3 * ELECTRON_MASS**2 * stratum.pair_mass**4 / s**2)
    norm = log(min(stratum.virtuality[1], s) / bottom)
    hard = bottom * exp(norm * rng.random())
    volume = norm * hard

    # product of the shares: the transverse mass squared of the pair over s, from 1/(m^2 + a)^2
    # with a above the square of the transverse momentum that the harder photon brings, where
    # the mass of the pair vanishes
    shift = 1.5 * hard / s
    ends = 1 / (stratum.transverse_mass**2 / s + shift), 1 / (1 + shift)
    product = 1 / (ends[1] + (ends[0] - ends[1]) * rng.random()) - shift
    volume *= (ends[0] - ends[1]) * (product + shift) ** 2

    # at any y the softer photon has more than this, and enough for the transverse momentum
    bottom = max(stratum.transverse - sqrt(hard), 0.0) ** 2
    bottom = max(bottom, ELECTRON_MASS**2 * product**2)
    if bottom >= hard:
        return nothing
    norm = log(hard / bottom)
    near, part = min(norm, COMPARABLE), rng.random()
    soft = hard * exp(-part * (near if rng.random() < COMPARABLE_SHARE else norm))
    density = (1 - COMPARABLE_SHARE) / norm
    if soft > hard * exp(-near):
        density += COMPARABLE_SHARE / near
    volume *= soft / density

    azimuth = (2 * pi * rng.random(), 2 * pi * rng.random())
    q2 = (hard, soft) if stratum.harder == 0 else (soft, hard)
    first, second, root = sqrt(q2[0]), sqrt(q2[1]), sqrt(product)
    x = -first * cos(azimuth[0]) - second * cos(azimuth[1])
    y = -first * sin(azimuth[0]) - second * sin(azimuth[1])
    low, high = _power_range(sqrt_s, sqrt_s * root, (x, y), stratum)
    # neither photon takes more than all energy
    low = max(low, root / (1 - q2[0] / s))
    high = min(high, (1 - q2[1] / s) / root)
    if low >= high:
        return nothing
    norm = log(high / low)
    power = low * exp(norm * rng.random())
    fractions = (root * power + q2[1] / s, root / power + q2[0] / s)
    return fractions, q2, azimuth, volume * norm


@njit(cache=True)
def _slope(p: Momentum, matrix: FloatArray) -> Pair:
    """Slope of a momentum in the laboratory, and what it has across the axis there, GeV."""
    _, x, y, z = p4.transformed(p, matrix)
    across = sqrt(x**2 + y**2)
    return z / max(across, TINY), across


@njit(cache=True)
def _pair_in_reach(sqrt_s: float, pair: Momentum, stratum: TwoPhoton) -> bool:
    if p4.dot(pair, pair) < stratum.pair_mass**2 or hypot(pair[1], pair[2]) < stratum.transverse:
        return False
    recoil = (sqrt_s - pair[0], -pair[1], -pair[2], -pair[3])
    if p4.dot(recoil, recoil) > stratum.recoil_mass2:
        return False
    slope, _ = _slope(recoil, stratum.region.to_laboratory)
    return stratum.recoil_slope[0] <= slope <= stratum.recoil_slope[1]


@njit(cache=True)
def _muon_in_reach(muon: Momentum, stratum: TwoPhoton) -> bool:
    slope, across = _slope(muon, stratum.region.to_laboratory)
    inside = stratum.muon_slope[0] <= slope <= stratum.muon_slope[1]
    return inside and across >= stratum.muon_transverse


@njit(cache=True)
def _decay(
    rng: Random, pair: Momentum, photon: Momentum, stratum: TwoPhoton
) -> tuple[Momentum, Momentum, float, float, Vector]:
    """Draw mu- and mu+ in the rest frame of the pair with the photons along z.

    The cosine follows 1/(1 + a - c^2), the peaks of the two diagrams above a transverse momentum.
    With them come its inverse density, their velocity, and the direction there of the electron's
    photon, given in the CMS.
    """
    mass2 = p4.dot(pair, pair)
    half = sqrt(mass2) / 2
    momentum = sqrt(half**2 - MUON_MASS**2)
    edge = sqrt(1 + (4 * MUON_MASS**2 + stratum.muon_transverse**2) / mass2)
    norm = log((edge + 1) / (edge - 1))
    odds = exp((2 * rng.random() - 1) * norm)
    c = edge * (odds - 1) / (odds + 1)
    volume = norm * (edge**2 - c**2) / edge
    negative = p4.about_z(half, momentum, 1 - c, 2 * pi * rng.random())
    positive = (half, -negative[1], -negative[2], -negative[3])
    return negative, positive, volume, momentum / half, p4.direction(p4.to_rest_frame(photon, pair))


@njit(cache=True)
def _generate(rng: Random, stratum: TwoPhoton, events: GeneratedEvents) -> None:
    """Fill events; trials that are out of reach stay as they are."""
    region = stratum.region
    for i, sqrt_s in enumerate(events.sqrt_s):
        s = sqrt_s**2
        y, q2, azimuth, volume = _draw_photons(rng, sqrt_s, stratum)
        if volume == 0:
            continue
        first, exists = scattered_electron(sqrt_s, y[0], q2[0], azimuth[0], 1.0)
        second, both = scattered_electron(sqrt_s, y[1], q2[1], azimuth[1], -1.0)
        if not (exists and both):
            continue
        beam = sqrt(s / 4 - ELECTRON_MASS**2)
        photon = p4.minus((sqrt_s / 2, 0.0, 0.0, beam), first)
        pair = p4.minus(p4.minus((sqrt_s, 0.0, 0.0, 0.0), first), second)
        if not _pair_in_reach(sqrt_s, pair, stratum):
            continue
        one, other = in_region(first, region), in_region(second, region)
        if not ((one or other) if region.where == SEEN else (one and other)):
            continue
        mu_minus, mu_plus, of_angle, velocity, axis = _decay(rng, pair, photon, stratum)
        in_cms = p4.from_rest_frame(p4.rotate_to(axis, mu_minus), pair)
        opposite = p4.from_rest_frame(p4.rotate_to(axis, mu_plus), pair)
        if not (_muon_in_reach(in_cms, stratum) and _muon_in_reach(opposite, stratum)):
            continue
        square = element_square(sqrt_s, pair, q2, axis, (mu_minus, mu_plus))
        square *= (4 * pi * ALPHA) ** 4 / (q2[0] * q2[1]) ** 2
        # flux, phase space of the muons in c, of both electrons in y and Q^2
        volume *= 1 / (2 * s) * velocity / (16 * pi) * of_angle / (16 * pi**2) ** 2
        events.weight[i] = FB_PER_GEV2 * square * volume
        events.mu_plus[i], events.mu_minus[i] = opposite, in_cms
        events.electrons[i, 0], events.electrons[i, 1] = first, second
