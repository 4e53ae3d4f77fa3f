"""Signal: e+ e- -> mu+ mu- Z', exact at tree level, the Z' radiated off either muon and unseen.

With the vector coupling g' of the Z' to the muon, L = g' mubar gamma^b mu Z'_b, the two diagrams
give the amplitude (e^2 g' / s) [vbar(e+) gamma_a u(e-)] eps*_b J^{ba} with the current

    J^{ba} = ubar(p-) [ gamma^b (p-slash + kslash + m) gamma^a / d_minus
                        - gamma^a (p+slash + kslash - m) gamma^b / d_plus ] v(p+),

where k is the momentum of the Z', d = (p + k)^2 - m^2 for either muon, m the muon mass and M the
Z' mass. Electrons are massless. Summed over the spins of the muons and of the Z', it leaves
the tensor H^{aa'} of the decay of the virtual photon. It obeys q_a H^{aa'} = 0, and averaged over
the beam spins the electrons give the photon the polarisation sum (s/2) (xx + yy) with z
along the beams, so that

    mean |M|^2 = (e^2 g' / s)^2 (s/2) (H^xx + H^yy),    H^xx + H^yy = trace - H^zz.

Phase space is a chain of two-body decays, sampled along the peaks of the matrix element: the
energy E of the Z' with density 1/E, and the cosine c of the mu- to the Z' in the rest frame of the
muon pair with density 1/((a - c)(a + c)), the product of the two muon propagators.

Beams do not radiate: the published sample was made with MadGraph at leading order
(arXiv:2110.00810, section 6). With radiation a quarter of the signal would leave its window.
"""

import logging
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Final

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import ALPHA, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.types import FloatArray

logger = logging.getLogger(__name__)

RATE: Final = FB_PER_GEV2 * ALPHA**2 / (32 * np.pi)
"""(e^2)^2 / (4 s^2) of the averaged matrix element and the flux, times s^2 and the powers of
2 pi in phase space, in fb."""
MARGIN: Final = 1.02
"""Allowance on the largest weight for what its scan can miss between two points."""

Pair = tuple[float, float]


