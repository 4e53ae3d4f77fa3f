"""Datasets of the manifest: which files, of which process, normalised to what.

Samples of their own may stand for parts of the target luminosity, such as years: periods. A
background of a period is scaled to the luminosity of that period, one without to the total. The
efficiency of signal is the mean over periods, weighted by their luminosities. Whoever has a sample
of one period therefore needs one of each: the mean over those that are there would be that of
another experiment. A sample that stands for all periods says none.
"""

import glob
import itertools
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from punzinet.analysis.constants import FB_PER_NB
from punzinet.analysis.io.files import InputError, did_you_mean, is_file
from punzinet.analysis.manifest.sections import (
    MASS_TOLERANCE,
    Beside,
    DetectorSettings,
    Positive,
    Section,
)
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

SIGNAL_PROCESS = "signal"  # the process whose events belong to one mass hypothesis each
DATA = "data"  # what is measured and not simulated: nobody knows the process of such an event

LUMINOSITY_TOLERANCE = 0.05  # relative; a cross-section is known about as well
EQUAL = 1e-3  # relative difference of luminosities that people write with three digits

BRANCHES = {
    **{name: f"__{name}__" for name in ("experiment", "run", "event", "production", "weight")},
    **{
        f"{quantity}{number}": f"daughter__bo{index}__cm__sp{quantity}__bc"
        for number, index in ((1, 0), (2, 1))
        for quantity in ("px", "py", "pz", "charge")
    },
    **{f"beam_{part}": f"beam{part.title()}" for part in ("E", "px", "py", "pz")},
    "generated_mass": "generatedMass",
}
"""What the analysis reads, and the basf2 branch (escaped name) it is read from by default."""

CMS_BRANCHES = {
    f"p{axis}{number}": f"daughter__bo{index}__cm__spuseCMSFrame__bop{axis}__bc__bc"
    for number, index in ((1, 0), (2, 1))
    for axis in "xyz"
}
"""Branches of the momenta where a dataset gives them in the centre-of-mass system."""

Mass = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(gt=0)]
Checksum = Annotated[str, Field(pattern=r"^(adler32|md5|sha256):[0-9a-fA-F]+$")]
Simulated = Literal["signal", "mumugamma", "tautau", "eemumu"]


class OfProcess:
    """What is of one process."""

    name: str
    process: str
    variation_of: str | None

    @property
    def is_signal(self) -> bool:
        """Whether the events belong to one mass hypothesis each."""
        return self.process == SIGNAL_PROCESS

    @property
    def is_data(self) -> bool:
        """Whether the events are measured."""
        return self.process == DATA

    @property
    def unrepeated(self) -> str:
        """What no event may be in twice: a process; a variation, as its events are those of it."""
        return self.name if self.variation_of else self.process


