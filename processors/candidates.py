"""Muon pairs of a chunk: columns read, checked, weighted, and turned into kinematics."""

import itertools
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from punzinet.analysis.features import MuonPairs
from punzinet.analysis.folds import IDENTITY
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.datasets import BRANCHES, CMS_BRANCHES
from punzinet.analysis.manifest.systematics import FACTOR
from punzinet.analysis.observables import OBSERVABLES
from punzinet.analysis.types import BoolArray, FloatArray, IntArray
from punzinet.analysis.windows import mass_index
from punzinet.processors.datasets import BEAM, CHARGES, MOMENTA, DatasetInfo, chunk_of
from punzinet.processors.opening import is_remote, open_file, patiently, reading

READ = "entries read"
KEPT = "kept"
FURTHER = "dropped: not the first candidate of its event"
SEVERAL = "dropped: one of several candidates of its event"
NOT_FINITE = "dropped: momentum, beam or weight is no finite number"
NOT_FINITE_COLUMN = "dropped: momentum, beam, weight or column is no finite number"
SAME_CHARGE = "dropped: the muons do not have opposite charges"
NO_HYPOTHESIS = "dropped: generated mass is no hypothesis"
LARGEST = 1e30  # weights, features and variable stay below, so that float32 and sums hold them
NEAR = 1e-3  # relative distance of a generated mass that no grid of hypotheses is as fine as
BEYOND = 4  # beam energies, or squares of them, that no mass, or square, is above or below
_SENTINEL = re.compile(r"-?(9{2,6}|1e\+\d\d)")  # -999 and the like
BLINDED = "blinded: not to be seen before --unblind"

#: Lines of ``step``, ``entries`` and ``weight``: what is read, each requirement drops, and is kept.
Cutflow = list[dict[str, Any]]


class Columns:
    """The columns of a chunk, read as its dataset says when they are asked for."""

    def __init__(self, dataset: DatasetInfo, events: Any) -> None:
        self.dataset = dataset
        self.events = events
        self.chunk = chunk_of(events.metadata)
        # Where nothing else is said, columns are those of basf2 if they are there.
        names = BRANCHES | (CMS_BRANCHES if dataset.in_cms else {})
        names |= {name: name for name in dataset.search.columns}
        there = {name: branch for name, branch in names.items() if branch in events.fields}
        self.branches = there | dict(dataset.columns)  # by column

    def read(self, name: str) -> Any:
        """Read a column, (n,), with NaN for whatever stands for a missing value in this dataset."""
        return read_column(self.events, self.branches.get(name, name), self.dataset.missing)

    @cached_property
    def pairs(self) -> MuonPairs:
        """All muon pairs, with the further columns that the search reads."""
        momenta = [self.read(name) for name in MOMENTA]
        further = {name: self.read(name) for name in self.dataset.search.columns}
        electron = self.dataset.beams.electron_direction
        direction = np.array([0.0, 0.0, 1.0]) if self.dataset.in_cms else electron
        return MuonPairs(momenta[:3], momenta[3:], self._read_beam(), direction, further)

    def _read_beam(self) -> FloatArray:
        """Four-momentum (E, px, py, pz) of the beams, GeV: (n, 4), or (4,) if always the same.

        It is that in the system of the momenta: at rest with the energy √s where that is the CMS.
        """
        beam: FloatArray = self.dataset.beams.total
        if BEAM[0] in self.branches:
            parts = [self.read(name) for name in BEAM]
            if len(parts[0]) and all(np.all(part == part[0]) for part in parts):
                # Events of one run have the same: what follows from it is then computed once.
                parts = [part[0] for part in parts]
            beam = np.stack(parts, axis=-1, dtype=np.float64)
        if self.dataset.in_cms:
            energy, px, py, pz = beam.T
            # Beams without a real √s are dropped as no finite number.
            with np.errstate(invalid="ignore", over="ignore"):
                sqrt_s = np.sqrt(energy**2 - px**2 - py**2 - pz**2)
            beam = np.stack([sqrt_s, *np.zeros((3, *sqrt_s.shape))], axis=-1)
        return beam

    @cached_property
    def identity(self) -> dict[str, IntArray]:
        """What tells events apart, by name: (n,) int64 each.

        InputError if one is no whole number, or its type cannot tell it from its neighbours.
        """
        identity: dict[str, IntArray] = {}
        for name in IDENTITY:
            values = read_column(self.events, branch := self.branches.get(name, name))
            if np.issubdtype(values.dtype, np.floating):
                exact = np.abs(values) < 2 / np.finfo(values.dtype).eps
                exact &= values == np.rint(values)
                if not exact.all():
                    raise InputError(
                        f"Dataset {self.dataset.name}: branch {branch} of {self.chunk.file} holds "
                        f"{values[~exact][0]:.10g} as {values.dtype}, but `{name}` has to be a "
                        "whole number that this type holds exactly; write it as an integer."
                    )
            identity[name] = values.astype(np.int64)
        return identity

    @cached_property
    def hypothesis(self) -> IntArray:
        """Index of the generated mass of each event among the hypotheses, (n,), -1 for none.

        InputError if one is so near a hypothesis that it must have been meant.
        """
        of = self.dataset
        if not of.is_signal:
            return np.full(len(self.events), -1)
        if of.mass is None:
            mass = self.read("generated_mass")
        else:
            mass = np.full(len(self.events), of.mass)
        own = mass_index(of.hypotheses, mass)
        beside = mass[own < 0]
        near = beside[mass_index(of.hypotheses, beside, NEAR) >= 0]
        if len(near):
            said, advice = "`mass`", "correct it"
            if of.mass is None:
                said = self.branches["generated_mass"]
                advice += ", or give each mass a dataset of its own with `mass`"
            raise InputError(
                f"Dataset {of.name}: {len(near)} entries of {self.chunk.file} have {said} = "
                f"{near[0]:.9g} GeV, nearly a mass of `hypotheses`; {advice}."
            )
        return own


