"""The shape of a signal peak: a double Gaussian fitted to the squared recoil mass."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class PeakFit:
    """A double Gaussian with common mean, fitted to the M²_rec - m² of one hypothesis.

    Attributes:
        mean: Common mean, GeV².
        sigma_narrow: The smaller width, GeV².
        sigma_wide: The larger width, GeV².
        fraction: Share of the narrow Gaussian, 0 to 1.
        sigma: Weighted sigma: fraction-weighted mean of the two widths, GeV².
        sigma_error: Its statistical error, GeV².
        events: Sum of weights inside the fit range.
        chi2: χ² of the fit.
        ndof: Bins minus parameters.
        problem: Why the fit is not to be used; None for a good one.
    """

    mean: float
    sigma_narrow: float
    sigma_wide: float
    fraction: float
    sigma: float
    sigma_error: float
    events: float
    chi2: float
    ndof: int
    problem: str | None

    def to_json(self) -> dict[str, Any]:
        """As a dictionary without NaN and infinity, which JSON does not know."""
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Undo `to_json`; numbers that it could not write become NaN."""
        values: dict[str, Any] = {
            key: math.nan if value is None and key != "problem" else value
            for key, value in content.items()
        }
        return cls(**values)
