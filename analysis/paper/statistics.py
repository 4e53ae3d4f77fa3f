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


def figures_of_merit(sigma: FloatArray) -> FloatArray:
    """1/σ_min, 0 where it is infinite."""
    fom: FloatArray = np.divide(
        1.0, sigma, out=np.zeros(sigma.shape, np.float64), where=np.isfinite(sigma)
    )
    return fom


class Statistics:
    """Evaluates statistics on studies, on studies with a network less, and on replicas."""

    def __init__(self, studies: Mapping[str, Judgement]) -> None:
        """Get figures of merit of all networks, cuts and replicas.

        Args:
            studies: The studies by name.
        """
        self._nominal = {
            name: {
                key.removesuffix("/sigma"): figures_of_merit(array)
                for key, array in study.arrays.items()
                if key.endswith("/sigma")
            }
            for name, study in studies.items()
        }
        self._replicas = {
            name: {
                key.removesuffix("/replicas"): figures_of_merit(array)
                for key, array in study.arrays.items()
                if key.endswith("/replicas")
            }
            for name, study in studies.items()
        }

    def measure(self, statistic: Statistic) -> Measured:
        """Evaluate a statistic.

        The error from the networks is that of the jackknife, which leaves out one network (with
        its pretrained one, of which it was made) at a time; studies are independent. That from
        the simulation is the root mean square difference of replicas to the value.

        Args:
            statistic: What to evaluate.
        """
        value = statistic(self._nominal)
        variance = sum(self._jackknife(statistic, name) for name in self._nominal)
        return Measured(value, float(np.sqrt(variance)), self._over_replicas(statistic, value))

    def _jackknife(self, statistic: Statistic, study: str) -> float:
        """Variance from the networks of one study."""
        arrays = self._nominal[study]
        networks = max(len(array) for array in arrays.values())
        if networks < 2:
            return float("nan")
        without = np.array(
            [
                statistic(
                    {
                        **self._nominal,
                        study: {key: np.delete(a, n, axis=0) for key, a in arrays.items()},
                    }
                )
                for n in range(networks)
            ]
        )
        return float((networks - 1) * np.var(without)) if np.isfinite(without).all() else np.nan

    def _over_replicas(self, statistic: Statistic, value: float) -> float:
        """Root mean square difference of the replicas."""
        count = min(a.shape[1] for arrays in self._replicas.values() for a in arrays.values())
        values = np.array(
            [
                statistic(
                    {
                        name: {key: array[:, r] for key, array in arrays.items()}
                        for name, arrays in self._replicas.items()
                    }
                )
                for r in range(count)
            ]
        )
        if not np.isfinite([*values, value]).all():
            return float("nan")
        return float(np.sqrt(np.mean((values - value) ** 2)))
