"""e+e- -> e+e- mu+mu- by the collision of two virtual photons.

The matrix element is exact (see `twophoton_matrix_element`), as are all four momenta. Each
electron is described by the energy fraction y and the virtuality Q^2 of its photon, which are
invariants: y = q.p'/p.p', p' being the other beam. For most events both virtualities are tiny
and the pair has no transverse momentum; what looks like signal has one photon of
Q^2 above some 0.03 GeV^2. The harder photon's virtuality is drawn evenly in its logarithm above
a lower end, the softer one's below that of the harder; which of the beams radiates the harder
photon, and whether the calorimeter sees a scattered electron, makes the strata.

Left out are other diagrams of the same order (muon pairs off a virtual photon that an electron
radiates), which matter for dimuon masses below some 0.5 GeV, and radiation off the beams.
"""

from dataclasses import dataclass
from math import atan2, cos, exp, hypot, log, pi, sin, sqrt
from typing import Final, NamedTuple

import numpy as np
from numba import njit

from analysis.simulation.compiled_lorentz import (
    Momentum,
    about_z,
    dot,
    from_rest_frame,
    minus,
    rotate_from,
    rotate_to,
    to_rest_frame,
)
from analysis.simulation.constants import ALPHA, ELECTRON_MASS, FB_PER_GEV2, MUON_MASS
from analysis.simulation.detector import Detector
from analysis.simulation.events import GeneratedEvents
from analysis.simulation.mumugamma import TRANSVERSE_MARGIN
from analysis.simulation.mumugamma_sampling import EVERYWHERE, MISSED, SEEN, Veto, in_region
from analysis.simulation.twophoton_matrix_element import pair_square, polarisation_vectors
from analysis.types import FloatArray

STEEPNESS: Final = 0.8
"""Sampled power of the squared pair mass, beyond the logarithm: tuned for even weights."""
ANGLE_MARGIN: Final = 4.0
"""By how many degrees the resolution may turn the recoil, or nearly so: at the least transverse
momentum of the preselection it turns it by one."""
MUON_MARGIN: Final = 0.9
"""Share of the preselection's least muon momentum that the resolution may make up for."""

Pair = tuple[float, float]
Arrays = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


class Reach(NamedTuple):
    """What an event must have to be possibly taken for signal.

    Attributes:
        pair_mass: least mass of the muon pair, GeV.
        transverse: least transverse momentum of the pair in the CMS, GeV.
        recoil_range: (2,) polar angles of the recoil in the laboratory, radian.
        muon_range: (2,) polar angles of both muons in the laboratory, radian.
        muon_transverse: least transverse momentum of either muon in the laboratory, GeV.
        region: `MISSED` if both scattered electrons have to be, `SEEN` if not both, or
            `EVERYWHERE`.
        veto: the calorimeter that sees them.
    """

    pair_mass: float
    transverse: float
    recoil_range: Pair
    muon_range: Pair
    muon_transverse: float
    region: int
    veto: Veto


def unrestricted(pair_mass: float) -> Reach:
    """All events with muon pairs above a mass, in GeV."""
    veto = Veto(np.eye(4), np.zeros(2), np.zeros((0, 2)), 0.0)
    return Reach(pair_mass, 0.0, (0.0, pi), (0.0, pi), 0.0, EVERYWHERE, veto)


@njit(cache=True)
def _scattered(
    sqrt_s: float, y: float, virtuality: float, azimuth: float, towards: float
) -> tuple[Momentum, bool]:
    """Momentum of a scattered electron from the invariants of its photon.

    Args:
        sqrt_s: energy of the beams, GeV.
        y: energy fraction of the photon.
        virtuality: Q^2, GeV^2.
        azimuth: radian.
        towards: +1 for the beam along z, -1 for the other.

    Returns:
        The momentum, and whether it exists.
    """
    energy = sqrt_s / 2
    beam2 = energy**2 - ELECTRON_MASS**2
    # products of the momentum with those of both beams
    with_own = ELECTRON_MASS**2 + virtuality / 2
    with_other = (1 - y) * (energy**2 + beam2)
    scattered = (with_own + with_other) / (2 * energy)
    along = (with_other - with_own) / (2 * sqrt(beam2))
    across2 = scattered**2 - ELECTRON_MASS**2 - along**2
    across = sqrt(max(across2, 0.0))
    p = (scattered, across * cos(azimuth), across * sin(azimuth), towards * along)
    return p, across2 > 0