class Dataset(Section, OfProcess):
    """One sample: ntuples of one process with one normalisation."""

    name: str = ""
    """name of the dataset, its key in the manifest"""
    process: str
    """what happened in these events: one of `processes`, or `data`"""
    variation_of: str | None = Field(None, exclude_if=lambda nominal: nominal is None)
    """dataset that this one takes the place of in a variation, see `systematics`; process,
    generator, branches and the like are the same unless said otherwise"""
    simulate: Simulated | None = None
    """generator of the default data that makes this dataset"""
    detector: DetectorSettings | None = Field(None, exclude_if=lambda factors: factors is None)
    """factors on top of those of `simulation.detector`, in a variation that is simulated"""
    files: tuple[Beside, ...] = ()
    """ROOT files: paths, patterns where no such path exists, or URLs; relative ones start at the
    manifest"""
    tree: str = Field("variables", min_length=1)
    """name of the TTree or RNTuple"""
    branches: dict[str, str] = Field({})
    """branch aliases, e.g. `px1: mu0_px`, where they differ from basf2's"""
    frame: Literal["laboratory", "cms"] = "laboratory"
    """system that the momenta are given in; basf2's `cms` has z along the electron"""
    missing: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = ()
    """numbers that stand for a missing value, such as -999, besides NaN and infinities; event
    numbers are left alone"""
    luminosity: Positive | None = None
    """integrated luminosity of the sample in fb^-1 (background and data)"""
    period: str | None = Field(
        None, coerce_numbers_to_str=True, exclude_if=lambda period: period is None
    )
    """part of the `luminosity` that the sample stands for, if not for all of it"""
    generated: Count | dict[Positive, Count] | None = None
    """generated events before any selection: of signal, one number for every mass or one for each;
    of a background, what its `cross_section` is compared with"""
    cross_section: Positive | None = None
    """cross-section of a background in nb, by which `generated` events are its `luminosity`"""
    mass: Positive | None = None
    """generated mass in GeV where all events of the sample share it"""
    entries: Count | dict[str, int] | None = None
    """expected entries: in total, or for each file (by its name)"""
    checksums: dict[str, Checksum] = Field({})
    """checksums of files on disk, by name, e.g. `adler32:0a1b2c3d`; they are compared by every
    command that reads the files"""

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        given = self.model_fields_set
        measured = given & {"simulate", "generated", "mass", "cross_section", "variation_of"}
        made = given & {"files", "luminosity", "generated", "cross_section", "entries", "checksums"}
        if self.is_data and measured:
            raise ValueError(f"data is measured, so {', '.join(sorted(measured))} must not be set")
        if self.detector is not None and (self.simulate is None or self.variation_of is None):
            raise ValueError(
                "`detector` is for a simulated dataset with `variation_of`; that of all others is "
                "`simulation.detector`"
            )
        if self.simulate is not None:
            if self.is_signal != (self.simulate == SIGNAL_PROCESS):
                raise ValueError(f"`simulate: {self.simulate}` does not make `{self.process}`")
            if made:
                raise ValueError(
                    f"`simulate` makes this dataset, so {', '.join(sorted(made))} must not be set"
                )
            return self
        if not self.files:
            raise ValueError("`files` is missing: name the ROOT files of this dataset")
        if self.is_signal and self.generated is None:
            raise ValueError("`generated` is missing: signal needs its generated events per mass")
        if not self.is_signal and self.luminosity is None:
            kind = "data needs" if self.is_data else "a background needs"
            raise ValueError(f"`luminosity` is missing: {kind} its fb^-1")
        if self.cross_section is not None:
            self._check_cross_section(self.cross_section)
        return self

    @model_validator(mode="after")
    def _says_nothing_twice_or_in_vain(self) -> Self:
        of = self.branch_of
        for momentum, other in itertools.product(CMS_BRANCHES, BRANCHES):
            if momentum != other and of[momentum] == of[other]:
                raise ValueError(
                    f"`branches`: {of[momentum]} is `{momentum}`, and so cannot be `{other}`; "
                    "correct one of them"
                )
        masses = sorted(self.generated) if isinstance(self.generated, dict) else []
        if np.any(np.diff(masses) <= MASS_TOLERANCE):
            raise ValueError("`generated` has two numbers for one mass; take one of them out")
        idle = "luminosity" if self.is_signal else "mass"
        if getattr(self, idle) is not None:
            raise ValueError(
                f"`{idle}` says nothing of {self.process}: take it out (signal has `generated` "
                "events, background and data a `luminosity`)"
            )
        return self

    def _check_cross_section(self, section: float) -> None:
        if self.is_signal or not isinstance(self.generated, int):
            raise ValueError(
                "`cross_section` is that of a background and needs its `generated` events"
            )
        expected = self.generated / (section * FB_PER_NB)
        if abs((self.luminosity or 0) / expected - 1) > LUMINOSITY_TOLERANCE:
            raise ValueError(
                f"{self.generated} events `generated` at a `cross_section` of {section:g} nb are "
                f"{expected:.4g} fb^-1, but `luminosity` is {self.luminosity:g}; correct the one "
                "that is wrong"
            )

    @property
    def mixes_masses(self) -> bool:
        """Whether it is signal of several masses, so that a part of it is no share of each."""
        return self.is_signal and self.mass is None

    @property
    def expected_files(self) -> list[str]:
        """Files that the manifest expects something of, by path or name."""
        counted = self.entries if isinstance(self.entries, dict) else {}
        return list(dict.fromkeys([*counted, *self.checksums]))

    @property
    def branch_of(self) -> dict[str, str]:
        """Branch name for every column, aliases applied."""
        return BRANCHES | (CMS_BRANCHES if self.frame == "cms" else {}) | self.branches

    def generated_at(self, mass: float) -> int | None:
        """Number of generated events of one mass in GeV, None where the manifest has none."""
        if self.mass is not None and abs(self.mass - mass) > MASS_TOLERANCE:
            return None
        if not isinstance(self.generated, dict):
            return self.generated
        near = [count for m, count in self.generated.items() if abs(m - mass) < MASS_TOLERANCE]
        return near[0] if near else None

    def resolved_files(self, *, must_exist: bool = True) -> list[str]:
        """All files, patterns replaced by what they match, in a fixed order.

        InputError if a path or a pattern matches no file, or a file is named twice.
        """
        found: list[str] = []
        for name in self.files:
            is_pattern = glob.has_magic(name) and "://" not in name and not os.path.lexists(name)
            matches = _matching(Path(name)) if is_pattern else [name]
            if not matches or not (is_pattern or "://" in name or not must_exist or is_file(name)):
                hint = "; run `punzinet simulate` first" if self.simulate else ""
                if is_pattern:
                    hint = ", nor one that it matches as a pattern ([12] is 1 or 2, * is anything)"
                raise InputError(f"Dataset {self.name}: there is no file {name}{hint}.")
            found += matches
        twice = {name for name in found if found.count(name) > 1}
        if twice:
            raise InputError(
                f"Dataset {self.name}: {min(twice)} is named twice; its events would count double."
            )
        return found


