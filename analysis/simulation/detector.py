"""The parametrised detector: what a Belle II-like experiment sees of a generated event.

It has two parts. `Detector.visibility` gives the probability that the event looks like two
muons and nothing else: both muons inside the drift chamber and identified, every electron and
photon unseen. As a probability it multiplies into the weight of an event, so that rare
failures of a veto need not be waited for. `Detector.measure` then draws the measured momenta.

Parameters without a published number are set by published results:

 - Tails of the curvature measurement widen the recoil-mass peaks, most at low Z' masses, where
   the muons are hardest: set by the published peak widths.
 - `photon_inefficiency` is nearly proportional to the radiative dimuon background: set by its
   published yield.
 - `recoil_transverse_momentum` keeps out what is lost along both beams, and events that miss no
   particle, which the resolution would carry into the lowest mass windows: set by the yields of
   two-photon events and radiative dimuons.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.manifest.beams import Beams
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.lorentz import from_rest_frame, rotate_to, to_rest_frame
from punzinet.analysis.simulation.settings import (
    CalorimeterSettings,
    DetectorSettings,
    MuonSettings,
    TrackingSettings,
)
from punzinet.analysis.types import BoolArray, FloatArray

VISIBILITY: Final = (
    "both muons in the drift chamber",
    "both muons identified",
    "no electron seen",
    "no photon seen",
)
"""Steps between a generated event and one that looks like two muons."""


@dataclass(frozen=True)
class Detector:
    """A detector around colliding beams.

    Attributes:
        settings: All its parameters.
        beams: The beams, which give the boost from the CMS to the laboratory.
    """

    settings: DetectorSettings
    beams: Beams

    @cached_property
    def to_laboratory(self) -> FloatArray:
        """(4, 4) matrix that takes CMS momenta (rows, from the left) to the laboratory.

        It turns the CMS z axis to where the electron flies in the CMS and boosts by the
        velocity of the colliding system. The axes are such that y stays y.
        """
        total = self.beams.total
        electron = to_rest_frame(self.beams.electron, total)
        turned = rotate_to(electron[1:], np.eye(4))
        return from_rest_frame(turned, np.broadcast_to(total, (4, 4)))

    def colliding_energy(
        self, rng: np.random.Generator, n: int, *, signal: bool = False
    ) -> FloatArray:
        """Energy of the colliding beams of n events, (n,), GeV.

        Both beams are taken to deviate by the same factor, so that the boost stays nominal.

        Args:
            rng: source of randomness, one number an event.
            n: number of events.
            signal: whether the spread is that of signal.
        """
        settings = self.settings
        spread = settings.signal_energy_spread if signal else settings.energy_spread
        return rng.normal(self.beams.sqrt_s, spread, n)

    @cached_property
    def from_laboratory(self) -> FloatArray:
        """(4, 4) matrix that takes laboratory momenta (rows, from the left) to the CMS."""
        return np.linalg.inv(self.to_laboratory)

    def visibility(self, events: GeneratedEvents) -> FloatArray:
        """Probabilities to look like two muons and nothing else, one step after the other.

        Args:
            events: n generated events.

        Returns:
            (n, 4) probabilities to pass the steps `VISIBILITY` up to and including this one.
        """
        settings = self.settings
        return _visibility(
            (events.mu_plus, events.mu_minus),
            events.electrons,
            events.photons,
            self.to_laboratory,
            (
                np.radians(settings.tracking.polar_range),
                _muon_parameters(settings.muons),
                _calorimeter_parameters(settings.calorimeter),
                np.radians(settings.calorimeter.gaps).reshape(-1, 2),
            ),
        )

    def measure(self, rng: np.random.Generator, events: GeneratedEvents) -> FloatArray:
        """Measured momenta of the two muons in the laboratory.

        Args:
            rng: source of randomness, six numbers a muon.
            events: n generated events with both muons in the drift chamber.

        Returns:
            (n, 2, 4), first the positive muon, GeV; energies with the muon mass.
        """
        muons = transform(np.stack([events.mu_plus, events.mu_minus], axis=1), self.to_laboratory)
        return smear(rng, muons, self.settings.tracking)


def transform(p: FloatArray, matrix: FloatArray) -> FloatArray:
    """Apply a (4, 4) matrix to (..., 4) momenta, from the right.

    Not by BLAS, whose last digit can depend on its number of threads.
    """
    return np.asarray(np.einsum("...i,ij->...j", p, matrix))


def polar_angle(p: FloatArray) -> FloatArray:
    """Polar angle of (..., 4) momenta to the z axis, (...,), radian; 0 for zero momentum."""
    return np.arctan2(np.hypot(p[..., 1], p[..., 2]), p[..., 3])


@njit(cache=True)
def _to_laboratory(p: FloatArray, matrix: FloatArray) -> tuple[float, float, float]:
    """Energy, momentum and polar angle in the laboratory of one CMS momentum (4,)."""
    energy = 0.0
    x = 0.0
    y = 0.0
    z = 0.0
    for i in range(4):
        energy += p[i] * matrix[i, 0]
        x += p[i] * matrix[i, 1]
        y += p[i] * matrix[i, 2]
        z += p[i] * matrix[i, 3]
    across = math.hypot(x, y)
    return energy, math.hypot(across, z), math.atan2(across, z)


@njit(cache=True)
def _muon_efficiency(p: float, angle: float, muons: FloatArray) -> float:
    """Probability that a muon is found and identified.

    A plateau, lower outside the barrel and zero where there is no yoke, times a Gaussian turn-on
    in momentum: a muon has to reach the yoke and to cross some of its layers.

    Args:
        p: momentum in the laboratory, GeV.
        angle: polar angle in the laboratory, radian.
        muons: see `_muon_parameters`.
    """
    if not muons[6] < angle < muons[7]:
        return 0.0
    plateau = muons[2] if muons[0] < angle < muons[1] else muons[3]
    return float(plateau * math.erfc((muons[4] - p) / (math.sqrt(2.0) * muons[5])) / 2)


@njit(cache=True)
def _photon_miss(energy: float, angle: float, calorimeter: FloatArray, gaps: FloatArray) -> float:
    """Probability that a photon does not veto: 1 below threshold and outside the calorimeter.

    Args:
        energy: in the laboratory, GeV; 0 where there is no photon.
        angle: polar angle in the laboratory, radian.
        calorimeter: see `_calorimeter_parameters`.
        gaps: (g, 2) polar angles where a gap begins and ends, radian.
    """
    if energy < calorimeter[2] or not calorimeter[0] < angle < calorimeter[1]:
        return 1.0
    for gap in gaps:
        if gap[0] < angle < gap[1]:
            return float(calorimeter[4])
    return float(calorimeter[3])


@njit(cache=True)
def _electron_miss(energy: float, angle: float, calorimeter: FloatArray) -> float:
    """Probability that a scattered electron does not veto, likewise.

    There are no gaps: an electron that enters one still leaves a track.
    """
    if energy < calorimeter[5] or not calorimeter[0] < angle < calorimeter[1]:
        return 1.0
    return float(calorimeter[6])


@njit(cache=True)
def _visibility(
    muons: tuple[FloatArray, FloatArray],
    electrons: FloatArray,
    photons: FloatArray,
    to_laboratory: FloatArray,
    parameters: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
) -> FloatArray:
    """See `Detector.visibility`; momenta are in the CMS, settings come as arrays."""
    n = len(photons)
    chamber, identification, calorimeter, gaps = parameters
    passed = np.zeros((n, 4))
    for i in range(n):
        probability = 1.0
        inside = True
        for muon in muons:
            _, p, angle = _to_laboratory(muon[i], to_laboratory)
            inside = inside and chamber[0] < angle < chamber[1]
            probability *= _muon_efficiency(p, angle, identification)
        if not inside:
            continue
        passed[i, 0] = 1.0
        passed[i, 1] = probability
        for k in range(electrons.shape[1]):
            energy, _, angle = _to_laboratory(electrons[i, k], to_laboratory)
            probability *= _electron_miss(energy, angle, calorimeter)
        passed[i, 2] = probability
        for k in range(photons.shape[1]):
            energy, _, angle = _to_laboratory(photons[i, k], to_laboratory)
            probability *= _photon_miss(energy, angle, calorimeter, gaps)
        passed[i, 3] = probability
    return passed


def _muon_parameters(settings: MuonSettings) -> FloatArray:
    """Barrel (radian), plateaus in and outside it, threshold and its width (GeV), yoke (radian)."""
    return np.array(
        [
            *np.radians(settings.barrel_range),
            settings.barrel_efficiency,
            settings.endcap_efficiency,
            settings.threshold,
            settings.threshold_width,
            *np.radians(settings.polar_range),
        ]
    )


def _calorimeter_parameters(settings: CalorimeterSettings) -> FloatArray:
    """Acceptance from and to (radian), then what a photon and what an electron meets.

    A photon: threshold (GeV), inefficiency, inefficiency in a gap. An electron: threshold (GeV),
    inefficiency.
    """
    return np.array(
        [
            *np.radians(settings.polar_range),
            settings.photon_threshold,
            settings.photon_inefficiency,
            settings.gap_inefficiency,
            settings.electron_threshold,
            settings.electron_inefficiency,
        ]
    )


def lever_arm(angle: FloatArray, settings: TrackingSettings) -> FloatArray:
    """Transverse lever arm of a track, as a share of that of a track through all wires.

    Args:
        angle: (...,) polar angles, radian.
        settings: size of the drift chamber.

    Returns:
        (...,) shares, 1 where the track leaves through the outer cylinder.
    """
    slope = np.tan(angle)
    length = np.where(slope > 0, settings.forward_length, settings.backward_length)
    return np.minimum(1.0, np.abs(slope) * length / settings.outer_radius)


def momentum_resolution(
    transverse: FloatArray, angle: FloatArray, worse: BoolArray, settings: TrackingSettings
) -> FloatArray:
    """Relative resolution of the transverse momentum.

    Args:
        transverse: (...,) transverse momenta, GeV.
        angle: (...,) polar angles, radian.
        worse: (...,) tracks with a bad fit, whose curvature part is larger.
        settings: resolution of the drift chamber.

    Returns:
        (...,) sigma(pT)/pT: curvature part, larger where the lever arm is short, and multiple
        scattering over beta, added in quadrature (Gluckstern, NIM 24, 381).
    """
    p = transverse / np.sin(angle)
    beta = p / np.hypot(p, MUON_MASS)
    curvature = settings.curvature_resolution * transverse
    curvature = curvature * lever_arm(angle, settings) ** -settings.lever_arm_power
    curvature = curvature * np.where(worse, settings.tail_scale, 1.0)
    return np.asarray(np.hypot(curvature, settings.scattering_resolution / beta))


def smear(rng: np.random.Generator, muons: FloatArray, settings: TrackingSettings) -> FloatArray:
    """Measured momenta of muons.

    What a tracker measures with a Gaussian error is the curvature, so 1/pT is smeared; a share
    of the tracks has a larger error. Both angles are smeared alike (azimuth over sine).

    Args:
        rng: source of randomness.
        muons: (..., 4) true momenta in the laboratory, GeV.
        settings: resolution of the trackers.

    Returns:
        (..., 4) measured momenta, GeV, with the muon mass.
    """
    transverse = np.hypot(muons[..., 1], muons[..., 2])
    angle = polar_angle(muons)
    p = transverse / np.sin(angle)
    shape = p.shape
    worse = rng.random(shape) < settings.tail_fraction
    relative = momentum_resolution(transverse, angle, worse, settings)
    # A curvature that fluctuates through zero would turn the charge; such a track is not kept
    # apart from one that is merely very stiff.
    curvature = np.maximum(1 + relative * rng.standard_normal(shape), 0.05)
    beta = p / np.hypot(p, MUON_MASS)
    angular = np.hypot(settings.angle_resolution, settings.angle_scattering / (p * beta))
    angle = angle + angular * rng.standard_normal(shape)
    azimuth = np.arctan2(muons[..., 2], muons[..., 1])
    azimuth = azimuth + angular / np.sin(angle) * rng.standard_normal(shape)
    transverse = transverse / curvature
    measured = np.empty_like(muons)
    measured[..., 1] = transverse * np.cos(azimuth)
    measured[..., 2] = transverse * np.sin(azimuth)
    measured[..., 3] = transverse / np.tan(angle)
    measured[..., 0] = np.sqrt((measured[..., 1:] ** 2).sum(axis=-1) + MUON_MASS**2)
    return measured
