"""One claim: a number with its errors, what it should be, and whether it is."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from punzinet.analysis.paper.statistics import Measured


@dataclass(frozen=True)
class Claim:
    """One number that the paper, or this reproduction, stands or falls with.

    Attributes:
        text: What it is.
        value: The number; None where it is not finite.
        error: Its standard error over the networks.
        error_sample: Its error from the finite number of simulated events.
        target: What it should be, in words; None for a number that is only told.
        at_least: Lower end of the target.
        at_most: Upper end of the target.
        met: Whether the value lies within; None without a target.
    """

    text: str
    value: float | None
    error: float | None
    error_sample: float | None
    target: str | None
    at_least: float | None
    at_most: float | None
    met: bool | None

    @classmethod
    def of(
        cls,
        text: str,
        measured: Measured,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> "Claim":
        """Compare a measured number with its target.

        Args:
            text: What it is.
            measured: The number.
            at_least: Lower end of the target, if it has one.
            at_most: Upper end.
        """
        value, error, sample = (
            float(x) if np.isfinite(x) else None
            for x in (measured.value, measured.error, measured.error_sample)
        )
        return cls(
            text,
            value,
            error,
            sample,
            target_in_words(at_least, at_most),
            at_least,
            at_most,
            is_met(value, at_least, at_most),
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON can express it."""
        return asdict(self)


def target_in_words(at_least: float | None, at_most: float | None) -> str | None:
    """Write a target."""
    if at_least is not None and at_most is not None:
        return f"= {at_least:g}" if at_least == at_most else f"{at_least:g} to {at_most:g}"
    if at_least is not None:
        return f"≥ {at_least:g}"
    return None if at_most is None else f"≤ {at_most:g}"


def is_met(value: float | None, at_least: float | None, at_most: float | None) -> bool | None:
    """Whether a value lies within a target; None without a target, False without a value."""
    if at_least is None and at_most is None:
        return None
    if value is None:
        return False
    return (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
