"""What can be set about the default data: how much of it, its seed, and the detector.

Every number of the detector names its source. "TDR" is the Belle II technical design report
(arXiv:1011.0352), "Physics Book" is PTEP 2019, 123C01, and "search" are the two searches for an
invisible Z' (PRL 124, 141801 and PRL 130, 231801). Where a source gives no number, the text
says so, and the value is chosen such that the published yields come out.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from analysis.errors import InputError

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
        1.13, description="outermost wires, metres (TDR: drift chamber outer radius)"
    )
    forward_length: Positive = Field(
        1.59, description="from the interaction point to the forward end of the wires, metres (TDR)"
    )
    backward_length: Positive = Field(
        0.83, description="from the interaction point to the backward end, metres (TDR)"
    )
    lever_arm_power: NonNegative = Field(
        2.5,
        description="a track that leaves through an end plate has the curvature part larger by "
        "(full/own lever arm)^power: 2 for the sagitta, 1/2 for the number of wires (Gluckstern)",
    )
    tail_fraction: Probability = Field(
        0.10, description="share of tracks with a bad fit; no published number, set by peak widths"
    )
    tail_scale: Positive = Field(
        3.0, description="by how much their curvature part is larger; no published number, likewise"
    )
    angle_resolution: NonNegative = Field(
        0.0005, description="angular resolution at high momentum, radian (Physics Book: tracking)"
    )
    angle_scattering: NonNegative = Field(
        0.001, description="angular resolution times p beta, radian GeV (Physics Book: tracking)"
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
        0.95, description="plateau in the barrel, with track finding (Physics Book: 0.9 to 0.95)"
    )
    endcap_efficiency: Probability = Field(
        0.70,
        description="plateau outside the barrel (Physics Book: lower there); set by the yield of "
        "two-photon events, of which two thirds have a muon there",
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
        description="energy above which a seen photon vetoes, GeV (search: 0.4 GeV for all photons "
        "together)",
    )
    photon_inefficiency: Probability = Field(
        0.0012,
        description="chance that a photon above threshold away from the gaps is not seen; no "
        "published number, set by the yield of radiative dimuons",
    )
    gap_inefficiency: Probability = Field(0.3, description="the same in a gap; no published number")
    electron_threshold: Positive = Field(
        0.15, description="momentum above which an electron vetoes as a track or cluster, GeV"
    )
    electron_inefficiency: Probability = Field(
        0.001, description="chance that such an electron leaves neither; no published number"
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
        "direction; no published number, set by the yield of two-photon events",
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
