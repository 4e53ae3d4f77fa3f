"""What the detector measures of the two muons, and what an event needs to enter an ntuple."""

from collections.abc import Iterator
from typing import cast

import numpy as np
import vector

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.simulation.detector import Detector, Tracking, transform
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.lorentz import momenta
from punzinet.analysis.types import BoolArray, FloatArray


def lever_arm(angle: FloatArray, tracking: Tracking) -> FloatArray:
    """Transverse lever arm of tracks at polar angles (...,) over that of a track through all wires.

    It is 1 where the track leaves through the outer cylinder.
    """
    slope = np.tan(angle)
    length = np.where(slope > 0, tracking.forward_length, tracking.backward_length)
    return np.minimum(1.0, np.abs(slope) * length / tracking.outer_radius)


def momentum_resolution(
    muons: vector.MomentumNumpy4D, worse: BoolArray, tracking: Tracking
) -> FloatArray:
    """Relative resolution of the transverse momentum, sigma(pT)/pT.

    The curvature part, larger where the lever arm is short, and multiple scattering over beta,
    added in quadrature (Gluckstern, NIM 24, 381).

    Of muons (...,) in the laboratory; the curvature part of tracks with a bad fit is larger.
    """
    beta = muons.p / np.hypot(muons.p, MUON_MASS)
    curvature = tracking.curvature_resolution * muons.pt
    curvature = curvature * lever_arm(muons.theta, tracking) ** -tracking.lever_arm_power
    curvature = curvature * np.where(worse, tracking.tail_scale, 1.0)
    return np.asarray(np.hypot(curvature, tracking.scattering_resolution / beta))


def smear(
    rng: np.random.Generator, muons: vector.MomentumNumpy4D, tracking: Tracking, scale: float = 1.0
) -> vector.MomentumNumpy4D:
    """Measured momenta of muons in the laboratory, (...,).

    What a tracker measures with a Gaussian error is the curvature, so 1/pT is smeared; a share
    of the tracks has a larger error. Both angles are smeared alike (azimuth over sine).

    It takes four random numbers a muon; `scale` is a factor on the resolution of the transverse
    momentum.
    """
    shape = muons.shape
    worse = rng.random(shape) < tracking.tail_fraction
    relative = scale * momentum_resolution(muons, worse, tracking)
    # A curvature that fluctuates through zero would turn the charge; such a track is not kept
    # apart from one that is merely very stiff.
    curvature = np.maximum(1 + relative * rng.standard_normal(shape), 0.05)
    beta = muons.p / np.hypot(muons.p, MUON_MASS)
    angular = np.hypot(tracking.angle_resolution, tracking.angle_scattering / (muons.p * beta))
    angle = muons.theta + angular * rng.standard_normal(shape)
    azimuth = muons.phi + angular / np.sin(angle) * rng.standard_normal(shape)
    mass = np.full(shape, MUON_MASS)
    seen = {"pt": muons.pt / curvature, "phi": azimuth, "theta": angle, "mass": mass}
    return cast("vector.MomentumNumpy4D", vector.array(seen).to_pxpypzenergy())


def measure(
    rng: np.random.Generator, events: GeneratedEvents, detector: Detector
) -> vector.MomentumNumpy4D:
    """Measured momenta (n, 2) in the laboratory, first the positive muon."""
    true = np.stack([events.mu_plus, events.mu_minus], axis=1)
    true = transform(true, detector.to_laboratory)
    return smear(rng, momenta(true), detector.tracking, detector.momentum_resolution)


def preselection(
    muons: vector.MomentumNumpy4D, detector: Detector
) -> Iterator[tuple[str, BoolArray]]:
    """Steps of the preselection, each on its own, in the order of the cutflow.

    Two muons, and a recoil that would have left a cluster in the barrel of the calorimeter had it
    been a photon (PRL 124, 141801 and PRL 130, 231801). The beams are the nominal ones: an
    experiment does not know the energy of one collision.

    Muons are (n, 2) measured momenta in the laboratory.

    Yields:
        The step's name and which events pass it, (n,).
    """
    cuts = detector.preselection
    yield (
        "both muons of sufficient transverse momentum",
        muons.pt.min(axis=1) > cuts.muon_transverse_momentum,
    )
    seen = np.stack([muons.E, muons.px, muons.py, muons.pz], axis=-1).sum(axis=1)
    lab = detector.beams.total - seen
    recoil, in_cms = momenta(lab), momenta(transform(lab, detector.from_laboratory))
    low, high = np.radians(cuts.recoil_polar_range)
    yield "recoil points to the calorimeter barrel", (recoil.theta > low) & (recoil.theta < high)
    yield "recoil across the beams", in_cms.pt > cuts.recoil_transverse_momentum
    low, high = cuts.recoil_mass_squared
    yield "recoil mass in range", (recoil.tau2 > low) & (recoil.tau2 < high)
