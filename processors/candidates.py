"""Muon pairs of a chunk: columns read, checked, weighted, and turned into kinematics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from punzinet.analysis.beams import Beams
from punzinet.analysis.features import Momenta, MuonPairs
from punzinet.analysis.manifest.blinding import Blinding
from punzinet.analysis.search import Search
from punzinet.analysis.types import BoolArray, FloatArray, IntArray
from punzinet.analysis.windows import mass_index
from punzinet.processors.columns import BEAM, IDENTITY, MOMENTA, read_column, read_entry
from punzinet.processors.cutflow import Counter
from punzinet.processors.preflight import InputFile

if TYPE_CHECKING:
    # Not at run time: workers have no use for the manifest, and its sections are slow to import.
    from punzinet.analysis.manifest.datasets import CandidatePolicy
    from punzinet.analysis.manifest.manifest import Manifest

FURTHER = "dropped: not the first candidate of its event"
SEVERAL = "dropped: one of several candidates of its event"
NOT_FINITE = "dropped: momentum, beam or weight is no finite number"
NOT_FINITE_COLUMN = "dropped: momentum, beam, weight or column is no finite number"
SAME_CHARGE = "dropped: the muons do not have opposite charges"
NO_HYPOTHESIS = "dropped: generated mass is no hypothesis"
BLINDED = "blinded: not to be seen before --unblind"


@dataclass(frozen=True, eq=False)
class Sample:
    """What a processor has to know of a dataset.

    Attributes:
        name: Name of the dataset.
        process: Its process.
        is_signal: Whether its events belong to one hypothesis each.
        is_data: Whether its events are measured.
        blinding: What of them may be seen; None if everything may.
        mass: Generated mass of all its events in GeV, None where each has its own.
        columns: Branch of each column.
        beams: Nominal beams, for files that do not hold those of each event.
        in_cms: Whether momenta are given in the centre-of-mass system, not in the laboratory.
        missing: Numbers that stand for a missing value.
        policy: Which of several candidates of an event are used.
        search: What is computed of them.
        hypotheses: (H,) masses of all hypotheses, GeV, sorted.
        scale: Factor on the weight of the events: (H,) for signal, by hypothesis, (1,) for
            background and data.
    """

    name: str
    process: str
    is_signal: bool
    is_data: bool
    blinding: Blinding | None
    mass: float | None
    columns: Mapping[str, str]
    beams: Beams
    in_cms: bool
    missing: tuple[float, ...]
    policy: "CandidatePolicy"
    search: Search
    hypotheses: FloatArray = field(repr=False)
    scale: FloatArray = field(repr=False)

    @property
    def electron_direction(self) -> FloatArray:
        """Unit vector (3,) of the electron beam in the system of the momenta."""
        return np.array([0.0, 0.0, 1.0]) if self.in_cms else self.beams.electron_direction

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON can express it."""
        return {
            "name": self.name,
            "process": self.process,
            "blinding": None if self.blinding is None else self.blinding.model_dump(mode="json"),
            "mass": self.mass,
            "columns": dict(self.columns),
            "beams": self.beams.model_dump(mode="json"),
            "in_cms": self.in_cms,
            "missing": list(self.missing),
            "policy": self.policy,
            "search": [*self.search.feature_names, self.search.variable.name],
            "hypotheses": self.hypotheses.tolist(),
            "scale": self.scale.tolist(),
        }


