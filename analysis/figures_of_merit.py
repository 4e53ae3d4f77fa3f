"""Figures of merit of a selection: what one wants to be large, or to make small.

Notation, everywhere: S and B are the signal and background events expected behind a cut at
the luminosity L, ε is the signal efficiency (selected and in the mass window over generated).
"Eq." counts the equations of the Punzi-loss paper, EPJC 82, 121 (arXiv:2110.00810).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, TypeGuard, overload

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike

    from analysis.types import FloatArray


def signal_over_root_background(signal: ArrayLike, background: ArrayLike) -> FloatArray:
    """S/√B (Eq. 7), the significance of an excess S over a well known background B.

    Args:
        signal: Signal events S, any shape.
        background: Background events B, same shape.

    Returns:
        S/√B; infinite where B = 0 and S > 0, zero where there is no event at all.
    """
    events = np.asarray(signal, dtype=np.float64)
    return _ratio(events, np.sqrt(np.asarray(background, dtype=np.float64)))


def signal_over_root_total(signal: ArrayLike, background: ArrayLike) -> FloatArray:
    """S/√(S+B) (Eq. 8), the inverse relative uncertainty of a measured S.

    Args:
        signal: Signal events S, any shape.
        background: Background events B, same shape.

    Returns:
        S/√(S+B); zero where there is no event at all.
    """
    events = np.asarray(signal, dtype=np.float64)
    return _ratio(events, np.sqrt(events + np.asarray(background, dtype=np.float64)))


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide; x/0 is infinite for x > 0, and 0/0 is 0."""
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    empty = np.where(np.broadcast_to(numerator, shape) > 0, np.inf, 0.0)
    return np.divide(numerator, denominator, out=empty, where=denominator > 0)


@overload
def punzi_numerator(
    root_background: float, constant: float, significance: float, confidence: float
) -> float: ...
@overload
def punzi_numerator(
    root_background: FloatArray, constant: float, significance: float, confidence: float
) -> FloatArray: ...
@overload
def punzi_numerator(
    root_background: torch.Tensor, constant: float, significance: float, confidence: float
) -> torch.Tensor: ...
def punzi_numerator(
    root_background: float | FloatArray | torch.Tensor,
    constant: float,
    significance: float,
    confidence: float,
) -> float | FloatArray | torch.Tensor:
    """Smallest number of signal events that a search can see: ε L σ_min (Eq. 9).

    Written in √B and with nothing but arithmetic, so that numpy, torch and numba (which
    compiles this very function for the cut scans) share one formula.

    Args:
        root_background: √B.
        constant: The term that depends on neither S nor B, `FigureOfMerit.constant`.
        significance: a, in sigmas.
        confidence: b, in sigmas.

    Returns:
        constant + a√B + (b/2)√(b² + 4a√B + 4B), in events.
    """
    radicand = confidence**2 + 4 * root_background * (significance + root_background)
    return constant + significance * root_background + 0.5 * confidence * radicand**0.5


class FigureOfMerit(BaseModel):
    """Minimum detectable cross-section σ_min, the inverse of the Punzi figure of merit.

    σ_min is the cross-section above which a search claims a discovery of significance a, or
    else excludes at the confidence level of b, with a probability of at least that level
    (Punzi, physics/0308063). Unlike S/√B it neither diverges without background nor needs a
    cross-section for the signal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    form: Literal["punzi", "punzi-improved"] = Field(
        default="punzi",
        description="'punzi' is Eq. 9 of the paper, its constant term b²/2; 'punzi-improved' has "
        "the constant a²/8 + 9b²/13 of Punzi's improved approximation, used by the published code.",
    )
    a: float = Field(default=3.0, gt=0, description="Significance of a discovery, in sigmas.")
    b: float = Field(
        default=1.28155,
        gt=0,
        description="Confidence level of an exclusion, in one-sided sigmas; 1.28155 is 90 %.",
    )

    @property
    def constant(self) -> float:
        """The term of the numerator that depends on neither signal nor background, in events."""
        if self.form == "punzi":
            return self.b**2 / 2
        return self.a**2 / 8 + 9 * self.b**2 / 13

    @overload
    def sigma_min(
        self, efficiency: torch.Tensor, background: torch.Tensor, luminosity: float
    ) -> torch.Tensor: ...
    @overload
    def sigma_min(
        self, efficiency: ArrayLike, background: ArrayLike, luminosity: float
    ) -> FloatArray: ...
    def sigma_min(
        self,
        efficiency: torch.Tensor | ArrayLike,
        background: torch.Tensor | ArrayLike,
        luminosity: float,
    ) -> torch.Tensor | FloatArray:
        """Minimum detectable cross-section (Eq. 9).

        For tensors the result is differentiable. The slope of √B at B = 0 is infinite; it is
        taken as zero there, so that a window without background has a finite (no) gradient.

        Args:
            efficiency: Signal efficiency ε, any shape.
            background: Background events B ≥ 0 at `luminosity`, same shape.
            luminosity: L, in fb^-1.

        Returns:
            σ_min in fb; infinite where ε = 0.
        """
        if _is_tensor(efficiency) and _is_tensor(background):
            math = sys.modules["torch"]
            present = background > 0
            root = math.where(present, math.where(present, background, 1.0).sqrt(), 0.0)
            numerator: torch.Tensor = punzi_numerator(root, self.constant, self.a, self.b)
            return numerator / (efficiency * luminosity)
        root_background = np.sqrt(np.asarray(background, dtype=np.float64))
        return _ratio(
            punzi_numerator(root_background, self.constant, self.a, self.b),
            np.asarray(efficiency, dtype=np.float64) * luminosity,
        )


def _is_tensor(values: object) -> TypeGuard[torch.Tensor]:
    """Whether something is a tensor; what is none does not make torch be imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)
