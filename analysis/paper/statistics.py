"""Numbers of whole ensembles, with two errors: from the networks and from the simulation.

Ensembles are averaged in the figure of merit, 1/σ_min, as the paper does: a network that finds
nothing at some mass counts as 0 there, and is not left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.types import FloatArray

#: (N, H) figures of merit in 1/fb, by study and ``<loss>/<kind>``.
Ensembles = Mapping[str, Mapping[str, FloatArray]]
Statistic = Callable[[Ensembles], float]


@dataclass(frozen=True)
class Measured:
    """A number with its errors, one standard deviation each; NaN where there is none.

    Attributes:
        value: The number.
        error: From the spread of the networks.
        error_sample: From the finite number of simulated events.
    """

    value: float
    error: float
    error_sample: float


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
        """Compare a measured number with its target, if it has one."""
        value, error, sample = (
            float(x) if np.isfinite(x) else None
            for x in (measured.value, measured.error, measured.error_sample)
        )
        target, met = target_in_words(at_least, at_most), is_met(value, at_least, at_most)
        return cls(text, value, error, sample, target, at_least, at_most, met)


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


def figures_of_merit(sigma: FloatArray) -> FloatArray:
    """1/σ_min, 0 where it is infinite."""
    fom: FloatArray = np.divide(
        1.0, sigma, out=np.zeros(sigma.shape, np.float64), where=np.isfinite(sigma)
    )
    return fom


class Statistics:
    """Evaluates statistics on studies, on studies with a network less, and on replicas."""

    def __init__(self, studies: Mapping[str, Judgement]) -> None:
        """Get figures of merit of all networks, cuts and replicas, by name of the study."""
        self._nominal, self._replicas = (
            {
                name: {
                    key.removesuffix(what): figures_of_merit(array)
                    for key, array in study.arrays.items()
                    if key.endswith(what)
                }
                for name, study in studies.items()
            }
            for what in ("/sigma", "/replicas")
        )

    def measure(self, statistic: Statistic) -> Measured:
        """Evaluate a statistic.

        The error from the networks is that of the jackknife, which leaves out one network (with
        its pretrained one, of which it was made) at a time; studies are independent. That from
        the simulation is the root mean square difference of replicas to the value.
        """
        value = statistic(self._nominal)
        variance = sum(self._jackknife(statistic, name) for name in self._nominal)
        count = min(a.shape[1] for arrays in self._replicas.values() for a in arrays.values())
        values = np.array([statistic(self._replica(number)) for number in range(count)])
        finite = np.isfinite([*values, value]).all()
        sample = float(np.sqrt(np.mean((values - value) ** 2))) if finite else float("nan")
        return Measured(value, float(np.sqrt(variance)), sample)

    def _replica(self, number: int) -> Ensembles:
        """One of the resampled samples."""
        return {
            name: {key: array[:, number] for key, array in arrays.items()}
            for name, arrays in self._replicas.items()
        }

    def _jackknife(self, statistic: Statistic, study: str) -> float:
        """Variance from the networks of one study."""
        arrays = self._nominal[study]
        networks = max(len(array) for array in arrays.values())
        if networks < 2:
            return float("nan")
        values = []
        for number in range(networks):
            others = {key: np.delete(array, number, axis=0) for key, array in arrays.items()}
            values.append(statistic({**self._nominal, study: others}))
        return float((networks - 1) * np.var(values)) if np.isfinite(values).all() else np.nan
