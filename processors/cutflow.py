"""Cutflows: what became of every entry, counted raw and by weight."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from punzinet.analysis.types import BoolArray, FloatArray

#: Name of the first line of every cutflow.
READ = "entries read"
#: Name of its last line: what none of the lines in between has dropped.
KEPT = "kept"


@dataclass(frozen=True)
class Line:
    """One line of a cutflow.

    Attributes:
        entries: Number of entries.
        weight: Sum of their weights.
    """

    entries: int = 0
    weight: float = 0.0

    def __add__(self, other: "Line") -> "Line":
        return Line(self.entries + other.entries, self.weight + other.weight)


#: Lines by name, in their order.
Cutflow = dict[str, Line]


class Counter:
    """Drops entries of a chunk, requirement by requirement, and counts what it drops.

    Attributes:
        alive: (n,) entries that have met all requirements so far.
        lines: Entries read, then entries dropped by each requirement.
    """

    def __init__(self, weight: FloatArray) -> None:
        """Start with all entries.

        Args:
            weight: (n,) weights; what is not finite counts as 0.
        """
        finite = np.isfinite(weight)
        self._weight = weight if finite.all() else np.where(finite, weight, 0.0)
        self.alive: BoolArray = np.ones(len(weight), dtype=bool)
        self.lines: Cutflow = {READ: Line(len(weight), float(self._weight.sum()))}

    def _line(self, mask: BoolArray) -> Line:
        """Count the entries of a mask (n,)."""
        entries = int(np.count_nonzero(mask))
        return Line(entries, float(self._weight[mask].sum()) if entries else 0.0)

    def require(self, otherwise: str, mask: BoolArray) -> None:
        """Drop the entries that do not fulfil `mask`.

        Args:
            otherwise: Name of the line that counts them.
            mask: (n,) True for entries to keep.
        """
        dropped = self.alive & ~mask
        self.lines[otherwise] = self._line(dropped)
        self.alive &= mask

    def finish(self) -> Cutflow:
        """All lines, the last one counting what is kept."""
        return {**self.lines, KEPT: self._line(self.alive)}


def merge(cutflows: Iterable[Cutflow]) -> Cutflow:
    """Add up cutflows line by line, in the order given."""
    total: Cutflow = {}
    for cutflow in cutflows:
        for name, line in cutflow.items():
            total[name] = total.get(name, Line()) + line
    return total


def to_json(cutflow: Cutflow) -> list[dict[str, Any]]:
    """Lines as JSON; those between the first and the last say what was dropped."""
    return [
        {"step": name, "entries": line.entries, "weight": line.weight}
        for name, line in cutflow.items()
    ]


def from_json(lines: Iterable[dict[str, Any]]) -> Cutflow:
    """The cutflow that `to_json` was given."""
    return {line["step"]: Line(line["entries"], line["weight"]) for line in lines}


def is_complete(cutflow: Cutflow, entries: int) -> bool:
    """Whether all of a number of entries were read, and each was either kept or dropped once."""
    read, *others = [line.entries for line in cutflow.values()]
    return read == sum(others) == entries
