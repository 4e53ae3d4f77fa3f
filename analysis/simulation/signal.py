"""Signal: e+ e- -> mu+ mu- Z', exact at tree level, the Z' unseen.

Phase space is a chain of two-body decays, sampled along the peaks of the matrix element: the
energy E of the Z' with density 1/E, and the cosine c of the mu- to the Z' in the rest frame of the
muon pair with density 1/((a - c)(a + c)), the product of the two muon propagators.
"""

import logging
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Final

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import ALPHA, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.simulation import lorentz
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.radiation import radiate_from_beams
from punzinet.analysis.simulation.signal_matrix_element import longitudinal, trace
from punzinet.analysis.types import FloatArray

logger = logging.getLogger(__name__)

RATE: Final = FB_PER_GEV2 * ALPHA**2 / (32 * np.pi)
"""(e^2)^2 / (4 s^2) of the averaged matrix element and the flux, times s^2 and the powers of
2 pi in phase space, in fb."""
MARGIN: Final = 1.02
"""Allowance on the largest weight for what its scan can miss between two points."""


@njit(cache=True)
def _phase_space(
    energy_random: float, angle_random: float, s: float, boson2: float
) -> tuple[float, float, float, float]:
    """Map two random numbers to the shape of the event.

    Args:
        energy_random: in [0, 1], gives the energy of the Z'.
        angle_random: in [0, 1], gives the angle of the mu- to the Z'.
        s: energy of the collision squared, GeV^2.
        boson2: Z' mass squared, GeV^2.

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
    """Weight of a shape in its best orientation: no event of this shape weighs more.

    Args:
        random: (n, 2), in [0, 1], for `_phase_space`.
        sqrt_s: energy of the collision, GeV.
        mass: Z' mass, GeV.

    Returns:
        (n,) upper bounds, fb at g' = 1; two thirds of them are the mean over orientations.
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

    Args:
        random: (n, 5), in [0, 1): two for the shape, three for the orientation.
        sqrt_s: (n,) energies of the collisions above threshold, GeV.
        mass: Z' mass, GeV.

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
    """Generator of the signal at one mass of the Z', with the coupling g' = 1.

    Attributes:
        mass: Z' mass, GeV.
        isr: whether the beams radiate. By default they do not: the published sample was made
            with MadGraph at leading order (arXiv:2110.00810, section 6), where beams have a fixed
            energy. With radiation a quarter of the signal leaves its window in recoil mass.
    """

    name: ClassVar[str] = "signal"

    mass: float
    isr: bool = False

    @property
    def threshold(self) -> float:
        """Least energy of a collision that makes a Z' and two muons, GeV."""
        return self.mass + 2 * MUON_MASS

    def generate(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One weighted trial for each beam energy.

        Args:
            rng: source of the random numbers.
            sqrt_s: (n,) energies of the beams in their CMS, GeV.

        Returns:
            The trials; the mean of their weights is the cross-section over g'^2, in fb.

        Raises:
            ValueError: If a beam energy is not above threshold.
        """
        n = len(sqrt_s)
        if np.any(sqrt_s <= self.threshold):
            raise ValueError(f"A Z' of {self.mass} GeV needs beams above {self.threshold:.3f} GeV.")
        photons: FloatArray = np.zeros((n, 2, 4))
        if not self.isr:
            momenta, weight = _trials(rng.random((n, 5)), sqrt_s, self.mass)
        else:
            beams = radiate_from_beams(rng, sqrt_s, self.threshold)
            photons = beams.photons
            energy = np.sqrt(lorentz.mass2(beams.reduced))
            momenta, weight = _trials(rng.random((n, 5)), energy, self.mass)
            weight = weight * beams.weight
            momenta = lorentz.rotate_to(beams.axis[:, np.newaxis], momenta)
            momenta = lorentz.from_rest_frame(momenta, beams.reduced[:, np.newaxis])
        return GeneratedEvents(
            mu_plus=momenta[:, 0],
            mu_minus=momenta[:, 1],
            photons=photons,
            electrons=np.zeros((n, 2, 4)),
            invisible=momenta[:, 2],
            sqrt_s=sqrt_s,
            weight=weight,
            mass=np.full(n, self.mass),
        )

    def maximum(self, sqrt_s: FloatArray) -> float:
        """Largest weight that a trial can have, from a scan over shapes and energies.

        Every shape counts in its best orientation, so the scan has two dimensions, in which the
        weight is smooth; `MARGIN` covers the distance between its points.

        Args:
            sqrt_s: (n,) energies of the beams in their CMS, GeV.

        Returns:
            Upper bound of the weights, fb at g' = 1. With radiation it is the bound at full
            energy: rare events after hard radiation can lie above it.
        """
        axis = np.linspace(0, 1, 129)
        shapes = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        energies = (sqrt_s.min(), sqrt_s.max())
        return MARGIN * max(float(_bound(shapes, energy, self.mass).max()) for energy in energies)

    def unweighted(self, rng: np.random.Generator, sqrt_s: FloatArray) -> GeneratedEvents:
        """One event for each beam energy, by acceptance and rejection.

        Trials of an event are repeated, with its beam energy, until one is accepted with the
        probability weight / maximum. An accepted trial above the maximum keeps its excess as
        weight, so that no distribution is distorted, and the log says so.

        Args:
            rng: source of the random numbers.
            sqrt_s: (n,) energies of the beams in their CMS, GeV.

        Returns:
            n events with `weight` one (without unit: they stand for the cross-section together),
            or above one where the maximum was exceeded.
        """
        maximum = self.maximum(sqrt_s)
        rounds = []
        places = []
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

    Args:
        mass: Z' mass, GeV.
        sqrt_s: energy of the collision, GeV.
        rng: source of the random numbers.
        precision: relative statistical error at which to stop.

    Returns:
        Value and statistical error, fb.

    Raises:
        ValueError: If sqrt_s is not above threshold.
    """
    generator = SignalGenerator(mass)
    energies = np.full(50_000, sqrt_s)
    weights = np.empty(0)
    error = np.inf
    while len(weights) == 0 or error > precision * weights.mean():
        weights = np.concatenate([weights, generator.generate(rng, energies).weight])
        error = float(weights.std(ddof=1) / np.sqrt(len(weights)))
    return float(weights.mean()), error
