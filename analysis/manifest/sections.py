"""Sections of the manifest: beams, masses, simulation, and what stages may vary."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from punzinet.analysis.io.files import is_file, rows_of
from punzinet.analysis.types import BoolArray, FloatArray

MASS_TOLERANCE = 1e-6  # two masses closer than this (GeV) are the same hypothesis
LONGEST_NAME = 100  # bytes of a name; those of files have 255
MOST_MASSES = 10_000  # of a grid: more than any search needs, and few enough for memory


def mass_name(mass: float) -> str:
    """A mass in GeV as it stands in names of files and histograms: with all of its digits."""
    return np.format_float_positional(mass, trim="-")


def _beside(name: str, manifest: ValidationInfo) -> str:
    """Path of a file or pattern that a manifest names; without a manifest, the name itself."""
    return name if manifest.context is None or "://" in name else str(manifest.context / name)


def _is_there(path: str, manifest: ValidationInfo) -> str:
    if manifest.context is not None and not is_file(path):
        raise ValueError(f"there is no file {path}")
    return path


def _plain(name: str) -> str:
    if not re.fullmatch(r"[\w-]+", name) or len(name.encode()) > LONGEST_NAME:
        raise ValueError(
            f"use letters, digits, - and _ only, and not more than {LONGEST_NAME} of them, for a "
            "name that becomes that of files or histograms"
        )
    return name


Name = Annotated[str, AfterValidator(_plain)]
"""A name that becomes a part of those of files."""
Beside = Annotated[str, AfterValidator(_beside)]
"""Files, relative to the manifest."""
Present = Annotated[Beside, AfterValidator(_is_there)]
"""A file, relative to the manifest, that has to be there."""
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


class MassGrid(Section):
    """Equidistant masses, both ends included."""

    start: Positive = 0.1
    """lightest mass in GeV"""
    stop: Positive = 8.7
    """heaviest mass in GeV"""
    step: Positive = 0.1
    """distance between masses in GeV"""

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        steps = (self.stop - self.start) / self.step
        if not 0 <= steps < MOST_MASSES or abs(steps - round(steps)) > 1e-6:
            raise ValueError(
                f"masses from {self.start} in steps of {self.step} never reach {self.stop}, or are "
                f"{MOST_MASSES} or more"
            )
        return self


class Hypotheses(Section):
    """All masses that are searched for (arXiv:2110.00810, section 6)."""

    masses: MassGrid | tuple[Positive, ...] = MassGrid()
    """masses in GeV: a list, or a grid with start, stop and step"""
    training_every: int = Field(2, ge=1)
    """every n-th mass, from the lightest, trains; the rest check generalisation"""

    @model_validator(mode="after")
    def _masses_differ(self) -> Self:
        if not len(self.mass):
            raise ValueError("at least one mass is needed")
        if np.any(np.diff(self.mass) <= MASS_TOLERANCE):
            raise ValueError("two masses are the same")
        return self

    @property
    def mass(self) -> FloatArray:
        """All masses, ascending, in GeV, (H,)."""
        if not isinstance(self.masses, MassGrid):
            return np.sort(np.array(self.masses, dtype=float))
        grid = self.masses
        count = round((grid.stop - grid.start) / grid.step) + 1
        # Rounded, so that 0.1 + 2 * 0.1 is the 0.3 that a person wrote elsewhere.
        return np.round(grid.start + grid.step * np.arange(count), 9)

    @property
    def training(self) -> BoolArray:
        """Which masses the network is trained on, (H,)."""
        return np.equal(np.arange(len(self.mass)) % self.training_every, 0)


class Scale(Section):
    """How much to simulate."""

    luminosity: Positive
    """simulated luminosity of every background, fb^-1; an event weighs 1, or less where background
    is aimed at, hence at most the target luminosity over this once normalised"""
    aim: float = Field(40.0, ge=1)
    """how much more often background that looks like signal is simulated, at most"""
    signal_events: int = Field(gt=0)
    """generated signal events at each mass"""


class DetectorSettings(Section):
    """Factors on what is least known of the simulated detector; 1 is the default detector."""

    momentum_resolution: Positive = 1.0
    """factor on the resolution of the muons' transverse momentum"""
    photon_loss: Positive = 1.0
    """factor on the chance that the calorimeter misses a hard photon"""


class SimulationSettings(Section):
    """The default data: its seed, how much of it there is, and what of it can be varied."""

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
    signal_radiation: Literal["none", "beams"] = "none"
    """whether the beams radiate in signal, as in background; the published sample has none"""


class FeatureSettings(Section):
    """How ntuples are read and tensors are written."""

    chunk_size: int = Field(500_000, gt=0)
    """entries aimed at per chunk; bounds the memory of a worker"""
    candidates: CandidatePolicy = "all"
    """of several candidates in one event, next to each other in a file, `all` count, or only the
    `first`; `single` drops events with several"""


