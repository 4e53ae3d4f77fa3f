"""Ntuples with large baskets: the same entries, which are read many times faster.

basf2 writes baskets of 200 values. Whoever reads them with uproot waits for every basket, whatever
is in it: a sample that is read several times is better copied once.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from numpy.typing import NDArray

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.provenance import digest
from punzinet.analysis.io.reproducible_root import create_root_file
from punzinet.processors.ntuples.opening import Unreadable, open_file, patiently, reason

BASKET = 65_536
"""Entries of a basket, and how many are in memory at once."""


def rebasket_file(path: str, tree: str, target: Path, advance: Callable[[int, int], None]) -> int:
    """Copy a tree of plain columns, basket by large basket; what else is in the file stays behind.

    `advance` is told of the number of entries done, and of all, after every basket.

    Returns:
        Number of entries.

    Raises:
        InputError: If the ntuple is damaged, has no such TTree or branches that are no plain
            columns, or `target` cannot be written.
    """
    return patiently(path, lambda: _copy(path, tree, target, advance))


def _copy(path: str, tree: str, target: Path, advance: Callable[[int, int], None]) -> int:
    """Copy a tree; see `rebasket_file`."""
    with open_file(path) as file:
        source = _tree(file, path, tree)
        identity = digest([path, str(file.file.uuid), tree])
        with create_root_file(target, identity) as sink:
            copy = sink.mktree(tree, _types(source, path), title=source.title)
            for columns in _baskets(source, path):
                copy.extend(columns)
                advance(copy.num_entries, source.num_entries)
            if copy.num_entries != source.num_entries:
                raise _unreadable(path, tree, f"it ends after {copy.num_entries} entries")
            return int(copy.num_entries)


def _tree(file: Any, path: str, name: str) -> Any:
    """Get the tree out of an open file.

    Raises:
        InputError: If there is none of that name; the sentence lists those there are.
    """
    trees = sorted(set(file.keys(cycle=False, filter_classname=["TTree", "TNtuple*"])))
    if name not in trees:
        there = f"it has {', '.join(trees)}" if trees else "it has none"
        raise InputError(f"{path} has no TTree {name}; {there}; choose one with --tree.")
    try:
        return file[name]
    except Exception as error:  # whatever damage does to a ROOT file
        raise _unreadable(path, name, error) from error


def _baskets(tree: Any, path: str) -> Iterator[dict[str, NDArray[Any]]]:
    """All columns, by name, of one large basket after the other.

    Raises:
        InputError: If they cannot be read.
    """
    baskets = tree.iterate(step_size=BASKET, library="np")
    while True:
        try:
            columns = next(baskets, None)
        except Exception as error:  # whatever damage does to a ROOT file
            raise _unreadable(path, tree.name, error) from error
        if columns is None:
            return
        yield columns


def _types(tree: Any, path: str) -> dict[str, np.dtype[Any]]:
    """Type of every branch.

    Raises:
        InputError: If a branch holds anything else than one number for each entry.
    """
    types = {}
    for branch in tree.branches:
        plain = isinstance(branch.interpretation, uproot.AsDtype)
        if not plain or branch.interpretation.inner_shape or branch.branches:
            raise InputError(
                f"{path}: branch {branch.name} of {tree.name} is no plain column "
                f"({branch.typename}); use ROOT's `hadd -O` for this file."
            )
        types[branch.name] = branch.interpretation.to_dtype
    return types


def _unreadable(path: str, tree: str, why: BaseException | str) -> Unreadable:
    """What to say of a tree that cannot be read."""
    said = why if isinstance(why, str) else reason(why)
    return Unreadable(
        f"{path}: tree {tree} cannot be read: it is damaged or out of reach ({said})."
    )
