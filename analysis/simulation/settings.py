"""What can be set about the default data: how much of it, its seed, and the detector.

Every number of the detector says where it comes from. "TDR" is the Belle II technical design
report (arXiv:1011.0352), "search" the selection of the searches for an invisible Z'
(PRL 124, 141801 and PRL 130, 231801), of which this is a simplification. "Set by" names the
published result that a number was adjusted to, because it has no published value of its own;
"assumed" is a number that is merely plausible.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from punzinet.analysis.io.errors import InputError

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Degrees = Annotated[float, Field(ge=0, le=180)]
PolarRange = tuple[Degrees, Degrees]


class _Settings(BaseModel):
    """A section of the manifest: no unknown keys, no changes after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TrackingSettings(_Settings):
    """Drift chamber and vertex detectors."""

    polar_range: PolarRange = Field(
        (17.0, 150.0), description="polar angles of tracks, degrees (TDR: drift chamber)"
    )
    curvature_resolution: NonNegative = Field(
        0.001, description="part of sigma(pT)/pT that grows with pT, per GeV (TDR: 0.1 % pT)"
    )
    scattering_resolution: NonNegative = Field(
        0.0028,
        description="constant part of sigma(pT)/pT, over beta (TDR: 0.3 %; a little less gives the "
        "published peak width at 8.1 GeV)",
    )
    outer_radius: Positive = Field(
        1.13, description="radius of the outermost wires, metres (TDR, rounded)"
    )
    forward_length: Positive = Field(
        1.59,
        description="from the collision to the forward end of the wires, metres (TDR, rounded)",
    )
    backward_length: Positive = Field(
        0.83,
        description="from the collision to the backward end of the wires, metres (TDR, rounded)",
    )
    lever_arm_power: NonNegative = Field(
        2.5,
        description="a track that leaves through an end plate has the curvature part larger by "
        "(full/own lever arm)^power: 2 for the sagitta, 1/2 for the number of wires (Gluckstern)",
    )
    tail_fraction: Probability = Field(
        0.10, description="share of tracks with a bad fit; set by the published peak widths"
    )
    tail_scale: Positive = Field(
        3.0, description="by how much their curvature part is larger; set likewise"
    )
    angle_resolution: NonNegative = Field(
        0.0005,
        description="angular resolution of stiff tracks, radian; assumed, hardly matters",
    )
    angle_scattering: NonNegative = Field(
        0.001, description="angular resolution times p beta, radian GeV; assumed"
    )


class MuonSettings(_Settings):
    """Muon identification by penetration into the return yoke (KLM), and track finding."""

    polar_range: PolarRange = Field(
        (20.0, 155.0), description="where there is a return yoke to cross, degrees (TDR: KLM)"
    )
    barrel_range: PolarRange = Field(
        (32.0, 130.0), description="where identification is best, degrees (search)"
    )
    barrel_efficiency: Probability = Field(
        0.95,
        description="plateau in the barrel; assumed (Belle: 0.89 with the end caps, NIM A 491, 69)",
    )
    endcap_efficiency: Probability = Field(
        0.70,
        description="plateau outside the barrel; set by the yield of two-photon events, two thirds "
        "of which have a muon there",
    )
    threshold: Positive = Field(
        0.60, description="momentum of half the plateau, GeV (Belle, NIM A 491, 69)"
    )
    threshold_width: Positive = Field(
        0.15, description="Gaussian width of the turn-on, GeV (the same: flat above 1 GeV)"
    )
    pion_misidentification: Probability = Field(
        0.04,
        description="chance that a pion from tau -> pi nu is taken for a muon, relative to a muon "
        "(arXiv:2503.11351: 4.1 % at a muon efficiency of 90 %)",
    )


