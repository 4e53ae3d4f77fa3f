"""Tau pairs: e+ e- -> tau+ tau- (gamma), both taus decaying to a muon and two neutrinos.

The Born process has the tau mass and the full spin correlation of the pair. The first tau decays
without polarisation; its polarimeter fixes the polarisation of the second: the joint distribution
1 + sum C_ij h_i h_j is exact, without weights.

Decays are tau -> mu nu nu with the muon mass, and tau -> pi nu. In its rest frame a tau- with the
polarisation P decays with the probability dGamma (1 + P.h). The polarimeter h is a vector along
the charged particle, its length the analysing power of the V-A coupling; that of the tau+ has the
opposite sign.
"""

from math import cos, pi, sin, sqrt
from typing import Final, NamedTuple

import numpy as np

import punzinet.analysis.constants as const
import punzinet.analysis.simulation.events as p4
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.simulation import radiation
from punzinet.analysis.simulation.events import GeneratedEvents, Momentum, Vector
from punzinet.analysis.types import FloatArray, Random

THRESHOLD: Final = 2 * const.TAU_MASS  # least energy of a collision, GeV
LARGEST_ENERGY: Final = (const.TAU_MASS**2 + const.MUON_MASS**2) / (2 * const.TAU_MASS)
"""Energy of the muon, GeV, when both neutrinos run against it: W = (M^2 + m^2) / 2M."""
LEAST_FRACTION: Final = const.MUON_MASS / LARGEST_ENERGY  # x0 = m/W, energy fraction at rest
PION_MOMENTUM: Final = (const.TAU_MASS**2 - const.PION_MASS**2) / (2 * const.TAU_MASS)


class TauPairGenerator(NamedTuple):
    """Generator of tau pairs that leave two muons, or pions taken for muons."""

    pion_misidentification: float = 0.0  # of tau -> pi nu, relative to a muon that is identified
    name: str = "tautau"

    def generate(self, rng: Random, sqrt_s: FloatArray) -> GeneratedEvents:
        """One weighted trial for each energy of the beams (n,), GeV.

        Weights, in fb with the branching ratios and misidentification rates, vary by radiation
        alone, and none is more than a fifth above the mean.
        """
        pions = self.pion_misidentification * const.BR_TAU_TO_PI
        share = const.BR_TAU_TO_MU + pions
        events = GeneratedEvents.zeros(sqrt_s)
        _generate(rng, pions / share, events)
        return events._replace(weight=events.weight * share**2)


@njit(cache=True)
def born_cross_section(s: float) -> float:
    """Cross-section of e+ e- -> tau+ tau- at lowest order, with the tau mass, fb.

    (4 pi alpha^2 / 3s) beta (3 - beta^2) / 2, with the running alpha; zero below threshold.
    """
    beta = sqrt(max(0.0, 1 - THRESHOLD * THRESHOLD / s))
    coupling = const.ALPHA / (1 - radiation.vacuum_polarisation(s))
    return const.FB_PER_GEV2 * 2 * pi * coupling * coupling / (3 * s) * beta * (3 - beta * beta)


@njit(cache=True)
def michel_spectrum(x: float) -> float:
    """Spectrum of the muon from unpolarised taus, Michel's rho = 3/4, not normalised.

    Exact at tree level for massless neutrinos (PDG review "Muon decay parameters", eq. 58.1, six
    times over); x is the energy over its largest value, from x0 to 1.
    """
    least2 = LEAST_FRACTION * LEAST_FRACTION
    return sqrt(max(0.0, x * x - least2)) * (3 * x - 2 * x * x - least2)


@njit(cache=True)
def muon_analysing_power(x: float) -> float:
    """Length of the polarimeter of tau- -> mu- nu nu, Michel's xi = 1, delta = 3/4.

    The ratio of the anisotropic to the isotropic part (PDG review "Muon decay parameters",
    eq. 58.1): between -1 (hard muons leave against the spin) and about 1/3 (soft ones along it).
    """
    least2 = LEAST_FRACTION * LEAST_FRACTION
    momentum = sqrt(max(0.0, x * x - least2))
    return momentum * (2 - sqrt(1 - least2) - 2 * x) / (3 * x - 2 * x * x - least2)


@njit(cache=True)
def _muon_fraction(rng: Random) -> float:
    """Draw x of `michel_spectrum`: x^2 uniform, then rejection against 9/8 of x (9 of 10 pass)."""
    least2 = LEAST_FRACTION * LEAST_FRACTION
    while True:
        x = sqrt(least2 + (1 - least2) * rng.random())
        if 1.125 * x * rng.random() < michel_spectrum(x):
            return x


@njit(cache=True)
def _cosine(rng: Random, slope: float) -> float:
    """Draw a cosine c of density (1 + slope c) / 2, for a slope between -1 and 1."""
    centred = slope + 2 * (2 * rng.random() - 1)
    # root of slope c^2 + 2c = centred that has no pole at slope zero
    return centred / (1 + sqrt(max(0.0, 1 + slope * centred)))


