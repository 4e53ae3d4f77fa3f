"""Sections of the manifest that are plain settings: beams, simulation, and what stages may vary."""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.types import FloatArray

Positive = Annotated[float, Field(gt=0)]
CandidatePolicy = Literal["all", "first", "single"]
#: Relative uncertainty. Above 1 a log-normal factor says nothing any more.
Uncertainty = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Section(BaseModel):
    """A section of the manifest: no unknown keys, no changes after reading.

    What is written below a setting is shown where somebody has mistaken it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Beams(Section):
    """Nominal beams in the laboratory, electron mass neglected.

    Both lean by half the crossing angle towards positive x, so the boost to the centre-of-mass
    system is not along z. Four-momenta are (E, px, py, pz) in GeV.
    """

    electron_energy: float = Field(7.007, gt=0)
    """electron (HER) energy in GeV"""
    positron_energy: float = Field(4.000, gt=0)
    """positron (LER) energy in GeV"""
    crossing_angle: float = Field(0.083, ge=0, lt=1)
    """angle between the beams in the x-z plane, in radian"""

    @property
    def electron_direction(self) -> FloatArray:
        """Unit vector (3,) of the electron in the laboratory."""
        return np.array([np.sin(self.crossing_angle / 2), 0.0, np.cos(self.crossing_angle / 2)])

    @property
    def electron(self) -> FloatArray:
        """Four-momentum of the electron."""
        return self.electron_energy * np.concatenate([[1.0], self.electron_direction])

    @property
    def positron(self) -> FloatArray:
        """Four-momentum of the positron."""
        x, y, z = self.electron_direction
        return self.positron_energy * np.array([1.0, x, y, -z])

    @property
    def total(self) -> FloatArray:
        """Four-momentum of the colliding system."""
        return self.electron + self.positron

    @property
    def sqrt_s(self) -> float:
        """Centre-of-mass energy in GeV."""
        energy, *momentum = self.total
        return float(np.sqrt(energy**2 - np.dot(momentum, momentum)))


class Scale(Section):
    """How much to simulate."""

    luminosity: Positive
    """simulated luminosity of every background, fb^-1; its events weigh 1, hence the target
    luminosity over this once normalised"""
    signal_events: int = Field(gt=0)
    """generated signal events at each mass"""


class DetectorSettings(Section):
    """Factors on what is least known of the simulated detector; 1 is the default detector."""

    momentum_resolution: Positive = 1.0
    """factor on the resolution of the muons' transverse momentum"""
    photon_loss: Positive = 1.0
    """factor on the chance that the calorimeter misses a hard photon"""


class SimulationSettings(Section):
    """The default data: how much of it, its seed, two of its errors."""

    seed: int = Field(20211005, ge=0)
    """seed of everything that is simulated"""
    scales: dict[str, Scale] = Field(
        {
            "default": Scale(luminosity=200.0, signal_events=5000),
            "paper": Scale(luminosity=1000.0, signal_events=20000),
        }
    )
    """sizes of the sample; `paper` is that of arXiv:2110.00810, section 6"""
    detector: DetectorSettings = DetectorSettings()
    """variations of the simulated detector"""

    def size(self, scale: str) -> Scale:
        """How much a scale simulates; InputError if there is no such scale."""
        if scale not in self.scales:
            raise InputError(
                f"There is no scale {scale!r} in `simulation.scales`; "
                f"choose one of {', '.join(self.scales)}."
            )
        return self.scales[scale]


class FeatureSettings(Section):
    """How ntuples are read and tensors are written."""

    chunk_size: int = Field(500_000, gt=0)
    """entries aimed at per chunk; bounds the memory of a worker"""
    candidates: CandidatePolicy = "all"
    """of several candidates in one event, next to each other in a file, `all` count, or only the
    `first`; `single` drops events with several"""


class LimitSettings(Section):
    """What the limits assume beside the yields and their finite simulated samples.

    The defaults of background and efficiency are of the size that searches of this kind quote
    and stand in for a measurement in control samples, which simulation alone cannot give.
    """

    confidence_level: float = Field(0.9, gt=0.5, lt=1)
    """confidence level of the limits, by the CLs method"""
    background_uncertainty: Uncertainty | dict[str, Uncertainty] = 0.1
    """relative uncertainty of the expected background: one number is common to all processes, one
    for each background process makes them independent"""
    efficiency_uncertainty: Uncertainty = 0.05
    """relative uncertainty of the signal efficiency"""
    luminosity_uncertainty: Uncertainty = 0.01
    """relative uncertainty of the luminosity, common to all processes"""
    cross_sections: str | None = None
    """JSON file with sigma/g'^2 by mass, relative to the manifest; by default that of the
    simulation"""


class BaselineSettings(Section):
    """What is compared with the Punzi-net."""

    trees: int = Field(100, ge=1)
    """boosted trees, one after the other"""
    ranking_events: int = Field(100_000, ge=1)
    """events of signal, and of background, that rank observables"""
    background_uncertainty: float = Field(0.1, gt=0, le=10)
    """relative uncertainty of all background in the study of systematics, where `figure_of_merit`
    has none"""


class PaperSettings(Section):
    """How much work goes into the reproduction of the paper.

    The recipe is that of the section `training`, of which only the batch size and the number of
    networks are changed. The paper averages over 25 networks everywhere.
    """

    networks: int = Field(25, ge=2)
    """networks of the main study: batches as in `training.punzi`"""
    unbatched_networks: int = Field(10, ge=2)
    """networks trained without batches, for Fig. 2, 3 and 4"""
    further_batch_sizes: tuple[Annotated[int, Field(ge=1)], ...] = (25_000, 200_000)
    """other batch sizes whose losses Fig. 2 shows"""
    further_networks: int = Field(3, ge=2)
    """networks of each of these batch sizes, and of each variation of the recipe (`--studies`)"""
