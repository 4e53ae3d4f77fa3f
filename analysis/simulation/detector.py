"""The parametrised detector: what a Belle II-like experiment sees of a generated event.

`Detector.visibility` gives the probability that an event looks like two muons and nothing else.
It multiplies into the weight of the event, so that the rare failure of a veto need not be waited
for. What is then measured is told by `measurement`.

Sources of the numbers: "TDR" is the Belle II technical design report (arXiv:1011.0352), "search"
the selection of the searches for an invisible Z' (PRL 124, 141801 and PRL 130, 231801), of which
this is a simplification. "Set by" names the published result that a number without a published
value was adjusted to; "assumed" is merely plausible.
"""

from dataclasses import dataclass, field
from functools import cached_property
from math import atan2, erfc, hypot, inf, radians, sqrt
from typing import Final, NamedTuple, Self

import numpy as np
import vector

from punzinet.analysis.compiled import njit
from punzinet.analysis.manifest.sections import Beams, DetectorSettings
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.lorentz import Momentum, momenta, transformed
from punzinet.analysis.types import FloatArray

Range = tuple[float, float]

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
    """Drift chamber and vertex detectors.

    Attributes:
        polar_range: Acceptance, degrees (TDR: drift chamber).
        curvature_resolution: Part of sigma(pT)/pT that grows with pT, per GeV (TDR: 0.1 % pT).
        scattering_resolution: Constant part of sigma(pT)/pT, over beta (TDR: 0.3 %; a little less
            gives the published peak width at 8.1 GeV).
        outer_radius: Of the outermost wires, metres (TDR, rounded).
        forward_length: From the collision to the forward end of the wires, metres (TDR, rounded).
        backward_length: To the backward end.
        lever_arm_power: A track that leaves through an end plate has the curvature part larger by
            (full/own lever arm)^power: 2 for the sagitta, 1/2 for the number of wires
            (Gluckstern).
        tail_fraction: Share of tracks with a bad fit. The tails widen the peaks most at low Z'
            masses, where muons are hardest: set by the published peak widths.
        tail_scale: By how much their curvature part is larger; set likewise.
        angle_resolution: Of stiff tracks, radian; assumed, hardly matters.
        angle_scattering: Angular resolution times p beta, radian GeV; assumed.
    """

    polar_range: Range = (17.0, 150.0)
    curvature_resolution: float = 0.001
    scattering_resolution: float = 0.0028
    outer_radius: float = 1.13
    forward_length: float = 1.59
    backward_length: float = 0.83
    lever_arm_power: float = 2.5
    tail_fraction: float = 0.10
    tail_scale: float = 3.0
    angle_resolution: float = 0.0005
    angle_scattering: float = 0.001


class MuonIdentification(NamedTuple):
    """Track finding, and identification by penetration into the return yoke (KLM).

    Attributes:
        polar_range: Where there is a yoke to cross, degrees (TDR: KLM).
        barrel_range: Where identification is best, degrees (search).
        barrel_efficiency: Plateau in the barrel; assumed (Belle: 0.89 with the end caps,
            NIM A 491, 69).
        endcap_efficiency: Plateau outside the barrel; set by the yield of two-photon events, two
            thirds of which have a muon there.
        threshold: Momentum of half the plateau, GeV (Belle, NIM A 491, 69).
        threshold_width: Gaussian width of the turn-on, GeV (the same: flat above 1 GeV).
    """

    polar_range: Range = (20.0, 155.0)
    barrel_range: Range = (32.0, 130.0)
    barrel_efficiency: float = 0.95
    endcap_efficiency: float = 0.70
    threshold: float = 0.60
    threshold_width: float = 0.15


class Calorimeter(NamedTuple):
    """Vetoes on anything beside the two muons.

    Attributes:
        polar_range: Acceptance, degrees (TDR).
        gaps: Between barrel and end caps, degrees (TDR: calorimeter).
        photon_threshold: Energy above which a single photon vetoes, GeV (search: 0.4 GeV for all
            of them together).
        photon_inefficiency: Chance that a photon above threshold away from the gaps is not seen;
            nearly proportional to the radiative muon pairs, and set by their yield.
        gap_inefficiency: The same in a gap; assumed.
        electron_threshold: Momentum above which an electron vetoes as a track or cluster, GeV;
            assumed.
        electron_inefficiency: Chance that such an electron leaves neither; assumed.
    """

    polar_range: Range = (12.4, 155.1)
    gaps: tuple[Range, Range] = ((31.4, 32.2), (128.7, 130.7))
    photon_threshold: float = 0.25
    photon_inefficiency: float = 0.0012
    gap_inefficiency: float = 0.3
    electron_threshold: float = 0.15
    electron_inefficiency: float = 0.001


