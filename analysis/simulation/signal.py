"""Signal: e+ e- -> mu+ mu- Z', exact at tree level, the Z' radiated off either muon and unseen.

With the vector coupling g' of the Z' to the muon, L = g' mubar gamma^b mu Z'_b, the two diagrams
give the amplitude (e^2 g' / s) [vbar(e+) gamma_a u(e-)] eps*_b J^{ba} with the current

    J^{ba} = ubar(p-) [ gamma^b (p-slash + kslash + m) gamma^a / d_minus
                        - gamma^a (p+slash + kslash - m) gamma^b / d_plus ] v(p+),

where k is the momentum of the Z', d = (p + k)^2 - m^2 for either muon, m the muon mass and M the
Z' mass. Summed over the spins of the muons and of the Z', it leaves the tensor H^{aa'} of the decay
of the virtual photon, with q_a H^{aa'} = 0. Averaged over the beam spins, massless electrons along
z give the photon the polarisation sum (s/2) (xx + yy), so that

    mean |M|^2 = (e^2 g' / s)^2 (s/2) (H^xx + H^yy),    H^xx + H^yy = trace - H^zz.

Phase space is a chain of two-body decays, sampled along the peaks of the matrix element: the
energy E of the Z' as 1/E, and the cosine c of the mu- to the Z' in the rest frame of the muon pair
as the product of the two muon propagators, 1/((a - c)(a + c)).

Beams radiate only if asked to: the published sample was made with MadGraph at leading order
(arXiv:2110.00810, section 6). Radiation raises the recoil mass in a long tail.
"""

from typing import Final, NamedTuple

import numpy as np

import punzinet.analysis.simulation.events as p4
from punzinet.analysis.constants import ALPHA, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.io.files import InputError
from punzinet.analysis.simulation import radiation
from punzinet.analysis.simulation.events import GeneratedEvents, Pair
from punzinet.analysis.types import FloatArray, Random

RATE: Final = FB_PER_GEV2 * ALPHA**2 / (32 * np.pi)
"""Averaged matrix element and flux, (e^2)^2 / 4, and the powers of 2 pi in phase space, in fb."""
RADIATED: Final = 1.5  # radiating beams: weight of no photon, or of one and the rate it leaves
MARGIN: Final = 1.02  # on the largest weight, for what its scan can miss between two points


class SignalGenerator(NamedTuple):
    """Generator of the signal at one mass of the Z' (GeV), with the coupling g' = 1."""

    mass: float
    radiates: bool = False  # whether the beams do
    name: str = "signal"

    def generate(self, rng: Random, sqrt_s: FloatArray) -> GeneratedEvents:
        """A trial for each beam energy (n,), GeV, in fb at g' = 1; InputError below threshold."""
        if np.any(sqrt_s <= self.mass + 2 * MUON_MASS):
            energy = f"{sqrt_s.min():.2f} GeV, too little for a Z' of {self.mass:g} GeV"
            raise InputError(f"The beams have {energy}: leave it out of `hypotheses`.")
        events = GeneratedEvents.zeros(sqrt_s, mass=self.mass)
        _generate(rng, self.mass, self.radiates, events)
        return events

    def maximum(self, sqrt_s: FloatArray) -> float:
        """Largest weight that a trial can have at energies of the beams (n,), from a scan.

        After radiation a few in a million exceed it at 0.1 GeV: two hard photons to one side.
        """
        margin = MARGIN * RADIATED if self.radiates else MARGIN
        return margin * max(_largest(energy, self.mass) for energy in (sqrt_s.min(), sqrt_s.max()))


@njit(cache=True)
def trace(s: float, d: Pair, masses2: Pair) -> float:
    """Trace -g_{aa'} H^{aa'}: the decay of an unpolarised virtual photon, without dimension.

    It is three halves of the mean of H^xx + H^yy over the orientations of the event. s is the
    photon's mass squared; d are those of the mu- and of the mu+; masses are m^2, M^2; all in GeV^2.
    """
    muon, boson = masses2
    product, total, squares = d[0] * d[1], d[0] + d[1], d[0] * d[0] + d[1] * d[1]
    numerator = product * ((s - d[0]) ** 2 + (s - d[1]) ** 2)
    numerator += 2 * boson * product * (boson - total)
    numerator += boson * s * (4 * product - squares)
    numerator -= 2 * muon * (boson + s) * squares
    numerator -= 4 * muon * total * (product + muon * total)
    return 8 * numerator / (product * product)


@njit(cache=True)
def longitudinal(s: float, d: Pair, z: Pair, masses2: Pair) -> float:
    """The component H^zz along the beams, which massless electrons do not feed.

    H is a sum of squares, so that 0 <= H^zz <= trace, whose arguments it shares; `z` are the
    momenta of the mu- and of the mu+ along the beams, GeV.
    """
    muon, boson = masses2
    product = d[0] * d[1]
    numerator = product * ((s - d[0]) ** 2 + (s - d[1]) ** 2)
    numerator -= s * boson * (d[0] - d[1]) ** 2
    numerator -= 2 * s * muon * (d[0] + d[1]) ** 2
    numerator -= 4 * s * product * (z[0] ** 2 + z[1] ** 2)
    numerator += 4 * (boson + 2 * muon) * (d[0] * z[0] - d[1] * z[1]) ** 2
    return 4 * numerator / (product * product)