@njit(cache=True)
def _draw_photons(
    rng: np.random.Generator, s: float, harder: int, virtuality: Pair, mass: float
) -> tuple[Pair, Pair, float]:
    """Draw energy fractions and virtualities of both photons.

    Args:
        rng: source of the random numbers.
        s: energy of the beams squared, GeV^2.
        harder: 0 if the electron's photon has the larger virtuality, 1 for the positron's.
        virtuality: range of that virtuality, GeV^2.
        mass: least transverse mass of the pair, GeV.

    Returns:
        Energy fractions; virtualities; the inverse density times the element of all four.
    """
    # product of the fractions, close to the transverse mass squared of the pair over s
    most = (mass**2 / s) ** -STEEPNESS
    power = 1 + rng.random() * (most - 1)
    product = power ** (-1 / STEEPNESS)
    volume = (most - 1) / (power * STEEPNESS) * product
    range_ = -log(product)
    rapidity = (rng.random() - 0.5) * range_
    fractions = (sqrt(product) * exp(rapidity), sqrt(product) * exp(-rapidity))
    volume *= range_

    y = fractions[harder]
    highest = virtuality[1]
    bottom = max(virtuality[0], ELECTRON_MASS**2 * y**2 / (1 - y))
    if bottom >= highest:
        return fractions, (0.0, 0.0), 0.0
    norm = log(highest / bottom)
    hard = bottom * exp(norm * rng.random())
    volume *= norm * hard
    y = fractions[1 - harder]
    bottom = ELECTRON_MASS**2 * y**2 / (1 - y)
    if bottom >= hard:
        return fractions, (0.0, 0.0), 0.0
    norm = log(hard / bottom)
    soft = bottom * exp(norm * rng.random())
    volume *= norm * soft
    return fractions, (hard, soft) if harder == 0 else (soft, hard), volume


@njit(cache=True)
def _in_laboratory(p: Momentum, matrix: FloatArray) -> Pair:
    """Polar angle (radian) and transverse momentum (GeV) in the laboratory of a CMS momentum."""
    x = p[0] * matrix[0, 1] + p[1] * matrix[1, 1] + p[2] * matrix[2, 1] + p[3] * matrix[3, 1]
    y = p[0] * matrix[0, 2] + p[1] * matrix[1, 2] + p[2] * matrix[2, 2] + p[3] * matrix[3, 2]
    z = p[0] * matrix[0, 3] + p[1] * matrix[1, 3] + p[2] * matrix[2, 3] + p[3] * matrix[3, 3]
    across = hypot(x, y)
    return atan2(across, z), across


@njit(cache=True)
def _pair_in_reach(sqrt_s: float, pair: Momentum, reach: Reach) -> bool:
    """Whether the recoil of a muon pair may pass the preselection.

    Args:
        sqrt_s: energy of the beams, GeV.
        pair: momentum of the muon pair, CMS.
        reach: what it must have.
    """
    if dot(pair, pair) < reach.pair_mass**2 or hypot(pair[1], pair[2]) < reach.transverse:
        return False
    recoil = (sqrt_s - pair[0], -pair[1], -pair[2], -pair[3])
    angle, _ = _in_laboratory(recoil, reach.veto.to_laboratory)
    return reach.recoil_range[0] <= angle <= reach.recoil_range[1]


@njit(cache=True)
def _electrons_in_reach(first: Momentum, second: Momentum, reach: Reach) -> bool:
    """Whether the calorimeter misses or sees the scattered electrons as it should."""
    if reach.region == EVERYWHERE:
        return True
    missed = in_region(first, MISSED, reach.veto) and in_region(second, MISSED, reach.veto)
    return missed == (reach.region == MISSED)


@njit(cache=True)
def _muon_in_reach(muon: Momentum, reach: Reach) -> bool:
    """Whether a muon may pass acceptance and preselection."""
    angle, across = _in_laboratory(muon, reach.veto.to_laboratory)
    inside = reach.muon_range[0] <= angle <= reach.muon_range[1]
    return inside and across >= reach.muon_transverse