class Preselection(NamedTuple):
    """What an event needs to be written to the ntuple.

    Attributes:
        muon_transverse_momentum: Lowest of either muon in the laboratory, GeV (search).
        recoil_polar_range: In the laboratory, degrees: where a lost photon would have hit the
            calorimeter barrel (search).
        recoil_transverse_momentum: Least momentum of the recoil across the beams in the CMS, GeV.
            It keeps out what is lost along both beams, and events that miss no particle, which
            the resolution would carry into the lowest windows; set by the yield of two-photon
            events.
        recoil_mass_squared: GeV^2; holds the windows of all masses from 0.1 to 8.7 GeV.
    """

    muon_transverse_momentum: float = 0.4
    recoil_polar_range: Range = (33.0, 128.0)
    recoil_transverse_momentum: float = 0.85
    recoil_mass_squared: Range = (-2.0, 77.0)


@dataclass(frozen=True)
class Detector:
    """A detector around colliding beams.

    Attributes:
        beams: They give the boost from the CMS to the laboratory.
        energy_spread: Gaussian spread of the colliding energy sqrt(s) in background, GeV
            (SuperKEKB: 6.3e-4 and 8.1e-4 of the beams' energies).
        signal_energy_spread: The same in signal: the published peaks come from MadGraph with
            beams of fixed energy, and at 8.1 GeV are narrower than a spread of 0.005 leaves them.
        pion_misidentification: Chance that a pion from tau -> pi nu is taken for a muon, relative
            to a muon (arXiv:2503.11351: 4.1 % at a muon efficiency of 90 %).
        momentum_resolution: Factor on the resolution of the transverse momentum.
    """

    beams: Beams
    tracking: Tracking = field(default_factory=Tracking)
    muons: MuonIdentification = field(default_factory=MuonIdentification)
    calorimeter: Calorimeter = field(default_factory=Calorimeter)
    preselection: Preselection = field(default_factory=Preselection)
    energy_spread: float = 0.005
    signal_energy_spread: float = 0.0
    pion_misidentification: float = 0.04
    momentum_resolution: float = 1.0

    @classmethod
    def varied(cls, beams: Beams, settings: DetectorSettings) -> Self:
        """The default detector with the factors that the manifest sets."""
        default = Calorimeter()
        calorimeter = default._replace(
            photon_inefficiency=min(1.0, default.photon_inefficiency * settings.photon_loss),
            gap_inefficiency=min(1.0, default.gap_inefficiency * settings.photon_loss),
        )
        return cls(beams, calorimeter=calorimeter, momentum_resolution=settings.momentum_resolution)

    @cached_property
    def to_laboratory(self) -> FloatArray:
        """(4, 4) matrix that takes CMS momenta (rows, from the left) to the laboratory.

        It turns the CMS z axis to where the electron flies in the CMS and boosts by the
        velocity of the colliding system. The axes are such that y stays y.
        """
        total, electron = (
            vector.obj(E=p[0], px=p[1], py=p[2], pz=p[3])
            for p in (self.beams.total, self.beams.electron)
        )
        axis = electron.boostCM_of_p4(total)
        rows = momenta(np.eye(4)).rotateY(axis.theta).rotateZ(axis.phi).boost_p4(total)
        return np.stack([rows.E, rows.px, rows.py, rows.pz], axis=-1)

    @property
    def least_transverse(self) -> float:
        """Transverse momentum of the recoil below which no event passes the preselection, GeV."""
        return self.preselection.recoil_transverse_momentum - TRANSVERSE_MARGIN

    @cached_property
    def from_laboratory(self) -> FloatArray:
        """(4, 4) matrix that takes laboratory momenta (rows, from the left) to the CMS."""
        return np.linalg.inv(self.to_laboratory)

    def colliding_energy(
        self, rng: np.random.Generator, n: int, *, signal: bool = False
    ) -> FloatArray:
        """Energy of the colliding beams of n events, (n,), GeV.

        Both beams are taken to deviate by the same factor, so that the boost stays nominal.
        """
        spread = self.signal_energy_spread if signal else self.energy_spread
        return rng.normal(self.beams.sqrt_s, spread, n)

    def visibility(self, events: GeneratedEvents) -> FloatArray:
        """Probabilities to look like two muons and nothing else, one step after the other.

        Returns:
            (n, 4) probabilities to pass the steps `VISIBILITY` up to and including this one.
        """
        return _visibility(
            (events.mu_plus, events.mu_minus),
            events.electrons,
            events.photons,
            self.to_laboratory,
            (self.tracking.polar_range, self.muons, self.calorimeter),
        )


def transform(p: FloatArray, matrix: FloatArray) -> FloatArray:
    """Apply a (4, 4) matrix to (..., 4) momenta, from the right.

    Not by BLAS, whose last digit can depend on its number of threads.
    """
    return np.asarray(np.einsum("...i,ij->...j", p, matrix))