class CalorimeterSettings(_Settings):
    """Vetoes on anything beside the two muons."""

    polar_range: PolarRange = Field((12.4, 155.1), description="acceptance, degrees (TDR)")
    gaps: tuple[PolarRange, ...] = Field(
        ((31.4, 32.2), (128.7, 130.7)),
        description="between barrel and end caps, degrees (TDR: calorimeter)",
    )
    photon_threshold: Positive = Field(
        0.25,
        description="energy above which a single photon vetoes, GeV (search: 0.4 GeV for all of "
        "them together)",
    )
    photon_inefficiency: Probability = Field(
        0.0012,
        description="chance that a photon above threshold away from the gaps is not seen; set by "
        "the yield of radiative muon pairs",
    )
    gap_inefficiency: Probability = Field(0.3, description="the same in a gap; assumed")
    electron_threshold: Positive = Field(
        0.15,
        description="momentum above which an electron vetoes as a track or cluster, GeV; assumed",
    )
    electron_inefficiency: Probability = Field(
        0.001, description="chance that such an electron leaves neither; assumed"
    )


class PreselectionSettings(_Settings):
    """What an event needs to be written to the ntuple."""

    muon_transverse_momentum: NonNegative = Field(
        0.4, description="lowest transverse momentum of either muon in the laboratory, GeV (search)"
    )
    recoil_polar_range: PolarRange = Field(
        (33.0, 128.0),
        description="polar angles of the recoil in the laboratory, degrees, where a lost photon "
        "would have hit the calorimeter barrel (search)",
    )
    recoil_transverse_momentum: NonNegative = Field(
        0.85,
        description="least momentum of the recoil across the beams in the centre-of-mass system, "
        "GeV: without it, particles lost along both beams and the resolution make a recoil in any "
        "direction; set by the yield of two-photon events",
    )
    recoil_mass_squared: tuple[float, float] = Field(
        (-2.0, 77.0),
        description="range of the squared recoil mass, GeV^2; it holds the windows of all masses "
        "from 0.1 to 8.7 GeV",
    )


class DetectorSettings(_Settings):
    """The parametrised detector."""

    energy_spread: NonNegative = Field(
        0.005,
        description="Gaussian spread of the colliding energy sqrt(s) in background, GeV "
        "(SuperKEKB: 6.3e-4 and 8.1e-4 of the beams' energies)",
    )
    signal_energy_spread: NonNegative = Field(
        0.0,
        description="the same in signal, GeV; the published peaks come from MadGraph with beams of "
        "fixed energy, and at 8.1 GeV they are narrower than a spread of 0.005 leaves them",
    )
    tracking: TrackingSettings = Field(
        TrackingSettings(), description="drift chamber and vertex detectors"
    )
    muons: MuonSettings = Field(MuonSettings(), description="muon identification")
    calorimeter: CalorimeterSettings = Field(CalorimeterSettings(), description="vetoes")
    preselection: PreselectionSettings = Field(
        PreselectionSettings(), description="what is written"
    )


class Scale(_Settings):
    """How much to simulate."""

    luminosity: Positive = Field(
        description="simulated luminosity of every background, fb^-1; its events weigh 1, hence "
        "the target luminosity over this once normalised"
    )
    signal_events: int = Field(gt=0, description="generated signal events at each mass")


class SimulationSettings(_Settings):
    """The default data."""

    seed: int = Field(20211005, ge=0, description="seed of everything that is simulated")
    scales: dict[str, Scale] = Field(
        {
            "default": Scale(luminosity=200.0, signal_events=5000),
            "paper": Scale(luminosity=1000.0, signal_events=20000),
        },
        description="sizes of the sample; `paper` is that of arXiv:2110.00810, section 6",
    )
    detector: DetectorSettings = Field(DetectorSettings(), description="parametrised detector")

    def size(self, scale: str) -> Scale:
        """How much a scale simulates.

        Args:
            scale: its name.

        Raises:
            InputError: If there is no such scale.
        """
        if scale not in self.scales:
            raise InputError(
                f"There is no scale {scale!r} in `simulation.scales`; "
                f"choose one of {', '.join(self.scales)}."
            )
        return self.scales[scale]
