"""Columns: what the analysis reads, whatever the branches of a file are called."""

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.manifest.datasets import Dataset
from punzinet.processors.opening import Unreadable, is_remote, patiently, reason

T = TypeVar("T")
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


def required_columns(dataset: Dataset, further: Sequence[str] = ()) -> tuple[str, ...]:
    """Columns without which a dataset cannot be analysed.

    Args:
        dataset: The dataset.
        further: What the search reads besides momenta and beams.
    """
    own_mass = dataset.is_signal and dataset.mass is None
    return (*IDENTITY, *MOMENTA, *(("generated_mass",) if own_mass else ()), *further)


def find_columns(
    dataset: Dataset, file: str, branches: Mapping[str, str], further: Sequence[str] = ()
) -> dict[str, str]:
    """Find out which branch each column is read from.

    The weight, both charges and the four components of the beam are used where a file has
    them; everything else has to be there, and so has whatever the manifest gives an alias.

    Args:
        dataset: The dataset, with its aliases.
        file: The file, for messages.
        branches: Type of every branch of the tree, by name.
        further: What the search reads besides momenta and beams.

    Returns:
        Branch names by column.

    Raises:
        InputError: If a column is missing, or a branch does not hold one number per entry.
    """
    required = required_columns(dataset, further)
    needed = {*required, *dataset.branches}
    branch_of = {name: name for name in further} | dataset.branch_of
    columns = {}
    for group in (*((name,) for name in required), ("weight",), CHARGES, BEAM):
        names = {column: branch_of[column] for column in group}
        missing = {column: name for column, name in names.items() if name not in branches}
        if not missing:
            columns.update(names)
        elif len(missing) < len(names) or needed & set(group):
            column, name = next(iter(missing.items()))
            raise InputError(_missing_sentence(dataset, file, column, name, branches))
    for column, name in columns.items():
        if branches[name].removeprefix("std::") not in NUMBERS:
            raise InputError(
                f"Dataset {dataset.name}: branch {name} of {file} holds {branches[name]}, but "
                f"`{column}` has to be one number for every entry."
            )
    return columns


def _missing_sentence(
    dataset: Dataset, file: str, column: str, name: str, branches: Collection[str]
) -> str:
    """Say which branch is missing and which ones, not used otherwise, are called similarly."""
    free = sorted(set(branches) - set(dataset.branch_of.values()))
    near = difflib.get_close_matches(name, free, n=3, cutoff=0.5)
    near = near or difflib.get_close_matches(column, free, n=3, cutoff=0.4)
    hint = f"; nearest are {', '.join(near)}" if near else ""
    return (
        f"Dataset {dataset.name}: tree {dataset.tree} of {file} has no branch {name}, which "
        f"`{column}` is read from{hint}; name the right one under `branches` in the manifest."
    )


def read_column(events: Any, branch: str, missing: Sequence[float] = ()) -> NDArray[Any]:
    """Read one branch of a chunk.

    Args:
        events: The chunk, a NanoEvents array whose columns are read on first use, or have been
            read at once and are in its metadata.
        branch: Name of the branch.
        missing: Numbers that stand for a missing value; NaN is returned in their place.

    Returns:
        (n,) numbers in the type that the file stores; in double precision where integers can be
        missing.

    Raises:
        InputError: If the file is damaged there, or its server fails.
    """
    values: NDArray[Any] | None = events.metadata["columns"].get(branch)
    if values is None:
        values = _patiently(events, branch, lambda: np.asarray(ak.to_numpy(events[branch])))
    if missing:
        if not np.issubdtype(values.dtype, np.floating):
            values = values.astype(np.float64)
        # What single precision cannot hold is infinite there, and no number either.
        with np.errstate(over="ignore"):
            sentinels = np.asarray(missing).astype(values.dtype)
        values = np.where(np.isin(values, sentinels), values.dtype.type(np.nan), values)
    return values


def read_entry(events: Any, branches: Sequence[str], entry: int) -> list[int] | None:
    """Read some integers of one entry of the file, which may lie outside of the chunk.

    Args:
        events: The chunk.
        branches: Names of the branches.
        entry: Number of the entry in the file.

    Returns:
        One number for each branch; None if the file has no such entry.

    Raises:
        InputError: If the file is damaged there, or its server fails.
    """

    def read() -> list[int] | None:
        tree = events.metadata["root"][events.metadata["tree"]]
        if not 0 <= entry < tree.num_entries:
            return None
        values = tree.arrays(filter_name=list(branches), entry_start=entry, entry_stop=entry + 1)
        return [int(values[name][0]) for name in branches]

    return _patiently(events, branches[0], read)


def unreadable(chunk: Any, what: str, error: Exception) -> Unreadable:
    """What is raised if something of a chunk cannot be read.

    Args:
        chunk: The chunk.
        what: The part of its file.
        error: What went wrong.
    """
    blame = "its server fails or it" if is_remote(chunk.path) else "the file"
    return Unreadable(
        f"{chunk.path}: {what} cannot be read between entries {chunk.start} and {chunk.stop} "
        f"({reason(error)}); {blame} is damaged, make or fetch it again."
    )


def _patiently(events: Any, branch: str, attempt: Callable[[], T]) -> T:
    """Read something of a file, several times if it is on a server that fails.

    Args:
        events: The chunk that it is read for.
        branch: What is read, for messages.
        attempt: Reads it.

    Raises:
        InputError: If the file is damaged there, or its server fails.
    """
    chunk = events.metadata["chunk"]

    def read() -> T:
        try:
            return attempt()
        except Exception as error:
            raise unreadable(chunk, f"branch {branch}", error) from error

    return patiently(chunk.path, read)
