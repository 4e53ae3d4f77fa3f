"""σ_min of every hypothesis behind the cuts of every network: the result, and its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from pydantic import TypeAdapter

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import Column, OrInfinite, read_result, write_json
from punzinet.analysis.manifest.sections import hypothesis_rows, read_hypotheses
from punzinet.analysis.types import BoolArray, FloatArray

CUTS = ("optimal", "single", "half")
"""Kinds of cuts that every network is judged by, attributes of `NetworkSensitivity`."""


@dataclass(frozen=True, eq=False)
class Selection:
    """What one kind of cut achieves, for each of H hypotheses; all columns are (H,)."""

    cut: Column  # on the output before the sigmoid; infinite where nothing is selected
    efficiency: Column  # selected signal in the window over generated
    #: Events in the window at the target luminosity; an upper limit where none was found.
    background: Column
    sigma_min: Column  # minimum detectable cross-section in fb, infinite without efficiency
    sigma_min_error: Column  # one standard deviation from the finite simulated sample in fb
    effective: Column  # simulated background events (Σw)²/Σw² behind it; 0 where none was found

    @property
    def bound(self) -> BoolArray:
        """(H,) where no background was found, and σ_min is an upper limit."""
        return np.equal(self.effective, 0)


@dataclass(frozen=True, eq=False)
class NetworkSensitivity:
    """What one network achieves on the events that judge, with three kinds of cuts."""

    optimal: Selection  # the best cut of each hypothesis by itself
    single: Selection  # the one cut that is best on average over the training hypotheses
    half: Selection  # the plain cut at an output of 0.5
    #: Uncertainty of the average σ_min over the training hypotheses in fb, from the finite
    #: simulated sample, by cut; neighbouring windows share events.
    mean_error: Mapping[str, OrInfinite] = field(default_factory=dict)
    #: That average in fb behind the single cut, by the events that it is measured on: those that
    #: trained, validated, and test; what the first two gain is optimism.
    by_events: Mapping[str, OrInfinite] = field(default_factory=dict)

    @property
    def single_cut(self) -> float:
        """The one cut, on the output before the sigmoid."""
        return float(self.single.cut[0])


_NETWORKS = TypeAdapter(dict[str, NetworkSensitivity])


@dataclass(frozen=True, eq=False)
class Judged:
    """What results on the same events have in common, whatever was judged."""

    mass: FloatArray  # (H,) of the hypotheses in GeV
    training: BoolArray  # (H,) which of them were trained on
    figure_of_merit: FigureOfMerit
    luminosity: float  # target, fb^-1

    def _write(self, path: Path, provenance: Mapping[str, Any], **entries: Any) -> None:
        content = {
            "provenance": dict(provenance),
            "luminosity": self.luminosity,
            "figure_of_merit": self.figure_of_merit.model_dump(),
            "hypotheses": hypothesis_rows(self.mass, self.training),
        }
        write_json(path, content | entries)


class Curve(NamedTuple):
    """σ_min of H hypotheses, of one network or averaged over several."""

    mass: FloatArray  # (H,) GeV
    training: BoolArray  # (H,) which masses were trained on
    sigma: FloatArray  # (H,) fb, infinite where nothing is selected
    error: FloatArray  # (H,) fb, of the finite simulated sample, or of the mean over networks
    limit: FloatArray  # (H,) -1 where that is an upper limit, 1 where a lower one, and 0 elsewhere

    @property
    def figure_of_merit(self) -> Self:
        """The inverse with the same relative uncertainty: 1/σ_min in 1/fb, or back; ∞ gives 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse, error = 1 / self.sigma, self.error / self.sigma**2
        seen = np.isfinite(self.sigma) & np.isfinite(inverse)
        error = np.where(seen, error, np.inf)
        return self._replace(sigma=inverse, error=error, limit=-self.limit)

    def over(self, other: Self) -> Self:
        """Ratio of two curves, errors as if they were independent.

        It is NaN where either is infinite, or both are limits.
        """
        seen = np.isfinite(self.sigma) & np.isfinite(other.sigma) & (self.limit * other.limit == 0)
        with np.errstate(invalid="ignore"):
            ratio = np.where(seen, self.sigma / other.sigma, np.nan)
            relative = np.hypot(self.error / self.sigma, other.error / other.sigma)
        return self._replace(sigma=ratio, error=ratio * relative, limit=self.limit - other.limit)


@dataclass(frozen=True, eq=False)
class Sensitivity(Judged):
    """What several networks, by name, achieve on the same events."""

    networks: dict[str, NetworkSensitivity]

    def of_loss(self, loss: str) -> list[str]:
        """Names of the networks that a loss, ``bce`` or ``punzi``, has trained, in their order."""
        return [name for name in self.networks if name.split("-")[0] == loss]

    def average(self, networks: Sequence[str], cut: str) -> Curve:
        """Average σ_min behind a kind of cut over networks, at least one.

        Errors are standard errors of the mean, of one network those of the finite simulated sample.
        A mean is an upper limit where that of any network is.
        """
        chosen: list[Selection] = [getattr(self.networks[name], cut) for name in networks]
        sigma, error = np.array([one.sigma_min for one in chosen]), chosen[0].sigma_min_error
        whole = np.isfinite(sigma).all(axis=0)
        if len(chosen) > 1:
            error = np.full(len(whole), np.inf)
            error[whole] = sigma[:, whole].std(axis=0, ddof=1) / np.sqrt(len(chosen))
        bound = whole & np.any([one.bound for one in chosen], axis=0)
        return Curve(self.mass, self.training, sigma.mean(axis=0), error, -1.0 * bound)

    def write(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write sensitivity.json; what is infinite there is null."""
        self._write(path, provenance, networks=_NETWORKS.dump_python(self.networks))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read sensitivity.json; InputError if it is absent or does not hold sensitivities."""
        with read_result(path, "sensitivities", "punzinet train") as content:
            networks = _NETWORKS.validate_python(content["networks"])
            rows, merit = content["hypotheses"], content["figure_of_merit"]
            selections = (getattr(one, cut) for one in networks.values() for cut in CUTS)
            columns = (column for selection in selections for column in vars(selection).values())
            if any(column.shape != (len(rows),) for column in columns):
                raise ValueError(f"columns need {len(rows)} numbers")
            about = FigureOfMerit.model_validate(merit), float(content["luminosity"])
            return cls(*read_hypotheses(rows), *about, networks)
