"""What processors have to know of a dataset: its branches, its beams and its normalisation."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.manifest.datasets import BRANCHES, Blinding, Dataset, OfProcess
from punzinet.analysis.manifest.sections import Beams, CandidatePolicy
from punzinet.analysis.search import RECOIL, Search
from punzinet.analysis.types import FloatArray

if TYPE_CHECKING:
    # Not at run time: workers have no use for the manifest, and its sections are slow to import.
    from punzinet.analysis.manifest.manifest import Manifest
    from punzinet.processors.ntuples.preflight import InputFile

IDENTITY = ("experiment", "run", "event", "production")
MOMENTA = ("px1", "py1", "pz1", "px2", "py2", "pz2")
BEAM = ("beam_E", "beam_px", "beam_py", "beam_pz")
CHARGES = ("charge1", "charge2")

#: Types of a branch that hold one number for every entry, in ROOT's and in C++'s spelling.
NUMBERS = frozenset(
    {"double", "float", "Double32_t", "Float16_t", "bool", "char", "int", "short", "long"}
    | {f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)}
    | {f"unsigned {kind}" for kind in ("char", "int", "short", "long")}
)


@dataclass(frozen=True, eq=False)
class DatasetInfo(OfProcess):
    """What a processor has to know of a dataset; the defaults are those of basf2's ntuples."""

    name: str
    process: str  # ``signal``, ``data`` or the name of a background
    # Factor on the weight of the events: (H,) for signal, by hypothesis, (1,) for others.
    scale: FloatArray = field(default_factory=lambda: np.ones(1), repr=False)
    # (H,) masses of all hypotheses, GeV, sorted.
    hypotheses: FloatArray = field(default_factory=lambda: np.zeros(0), repr=False)
    mass: float | None = None  # of all signal events, GeV; None where each has its own
    columns: Mapping[str, str] | None = None  # their branches; None for those of basf2
    beams: Beams = field(default_factory=Beams)  # for files that do not hold those of each event
    in_cms: bool = False  # whether momenta are given there, and not in the laboratory
    missing: tuple[float, ...] = ()  # numbers that stand for a missing value
    policy: CandidatePolicy = "all"  # which of several candidates of an event are used
    search: Search = RECOIL  # what is computed of the muon pairs
    blinding: Blinding | None = None  # what may be seen of data; None if everything may

    @property
    def electron_direction(self) -> FloatArray:
        """Unit vector (3,) of the electron beam in the system of the momenta."""
        return np.array([0.0, 0.0, 1.0]) if self.in_cms else self.beams.electron_direction

    def columns_in(self, branches: Collection[str]) -> Mapping[str, str]:
        """Branch of each column in a tree with these branches."""
        if self.columns is not None:
            return self.columns
        names = BRANCHES | {name: name for name in self.search.columns}
        return {column: branch for column, branch in names.items() if branch in branches}

    def settings(self) -> dict[str, Any]:
        """All that results depend on, as JSON can express it."""
        return {
            **vars(self),
            "scale": self.scale.tolist(),
            "hypotheses": self.hypotheses.tolist(),
            "columns": self.columns and dict(self.columns),
            "beams": self.beams.model_dump(mode="json"),
            "search": [*self.search.feature_names, self.search.variable.name],
            "blinding": self.blinding and self.blinding.model_dump(mode="json"),
        }


def describe_datasets(
    manifest: "Manifest",
    files: "Iterable[InputFile]",
    shares: Mapping[str, float] | None = None,
    *,
    unblind: bool = False,
) -> dict[str, DatasetInfo]:
    """Describe all datasets of a manifest to the processors, given what `preflight` found.

    Background is scaled to the target luminosity, so that sums of weights are numbers of
    events; signal to one generated event, so that they are efficiencies. Both take the
    corrections. Data counts as it is, and `unblind` shows all of it. Luminosity and generated
    events shrink with the share of a dataset that is processed.
    """
    hypotheses = manifest.hypotheses.mass
    share = dict.fromkeys(manifest.datasets, 1.0) | dict(shares or {})
    generated = np.zeros(len(hypotheses))
    for name, dataset in manifest.datasets.items():
        if dataset.is_signal:
            counts = [dataset.generated_at(mass) or 0 for mass in hypotheses]
            generated += share[name] * np.array(counts)
    # A hypothesis that nothing was generated for has no efficiency: its weights are 0.
    efficiency = np.divide(
        manifest.correction, generated, out=np.zeros(len(generated)), where=generated > 0
    )
    columns = {file.dataset: file.columns for file in files}
    described = {}
    for name, dataset in manifest.datasets.items():
        scale = efficiency
        if dataset.is_data:
            scale = np.ones(1)
        elif dataset.luminosity is not None:
            luminosity = share[name] * dataset.luminosity
            scale = np.array([manifest.correction * manifest.luminosity / luminosity])
        described[name] = DatasetInfo(
            name=name,
            process=dataset.process,
            scale=scale,
            hypotheses=hypotheses,
            mass=dataset.mass,
            columns=columns[name],
            beams=manifest.beams,
            in_cms=dataset.frame == "cms",
            missing=dataset.missing,
            policy=manifest.features.candidates,
            search=manifest.search.resolved,
            blinding=manifest.blinding if dataset.is_data and not unblind else None,
        )
    return described


def find_columns(
    dataset: Dataset, file: str, branches: Mapping[str, str], further: Sequence[str] = ()
) -> dict[str, str]:
    """Find out which branch of a file each column is read from, given the types of all branches.

    The weight, both charges and the four components of the beam are used where a file has
    them; everything else has to be there, and so has whatever the manifest gives an alias; the
    generated mass is of signal of several masses only. What the search reads besides momenta and
    beams is `further`.

    Raises:
        InputError: If a column is missing, or a branch does not hold one number per entry.
    """
    own_mass = ("generated_mass",) if dataset.is_signal and dataset.mass is None else ()
    required = (*IDENTITY, *MOMENTA, *own_mass, *further)
    needed = {*required, *dataset.branches}
    branch_of = {name: name for name in further} | dataset.branch_of
    columns = {}
    for group in (*((name,) for name in required), ("weight",), CHARGES, BEAM):
        names = {column: branch_of[column] for column in group}
        missing = [column for column, name in names.items() if name not in branches]
        if not missing:
            columns.update(names)
        elif len(missing) < len(names) or needed & set(group):
            raise InputError(_missing_sentence(dataset, file, missing[0], branches, branch_of))
    for column, name in columns.items():
        if branches[name].removeprefix("std::") not in NUMBERS:
            raise InputError(
                f"Dataset {dataset.name}: branch {name} of {file} holds {branches[name]}, but "
                f"`{column}` has to be one number for every entry."
            )
    return columns


def _missing_sentence(
    dataset: Dataset, file: str, column: str, branches: Collection[str], of: Mapping[str, str]
) -> str:
    """Say which branch is missing and which ones, not used otherwise, are called similarly."""
    free = sorted(set(branches) - set(dataset.branch_of.values()))
    near = difflib.get_close_matches(of[column], free, n=3, cutoff=0.5)
    near = near or difflib.get_close_matches(column, free, n=3, cutoff=0.4)
    hint = f"; nearest are {', '.join(near)}" if near else ""
    return (
        f"Dataset {dataset.name}: tree {dataset.tree} of {file} has no branch {of[column]}, which "
        f"`{column}` is read from{hint}; name the right one under `branches` in the manifest."
    )