def make_samples(
    manifest: "Manifest",
    files: Sequence[InputFile],
    shares: Mapping[str, float] | None = None,
    *,
    unblind: bool = False,
) -> dict[str, Sample]:
    """Describe all datasets to the processors.

    Background is scaled to the target luminosity, so that sums of weights are numbers of
    events; signal to one generated event, so that they are efficiencies. Both take the
    corrections. Data counts as it is.

    Args:
        manifest: Datasets, their normalisation, and the hypotheses.
        files: All files, as `preflight` found them.
        shares: Processed share of the datasets that are not processed whole; their luminosity
            and their generated events shrink with it.
        unblind: Whether everything may be seen of data.
    """
    hypotheses = manifest.hypotheses.mass
    share = dict.fromkeys(manifest.datasets, 1.0) | dict(shares or {})
    generated = np.zeros(len(hypotheses))
    for dataset in manifest.datasets.values():
        if dataset.is_signal:
            counts = [dataset.generated_at(mass) or 0 for mass in hypotheses]
            generated += share[dataset.name] * np.array(counts)
    # A hypothesis that nothing was generated for has no efficiency: its weights are 0.
    efficiency = np.divide(
        manifest.correction, generated, out=np.zeros(len(generated)), where=generated > 0
    )
    columns = {file.dataset: file.columns for file in files}
    samples = {}
    for name, dataset in manifest.datasets.items():
        scale = efficiency
        if dataset.is_data:
            scale = np.ones(1)
        elif dataset.luminosity is not None:
            luminosity = share[name] * dataset.luminosity
            scale = np.array([manifest.correction * manifest.luminosity / luminosity])
        samples[name] = Sample(
            name=name,
            process=dataset.process,
            is_signal=dataset.is_signal,
            is_data=dataset.is_data,
            blinding=manifest.blinding if dataset.is_data and not unblind else None,
            mass=dataset.mass,
            columns=columns[name],
            beams=manifest.beams,
            in_cms=dataset.frame == "cms",
            missing=dataset.missing,
            policy=manifest.features.candidates,
            search=manifest.search.resolved,
            hypotheses=hypotheses,
            scale=scale,
        )
    return samples


@dataclass(frozen=True, eq=False)
class Candidates:
    """The muon pairs of a chunk, all of them.

    Attributes:
        features: (n, F) features of the search.
        variable: (n,) values of the variable of its windows.
        weight: (n,) weight in all sums.
        hypothesis: (n,) index of the generated mass among the hypotheses, -1 for none.
        counter: Knows which of them are fit for use, and counts the others.
    """

    features: FloatArray
    variable: FloatArray
    weight: FloatArray
    hypothesis: IntArray
    counter: Counter


def read_candidates(sample: Sample, events: Any) -> Candidates:
    """Read the muon pairs of a chunk and drop those that cannot be used or must not be seen.

    Args:
        sample: Their dataset.
        events: The chunk.

    Raises:
        InputError: If the file is damaged.
    """
    features, variable = sample.search.evaluate(read_pairs(sample, events))
    hypothesis = _hypothesis(sample, events)
    scale = sample.scale[hypothesis if sample.is_signal else 0]
    weight = np.where(hypothesis < 0, 0.0, scale) if sample.is_signal else np.asarray(scale)
    if "weight" in sample.columns:
        weight = weight * _read(sample, events, "weight")
    weight = np.broadcast_to(weight, len(events))
    counter = Counter(weight)
    if sample.policy != "all":
        further, followed = _neighbours(sample, events)
        if sample.policy == "first":
            counter.require(FURTHER, ~further)
        else:
            counter.require(SEVERAL, ~(further | followed))
    # A sum is finite only if all its terms are.
    with np.errstate(invalid="ignore"):
        everything = variable + weight
        for feature in features.T:
            everything += feature
    counter.require(
        NOT_FINITE_COLUMN if sample.search.columns else NOT_FINITE, np.isfinite(everything)
    )
    if "charge1" in sample.columns:
        counter.require(SAME_CHARGE, _opposite_charges(sample, events))
    if sample.is_signal:
        counter.require(NO_HYPOTHESIS, hypothesis >= 0)
    if sample.blinding is not None:
        # Here and not where events are filled or written: nothing that comes later can forget it.
        mass = sample.search.variable.signed_mass(variable)
        identity = read_identity(sample, events)
        counter.require(BLINDED, sample.blinding.shown(identity, mass))
    return Candidates(features, variable, weight, hypothesis, counter)


