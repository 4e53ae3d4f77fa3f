"""The parametrised detector: what a Belle II-like experiment sees of a generated event.

`Detector.visibility` gives the probability that an event looks like two muons and nothing else:
a weight, so that the rare failure of a veto need not be waited for. `measure` then smears the
muons, and `preselection` says what enters an ntuple.

Sources of the numbers: "TDR" is the Belle II technical design report (arXiv:1011.0352), "search"
the selection of the searches for an invisible Z' (PRL 124, 141801 and PRL 130, 231801), of which
this is a simplification. "Set by" names the published result that a number without a published
value was adjusted to; "assumed" is merely plausible.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import atan2, erfc, hypot, inf, radians, sqrt
from typing import Final, NamedTuple, Self, cast

import numpy as np
import vector

import punzinet.analysis.simulation.events as p4
from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.manifest.sections import Beams, DetectorSettings
from punzinet.analysis.simulation.events import GeneratedEvents, Momenta, Momentum, Pair
from punzinet.analysis.types import BoolArray, FloatArray, Random

VISIBILITY: Final = (
    "both muons in the drift chamber",
    "both muons identified",
    "no electron seen",
    "no photon seen",
)
"""Steps between a generated event and one that looks like two muons."""
TRANSVERSE_MARGIN: Final = 0.12
"""By how much, in GeV, the resolution may raise the transverse momentum of the recoil: fewer than
one in ten thousand of the preselected events need more."""


class Tracking(NamedTuple):
    """Drift chamber and vertex detectors."""

    polar_range: Pair = (17.0, 150.0)  # acceptance, degrees (TDR: drift chamber)
    curvature_resolution: float = 0.001  # part of sigma(pT)/pT that grows with pT, per GeV (TDR)
    # constant part of sigma(pT)/pT, over beta: between the gas and wires of the drift chamber alone
    # (0.22 % over 0.97 m with a radiation length of 260 m; Gluckstern) and all together (TDR:
    # 0.3 %), set by the published widths from 8 GeV on, where muons are slow
    scattering_resolution: float = 0.0022
    outer_radius: float = 1.13  # of the outermost wires, metres (TDR, rounded)
    forward_length: float = 1.59  # from the collision to the forward end of the wires, likewise
    backward_length: float = 0.83  # to the backward end
    # a track through an end plate has the curvature part larger by (full/own lever arm)^power: 2
    # for the sagitta, 1/2 for the number of wires (Gluckstern)
    lever_arm_power: float = 2.5
    # share of tracks with a bad fit, and by how much their curvature part is larger, which widens
    # peaks most at low Z' masses, where muons are hardest: set by the published widths
    tail_fraction: float = 0.12
    tail_scale: float = 3.0
    angle_resolution: float = 0.0005  # of stiff tracks, radian; assumed, hardly matters
    angle_scattering: float = 0.001  # angular resolution times p beta, radian GeV; assumed


class MuonIdentification(NamedTuple):
    """Track finding, and identification by penetration into the return yoke (KLM)."""

    polar_range: Pair = (20.0, 155.0)  # where there is a yoke to cross, degrees (TDR: KLM)
    barrel_range: Pair = (32.0, 130.0)  # where identification is best, degrees (search)
    barrel_efficiency: float = 0.95  # plateau there; assumed (Belle, all: 0.89, NIM A 491, 69)
    endcap_efficiency: float = 0.70  # outside; set by the yield of two-photon events
    threshold: float = 0.60  # momentum of half the plateau, GeV (Belle, NIM A 491, 69)
    threshold_width: float = 0.15  # of the Gaussian turn-on, GeV (the same: flat above 1 GeV)


class Veto(NamedTuple):
    """Where the calorimeter sees a kind of particle, and how often it misses one there."""

    threshold: float  # least energy in the laboratory, GeV
    inefficiency: float
    gap_inefficiency: float
    gaps: tuple[Pair, Pair] = ((0.0, 0.0), (0.0, 0.0))  # degrees
    polar_range: Pair = (12.4, 155.1)  # acceptance, degrees (TDR)


PHOTONS: Final = Veto(
    0.25,  # (search: 0.4 GeV for all photons together)
    0.0012,  # nearly proportional to the radiative muon pairs, and set by their yield
    0.3,  # assumed
    ((31.4, 32.2), (128.7, 130.7)),  # between barrel and end caps (TDR: calorimeter)
)
ELECTRONS: Final = Veto(0.15, 0.001, 0.001)  # a track or a cluster, a track in gaps too; assumed
MISSED, GAP, SEEN, EVERYWHERE = range(4)
"""Outside the calorimeter or below threshold; in its gaps; the rest; all three."""


class Region(NamedTuple):
    """Where particles go: generators fill one region of the detector after the other."""

    where: int = EVERYWHERE  # or `SEEN`, or `MISSED` with the gaps
    veto: Veto = Veto(inf, 1.0, 1.0)
    to_laboratory: FloatArray = np.eye(4)  # matrix that takes CMS momenta, from the left


class Preselection(NamedTuple):
    """What an event needs to be written to the ntuple."""

    muon_transverse_momentum: float = 0.4  # lowest of either muon in the laboratory, GeV (search)
    # in the laboratory, degrees: where a lost photon would have hit the calorimeter barrel (search)
    recoil_polar_range: Pair = (33.0, 128.0)
    # least momentum of the recoil across the beams in the CMS, GeV; keeps out what is lost along
    # both beams, and events without a lost particle, which the resolution would carry into the
    # lowest windows: set by the yield of two-photon events
    recoil_transverse_momentum: float = 0.85
    recoil_mass_squared: Pair = (-2.0, 77.0)  # GeV^2; holds all windows from 0.1 to 8.7 GeV


@dataclass(frozen=True)
class Detector:
    """A detector around colliding beams."""

    beams: Beams  # they give the boost from the CMS to the laboratory
    tracking: Tracking = field(default_factory=Tracking)
    muons: MuonIdentification = field(default_factory=MuonIdentification)
    photons: Veto = PHOTONS
    electrons: Veto = ELECTRONS
    preselection: Preselection = field(default_factory=Preselection)
    # Gaussian spread of the colliding energy sqrt(s) in background, GeV (SuperKEKB: 6.3e-4 and
    # 8.1e-4 of the beams' energies)
    energy_spread: float = 0.005
    # the same in signal: the published peaks come from MadGraph with beams of fixed energy, and at
    # 8.1 GeV are narrower than a spread of 0.005 leaves them
    signal_energy_spread: float = 0.0
    # chance that a pion from tau -> pi nu is taken for a muon, relative to a muon
    # (arXiv:2503.11351: 4.1 % at a muon efficiency of 90 %)
    pion_misidentification: float = 0.04
    momentum_resolution: float = 1.0  # factor on the resolution of the transverse momentum

    @classmethod
    def varied(cls, beams: Beams, settings: DetectorSettings) -> Self:
        """The default detector with the factors that the manifest sets."""
        names = ("inefficiency", "gap_inefficiency")
        lost = {name: min(1.0, getattr(PHOTONS, name) * settings.photon_loss) for name in names}
        photons = PHOTONS._replace(**lost)
        return cls(beams, photons=photons, momentum_resolution=settings.momentum_resolution)

    @cached_property
    def to_laboratory(self) -> FloatArray:
        """(4, 4) matrix that takes CMS momenta (rows, from the left) to the laboratory.

        It turns the z axis to where the electron flies in the CMS, and boosts; y stays y.
        """
        beams = self.beams.total, self.beams.electron
        total, electron = (vector.obj(E=p[0], px=p[1], py=p[2], pz=p[3]) for p in beams)
        axis = electron.boostCM_of_p4(total)
        turned = p4.momenta(np.eye(4)).rotateY(axis.theta).rotateZ(axis.phi)
        return p4.components(turned.boost_p4(total))

    @cached_property
    def from_laboratory(self) -> FloatArray:
        """(4, 4) matrix that takes laboratory momenta (rows, from the left) to the CMS."""
        return np.linalg.inv(self.to_laboratory)

    @property
    def least_transverse(self) -> float:
        """Transverse momentum of the recoil below which no event passes the preselection, GeV."""
        return self.preselection.recoil_transverse_momentum - TRANSVERSE_MARGIN

    def colliding_energy(self, rng: Random, n: int, *, signal: bool = False) -> FloatArray:
        """Energy of the colliding beams of n events, (n,), GeV; the boost stays nominal."""
        spread = self.signal_energy_spread if signal else self.energy_spread
        return rng.normal(self.beams.sqrt_s, spread, n)

    def visibility(self, events: GeneratedEvents) -> FloatArray:
        """Probabilities (n, 4) to pass the steps `VISIBILITY` up to and including each."""
        chamber, vetoes = self.tracking.polar_range, (self.electrons, self.photons)
        return _visibility(events, self.to_laboratory, chamber, self.muons, vetoes)


@njit(cache=True)
def _in_laboratory(p: Momentum, matrix: FloatArray) -> p4.Vector:
    """Energy, momentum and polar angle in the laboratory of one CMS momentum."""
    energy, x, y, z = p4.transformed(p, matrix)
    across = hypot(x, y)
    return energy, hypot(across, z), atan2(across, z)


@njit(cache=True)
def _inside(angle: float, degrees: Pair) -> bool:
    """Whether an angle in radian is within a range in degrees."""
    return radians(degrees[0]) < angle < radians(degrees[1])


@njit(cache=True)
def _efficiency(p: float, angle: float, muons: MuonIdentification) -> float:
    """Probability that a muon is found and identified: it has to cross some layers of the yoke."""
    if not _inside(angle, muons.polar_range):
        return 0.0
    barrel = _inside(angle, muons.barrel_range)
    plateau = muons.barrel_efficiency if barrel else muons.endcap_efficiency
    return plateau * erfc((muons.threshold - p) / (sqrt(2.0) * muons.threshold_width)) / 2


@njit(cache=True)
def _place(particle: Momentum, to_laboratory: FloatArray, veto: Veto) -> int:
    """Whether the calorimeter has `MISSED` or `SEEN` a particle (CMS), or a `GAP` was hit."""
    energy, _, angle = _in_laboratory(particle, to_laboratory)
    if energy < veto.threshold or not _inside(angle, veto.polar_range):
        return MISSED
    for gap in veto.gaps:
        if _inside(angle, gap):
            return GAP
    return SEEN


@njit(cache=True)
def _miss(particle: Momentum, to_laboratory: FloatArray, veto: Veto) -> float:
    """Probability that a particle does not veto."""
    return (1.0, veto.gap_inefficiency, veto.inefficiency)[_place(particle, to_laboratory, veto)]


@njit(cache=True)
def in_region(particle: Momentum, region: Region) -> bool:
    """Whether a particle, in the CMS, belongs to a region of the detector."""
    if region.where == EVERYWHERE:
        return True
    seen = _place(particle, region.to_laboratory, region.veto) == SEEN
    return seen == (region.where == SEEN)


@njit(cache=True)
def _visibility(
    events: GeneratedEvents,
    to_laboratory: FloatArray,
    chamber: Pair,
    identification: MuonIdentification,
    vetoes: tuple[Veto, Veto],
) -> FloatArray:
    passed = np.zeros((len(events.weight), 4))
    for i in range(len(passed)):
        probability, inside = 1.0, True
        for muon in (events.mu_plus[i], events.mu_minus[i]):
            _, p, angle = _in_laboratory(muon, to_laboratory)
            inside = inside and _inside(angle, chamber)
            probability *= _efficiency(p, angle, identification)
        if not inside:
            continue
        passed[i, :2] = 1.0, probability
        for electron in events.electrons[i]:
            probability *= _miss(electron, to_laboratory, vetoes[0])
        passed[i, 2] = probability
        for photon in events.photons[i]:
            probability *= _miss(photon, to_laboratory, vetoes[1])
        passed[i, 3] = probability
    return passed


def lever_arm(angle: FloatArray, tracking: Tracking) -> FloatArray:
    """Transverse lever arm of tracks at polar angles (...,) over that of one through all wires."""
    slope = np.tan(angle)
    length = np.where(slope > 0, tracking.forward_length, tracking.backward_length)
    return np.minimum(1.0, np.abs(slope) * length / tracking.outer_radius)


def smear(rng: Random, muons: Momenta, tracking: Tracking, scale: float = 1.0) -> Momenta:
    """Measured momenta of muons in the laboratory, (...,).

    What a tracker measures with a Gaussian error is the curvature, so 1/pT is smeared, by `scale`
    times the resolution: a part that is larger where the lever arm is short or the fit is bad, and
    multiple scattering over beta, in quadrature (Gluckstern, NIM 24, 381). Both angles are smeared
    alike (azimuth over sine).
    """
    shape, beta = muons.shape, muons.p / np.hypot(muons.p, MUON_MASS)
    worse = rng.random(shape) < tracking.tail_fraction
    relative = tracking.curvature_resolution * muons.pt
    relative *= lever_arm(muons.theta, tracking) ** -tracking.lever_arm_power
    relative *= np.where(worse, tracking.tail_scale, 1.0)
    relative = scale * np.hypot(relative, tracking.scattering_resolution / beta)
    # a track whose curvature fluctuates through zero, and whose charge turns, is a very stiff one
    curvature = np.maximum(1 + relative * rng.standard_normal(shape), 0.05)
    angular = np.hypot(tracking.angle_resolution, tracking.angle_scattering / (muons.p * beta))
    angle = muons.theta + angular * rng.standard_normal(shape)
    azimuth = muons.phi + angular / np.sin(angle) * rng.standard_normal(shape)
    mass = np.full(shape, MUON_MASS)
    seen = {"pt": muons.pt / curvature, "phi": azimuth, "theta": angle, "mass": mass}
    return cast("Momenta", vector.array(seen).to_pxpypzenergy())


def measure(rng: Random, events: GeneratedEvents, detector: Detector) -> Momenta:
    """Measured momenta (n, 2) in the laboratory, first the positive muon."""
    true = p4.transform(np.stack([events.mu_plus, events.mu_minus], axis=1), detector.to_laboratory)
    return smear(rng, p4.momenta(true), detector.tracking, detector.momentum_resolution)


def preselection(muons: Momenta, detector: Detector) -> Iterator[tuple[str, BoolArray]]:
    """Steps of the preselection, as in the cutflow, each with which muons (n, 2) pass it, (n,).

    Two muons, and a recoil that would have left a cluster in the barrel of the calorimeter had it
    been a photon (PRL 124, 141801 and PRL 130, 231801). The beams are the nominal ones: an
    experiment does not know the energy of one collision.
    """
    cuts = detector.preselection
    hard = muons.pt.min(axis=1) > cuts.muon_transverse_momentum
    yield "both muons of sufficient transverse momentum", hard
    lab = detector.beams.total - p4.components(muons).sum(axis=1)
    recoil, in_cms = p4.momenta(lab), p4.momenta(p4.transform(lab, detector.from_laboratory))
    low, high = np.radians(cuts.recoil_polar_range)
    yield "recoil points to the calorimeter barrel", (recoil.theta > low) & (recoil.theta < high)
    yield "recoil across the beams", in_cms.pt > cuts.recoil_transverse_momentum
    low, high = cuts.recoil_mass_squared
    yield "recoil mass in range", (recoil.tau2 > low) & (recoil.tau2 < high)
