"""Ntuples as basf2 writes them: a flat TTree whose branches bear basf2's escaped names.

The same events give the same bytes.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.io.reproducible_root import create_root_file
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.simulation.sampling import EVENT

TREE: Final = "variables"
EXPERIMENT: Final = 1003
"""Experiment number of Belle II's run-independent simulation; its run number is 0."""

_BASKET: Final = 1 << 16
"""Events per basket: 256 kB of single precision, above the 100 kB that make reading efficient."""


def write_ntuple(
    path: Path,
    identity: str,
    production: int,
    beams: Beams,
    parts: Iterable[NDArray[np.void]],
    *,
    signal: bool,
) -> None:
    """Write a ROOT file that appears under its name when complete.

    Its UUID is made from the text `identity`; files with other content should have another. Signal
    has a branch with the generated mass. Events (n,), of dtype `EVENT`, come in parts.

    Raises:
        InputError: If the folder cannot be made or written to.
    """

    def branches(events: NDArray[np.void], first: int) -> dict[str, NDArray[Any]]:
        n = len(events)
        columns: dict[str, NDArray[Any]] = {
            "__experiment__": np.full(n, EXPERIMENT, np.int32),
            "__run__": np.zeros(n, np.int32),
            "__event__": np.arange(first, first + n, dtype=np.uint32),
            "__production__": np.full(n, production, np.int32),
            "__candidate__": np.zeros(n, np.int32),
            "__ncandidates__": np.ones(n, np.int32),
            "__weight__": events["weight"],
        }
        for daughter, (name, charge) in enumerate([("p_plus", 1), ("p_minus", -1)]):
            p = events[name]
            prefix = f"daughter__bo{daughter}__cm__sp"
            for axis, component in enumerate("xyz"):
                columns[f"{prefix}p{component}__bc"] = np.ascontiguousarray(p[:, axis])
            energy = np.sqrt((p.astype(float) ** 2).sum(axis=1) + MUON_MASS**2)
            columns[f"{prefix}E__bc"] = energy.astype(np.float32)
            columns[f"{prefix}charge__bc"] = np.full(n, charge, np.float32)
        for key, value in zip(("E", "px", "py", "pz"), beams.total, strict=True):
            columns[BRANCHES[f"beam_{key}"]] = np.full(n, value)
        if signal:
            columns[BRANCHES["generated_mass"]] = events["mass"]
        return columns

    with create_root_file(path, identity) as file:
        empty = branches(np.empty(0, EVENT), 0)
        tree = file.mktree(TREE, {name: column.dtype for name, column in empty.items()})
        for i, events in enumerate(_baskets(parts)):
            tree.extend(branches(events, i * _BASKET))


def _baskets(parts: Iterable[NDArray[np.void]]) -> Iterator[NDArray[np.void]]:
    """The same events in arrays of `_BASKET`; the last may have fewer."""
    waiting = np.empty(0, EVENT)
    for part in parts:
        waiting = np.concatenate([waiting, part])
        while len(waiting) >= _BASKET:
            yield waiting[:_BASKET]
            waiting = waiting[_BASKET:]
    if len(waiting):
        yield waiting
