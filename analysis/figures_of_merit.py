"""Figures of merit of a selection: what one wants to be large, or to make small.

Notation, everywhere: S and B are the signal and background events expected behind a cut at
the luminosity L, ε is the signal efficiency (selected and in the mass window over generated).
"Eq." counts the equations of the Punzi-loss paper, EPJC 82, 121 (arXiv:2110.00810).

**Uncertain background.** Punzi's limit asks for a signal S such that a count of B + a√V, where
background alone is rejected at a sigmas, is exceeded at the confidence of b sigmas:

    S = a√V + b√(V + S),    hence    S = b²/2 + a√V + (b/2)√(b² + 4a√V + 4V),

with V the variance of the count under background alone. If B is known V = B, and that is
Eq. 9. If B is uncertain, V = B + v with v the variance of B itself, under both hypotheses: all
three B of Eq. 9 are replaced by V, and nothing else changes. A relative uncertainty r of all
background together gives v = (rB)². Independent parameters k, each of which shifts all processes p
at once, by δ_kp B_p, give v = Σ_k (Σ_p δ_kp B_p)²; uncertainties r_p of single processes are such
parameters of one process each. The constant term of the improved form is fitted to Poisson counts
and stays as it is, an approximation.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

import numpy as np
from pydantic import ConfigDict, Field

from punzinet.analysis.manifest.sections import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from punzinet.analysis.types import FloatArray

Count = TypeVar("Count", "float", "FloatArray", "Tensor")  # of events
Relative = Annotated[float, Field(ge=0, le=10)]


def background_variance(background: Count, by_process: Any, overall: float, shifts: Any) -> Count:
    """Variance V = B + (rB)² + Σ_k (Σ_p δ_kp B_p)² of the background events that will be counted.

    There is B of any shape, the same by process, P times, r of all of it, and shifts δ (K, P, ...)
    of the shape of B_p. It is arithmetic for numpy, torch and numba alike; without
    uncertainties it is B to the last bit.
    """
    variance: Count = background + (background * overall) ** 2
    for k in range(len(shifts)):
        shift = 0.0
        for process in range(shifts.shape[1]):
            shift = shift + shifts[k, process] * by_process[process]
        variance = variance + shift**2
    return variance


def variance_slope(
    background: Count, by_process: Any, overall: float, shifts: Any, process: int
) -> Count:
    """Derivative of V with respect to B_p of a process: 1 + 2r²B + 2 Σ_k δ_kp Σ_q δ_kq B_q."""
    slope: Count = 1 + 2 * overall**2 * background
    for k in range(len(shifts)):
        shift = 0.0
        for other in range(shifts.shape[1]):
            shift = shift + shifts[k, other] * by_process[other]
        slope = slope + 2 * shifts[k, process] * shift
    return slope


def punzi_numerator(root: Count, constant: float, significance: float, confidence: float) -> Count:
    """Smallest number of signal events that a search can see: ε L σ_min (Eq. 9).

    It is constant + a√B + (b/2)√(b² + 4a√B + 4B), with the significance a and the confidence b in
    sigmas, written in √B and with nothing but arithmetic: numpy, torch and numba share it.
    """
    radicand: Count = confidence**2 + 4 * root * (significance + root)
    numerator: Count = constant + significance * root + 0.5 * confidence * radicand**0.5
    return numerator


class FigureOfMerit(Section):
    """Minimum detectable cross-section σ_min, the inverse of the Punzi figure of merit.

    σ_min is the cross-section above which a search claims a discovery of significance a, or
    else excludes at the confidence level of b, with a probability of at least that level
    (Punzi, physics/0308063). It needs no cross-section of the signal.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    form: Literal["punzi", "punzi-improved"] = "punzi"
    """'punzi' is Eq. 9 of the paper, its constant term b²/2; 'punzi-improved' has the constant
    a²/8 + 9b²/13 of Punzi's improved approximation, used by the published code."""
    average: Literal["mean", "geometric"] = "mean"
    """how σ_min is averaged over the training masses, in the loss and where the single cut is
    chosen; the paper's mean is ruled by the masses with the largest σ_min, to the geometric mean a
    percent of one mass counts as much as of any other"""
    a: float = Field(3.0, gt=0)
    """significance of a discovery in sigmas"""
    b: float = Field(1.28155, gt=0)
    """confidence level of an exclusion in one-sided sigmas; 1.28155 is 90 %"""
    background_uncertainty: Relative | Literal["measured"] | dict[str, Relative] = 0.0
    """relative systematic uncertainty of the background: one number for all of it together, or one
    for each process by name, independent of one another, or what is measured of `systematics`"""
    shifts: dict[str, dict[str, dict[float, float]]] = Field({}, exclude_if=lambda given: not given)
    """what was measured, not to be given: relative changes of background by parameter, process and
    mass in GeV, half of those between one sigma up and down"""

    def uncertainty_of(self, processes: Sequence[str], hypotheses: int) -> tuple[float, FloatArray]:
        """Uncertainties of the background processes of a sample, in its order, for H hypotheses.

        There are r of all background together, also where only its upper limit is known, and
        (K, P, H) shifts δ by parameter, process and hypothesis; see `background_variance`.
        ValueError if they are given by process, and no names are, or measured for others.
        """
        given, none = self.background_uncertainty, np.zeros((0, len(processes), hypotheses))
        if isinstance(given, float):
            return given, none
        if given == "measured":
            absent = dict.fromkeys(range(hypotheses), 0.0)
            shifts = np.array([
                [[*of.get(name, absent).values()] for name in processes]
                for of in self.shifts.values()
            ])  # fmt: skip
            if shifts.shape[1:] != none.shape[1:]:
                raise ValueError("the background's uncertainty was not measured in these windows")
            return 0.0, shifts
        if not processes and any(given.values()):
            raise ValueError("uncertainties by process need the names of the processes")
        sizes = np.array([given.get(name, 0.0) for name in processes], dtype=np.float64)
        own = np.diag(sizes)[sizes > 0]
        return 0.0, np.repeat(own[:, :, None], hypotheses, axis=2)

    @property
    def is_measured(self) -> bool:
        """Whether the uncertainty of the background is what is measured of `systematics`."""
        return self.background_uncertainty == "measured"

    def at(self, mass: FloatArray) -> Self:
        """The same for some of the masses (H,) in GeV, if its uncertainties were measured."""
        shifts = {
            parameter: {process: {m: of[m] for m in mass.tolist()} for process, of in known.items()}
            for parameter, known in self.shifts.items()
        }
        return self.model_copy(update={"shifts": shifts})

    @property
    def constant(self) -> float:
        """The term of the numerator that depends on neither signal nor background, in events."""
        punzi, improved = self.b**2 / 2, self.a**2 / 8 + 9 * self.b**2 / 13
        return punzi if self.form == "punzi" else improved

    def averaged(self, sigma_min: FloatArray) -> float:
        """Average of σ_min over some hypotheses (n,), infinite if one is."""
        if self.average == "geometric":
            return float(np.exp(np.log(sigma_min).mean()))
        return float(sigma_min.mean())

    def sigma_min(self, efficiency: Any, variance: Any, luminosity: float) -> Any:
        """Minimum detectable cross-section in fb (Eq. 9), infinite where ε = 0.

        There is the signal efficiency ε of any shape, the variance V ≥ 0 of the background (see
        `background_variance`) and L in fb^-1. For tensors the result is differentiable; the
        infinite slope of √V at V = 0 is taken as zero, so that gradients are finite.
        """
        constants = self.constant, self.a, self.b
        torch = sys.modules.get("torch")  # what is no tensor does not make it be imported
        if torch and all(isinstance(values, torch.Tensor) for values in (efficiency, variance)):
            present = ~(variance <= 0)  # a NaN stays one: it is no absence of background
            root = torch.where(present, torch.where(present, variance, 1.0).sqrt(), 0.0)
            return punzi_numerator(root, *constants) / (efficiency * luminosity)
        efficiency, variance = (np.asarray(v, dtype=np.float64) for v in (efficiency, variance))
        with np.errstate(divide="ignore"):
            return punzi_numerator(np.sqrt(variance), *constants) / (efficiency * luminosity)
