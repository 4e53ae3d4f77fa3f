"""e+e- -> e+e- mu+mu- by the collision of two virtual photons.

The matrix element is exact (see `twophoton_matrix_element`), as are all four momenta. For most
events both virtualities Q^2 are tiny and the pair has no transverse momentum; what looks like
signal has one photon of Q^2 above some 0.03 GeV^2. The harder photon's virtuality is drawn evenly
in its logarithm above a lower end, the softer one's below that of the harder; then transverse
mass and rapidity of the pair, between the ends that energy and direction of the recoil leave
them. Which of the beams radiates the harder photon, and whether the calorimeter sees a scattered
electron, makes the strata.

Left out are other diagrams of the same order (muon pairs off a virtual photon that an electron
radiates), which matter for dimuon masses below some 0.5 GeV, and radiation off the beams.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import exp, hypot, inf, log, pi, radians, sqrt, tan
from typing import Final

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.simulation.detector import MISSED, SEEN, Detector, Veto
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.generators.twophoton_matrix_element import (
    pair_square,
    polarisation_vectors,
)
from punzinet.analysis.simulation.generators.twophoton_sampling import (
    Pair,
    Reach,
    draw_photons,
    electrons_in_reach,
    muon_in_reach,
    pair_in_reach,
    scattered_electron,
)
from punzinet.analysis.simulation.lorentz import (
    Momentum,
    Vector,
    about_z,
    dot,
    from_rest_frame,
    minus,
    rotate_from,
    rotate_to,
    to_rest_frame,
)
from punzinet.analysis.types import FloatArray

NO_FLIP: Final = 1e6 * ELECTRON_MASS**2
"""Virtuality above which electrons keep their helicity to some 1e-6, GeV^2."""
ANGLE_MARGIN: Final = 2.0
"""By how many degrees the resolution may turn the recoil: with the default tracking, one in a
hundred thousand of the preselected events needs more."""
MASS_MARGIN: Final = 0.2
"""By how much the resolution may change the largest squared recoil mass, GeV^2."""
MUON_MARGIN: Final = 0.97
"""Share of the preselection's least transverse momentum of a muon that a muon must have."""
BOOST_SHARE: Final = 0.8
"""Share of a muon's transverse momentum in the laboratory that it has at least in the CMS."""
VIRTUALITIES: Final = (0.3, 0.8, 2.0, 4.0)
"""Larger virtualities at which strata are cut, GeV^2."""


Arrays = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
"""mu+ (n, 4), mu- (n, 4), electrons (n, 2, 4), weights (n,) in fb."""