def _matching(pattern: Path) -> list[str]:
    """Files that a pattern matches, sorted; folders that exist are no part of it."""
    folder = next(one for one in pattern.parents if os.path.lexists(one))
    found = glob.glob(str(pattern.relative_to(folder)), root_dir=folder, recursive=True)
    return sorted(str(folder / name) for name in found)


class Blinding(Section):
    """What is seen of data before an analysis is final, and with which luminosity behind it.

    Either a share of all events, drawn by a hash of nothing but their identity, or the sidebands of
    a region of the mass that is searched in. A larger share holds all of a smaller one.
    """

    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """share of all data that is seen"""
    signal_region: tuple[Mass, Mass] | None = None
    """masses in GeV, from and to, that are hidden instead; all others are seen"""

    @model_validator(mode="after")
    def _means_one_thing(self) -> Self:
        if self.signal_region is None:
            return self
        if "fraction" in self.model_fields_set:
            raise ValueError("give a `fraction` or a `signal_region`, not both")
        if self.signal_region[0] >= self.signal_region[1]:
            raise ValueError("`signal_region` must reach from a smaller to a larger mass")
        return self

    @property
    def exposure(self) -> float:
        """Share of the luminosity that stands behind what is seen."""
        return self.fraction if self.signal_region is None else 1.0

    def beside_signal_region(self, mass: FloatArray) -> BoolArray:
        """Which events, measured or simulated, lie where data is seen at all, (n,).

        Masses in GeV are negative where the square is. A signal region that begins at zero holds
        those as well: resolution carries a light particle there.
        """
        if self.signal_region is None:
            return np.ones(len(mass), dtype=bool)
        low, high = self.signal_region
        return ((mass < low) & (low > 0)) | (mass >= high)

    def shown(self, identity: dict[str, IntArray], mass: FloatArray) -> BoolArray:
        """Which measured events are seen, (n,), by their identity (see `folds`) and mass."""
        if self.signal_region is not None:
            return self.beside_signal_region(mass)
        # Not by the name of the dataset: another name must not show other events.
        from punzinet.analysis.folds import uniform_of  # noqa: PLC0415 - numba is slow to import

        return uniform_of(**identity, dataset=DATA) < self.fraction

    def __str__(self) -> str:
        if self.signal_region is None:
            return f"{100 * self.fraction:g} % of the data"
        low, high = self.signal_region
        return f"data outside of masses from {low:g} to {high:g} GeV"


