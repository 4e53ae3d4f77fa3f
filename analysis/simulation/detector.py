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
 - `recoil_momentum` keeps events that miss no particle out of the lowest mass windows, into
   which the resolution would carry them: set by yields and signal efficiency.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import erf

from analysis.beams import Beams
from analysis.simulation.constants import MUON_MASS
from analysis.simulation.events import GeneratedEvents
from analysis.simulation.lorentz import from_rest_frame, momentum, rotate_to, to_rest_frame
from analysis.simulation.settings import (
    CalorimeterSettings,
    DetectorSettings,
    MuonSettings,
    PolarRange,
    TrackingSettings,
)
from analysis.types import BoolArray, FloatArray


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

    def visibility(self, events: GeneratedEvents) -> Iterator[tuple[str, FloatArray]]:
        """Probabilities to look like two muons and nothing else, one step after the other.

        Args:
            events: n generated events.

        Yields:
            The step's name for the cutflow and its probability, (n,).
        """
        muons = np.stack([events.mu_plus, events.mu_minus], axis=1) @ self.to_laboratory
        angle = polar_angle(muons)
        inside = _within(angle, self.settings.tracking.polar_range)
        yield "both muons in the drift chamber", inside.all(axis=1).astype(float)
        identified = muon_efficiency(momentum(muons), angle, self.settings.muons)
        yield "both muons identified", identified.prod(axis=1)
        unseen = electron_miss(events.electrons @ self.to_laboratory, self.settings.calorimeter)
        yield "no electron seen", unseen.prod(axis=1)
        unseen = photon_miss(events.photons @ self.to_laboratory, self.settings.calorimeter)
        yield "no photon seen", unseen.prod(axis=1)

    def measure(self, rng: np.random.Generator, events: GeneratedEvents) -> FloatArray:
        """Measured momenta of the two muons in the laboratory.

        Args:
            rng: source of randomness, six numbers a muon.
            events: n generated events with both muons in the drift chamber.

        Returns:
            (n, 2, 4), first the positive muon, GeV; energies with the muon mass.
        """
        muons = np.stack([events.mu_plus, events.mu_minus], axis=1) @ self.to_laboratory
        return smear(rng, muons, self.settings.tracking)


def polar_angle(p: FloatArray) -> FloatArray:
    """Polar angle of (..., 4) momenta to the z axis, (...,), radian; 0 for zero momentum."""
    return np.arctan2(np.hypot(p[..., 1], p[..., 2]), p[..., 3])


def _within(angle: FloatArray, degrees: PolarRange) -> BoolArray:
    """Whether angles, in radian, lie in a range given in degrees."""
    low, high = np.radians(degrees)
    return np.asarray((angle > low) & (angle < high))


def muon_efficiency(p: FloatArray, angle: FloatArray, settings: MuonSettings) -> FloatArray:
    """Probability that a muon is found and identified.

    A plateau, lower outside the barrel, times a Gaussian turn-on in momentum: a muon has to
    reach the return yoke and to cross some of its layers.

    Args:
        p: (...,) momenta in the laboratory, GeV.
        angle: (...,) polar angles in the laboratory, radian.
        settings: plateaus and threshold.

    Returns:
        (...,) probabilities.
    """
    barrel = _within(angle, settings.barrel_range)
    plateau = np.where(barrel, settings.barrel_efficiency, settings.endcap_efficiency)
    reach = (p - settings.threshold) / (np.sqrt(2) * settings.threshold_width)
    return np.asarray(plateau * (1 + erf(reach)) / 2)


def photon_miss(photons: FloatArray, settings: CalorimeterSettings) -> FloatArray:
    """Probability that photons do not veto the event.

    Args:
        photons: (..., 4) momenta in the laboratory, GeV; zeros where there is no photon.
        settings: acceptance, gaps, threshold and inefficiencies.

    Returns:
        (...,) probabilities: 1 below threshold and outside the calorimeter.
    """
    angle = polar_angle(photons)
    exposed = _within(angle, settings.polar_range) & (photons[..., 0] > settings.photon_threshold)
    in_gap = np.zeros(angle.shape, dtype=bool)
    for gap in settings.gaps:
        in_gap |= _within(angle, gap)
    miss = np.where(in_gap, settings.gap_inefficiency, settings.photon_inefficiency)
    return np.where(exposed, miss, 1.0)


def electron_miss(electrons: FloatArray, settings: CalorimeterSettings) -> FloatArray:
    """Probability that scattered electrons do not veto the event.

    An electron in the gap between barrel and end cap still leaves a track.

    Args:
        electrons: (..., 4) momenta in the laboratory, GeV; zeros where there is none.
        settings: acceptance, threshold and inefficiency.

    Returns:
        (...,) probabilities: 1 below threshold and outside the calorimeter.
    """
    exposed = _within(polar_angle(electrons), settings.polar_range) & (
        electrons[..., 0] > settings.electron_threshold
    )
    return np.where(exposed, settings.electron_inefficiency, 1.0)


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
