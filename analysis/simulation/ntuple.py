"""Ntuples as basf2 writes them: a flat TTree whose branches bear basf2's escaped names.

The same events give the same bytes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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


class Ntuple:
    """A tree that is being written; made by `create_ntuple`.

    Attributes:
        entries: Events handed over so far.
    """

    def __init__(self, file: Any, production: int, beams: Beams, signal: bool) -> None:
        """Make the empty tree in an open uproot file; arguments as of `create_ntuple`."""
        self.entries = 0
        self._production = production
        self._beams = beams
        self._signal = signal
        self._waiting: list[NDArray[np.void]] = []
        branches = self._branches(np.empty(0, EVENT), 0)
        self._tree = file.mktree(TREE, {name: array.dtype for name, array in branches.items()})

    def append(self, events: NDArray[np.void]) -> None:
        """Add events, (n,) of dtype `EVENT`, in the order in which they shall be numbered."""
        self._waiting.append(events)
        self.entries += len(events)
        self.flush(_BASKET)

    def flush(self, multiple: int = 1) -> None:
        """Write what waits in baskets of at most `_BASKET` events.

        The number of events written is a multiple of `multiple`; the rest waits on.
        """
        waiting = sum(map(len, self._waiting))
        count = waiting - waiting % multiple
        if not count:
            return
        events = np.concatenate(self._waiting)
        first = self.entries - waiting
        for start in range(0, count, _BASKET):
            part = events[start : min(start + _BASKET, count)]
            self._tree.extend(self._branches(part, first + start))
        self._waiting = [events[count:]]

    def _branches(self, events: NDArray[np.void], first: int) -> dict[str, NDArray[Any]]:
        """All branches of consecutive events, of which the first has a number."""
        n = len(events)
        branches: dict[str, NDArray[Any]] = {
            "__experiment__": np.full(n, EXPERIMENT, np.int32),
            "__run__": np.zeros(n, np.int32),
            "__event__": np.arange(first, first + n, dtype=np.uint32),
            "__production__": np.full(n, self._production, np.int32),
            "__candidate__": np.zeros(n, np.int32),
            "__ncandidates__": np.ones(n, np.int32),
            "__weight__": events["weight"],
        }
        for daughter, (name, charge) in enumerate([("p_plus", 1), ("p_minus", -1)]):
            p = events[name]
            prefix = f"daughter__bo{daughter}__cm__sp"
            for axis, component in enumerate("xyz"):
                branches[f"{prefix}p{component}__bc"] = np.ascontiguousarray(p[:, axis])
            energy = np.sqrt((p.astype(float) ** 2).sum(axis=1) + MUON_MASS**2)
            branches[f"{prefix}E__bc"] = energy.astype(np.float32)
            branches[f"{prefix}charge__bc"] = np.full(n, charge, np.float32)
        for key, value in zip(
            ["beam_E", "beam_px", "beam_py", "beam_pz"], self._beams.total, strict=True
        ):
            branches[BRANCHES[key]] = np.full(n, value)
        if self._signal:
            branches[BRANCHES["generated_mass"]] = events["mass"]
        return branches


@contextmanager
def create_ntuple(
    path: Path, identity: str, production: int, beams: Beams, *, signal: bool
) -> Iterator[Ntuple]:
    """Write an ntuple that appears under its name when complete.

    Args:
        path: The ROOT file.
        identity: Text that the file's UUID is made from; files with other content should have
            another.
        production: Production number, the same in every event.
        beams: Nominal beams, the same in every event.
        signal: Whether there is a branch with the generated mass.

    Yields:
        The ntuple to append events to.

    Raises:
        InputError: If the folder cannot be made or written to.
    """
    with create_root_file(path, identity) as file:
        ntuple = Ntuple(file, production, beams, signal)
        yield ntuple
        ntuple.flush()
