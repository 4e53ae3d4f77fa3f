"""One of our numbers beside the published one."""

from dataclasses import dataclass
from typing import Any, Final

TOLERANCE: Final = 0.2
"""Relative difference from a published number that counts as agreement."""


@dataclass(frozen=True)
class Comparison:
    """One of our numbers and the published one.

    Attributes:
        quantity: Its key in the file.
        title: What it is, in words, with the unit.
        published: The published value.
        ours: Our value, None where this data does not have it.
        error: Its statistical error, None where there is none.
        note: What exactly is compared, or why there is no value.
        tolerance: Relative difference that counts as agreement.
    """

    quantity: str
    title: str
    published: float
    ours: float | None
    error: float | None = None
    note: str = ""
    tolerance: float = TOLERANCE

    @property
    def ratio(self) -> float | None:
        """Ours over published."""
        return None if self.ours is None else self.ours / self.published

    @property
    def met(self) -> bool | None:
        """Whether the ratio is within the tolerance; None where there is no value."""
        return None if self.ratio is None else abs(self.ratio - 1) <= self.tolerance

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON."""
        content: dict[str, Any] = {
            "ours": self.ours,
            "published": self.published,
            "ratio": self.ratio,
            "tolerance": self.tolerance,
            "met": self.met,
        }
        if self.error is not None:
            content["error"] = self.error
        if self.note:
            content["note"] = self.note
        return content