@njit(cache=True)
def _phase_space(
    energy_random: float, angle_random: float, s: float, boson2: float
) -> tuple[float, float, Pair, float]:
    """Map two random numbers in [0, 1] to the shape of the event.

    It is y = 2 sqrt(s) E, GeV^2; c; with b = 1/a the denominators d = y (1 -/+ b c)/2 of mu- and
    mu+, GeV^2; the phase space per unit of the random numbers, GeV^2, without the 2 pi in `RATE`.
    """
    muon2 = MUON_MASS * MUON_MASS
    y_min = 2 * np.sqrt(s * boson2)
    y_max = s + boson2 - 4 * muon2
    span = np.log(y_max / y_min)
    y = y_min * np.exp(span * energy_random)
    beta = np.sqrt(max(0.0, 1 - 4 * muon2 / (s + boson2 - y)))
    kallen = np.sqrt(max(0.0, (y - y_min) * (y + y_min)))
    inverse = beta * kallen / y
    if inverse == 0:  # a particle at rest: no direction, and no phase space
        return y, 0.0, (y / 2, y / 2), 0.0
    reach = np.arctanh(inverse)
    bent = np.tanh(reach * (2 * angle_random - 1))
    jacobian = y * span * reach * (1 - bent * bent) / inverse
    cosine = bent / inverse
    d = (y * (1 - inverse * cosine) / 2, y * (1 + inverse * cosine) / 2)
    return y, cosine, d, kallen * beta * jacobian


@njit(cache=True)
def _largest(sqrt_s: float, mass: float) -> float:
    """Largest weight in fb at g' = 1 of a grid of shapes, each in its best orientation."""
    s = sqrt_s * sqrt_s
    masses2 = (MUON_MASS * MUON_MASS, mass * mass)
    largest = 0.0
    for i in range(129):
        for j in range(129):
            _, _, d, volume = _phase_space(i / 128, j / 128, s, masses2[1])
            largest = max(largest, RATE * volume * trace(s, d, masses2) / (s * s * s))
    return largest


@njit(cache=True)
def _generate(rng: Random, mass: float, radiates: bool, events: GeneratedEvents) -> None:
    """Fill weighted trials in fb at g' = 1; zeros where radiation leaves too little energy."""
    masses2 = (MUON_MASS * MUON_MASS, mass * mass)
    threshold = mass + 2 * MUON_MASS
    for i, nominal in enumerate(events.sqrt_s):
        frame, s, of_beams = ((nominal, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0)), nominal * nominal, 1.0
        if radiates:
            z1, weight1 = radiation.fraction_off_beam(rng, nominal, threshold)
            z2, weight2 = radiation.fraction_off_beam(rng, nominal, threshold)
            first, second, frame = radiation.radiate_off_beams(rng, nominal, (z1, z2, 0.0, 0.0))
            s = p4.dot(frame[0], frame[0])
            if s <= threshold * threshold:
                continue
            of_beams = radiation.SOFT_AND_VIRTUAL * weight1 * weight2
            events.photons[i, 0], events.photons[i, 1] = first, second
        sqrt_s = np.sqrt(s)
        y, cosine, d, volume = _phase_space(rng.random(), rng.random(), s, masses2[1])
        pair2 = s + masses2[1] - y
        beta = np.sqrt(max(0.0, 1 - 4 * masses2[0] / pair2))
        energy = y / (2 * sqrt_s)
        recoil = np.sqrt(max(0.0, energy * energy - masses2[1]))
        # along and across the direction of the Z'
        along = (sqrt_s - energy) * beta * cosine / 2
        across = np.sqrt(max(0.0, pair2 * (1 - cosine * cosine))) * beta / 2
        sharing = recoil * beta * cosine / 2
        # orientation: the direction of the Z', and the muons about it
        polar = 2 * rng.random() - 1
        sine = np.sqrt(1 - polar * polar)
        azimuth, roll = 2 * np.pi * rng.random(), 2 * np.pi * rng.random()
        for muon, sign in ((events.mu_plus[i], -1.0), (events.mu_minus[i], 1.0)):
            radial = sign * across * np.cos(roll)
            normal = sign * across * np.sin(roll)
            axial = sign * along - recoil / 2
            in_plane = polar * radial + sine * axial
            muon[0] = (sqrt_s - energy) / 2 - sign * sharing
            muon[1] = np.cos(azimuth) * in_plane - np.sin(azimuth) * normal
            muon[2] = np.sin(azimuth) * in_plane + np.cos(azimuth) * normal
            muon[3] = polar * axial - sine * radial
        x, y = recoil * sine * np.cos(azimuth), recoil * sine * np.sin(azimuth)
        events.invisible[i] = (energy, x, y, recoil * polar)
        z = (events.mu_minus[i, 3], events.mu_plus[i, 3])
        rate = trace(s, d, masses2) - longitudinal(s, d, z, masses2)
        events.weight[i] = of_beams * RATE * volume * rate / (s * s * s)
        for p in (events.mu_plus[i], events.mu_minus[i], events.invisible[i]):
            p[:] = radiation.into_cms((p[0], p[1], p[2], p[3]), frame)