@njit(cache=True)
def decay(
    rng: Random, charge: float, polarisation: Vector, pion_share: float
) -> tuple[Momentum, Vector]:
    """Muon or pion, GeV, and polarimeter of a tau of some charge and polarisation, at rest."""
    if pion_share > 0 and rng.random() < pion_share:
        momentum, mass, power = PION_MOMENTUM, const.PION_MASS, -charge
    else:
        x = _muon_fraction(rng)
        momentum = LARGEST_ENERGY * sqrt(x * x - LEAST_FRACTION * LEAST_FRACTION)
        mass, power = const.MUON_MASS, -charge * muon_analysing_power(x)
    length = sqrt(polarisation[0] ** 2 + polarisation[1] ** 2 + polarisation[2] ** 2)
    energy, opening = sqrt(momentum * momentum + mass * mass), 1 - _cosine(rng, power * length)
    p = p4.about_z(energy, momentum, opening, 2 * pi * rng.random())
    if length > 0:
        axis = (polarisation[0] / length, polarisation[1] / length, polarisation[2] / length)
        p = p4.rotate_to(axis, p)
    scale = power / momentum if momentum > 0 else 0.0
    return p, (scale * p[1], scale * p[2], scale * p[3])


@njit(cache=True)
def spin_correlation(cosine: float, gamma: float) -> tuple[Vector, Vector, Vector]:
    """Spin correlation C_ij of tau- (rows) and tau+, Tsai, Phys. Rev. D 4 (1971) 2821.

    The axes are those of both rest frames: z along the tau-, x in the plane of the reaction on
    the side of the electron (electron.x > 0), y normal to it. The cosine: tau- to electron.
    """
    sine2 = 1 - cosine * cosine
    lightness = 1 / (gamma * gamma)
    norm = 1 + cosine * cosine + sine2 * lightness
    mixed = 2 * sqrt(sine2) * cosine / (gamma * norm)
    return (
        ((1 + lightness) * sine2 / norm, 0.0, mixed),
        (0.0, -(1 - lightness) * sine2 / norm, 0.0),
        (mixed, 0.0, (1 + cosine * cosine - sine2 * lightness) / norm),
    )


@njit(cache=True)
def _pair_cosine(rng: Random, gamma: float) -> float:
    """Draw the cosine of the tau- to the electron, density 1 + c^2 + (1 - c^2) / gamma^2."""
    lightness = 1 / (gamma * gamma)
    while True:
        cosine = 2 * rng.random() - 1
        square = cosine * cosine
        if 2 * rng.random() < 1 + square + (1 - square) * lightness:
            return cosine


@njit(cache=True)
def make_pair(rng: Random, sqrt_s: float, pion_share: float) -> tuple[Momentum, Momentum]:
    """mu+ and mu- (or pions) of a tau pair in its rest frame, with the electron along z."""
    gamma = sqrt_s / THRESHOLD
    boost = sqrt(gamma * gamma - 1)
    cosine = _pair_cosine(rng, gamma)
    minus, h = decay(rng, -1.0, (0.0, 0.0, 0.0), pion_share)
    x, y, z = spin_correlation(cosine, gamma)
    polarisation = (
        h[0] * x[0] + h[1] * y[0] + h[2] * z[0],
        h[0] * x[1] + h[1] * y[1] + h[2] * z[1],
        h[0] * x[2] + h[1] * y[2] + h[2] * z[2],
    )
    plus, _ = decay(rng, 1.0, polarisation, pion_share)
    azimuth = 2 * pi * rng.random()
    return _from_tau(plus, -boost, cosine, azimuth), _from_tau(minus, boost, cosine, azimuth)


@njit(cache=True)
def _from_tau(p: Momentum, boost: float, cosine: float, azimuth: float) -> Momentum:
    """Momentum in the rest frame of the collision of what a tau decays to.

    Cosine and azimuth are those of the tau- to the electron (z); the boost is beta gamma, negative
    for the tau+. The axes of `p` are those of `spin_correlation`.
    """
    gamma = sqrt(1 + boost * boost)
    sine = sqrt(1 - cosine * cosine)
    along = gamma * p[3] + boost * p[0]
    # the axes: z = (sine, 0, cosine), x = (-cosine, 0, sine) and y = (0, -1, 0) at azimuth zero
    in_plane = sine * along - cosine * p[1]
    x = cos(azimuth) * in_plane + sin(azimuth) * p[2]
    y = sin(azimuth) * in_plane - cos(azimuth) * p[2]
    return gamma * p[0] + boost * p[3], x, y, cosine * along + sine * p[1]


@njit(cache=True)
def _generate(rng: Random, pion_share: float, events: GeneratedEvents) -> None:
    """Fill events (no branching ratios); of weight zero and all invisible if energy is lacking."""
    for i, sqrt_s in enumerate(events.sqrt_s):
        z1, weight1 = radiation.fraction_off_beam(rng, sqrt_s, THRESHOLD)
        z2, weight2 = radiation.fraction_off_beam(rng, sqrt_s, THRESHOLD)
        first, second, frame = radiation.radiate_off_beams(rng, sqrt_s, (z1, z2, 0.0, 0.0))
        s = p4.dot(frame[0], frame[0])
        if s <= THRESHOLD * THRESHOLD:
            events.invisible[i, 0] = sqrt_s
            continue
        events.weight[i] = radiation.SOFT_AND_VIRTUAL * weight1 * weight2 * born_cross_section(s)
        plus, minus = make_pair(rng, sqrt(s), pion_share)
        events.mu_plus[i] = radiation.into_cms(plus, frame)
        events.mu_minus[i] = radiation.into_cms(minus, frame)
        events.photons[i, 0], events.photons[i, 1] = first, second
        events.invisible[i] = np.array(frame[0]) - events.mu_plus[i] - events.mu_minus[i]