class SidebandSettings(Section):
    """Where data normalises the simulated background of a window, in widths of the signal peak."""

    inner: float = Field(3.0, ge=2)
    """where sidebands begin, from the centre of a window, which itself ends at 2"""
    outer: float = Field(8.0, le=1000)
    """where they end, or at twice this and so on, where too few events are expected"""
    masked: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """masses in GeV that are left out of all sidebands, up to `inner`, such as that of a signal"""

    @model_validator(mode="after")
    def _has_a_width(self) -> Self:
        if self.outer <= self.inner:
            raise ValueError("`outer` must be larger than `inner`")
        return self

    def including(self, masses: Iterable[float]) -> Self:
        """The same with further masses masked, in GeV."""
        return self.model_copy(update={"masked": (*self.masked, *masses)})


class LimitSettings(Section):
    """What the limits assume beside the yields and their finite simulated samples.

    The defaults of background and efficiency are of the size that searches of this kind quote
    and stand in for a measurement in control samples, which simulation alone cannot give.
    """

    confidence_level: float = Field(0.9, gt=0.5, lt=1)
    """confidence level of the limits, by the CLs method"""
    background: Literal["simulation", "sidebands"] = "simulation"
    """what normalises the background behind the single cut: simulation, uncertain by
    `background_uncertainty`, or data in the sidebands of each window, with the statistical error"""
    sidebands: SidebandSettings = SidebandSettings()
    """where these lie"""
    background_uncertainty: Uncertainty | dict[str, Uncertainty] = 0.1
    """relative uncertainty of the expected background: one number is common to all processes, one
    for each background process makes them independent"""
    efficiency_uncertainty: (
        Uncertainty | Annotated[dict[Positive, Uncertainty], Field(min_length=1)]
    ) = 0.05
    """relative uncertainty of the signal efficiency: one number, or one for each of some masses in
    GeV, between which it changes linearly"""
    luminosity_uncertainty: Uncertainty = 0.01
    """relative uncertainty of the luminosity, common to all processes"""
    experiments: int = Field(10_000, ge=1)
    """pseudo-experiments behind the global p-value of an observation"""
    seed: int = Field(20211005, ge=0)
    """seed of these, and of pseudo-data"""
    cross_sections: Present | None = None
    """JSON file with sigma/g'^2 by mass, relative to the manifest; by default that of the
    simulation"""

    @model_validator(mode="after")
    def _uses_sidebands(self) -> Self:
        if self.background == "simulation" and self.sidebands != SidebandSettings():
            raise ValueError("`sidebands` are used with `background: sidebands` only; say so")
        return self

    def efficiency_uncertainty_at(self, mass: float) -> float:
        """Relative uncertainty of the signal efficiency at a mass in GeV."""
        given = self.efficiency_uncertainty
        if not isinstance(given, dict):
            return given
        masses = sorted(given)
        return float(np.interp(mass, masses, [given[one] for one in masses]))


class FigureSettings(Section):
    """How figures are written, and what they show beside the results."""

    formats: tuple[Literal["pdf", "png", "svg"], ...] = Field(("pdf", "png", "svg"), min_length=1)
    """formats of every figure; the report shows png or svg"""
    luminosity: str = r"$L = {L}\ \mathrm{fb}^{-1}$"
    """how figures write a luminosity in fb^-1, with {L} for its number"""
    overlays: tuple[Present, ...] | None = None
    """YAML files of published limits that those of the run are drawn with, relative to the
    manifest; by default what is shipped for the search of an invisible Z'"""
    style: Present | None = None
    """matplotlib style file that changes the look, relative to the manifest"""

    @property
    def files(self) -> tuple[str, ...]:
        """Files that figures depend on."""
        return *(self.overlays or ()), *((self.style,) if self.style else ())

    @field_validator("luminosity")
    @classmethod
    def _has_a_number(cls, text: str) -> str:
        if "{L}" not in text:
            raise ValueError("write {L} for the number: what is seen of data has another one")
        return text


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


ROLES = ("training", "validation")  # of a mass: the first if networks are trained for it


def hypothesis_rows(
    mass: FloatArray, training: BoolArray, **more: Iterable[Any]
) -> list[dict[str, Any]]:
    """Masses and roles as results have them in JSON, and more columns."""
    return rows_of({"mass": mass.tolist(), "role": np.where(training, *ROLES).tolist(), **more})


def read_hypotheses(rows: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, BoolArray]:
    """Masses (H,), and which networks are trained for, from such rows; ValueError for others."""
    mass = np.array([row["mass"] for row in rows], dtype=np.float64)
    return mass, np.array([ROLES.index(row["role"]) == 0 for row in rows], dtype=bool)