class Candidates(Columns):
    """The n muon pairs of a chunk, all of them, and which of them are fit for use.

    The cutflow counts what each requirement drops, and its sum of weights. Coffea's `Cutflow`
    counts what is left, and its sums cannot be added in a fixed order.
    """

    features: FloatArray  # (n, F), those of the search
    variable: FloatArray  # (n,), the variable of its windows
    weight: FloatArray  # (n,), in all sums; 0 if it is not finite, or above `LARGEST`

    def __init__(self, dataset: DatasetInfo, events: Any) -> None:
        """Begin with all entries."""
        super().__init__(dataset, events)
        self.features, self.variable = dataset.search.evaluate(self.pairs)
        weight = dataset.scale[0]
        if dataset.is_signal:
            weight = np.where(self.hypothesis < 0, 0.0, dataset.scale[self.hypothesis])
        if "weight" in self.branches:
            with np.errstate(all="ignore"):
                weight = weight * self.read("weight")
        self.weight, large = np.broadcast_to(weight, len(events)), 0
        self.usual: BoolArray = np.abs(self.weight) < LARGEST  # which weights can be used, (n,)
        if not self.usual.all():
            large = int(np.count_nonzero(np.isfinite(self.weight) & ~self.usual))
            self.weight = np.where(self.usual, self.weight, 0.0)
        negative, impossible = (np.count_nonzero(w) for w in (self.weight < 0, self.impossible))
        #: (3,) How many entries have a negative weight, one too large, an impossible variable.
        self.odd = np.array([negative, large, impossible])
        self.alive: BoolArray = np.ones(len(events), dtype=bool)  # met all requirements so far
        self._lines = [self._line(READ, self.alive)]

    def _line(self, step: str, mask: BoolArray) -> dict[str, Any]:
        entries = int(np.count_nonzero(mask))
        weight = self.weight if entries == len(mask) else self.weight[mask]
        return {"step": step, "entries": entries, "weight": float(weight.sum())}

    def require(self, otherwise: str, mask: BoolArray, factor: FloatArray | None = None) -> None:
        """Drop the entries outside of a mask (n,), and count them in the line `otherwise`.

        Given factors (n,), what is left stands for what is dropped, which then weighs nothing.
        """
        line = self._line(otherwise, self.alive & ~mask)
        self.alive &= mask
        if factor is not None:
            line["weight"] = 0.0
            self.weight = factor * self.weight
        self._lines.append(line)

    @property
    def cutflow(self) -> Cutflow:
        """All lines, the last one counting what is kept."""
        return [*self._lines, self._line(KEPT, self.alive)]

    @cached_property
    def impossible(self) -> BoolArray:
        """Whether the variable is what no event at its beams has, (n,), if it is made of muons."""
        if (of := self.dataset.search.variable).name not in OBSERVABLES:
            return np.zeros(len(self.variable), dtype=bool)
        return np.abs(self.variable) > BEYOND * np.abs(self.pairs.beam[..., 0]) ** of.dimension

    def factors(self, rows: IntArray) -> dict[str, FloatArray]:
        """Factors on the weights of some entries (n,), float32 by their column of the tensors.

        InputError if one is negative, or no finite number.
        """
        found = {}
        for name in (name for name in self.branches if name.startswith(FACTOR)):
            branch = self.branches[name]
            factor = read_column(self.events, branch).take(rows).astype(np.float32)
            if count := np.count_nonzero(~((factor >= 0) & (factor < LARGEST))):
                raise InputError(
                    f"Dataset {self.dataset.name}: branch {branch} of {self.chunk.file} is "
                    f"negative or no finite number in {count} usable entries, but {name} has to "
                    "be a factor on their weights; correct it."
                )
            found[name] = factor
        return found

    def neighbours(self) -> tuple[BoolArray, BoolArray]:
        """Whether the entry before belongs to the same event, and whether the next one does, (n,).

        Candidates of one event stand next to each other; a chunk may begin or end among them.
        """
        chunk, branches = self.chunk, [self.branches[name] for name in IDENTITY]

        def identity_of(tree: Any, entry: int) -> list[int] | None:
            if not 0 <= entry < tree.num_entries:
                return None
            where = {"entry_start": entry, "entry_stop": entry + 1, "library": "np"}
            values = (int(np.nan_to_num(tree[name].array(**where)[0])) for name in branches)
            return [(value + 2**63) % 2**64 - 2**63 for value in values]  # as an int64 holds it

        def look() -> list[list[int] | None]:
            unread = f"{chunk.file}: entries {chunk.start - 1} and {chunk.stop} cannot be read"
            advice = "; the file is damaged, make or fetch it again"
            with open_file(chunk.file, chunk.dataset) as file, reading(unread, advice):
                tree = file[self.events.metadata["treename"]]
                return [identity_of(tree, entry) for entry in (chunk.start - 1, chunk.stop)]

        before, after = patiently(chunk.file, look)
        identity = np.column_stack(list(self.identity.values()))
        same = np.all(identity[1:] == identity[:-1], axis=1)
        first, last = identity[[0, -1]].tolist()
        return np.append(before == first, same), np.append(same, after == last)

    def unsaid(self) -> dict[str, int]:
        """How many entries hold a number that stands for a missing one elsewhere, by what it is.

        Momenta and beams are looked at in impossible events only, for the sake of speed.
        """
        found, further = dict[str, int](), self.dataset.search.columns
        impossible = self.impossible
        looked_at = (*(MOMENTA + BEAM if impossible.any() else ()), *further)
        for name in (name for name in looked_at if name in self.branches):
            values = self.read(name)
            some = values[np.isfinite(values) & (impossible | (name in further))]
            for value in {*some[[some.argmin(), some.argmax()]].tolist()} if len(some) else ():
                if _SENTINEL.fullmatch(f"{value:g}"):
                    found[f"{self.branches[name]} is {value:g}"] = int(np.sum(values == value))
        return found