def read_pairs(sample: Sample, events: Any) -> MuonPairs:
    """All muon pairs of a chunk, with the further columns that the search reads."""
    return MuonPairs(
        *read_momenta(sample, events),
        read_beam(sample, events),
        sample.electron_direction,
        {name: _read(sample, events, name) for name in sample.search.columns},
    )


def read_momenta(sample: Sample, events: Any) -> tuple[Momenta, Momenta]:
    """Momenta of the two muons in the system that the dataset gives them in, GeV."""
    columns = [_read(sample, events, name) for name in MOMENTA]
    return (columns[0], columns[1], columns[2]), (columns[3], columns[4], columns[5])


def read_beam(sample: Sample, events: Any) -> FloatArray:
    """Four-momentum (E, px, py, pz) of the beams, GeV: (n, 4), or (4,) if it is always the same.

    It is that in the system of the momenta: at rest with the energy √s where that is the CMS.
    """
    if BEAM[0] in sample.columns:
        parts = [_read(sample, events, name) for name in BEAM]
        if len(parts[0]) and all(np.all(part == part[0]) for part in parts):
            # Events of one run have the same: what follows from it is then computed once.
            parts = [part[0] for part in parts]
        beam: FloatArray = np.stack(parts, axis=-1, dtype=np.float64)
    else:
        beam = sample.beams.total
    if not sample.in_cms:
        return beam
    energy, px, py, pz = beam.T
    # Beams without a real √s are dropped as no finite number.
    with np.errstate(invalid="ignore", over="ignore"):
        sqrt_s = np.sqrt(energy**2 - px**2 - py**2 - pz**2)
    return np.stack([sqrt_s, *np.zeros((3, *sqrt_s.shape))], axis=-1)


def _read(sample: Sample, events: Any, column: str) -> Any:
    """Read a column, (n,), with NaN for whatever stands for a missing value in this dataset."""
    return read_column(events, sample.columns[column], sample.missing)


def _neighbours(sample: Sample, events: Any) -> tuple[BoolArray, BoolArray]:
    """Find the candidates of events that have several.

    Candidates of one event stand next to each other; a chunk may begin or end among them.

    Args:
        sample: The dataset.
        events: The chunk.

    Returns:
        (n,) whether the entry before belongs to the same event, and whether the next one does.
    """
    chunk = events.metadata["chunk"]
    branches = [sample.columns[name] for name in IDENTITY]
    identity = np.column_stack(list(read_identity(sample, events).values()))
    same = np.all(identity[1:] == identity[:-1], axis=1)
    before, after = (
        other is not None and bool(np.all(identity[row] == other))
        for row, other in (
            (0, read_entry(events, branches, chunk.start - 1)),
            (-1, read_entry(events, branches, chunk.stop)),
        )
    )
    return np.append(before, same), np.append(same, after)


def _hypothesis(sample: Sample, events: Any) -> IntArray:
    """Index of the generated mass of each event among the hypotheses, (n,), -1 for none."""
    if not sample.is_signal:
        return np.full(len(events), -1)
    if sample.mass is not None:
        return np.full(len(events), mass_index(sample.hypotheses, np.array([sample.mass]))[0])
    mass = _read(sample, events, "generated_mass")
    return mass_index(sample.hypotheses, mass)


def _opposite_charges(sample: Sample, events: Any) -> BoolArray:
    """Whether one muon is positive and the other negative, (n,)."""
    first, second = (_read(sample, events, name) for name in ("charge1", "charge2"))
    return np.asarray(((first > 0) & (second < 0)) | ((first < 0) & (second > 0)))


def read_identity(sample: Sample, events: Any) -> dict[str, IntArray]:
    """What tells events apart: experiment, run, event and production number, (n,) int64 each."""
    return {name: read_column(events, sample.columns[name]).astype(np.int64) for name in IDENTITY}