@njit(cache=True)
def trace(s: float, d: Pair, masses2: Pair) -> float:
    """Trace -g_{aa'} H^{aa'}: the decay of an unpolarised virtual photon.

    It is H^xx + H^yy + H^zz in the rest frame of the photon, without dimension: three halves of the
    mean of H^xx + H^yy over the orientations of the event.

    Args:
        s: mass squared of the virtual photon, GeV^2.
        d: (p + k)^2 - m^2 of the mu- and of the mu+, GeV^2.
        masses2: m^2 and M^2, GeV^2.
    """
    muon, boson = masses2
    product = d[0] * d[1]
    total = d[0] + d[1]
    squares = d[0] * d[0] + d[1] * d[1]
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
) -> tuple[float, float, float, float]:
    """Map two random numbers in [0, 1] to the shape of the event: Z' energy, angle of the mu-.

    Returns:
        y = 2 sqrt(s) E, GeV^2; b = 1/a, with which d = y (1 -/+ b c)/2 are the denominators of the
        muon propagators; c; and the phase space per unit of the random numbers, GeV^2, without
        the powers of 2 pi in `RATE`.
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
        return y, inverse, 0.0, 0.0
    reach = np.arctanh(inverse)
    bent = np.tanh(reach * (2 * angle_random - 1))
    jacobian = y * span * reach * (1 - bent * bent) / inverse
    return y, inverse, bent / inverse, kallen * beta * jacobian


@njit(cache=True)
def _bound(random: FloatArray, sqrt_s: float, mass: float) -> FloatArray:
    """Weights of shapes (n, 2) in their best orientation, (n,) in fb at g' = 1.

    No event of such a shape weighs more, and two thirds of it is the mean over orientations.
    """
    s = sqrt_s * sqrt_s
    masses2 = (MUON_MASS * MUON_MASS, mass * mass)
    weights = np.empty(len(random))
    for i in range(len(random)):
        y, inverse, cosine, volume = _phase_space(random[i, 0], random[i, 1], s, masses2[1])
        d = (y * (1 - inverse * cosine) / 2, y * (1 + inverse * cosine) / 2)
        weights[i] = RATE * volume * trace(s, d, masses2) / (s * s * s)
    return weights


@njit(cache=True)
def _trials(random: FloatArray, sqrt_s: FloatArray, mass: float) -> tuple[FloatArray, FloatArray]:
    """Generate weighted trials where the beams collide.

    The five random numbers in [0, 1) are two for the shape, three for the orientation; the energies
    (n,) of the collisions are above threshold.

    Returns:
        (n, 3, 4) momenta of mu+, mu- and Z' in the rest frame of the collision, z along the
        electron, and (n,) weights in fb at g' = 1.
    """
    masses2 = (MUON_MASS * MUON_MASS, mass * mass)
    momenta = np.empty((len(random), 3, 4))
    weights = np.empty(len(random))
    for i in range(len(random)):
        s = sqrt_s[i] * sqrt_s[i]
        y, inverse, cosine, volume = _phase_space(random[i, 0], random[i, 1], s, masses2[1])
        pair2 = s + masses2[1] - y
        beta = np.sqrt(max(0.0, 1 - 4 * masses2[0] / pair2))
        energy = y / (2 * sqrt_s[i])
        recoil = np.sqrt(max(0.0, energy * energy - masses2[1]))
        # along and across the direction of the Z'
        along = (sqrt_s[i] - energy) * beta * cosine / 2
        across = np.sqrt(max(0.0, pair2 * (1 - cosine * cosine))) * beta / 2
        sharing = recoil * beta * cosine / 2
        # orientation: the direction of the Z', and the muons about it
        polar = 2 * random[i, 2] - 1
        sine = np.sqrt(1 - polar * polar)
        azimuth = 2 * np.pi * random[i, 3]
        roll = 2 * np.pi * random[i, 4]
        for particle, charge in ((0, -1.0), (1, 1.0)):
            radial = charge * across * np.cos(roll)
            normal = charge * across * np.sin(roll)
            axial = charge * along - recoil / 2
            in_plane = polar * radial + sine * axial
            momenta[i, particle, 0] = (sqrt_s[i] - energy) / 2 - charge * sharing
            momenta[i, particle, 1] = np.cos(azimuth) * in_plane - np.sin(azimuth) * normal
            momenta[i, particle, 2] = np.sin(azimuth) * in_plane + np.cos(azimuth) * normal
            momenta[i, particle, 3] = polar * axial - sine * radial
        momenta[i, 2, 0] = energy
        momenta[i, 2, 1] = recoil * sine * np.cos(azimuth)
        momenta[i, 2, 2] = recoil * sine * np.sin(azimuth)
        momenta[i, 2, 3] = recoil * polar
        d = (y * (1 - inverse * cosine) / 2, y * (1 + inverse * cosine) / 2)
        z = (momenta[i, 1, 3], momenta[i, 0, 3])
        rate = trace(s, d, masses2) - longitudinal(s, d, z, masses2)
        weights[i] = RATE * volume * rate / (s * s * s)
    return momenta, weights


@dataclass(frozen=True)
class SignalGenerator:
    """Generator of the signal at one mass of the Z' (GeV), with the coupling g' = 1."""

    name: ClassVar[str] = "signal"

    mass: float

    @property
    def threshold(self) -> float:
        """Least energy of a collision that makes a Z' and two muons, GeV."""
        return self.mass + 2 * MUON_MASS

    def generate(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One weighted trial for each energy of the beams (n,), GeV.

        The mean of the weights is the cross-section over g'^2, in fb.

        Raises:
            ValueError: If a beam energy is not above threshold.
        """
        if np.any(sqrt_s <= self.threshold):
            raise ValueError(f"A Z' of {self.mass} GeV needs beams above {self.threshold:.3f} GeV.")
        momenta, weight = _trials(rng.random((len(sqrt_s), 5)), sqrt_s, self.mass)
        mu_plus, mu_minus, invisible = np.moveaxis(momenta, 1, 0)
        return replace(
            GeneratedEvents.zeros(sqrt_s, mass=self.mass),
            mu_plus=mu_plus,
            mu_minus=mu_minus,
            invisible=invisible,
            weight=weight,
        )

    def maximum(self, sqrt_s: FloatArray) -> float:
        """Largest weight that a trial can have, from a scan over shapes and energies.

        Every shape counts in its best orientation, so the scan has two dimensions, in which the
        weight is smooth; `MARGIN` covers the distance between its points.
        """
        axis = np.linspace(0, 1, 129)
        shapes = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        energies = (sqrt_s.min(), sqrt_s.max())
        return MARGIN * max(float(_bound(shapes, energy, self.mass).max()) for energy in energies)

    def unweighted(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One event for each beam energy, by acceptance and rejection.

        Trials of an event are repeated, with its beam energy, until one is accepted with the
        probability weight / maximum. An accepted trial above the maximum keeps its excess as
        weight, so that no distribution is distorted, and the log says so. All others weigh one
        (without unit: they stand for the cross-section together).
        """
        maximum = self.maximum(sqrt_s)
        rounds, places = [], []
        pending = np.arange(len(sqrt_s))
        while len(pending):
            trial = self.generate(rng, sqrt_s[pending])
            ratio = trial.weight / maximum
            accepted = rng.random(len(pending)) < ratio
            trial = replace(trial, weight=np.maximum(ratio, 1.0))
            rounds.append(trial[accepted])
            places.append(pending[accepted])
            pending = pending[~accepted]
        columns = ([getattr(r, field.name) for r in rounds] for field in fields(GeneratedEvents))
        events = GeneratedEvents(*(np.concatenate(column) for column in columns))
        events = events[np.argsort(np.concatenate(places))]
        heavy = int((events.weight > 1).sum())
        if heavy:
            logger.warning(
                "%d of %d signal events at %s GeV weigh more than one, at most %.3g.",
                heavy,
                len(sqrt_s),
                self.mass,
                events.weight.max(),
            )
        return events


def cross_section(
    mass: float, sqrt_s: float, rng: np.random.Generator, precision: float = 0.002
) -> tuple[float, float]:
    """Cross-section of the signal over g'^2, without radiation.

    Returns:
        Value and statistical error, fb; the relative error is below `precision`.
    """
    generator = SignalGenerator(mass)
    energies = np.full(50_000, sqrt_s)
    weights = np.empty(0)
    error = np.inf
    while len(weights) == 0 or error > precision * weights.mean():
        weights = np.concatenate([weights, generator.generate(rng, energies).weight])
        error = float(weights.std(ddof=1) / np.sqrt(len(weights)))
    return float(weights.mean()), error
