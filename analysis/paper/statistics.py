"""Numbers of whole ensembles, with two errors: from the networks and from the simulation.

Ensembles are averaged in the figure of merit, 1/σ_min, as the paper does: a network that finds
nothing at some mass counts as 0 there, and is not left out. Ratios are averaged geometrically over
masses: where few simulated events pass they fluctuate by factors, up as often as down, of which an
arithmetic mean would make an improvement, whichever way round they are taken.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.studies import MAIN
from punzinet.analysis.types import BoolArray, FloatArray

#: (N, H) figures of merit in 1/fb, by study and ``<loss>/<kind>``.
Ensembles = Mapping[str, Mapping[str, FloatArray]]
Statistic = Callable[[Ensembles], float]


class Measured(NamedTuple):
    """A number with its errors, one standard deviation each; NaN where there is none."""

    value: float
    error: float  # from the spread of the networks
    error_sample: float  # from the finite number of simulated events


@dataclass(frozen=True)
class Claim:
    """One number that the paper, or this reproduction, stands or falls with."""

    text: str
    value: float | None  # None where it is not finite, and so for the errors
    error: float | None
    error_sample: float | None
    target: str | None  # in words; None for a number that is only told
    at_least: float | None
    at_most: float | None
    met: bool | None  # whether the value lies within; None without a target

    @classmethod
    def of(
        cls, text: str, measured: Measured, low: float | None = None, high: float | None = None
    ) -> Self:
        """Compare a measured number with its target, if it has one; no value meets none."""
        value, error, sample = (float(x) if np.isfinite(x) else None for x in measured)
        target = met = None
        if low is not None and high is not None:
            target = f"= {low:g}" if low == high else f"{low:g} to {high:g}"
        elif low is not None or high is not None:
            target = f"≤ {high:g}" if low is None else f"≥ {low:g}"
        if target is not None:
            least, most = -np.inf if low is None else low, np.inf if high is None else high
            met = value is not None and least <= value <= most
        return cls(text, value, error, sample, target, low, high, met)


class Statistics:
    """Evaluates statistics on studies, on studies with a network less, and on replicas."""

    def __init__(self, studies: Mapping[str, Judgement]) -> None:
        self._nominal, self._replicas = (
            {name: _figures_of_merit(study, end) for name, study in studies.items()}
            for end in ("/sigma", "/replicas")
        )

    def value(self, statistic: Statistic) -> float:
        """Evaluate a statistic without its errors."""
        return statistic(self._nominal)

    def measure(self, statistic: Statistic) -> Measured:
        """Evaluate a statistic.

        The error from the networks is that of the jackknife, which leaves out one network (with
        its pretrained one) at a time; studies are independent. That from the simulation is the
        root mean square difference of replicas to the value.
        """
        value = self.value(statistic)
        variance = sum(self._jackknife(statistic, name) for name in self._nominal)
        replicas = self._replicas
        count = min(a.shape[1] for arrays in replicas.values() for a in arrays.values())
        samples = (
            {name: {key: a[:, n] for key, a in arrays.items()} for name, arrays in replicas.items()}
            for n in range(count)
        )
        values = [statistic(sample) for sample in samples]
        finite = np.isfinite([*values, value]).all()
        sample = float(np.sqrt(np.mean((np.array(values) - value) ** 2))) if finite else np.nan
        return Measured(value, float(np.sqrt(variance)), sample)

    def _jackknife(self, statistic: Statistic, study: str) -> float:
        arrays = self._nominal[study]
        networks = max(len(array) for array in arrays.values())
        values = []
        for n in range(networks if networks > 1 else 0):
            others = {key: np.delete(array, n, axis=0) for key, array in arrays.items()}
            values.append(statistic({**self._nominal, study: others}))
        known = values and np.isfinite(values).all()
        return float((networks - 1) * np.var(values)) if known else np.nan


def _figures_of_merit(study: Judgement, end: str) -> dict[str, FloatArray]:
    """1/σ_min of the arrays whose names have this end, 0 where it is infinite."""
    found: dict[str, FloatArray] = {}
    for key, sigma in study.arrays.items():
        if key.endswith(end):
            fom = np.zeros(sigma.shape, np.float64)
            np.divide(1.0, sigma, out=fom, where=np.isfinite(sigma))
            found[key.removesuffix(end)] = fom
    return found


def over_networks(values: FloatArray) -> Measured:
    """Mean of the networks' own values (N,) and its standard error; no error of the sample."""
    networks, finite = len(values), np.isfinite(values).all()
    error = np.std(values, ddof=1) / np.sqrt(networks) if finite and networks > 1 else np.nan
    return Measured(float(np.mean(values)) if finite else np.nan, float(error), np.nan)


def geometric_mean(ratios: FloatArray) -> float:
    """Exponential of the mean logarithm; 0 or infinite if one of the ratios is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.exp(np.mean(np.log(ratios))))


def ratio(
    numerator: str,
    denominator: str,
    masses: BoolArray,
    reduce: Callable[[FloatArray], Any] = geometric_mean,
    study: str = MAIN,
) -> Statistic:
    """Ratio of σ_min, of the inverse mean figures of merit, reduced over some masses (H,).

    The numerator is ``<loss>/<kind>`` of a study, the denominator that of the main study.
    """

    def statistic(ensembles: Ensembles) -> float:
        above = ensembles[study][numerator][:, masses].mean(axis=0)
        below = ensembles[MAIN][denominator][:, masses].mean(axis=0)
        infinite = np.full(below.shape, np.inf)
        return float(reduce(np.divide(below, above, out=infinite, where=above > 0)))

    return statistic


def mean_sigma(curve: str, masses: BoolArray) -> Statistic:
    """Mean over masses of the inverse mean figure of merit, fb."""

    def statistic(ensembles: Ensembles) -> float:
        fom = ensembles[MAIN][curve][:, masses].mean(axis=0)
        return float(np.mean(1 / fom)) if (fom > 0).all() else np.inf

    return statistic


def spread(curve: str, masses: BoolArray) -> Statistic:
    """Relative standard deviation over networks, mean over masses."""

    def statistic(ensembles: Ensembles) -> float:
        fom = ensembles[MAIN][curve][:, masses]
        if len(fom) < 2 or not (fom.mean(axis=0) > 0).all():
            return np.nan
        return float(np.mean(fom.std(axis=0, ddof=1) / fom.mean(axis=0)))

    return statistic


def over_trend(curve: str, mass: FloatArray, training: BoolArray, masses: BoolArray) -> Statistic:
    """Geometric mean of σ_min over what lies between the trained neighbours, logarithmically."""

    def statistic(ensembles: Ensembles) -> float:
        fom = ensembles[MAIN][curve].mean(axis=0)
        if not (fom > 0).all():
            return np.nan
        sigma = -np.log(fom)
        trend = np.interp(mass[masses], mass[training], sigma[training])
        return float(np.exp(np.mean(sigma[masses] - trend)))

    return statistic