@njit(cache=True)
def _decay(
    rng: np.random.Generator, pair: Momentum, photon: Momentum, transverse: float
) -> tuple[Momentum, Momentum, float, float, tuple[float, float, float]]:
    """Draw the muons in the rest frame of the pair.

    The angle to the photons follows 1/(1 + a - c^2), the peaks of the two diagrams.

    Args:
        rng: source of the random numbers.
        pair: momentum of the pair, CMS.
        photon: momentum of the electron's photon, CMS.
        transverse: transverse momentum below which muons are not wanted, GeV.

    Returns:
        mu- and mu+ in the rest frame with the photons along z; inverse density of the cosine;
        velocity of the muons; direction of the electron's photon in the rest frame.
    """
    mass2 = dot(pair, pair)
    half = sqrt(mass2) / 2
    momentum = sqrt(half**2 - MUON_MASS**2)
    edge = sqrt(1 + (4 * MUON_MASS**2 + transverse**2) / mass2)
    norm = log((edge + 1) / (edge - 1))
    odds = exp((2 * rng.random() - 1) * norm)
    c = edge * (odds - 1) / (odds + 1)
    volume = norm * (edge**2 - c**2) / edge
    negative = about_z(half, momentum, 1 - c, 2 * pi * rng.random())
    positive = (half, -negative[1], -negative[2], -negative[3])
    turned = to_rest_frame(photon, pair)
    length = sqrt(turned[1] ** 2 + turned[2] ** 2 + turned[3] ** 2)
    axis = (turned[1] / length, turned[2] / length, turned[3] / length)
    return negative, positive, volume, momentum / half, axis


@njit(cache=True)
def _square(
    sqrt_s: float,
    pair: Momentum,
    virtualities: Pair,
    axis: tuple[float, float, float],
    muons: tuple[Momentum, Momentum],
) -> float:
    """Matrix element squared without couplings and photon propagators.

    Args:
        sqrt_s: energy of the beams, GeV.
        pair: momentum of the muon pair, CMS.
        virtualities: of both photons, GeV^2.
        axis: direction of the electron's photon in the rest frame of the pair.
        muons: mu- and mu+ in the rest frame of the pair with the photons along z.
    """
    mass = sqrt(dot(pair, pair))
    energy = (mass**2 - virtualities[0] + virtualities[1]) / (2 * mass)
    momentum = sqrt(energy**2 + virtualities[0])
    photons = ((energy, 0.0, 0.0, momentum), (mass - energy, 0.0, 0.0, -momentum))
    beam = sqrt(sqrt_s**2 / 4 - ELECTRON_MASS**2)
    electron = rotate_from(axis, to_rest_frame((sqrt_s / 2, 0.0, 0.0, beam), pair))
    positron = rotate_from(axis, to_rest_frame((sqrt_s / 2, 0.0, 0.0, -beam), pair))
    first = polarisation_vectors(electron, photons[0], photons[1], 1.0)
    second = polarisation_vectors(positron, photons[1], photons[0], -1.0)
    return pair_square(first, second, photons, muons)