def as_periods(luminosity: Mapping[Any, Any]) -> dict[str, Any]:
    """What the manifest makes of a mapping that is given as the luminosity: sum and periods."""
    try:
        total = math.fsum(map(float, luminosity.values()))
    except (TypeError, ValueError):
        total = 1.0  # what is wrong is said of `periods`
    named = {str(period): value for period, value in luminosity.items()}
    return {"luminosity": total, "periods": named}


def check_periods(
    luminosity: float,
    periods: Mapping[str, float],
    datasets: Mapping[str, Dataset],
    masses: list[float],
) -> None:
    """Raise ValueError if a dataset or a period is without the other; masses are in GeV."""
    if periods and not math.isclose(luminosity, math.fsum(periods.values())):
        raise ValueError("`periods`: give them as `luminosity: {ONE: 20, OTHER: 30}`")
    for name, dataset in datasets.items():
        if dataset.period is not None and dataset.period not in periods:
            raise ValueError(
                f"`datasets.{name}.period`: {dataset.period!r} is no period of `luminosity` "
                + (did_you_mean(dataset.period, [*periods], "there are") if periods else
                   f"(which is one number; give a mapping such as {{{dataset.period}: 20}})")
            )  # fmt: skip
    if periods and not any(dataset.period for dataset in datasets.values()):
        raise ValueError(
            "`luminosity` has periods that no dataset names; say `period` there, or give their sum "
            "as one number"
        )
    simulated = [dataset for dataset in datasets.values() if not dataset.is_data]
    named = {
        f"process {process}": {d.period for d in simulated if d.process == process} - {None}
        for process in sorted({dataset.process for dataset in simulated} - {SIGNAL_PROCESS})
    }
    signals = [dataset for dataset in simulated if dataset.is_signal]
    for mass in masses:
        holds = [d for d in signals if d.simulate or d.generated_at(mass) is not None]
        named[f"signal of {mass:g} GeV"] = {dataset.period for dataset in holds}
    for sample, given in named.items():
        if given > {None}:
            raise ValueError(
                f"`datasets`: {sample} has samples with a `period` and others without, and an "
                "event cannot stand for both; say it of all of them, or of none"
            )
        missing = [period for period in periods if period not in given]
        if missing and given - {None}:
            raise ValueError(
                f"`datasets`: {sample} has no sample of {', '.join(missing)}, but of other "
                "periods; add it, or leave `period` out if what there is stands for all of them"
            )


def remarks(periods: Mapping[str, float], datasets: Mapping[str, Dataset]) -> list[str]:
    """Sentences on what may be meant, and may be a mistake.

    These are a background of which several samples are scaled to the same luminosity, and data of a
    period whose luminosity is not that of the period.
    """
    said = []
    for process in sorted({one.process for one in datasets.values()} - {SIGNAL_PROCESS, DATA}):
        own = [dataset for dataset in datasets.values() if dataset.process == process]
        for period in periods or [None]:
            names = [one.name for one in own if one.period in {None, period}]
            if len(names) > 1:
                when = f" of {period}" if any(one.period for one in own) else ""
                said.append(
                    f"Process {process}{when} is the sum of the datasets {', '.join(names)}, each "
                    f"scaled to the full luminosity{when}: that is right for parts of a process, "
                    "but parts of one sample belong into the `files` of one dataset."
                )
    measured = [one for one in datasets.values() if one.is_data and one.period is not None]
    for period, target in periods.items() if measured else ():
        found = math.fsum(one.luminosity or 0 for one in measured if one.period == period)
        if not math.isclose(found, target, rel_tol=EQUAL):
            said.append(
                f"Data of {period} is {found:g} fb⁻¹, but `luminosity` has {target:g} for it: the "
                "simulation has not the same mixture of periods; correct the one that is wrong."
            )
    return [*dict.fromkeys(said)]