@njit(cache=True)
def _in_laboratory(p: Momentum, matrix: FloatArray) -> tuple[float, float, float]:
    """Energy, momentum and polar angle in the laboratory of one CMS momentum."""
    energy, x, y, z = transformed(p, matrix)
    across = hypot(x, y)
    return energy, hypot(across, z), atan2(across, z)


@njit(cache=True)
def _inside(angle: float, degrees: Range) -> bool:
    """Whether an angle in radian is within a range in degrees."""
    return radians(degrees[0]) < angle < radians(degrees[1])


@njit(cache=True)
def _muon_efficiency(p: float, angle: float, muons: MuonIdentification) -> float:
    """Probability that a muon is found and identified.

    A plateau times a Gaussian turn-on in momentum: a muon has to reach the yoke and to cross some
    of its layers.
    """
    if not _inside(angle, muons.polar_range):
        return 0.0
    barrel = _inside(angle, muons.barrel_range)
    plateau = muons.barrel_efficiency if barrel else muons.endcap_efficiency
    return plateau * erfc((muons.threshold - p) / (sqrt(2.0) * muons.threshold_width)) / 2


@njit(cache=True)
def _photon_miss(energy: float, angle: float, calorimeter: Calorimeter) -> float:
    """Probability that a photon does not veto: 1 below threshold and outside the calorimeter."""
    if energy < calorimeter.photon_threshold or not _inside(angle, calorimeter.polar_range):
        return 1.0
    for gap in calorimeter.gaps:
        if _inside(angle, gap):
            return calorimeter.gap_inefficiency
    return calorimeter.photon_inefficiency


@njit(cache=True)
def _electron_miss(energy: float, angle: float, calorimeter: Calorimeter) -> float:
    """Probability that a scattered electron does not veto; in a gap it still leaves a track."""
    if energy < calorimeter.electron_threshold or not _inside(angle, calorimeter.polar_range):
        return 1.0
    return calorimeter.electron_inefficiency


@njit(cache=True)
def _visibility(
    muons: tuple[FloatArray, FloatArray],
    electrons: FloatArray,
    photons: FloatArray,
    to_laboratory: FloatArray,
    parameters: tuple[Range, MuonIdentification, Calorimeter],
) -> FloatArray:
    """See `Detector.visibility`; momenta are in the CMS."""
    chamber, identification, calorimeter = parameters
    passed = np.zeros((len(photons), 4))
    for i in range(len(photons)):
        probability = 1.0
        inside = True
        for muon in muons:
            _, p, angle = _in_laboratory(muon[i], to_laboratory)
            inside = inside and _inside(angle, chamber)
            probability *= _muon_efficiency(p, angle, identification)
        if not inside:
            continue
        passed[i, 0] = 1.0
        passed[i, 1] = probability
        for k in range(electrons.shape[1]):
            energy, _, angle = _in_laboratory(electrons[i, k], to_laboratory)
            probability *= _electron_miss(energy, angle, calorimeter)
        passed[i, 2] = probability
        for k in range(photons.shape[1]):
            energy, _, angle = _in_laboratory(photons[i, k], to_laboratory)
            probability *= _photon_miss(energy, angle, calorimeter)
        passed[i, 3] = probability
    return passed


EVERYWHERE: Final = 0
MISSED: Final = 1
SEEN: Final = 2


class Veto(NamedTuple):
    """Where particles are seen, for generators that fill one region after the other.

    Attributes:
        to_laboratory: (4, 4) matrix that takes CMS momenta, from the left, to the laboratory.
        polar_range: Of the calorimeter, degrees.
        gaps: Where nothing is seen for certain, degrees.
        threshold: Least energy in the laboratory, GeV.
    """

    to_laboratory: FloatArray = np.eye(4)
    polar_range: Range = (0.0, 0.0)
    gaps: tuple[Range, Range] = ((0.0, 0.0), (0.0, 0.0))
    threshold: float = inf


NO_VETO: Final = Veto()
"""A calorimeter that sees nothing, in a laboratory that is the CMS."""


@njit(cache=True)
def in_region(particle: Momentum, region: int, veto: Veto) -> bool:
    """Whether a particle, in the CMS, belongs to a region of the detector.

    It is `EVERYWHERE`, `SEEN` (above threshold in the calorimeter) or `MISSED` (the rest).
    """
    if region == EVERYWHERE:
        return True
    energy, _, angle = _in_laboratory(particle, veto.to_laboratory)
    seen = energy > veto.threshold and _inside(angle, veto.polar_range)
    for gap in veto.gaps:
        seen = seen and not _inside(angle, gap)
    return seen == (region == SEEN)
