"""Numbers of whole ensembles, with two errors: from the networks and from the simulation.

Ensembles are averaged in the figure of merit, 1/σ_min, as the paper does: a network that finds
nothing at some mass counts as 0 there, and is not left out. Ratios are averaged geometrically over
masses: where few simulated events pass they fluctuate by factors, up as often as down, of which an
arithmetic mean would make an improvement, whichever way round they are taken.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.studies import MAIN, UNBATCHED
from punzinet.analysis.sensitivity import Curve
from punzinet.analysis.types import BoolArray, FloatArray


class Measured(NamedTuple):
    """A number, or several, with errors, one standard deviation each; NaN where there is none."""

    value: Any
    error: Any  # from the spread of the networks
    error_sample: Any  # from the finite number of simulated events


def geometric_mean(values: FloatArray, axis: int) -> FloatArray:
    """Geometric mean of positive values along an axis; scipy.stats takes a second to import."""
    return np.asarray(np.exp(np.log(values).mean(axis=axis)))


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
    """Figures of merit of studies, 1/σ_min in 1/fb, in V variants, which tell the errors.

    Every study has two networks or more.
    The first variant is the studies as they are. In the next ones one network is left out (with
    its pretrained one), of one study after the other; in the last ones all are judged by replicas.
    """

    def __init__(self, studies: Mapping[str, Judgement]) -> None:
        """Of judged studies by name take the main one and, if it is there, the unbatched one."""
        main = studies[MAIN]
        self.mass, self.training = main.mass, main.training
        self.studies = {name: studies[name] for name in (MAIN, UNBATCHED) if name in studies}
        self._networks = {name: len(study.converged) for name, study in self.studies.items()}
        # All studies have as many replicas.
        replicas = (a for key, a in main.arrays.items() if key.endswith("/replicas"))
        self._replicas = next(replicas).shape[1]

    def measure(self, values: FloatArray) -> Measured:
        """A number with its errors, from its (V,) variants; or H numbers, from (V, H).

        The error from the networks is that of the jackknife; studies are independent. That from
        the simulation is the root mean square difference of replicas to the value.
        """
        value, left_out, replicas = np.split(values, [1, len(values) - self._replicas])
        parts = np.split(left_out, np.cumsum([*self._networks.values()])[:-1])
        with np.errstate(invalid="ignore"):  # what is infinite has no error
            of_networks = sum((len(p) - 1) * p.var(axis=0) for p in parts)
            of_sample = np.mean((replicas - value) ** 2, axis=0)
        squares = (np.where(np.isfinite(one), one, np.nan) for one in (of_networks, of_sample))
        return Measured(value[0], *map(np.sqrt, squares))

    def curve(self, values: FloatArray) -> Curve:
        """Numbers at all masses from their (V, H) variants, with the errors of both kinds."""
        value, *errors = self.measure(values)
        return Curve(self.mass, self.training, value, np.hypot(*errors), np.zeros(len(value)))

    def mean(self, curve: str, study: str = MAIN) -> FloatArray:
        """Mean over networks of ``<loss>/<kind>`` of a study, (V, H)."""
        return np.array([fom.mean(axis=0) for fom in self._variants(curve, study)])

    def ratio(
        self,
        numerator: str,
        denominator: str,
        masses: BoolArray,
        reduce: Callable[..., Any] = geometric_mean,
        study: str = MAIN,
    ) -> FloatArray:
        """Ratio of σ_min, of the inverse mean figures of merit, reduced over some masses (H,).

        The numerator is a curve of a study, the denominator one of the main study.
        """
        above, below = self.mean(numerator, study)[:, masses], self.mean(denominator)[:, masses]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(above > 0, below / above, np.inf)
            return np.asarray(reduce(ratios, axis=1), np.float64)

    def mean_sigma(self, curve: str, masses: BoolArray) -> FloatArray:
        """Mean over masses of the inverse mean figure of merit, fb."""
        with np.errstate(divide="ignore"):
            return np.asarray((1 / self.mean(curve)[:, masses]).mean(axis=1))

    def spread(self, curve: str, masses: BoolArray) -> FloatArray:
        """Relative standard deviation over networks, mean over masses; NaN where one finds none."""
        values = []
        for fom in self._variants(curve, MAIN):
            mean, known = fom[:, masses].mean(axis=0), len(fom) > 1
            known &= bool((mean > 0).all())
            values.append(np.mean(fom[:, masses].std(axis=0, ddof=1) / mean) if known else np.nan)
        return np.array(values)

    def over_trend(self, curve: str, masses: BoolArray) -> FloatArray:
        """Geometric mean of σ_min over what lies between trained neighbours, logarithmically."""
        mass, training = self.mass, self.training
        with np.errstate(divide="ignore", invalid="ignore"):
            sigma = -np.log(self.mean(curve))
            trend = [np.interp(mass[masses], mass[training], row[training]) for row in sigma]
            above = np.exp(np.mean(sigma[:, masses] - trend, axis=1))
        return np.where(np.isfinite(sigma).all(axis=1), above, np.nan)

    def _variants(self, curve: str, study: str) -> Iterator[FloatArray]:
        """(N, H) of each variant, 0 where σ_min is infinite."""
        ends = (self.studies[study].arrays[f"{curve}/{end}"] for end in ("sigma", "replicas"))
        fom, others = (np.divide(1, a, out=np.zeros(a.shape), where=np.isfinite(a)) for a in ends)
        yield fom
        for name, networks in self._networks.items():
            for n in range(networks):
                yield np.delete(fom, n, axis=0) if name == study else fom
        yield from np.moveaxis(others, 1, 0)


def over_networks(values: FloatArray) -> Measured:
    """Mean of the networks' own values (N,) and its standard error; no error of the sample."""
    if not np.isfinite(values).all():
        return Measured(np.nan, np.nan, np.nan)
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return Measured(float(np.mean(values)), float(error), np.nan)