@njit(cache=True)
def _generate(
    rng: np.random.Generator, sqrt_s: FloatArray, harder: int, virtuality: Pair, reach: Reach
) -> Arrays:
    """Generate events.

    Args:
        rng: source of the random numbers.
        sqrt_s: (n,) energies of the beams, GeV.
        harder: 0 if the electron's photon has the larger virtuality, 1 for the positron's.
        virtuality: range of that virtuality, GeV^2.
        reach: which events are wanted.

    Returns:
        mu+ (n, 4), mu- (n, 4), electrons (n, 2, 4), weights (n,) in fb; rows of zeros for trials
        that are out of reach.
    """
    n = len(sqrt_s)
    plus, negative = np.zeros((n, 4)), np.zeros((n, 4))
    electrons, weight = np.zeros((n, 2, 4)), np.zeros(n)
    least = hypot(reach.pair_mass, reach.transverse)
    for i in range(n):
        s = sqrt_s[i] ** 2
        y, q2, volume = _draw_photons(rng, s, harder, virtuality, least)
        # transverse momenta of both photons are below the roots of their virtualities
        if volume == 0 or sqrt(q2[0]) + sqrt(q2[1]) < reach.transverse:
            continue
        first, exists = _scattered(sqrt_s[i], y[0], q2[0], 2 * pi * rng.random(), 1.0)
        second, both = _scattered(sqrt_s[i], y[1], q2[1], 2 * pi * rng.random(), -1.0)
        if not (exists and both):
            continue
        beam = sqrt(s / 4 - ELECTRON_MASS**2)
        photon = minus((sqrt_s[i] / 2, 0.0, 0.0, beam), first)
        pair = minus(minus((sqrt_s[i], 0.0, 0.0, 0.0), first), second)
        if not _pair_in_reach(sqrt_s[i], pair, reach):
            continue
        if not _electrons_in_reach(first, second, reach):
            continue
        mu_minus, mu_plus, of_angle, velocity, axis = _decay(
            rng, pair, photon, reach.muon_transverse
        )
        in_cms = from_rest_frame(rotate_to(axis, mu_minus), pair)
        opposite = from_rest_frame(rotate_to(axis, mu_plus), pair)
        if not (_muon_in_reach(in_cms, reach) and _muon_in_reach(opposite, reach)):
            continue
        square = _square(sqrt_s[i], pair, q2, axis, (mu_minus, mu_plus))
        square *= (4 * pi * ALPHA) ** 4 / (q2[0] * q2[1]) ** 2
        # flux, phase space of the muons in c, of both electrons in y and Q^2
        volume *= 1 / (2 * s) * velocity / (16 * pi) * of_angle / (16 * pi**2) ** 2
        weight[i] = FB_PER_GEV2 * square * volume
        plus[i] = opposite
        negative[i] = in_cms
        electrons[i, 0] = first
        electrons[i, 1] = second
    return plus, negative, electrons, weight


@dataclass(frozen=True, eq=False)
class TwoPhoton:
    """Muon pairs from two photons, one of them with a virtuality in a given range.

    Attributes:
        name: of the stratum.
        harder: which beam radiates the photon of larger virtuality: 0 electron, 1 positron.
        virtuality: range of that virtuality, GeV^2.
        reach: which events are generated.
    """

    name: str
    harder: int
    virtuality: tuple[float, float]
    reach: Reach

    def generate(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One trial for every energy of the beams.

        Args:
            rng: source of the random numbers.
            sqrt_s: (n,) energies of the beams, GeV.

        Returns:
            Weighted events; trials of weight zero have rows of zeros.
        """
        plus, negative, electrons, weight = _generate(
            rng, sqrt_s, self.harder, self.virtuality, self.reach
        )
        n = len(sqrt_s)
        return GeneratedEvents(
            mu_plus=plus,
            mu_minus=negative,
            photons=np.zeros((n, 0, 4)),
            electrons=electrons,
            invisible=np.zeros((n, 4)),
            sqrt_s=sqrt_s,
            weight=weight,
            mass=np.full(n, np.nan),
        )


def strata(detector: Detector) -> list[TwoPhoton]:
    """Generators of all two-photon events that the detector may take for signal.

    Left out are events that cannot pass the acceptance and the preselection even after the
    resolution: muons outside the drift chamber or with too little transverse momentum, and
    recoils with too little of it or too far from the calorimeter barrel. As the transverse
    momentum of the pair is at most the sum of the roots of both virtualities, the larger one is
    at least a quarter of its square.

    Args:
        detector: its acceptance and preselection.
    """
    settings = detector.settings
    preselection = settings.preselection
    transverse = preselection.recoil_transverse_momentum - TRANSVERSE_MARGIN
    low, high = np.radians(preselection.recoil_polar_range)
    margin = np.radians(ANGLE_MARGIN)
    muons = np.radians(settings.tracking.polar_range)
    calorimeter = settings.calorimeter
    veto = Veto(
        detector.to_laboratory,
        np.radians(calorimeter.polar_range),
        np.zeros((0, 2)),
        calorimeter.electron_threshold,
    )
    softest = transverse**2 / 4
    return [
        TwoPhoton(
            f"{beam} with the harder photon, electrons {fate}",
            harder,
            (softest, detector.beams.sqrt_s**2),
            Reach(
                2 * MUON_MASS,
                transverse,
                (float(low - margin), float(high + margin)),
                (float(muons[0]), float(muons[1])),
                MUON_MARGIN * preselection.muon_transverse_momentum,
                region,
                veto,
            ),
        )
        for harder, beam in enumerate(("electron", "positron"))
        for fate, region in (("missed", MISSED), ("seen", SEEN))
    ]