def merge_cutflows(cutflows: Iterable[Cutflow]) -> Cutflow:
    """Add up cutflows line by line, in the order given."""
    total: dict[str, dict[str, Any]] = {}
    for line in itertools.chain.from_iterable(cutflows):
        sums = total.setdefault(line["step"], {**line, "entries": 0, "weight": 0.0})
        sums["entries"] += line["entries"]
        sums["weight"] += line["weight"]
    return list(total.values())


def read_candidates(dataset: DatasetInfo, events: Any) -> Candidates:
    """Read a chunk and drop what cannot be used or must not be seen; InputError if damaged."""
    found, search = Candidates(dataset, events), dataset.search
    if dataset.policy != "all":
        further, followed = found.neighbours()
        single = dataset.policy == "single"
        found.require(SEVERAL if single else FURTHER, ~(further | (single & followed)))
    finite = _are_numbers(found.features.T, found.variable)
    found.require(NOT_FINITE_COLUMN if search.columns else NOT_FINITE, finite & found.usual)
    if "charge1" in found.branches:
        first, second = map(found.read, CHARGES)
        found.require(SAME_CHARGE, (first > 0) & (second < 0) | (first < 0) & (second > 0))
    if dataset.is_signal:
        found.require(NO_HYPOTHESIS, found.hypothesis >= 0)
    if dataset.blinding is not None:
        # Here and not where events are filled or written: nothing that comes later can forget it.
        mass = search.variable.signed_mass(found.variable)
        found.require(BLINDED, dataset.blinding.shown(found.identity, mass))
    return found


@njit(nogil=True, cache=True)
def _are_numbers(features: FloatArray, variable: FloatArray) -> BoolArray:
    """Whether all of features (F, n) and variable are numbers below `LARGEST`, (n,)."""
    found = np.empty(len(variable), np.bool_)
    for i in range(len(variable)):
        found[i] = abs(variable[i]) < LARGEST
        for f in range(len(features)):
            found[i] &= abs(features[f, i]) < LARGEST
    return found


def read_column(events: Any, branch: str, missing: Sequence[float] = ()) -> NDArray[Any]:
    """Read one branch of a chunk, (n,) numbers in the type that the file stores.

    NaN is in place of numbers that stand for a missing value; integers become double precision.
    InputError if there is no such branch, the file is damaged there, or its server fails.
    """
    chunk = chunk_of(events.metadata)
    if branch not in events.fields:
        raise InputError(f"Dataset {chunk.dataset}: {chunk.file} has no branch {branch}.")
    blame = "its server fails or it" if is_remote(chunk.file) else "the file"
    where = f"between entries {chunk.start} and {chunk.stop}"
    advice = f"; {blame} is damaged, make or fetch it again"
    with reading(f"{chunk.file}: branch {branch} cannot be read {where}", advice):
        values: NDArray[Any] = np.asarray(ak.to_numpy(events[branch]))
    if len(values) != chunk.entries:
        raise InputError(
            f"{chunk.file} holds {len(values)} instead of {chunk.entries} entries from entry "
            f"{chunk.start} on; run the same command again."
        )
    if missing:
        if not np.issubdtype(values.dtype, np.floating):
            values = values.astype(np.float64)
        # What single precision cannot hold is infinite there, and no number either.
        with np.errstate(over="ignore"):
            sentinels = np.asarray(missing).astype(values.dtype)
        values = np.where(np.isin(values, sentinels), values.dtype.type(np.nan), values)
    return values