@njit(cache=True)
def _decay(
    rng: np.random.Generator, pair: Momentum, photon: Momentum, transverse: float
) -> tuple[Momentum, Momentum, float, float, Vector]:
    """Draw the muons in the rest frame of the pair.

    The angle to the photons follows 1/(1 + a - c^2), the peaks of the two diagrams.

    Pair and photon (the electron's) are in the CMS; muons below the transverse momentum, GeV, are
    not wanted.

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
    axis: Vector,
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
    # the flip of an electron's helicity is of order m^2/Q^2
    flips_1 = 3 if virtualities[0] < NO_FLIP else 2
    flips_2 = 3 if virtualities[1] < NO_FLIP else 2
    return pair_square(first[:flips_1], second[:flips_2], photons, muons)


@njit(cache=True)
def _generate(
    rng: np.random.Generator,
    sqrt_s: FloatArray,
    virtuality: Pair,
    wanted: tuple[int, Reach],
    events: Arrays,
) -> None:
    """Fill events of the electron's (0) or the positron's (1) photon harder, in a range of Q^2.

    Trials that are out of reach stay as they are.
    """
    plus, negative, electrons, weight = events
    harder, reach = wanted
    for i in range(len(sqrt_s)):
        s = sqrt_s[i] ** 2
        y, q2, azimuth, volume = draw_photons(rng, sqrt_s[i], harder, virtuality, reach)
        if volume == 0:
            continue
        first, exists = scattered_electron(sqrt_s[i], y[0], q2[0], azimuth[0], 1.0)
        second, both = scattered_electron(sqrt_s[i], y[1], q2[1], azimuth[1], -1.0)
        if not (exists and both):
            continue
        beam = sqrt(s / 4 - ELECTRON_MASS**2)
        photon = minus((sqrt_s[i] / 2, 0.0, 0.0, beam), first)
        pair = minus(minus((sqrt_s[i], 0.0, 0.0, 0.0), first), second)
        if not pair_in_reach(sqrt_s[i], pair, reach):
            continue
        if not electrons_in_reach(first, second, reach):
            continue
        mu_minus, mu_plus, of_angle, velocity, axis = _decay(
            rng, pair, photon, reach.muon_transverse
        )
        in_cms = from_rest_frame(rotate_to(axis, mu_minus), pair)
        opposite = from_rest_frame(rotate_to(axis, mu_plus), pair)
        if not (muon_in_reach(in_cms, reach) and muon_in_reach(opposite, reach)):
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
        """One weighted trial for each energy of the beams (n,), GeV; rows of zeros if it fails."""
        events = GeneratedEvents.zeros(sqrt_s, photons=0)
        arrays = events.mu_plus, events.mu_minus, events.electrons, events.weight
        _generate(rng, sqrt_s, self.virtuality, (self.harder, self.reach), arrays)
        return events


def whole(pair_mass: float) -> list[TwoPhoton]:
    """Generators of all events above a mass of the muon pair (GeV), as no detector sees them."""
    reach = Reach(pair_mass=pair_mass, transverse_mass=pair_mass)
    return [
        TwoPhoton(f"{beam}'s photon harder", harder, (0.0, inf), reach)
        for harder, beam in enumerate(("electron", "positron"))
    ]


def _slopes(low: float, high: float) -> Pair:
    """Range of the cotangent that belongs to a range of polar angles in degrees."""
    return 1 / tan(radians(high)), 1 / tan(radians(low))


def strata(detector: Detector) -> list[TwoPhoton]:
    """Generators of all two-photon events that the detector may take for signal.

    Left out are events that cannot pass the acceptance and the preselection even after the
    resolution: muons outside the drift chamber or with too little transverse momentum, and
    recoils with too little of it or too far from the calorimeter barrel. As the transverse
    momentum of the pair is at most the sum of the roots of both virtualities, the larger one is
    at least a quarter of its square.
    """
    preselection, calorimeter = detector.preselection, detector.calorimeter
    transverse = detector.least_transverse
    recoil_low, recoil_high = preselection.recoil_polar_range
    veto = Veto(
        detector.to_laboratory,
        calorimeter.polar_range,
        threshold=calorimeter.electron_threshold,
    )
    least_muon = MUON_MARGIN * preselection.muon_transverse_momentum
    reach = Reach(
        pair_mass=2 * MUON_MASS,
        transverse=transverse,
        recoil_slope=_slopes(recoil_low - ANGLE_MARGIN, recoil_high + ANGLE_MARGIN),
        recoil_mass2=preselection.recoil_mass_squared[1] + MASS_MARGIN,
        muon_slope=_slopes(*detector.tracking.polar_range),
        muon_transverse=least_muon,
        transverse_mass=2 * hypot(BOOST_SHARE * least_muon, MUON_MASS),
        region=SEEN,
        veto=veto,
    )
    softest = transverse**2 / 4
    edges = (softest, *(edge for edge in VIRTUALITIES if edge > softest), inf)
    parts: list[TwoPhoton] = []
    for harder, beam in enumerate(("electron", "positron")):
        name = f"{beam}'s photon harder, electrons seen"
        parts.append(TwoPhoton(name, harder, (softest, inf), reach))
        parts.extend(
            TwoPhoton(
                f"{beam}'s photon of {low:.2f} < Q2 < {high:.2f} harder, electrons missed",
                harder,
                (low, high),
                reach._replace(region=MISSED),
            )
            for low, high in pairwise(edges)
        )
    return parts
