"""Ntuples with large baskets: the same entries, which are read many times faster.

basf2 writes baskets of 200 values. Whoever reads them with uproot waits for every basket, whatever
is in it: a sample that is read several times is better copied once.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import uproot

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.output import digest
from punzinet.analysis.io.reproducible_root import create_root_file
from punzinet.processors.ntuples.opening import find_tree, open_file, patiently, reading

BASKET = 65_536  # entries, and how many are in memory at once


def rebasket_file(path: str, tree: str, target: Path, advance: Callable[[int, int], None]) -> int:
    """Copy a tree of plain columns, and return its entries; what else is in the file stays behind.

    `advance` is told of the number of entries done, and of all, after every basket.

    Raises:
        InputError: If the ntuple is damaged, has no such TTree or branches that are no plain
            columns, or `target` cannot be written.
    """
    unread = f"{path}: tree {tree} cannot be read: it is damaged or out of reach"

    def copy() -> int:
        with open_file(path) as file:
            with reading(unread):
                source = find_tree(file, tree, path, "choose one with --tree", rntuple=False)
            identity = digest([path, str(file.file.uuid), tree])
            with create_root_file(target, identity) as sink:
                copied = sink.mktree(tree, _types(source, path), title=source.title)
                baskets = source.iterate(step_size=BASKET, library="np")
                while True:
                    with reading(unread):
                        columns = next(baskets, None)
                    if columns is None:
                        break
                    copied.extend(columns)
                    advance(copied.num_entries, source.num_entries)
                with reading(unread):
                    if copied.num_entries != source.num_entries:
                        raise EOFError(f"it ends after {copied.num_entries} entries")
                return int(copied.num_entries)

    return patiently(path, copy)


def _types(tree: Any, path: str) -> dict[str, np.dtype[Any]]:
    """Type of every branch, each of which has to hold one number for each entry."""
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
