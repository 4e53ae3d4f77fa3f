"""The statistical model of one hypothesis: a counting experiment with uncertainties.

n events are observed in the window, expected are σ·ε·L of signal and the sum of the
backgrounds. All uncertainties are parameters that change yields by factors (`interpolated`): those
of luminosity, efficiency and background are log-normal, systematic effects that were measured
(`Effect`) may be different up and down. The finite number of simulated background events is
a Poisson constraint for each process, of (Σw)²/Σw² effective events (Barlow and Beeston 1993).

Where not one simulated event of any background passes, a sample named ``unseen`` stands for the
largest background that cannot be excluded (`unseen_background`), as uncertain as one event. A
process without events beside others adds nothing: their constraint is as wide as a few of its own.

The yields are those of the test events, scaled to all events of the tensors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from punzinet.analysis.cuts import selected, unseen_background
from punzinet.analysis.evaluation import ScaledFold
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.manifest.sections import LimitSettings
from punzinet.analysis.saved_network import Perceptron
from punzinet.analysis.types import SIGNAL, FloatArray

UNSEEN = "unseen"  # name of the background where none was found
ASSUMED = "background"  # parameter, or beginning of those, that `background_uncertainty` is for
LUMINOSITY = "luminosity"
POI = "cross_section"  # parameter of interest, cross-section times branching fraction in fb


class Effect(NamedTuple):
    """What a parameter changes, one sigma up and down: (2, H) by process, also of signal."""

    factor: dict[str, FloatArray]  # on yields
    error: dict[str, FloatArray]  # statistical, of the factors


@dataclass(frozen=True, eq=False)
class Yields:
    """Signal and backgrounds of H hypotheses, each in its own window, with errors of the sample."""

    backgrounds: tuple[str, ...]  # names of the P processes
    efficiency: FloatArray  # (H,) of signal
    efficiency_error: FloatArray  # (H,)
    background: FloatArray  # (P, H) events at the target luminosity
    background_error: FloatArray  # (P, H)
    unseen: FloatArray  # (H,) events that cannot be excluded where no background passes
    cut: FloatArray  # (H,) on the output before the sigmoid
    effects: Mapping[str, Effect] = field(default_factory=dict)  # of systematic parameters, by name

    def scaled(self, factor: float) -> Self:
        """The same at a target luminosity that is so many times as large."""
        backgrounds = "background", "background_error", "unseen"
        return replace(self, **{name: factor * getattr(self, name) for name in backgrounds})

    def totals(
        self, experiments: "Sequence[CountingExperiment | None]"
    ) -> tuple[FloatArray, FloatArray]:
        """Background that models expect, and effective number of events behind it, (H,) each.

        Where there is no model, the sum of the backgrounds, and 0.
        """
        sums = self.background.sum(axis=0).tolist()
        known = [(one.background, one.effective_events) if one else (alone, 0.0)
                 for one, alone in zip(experiments, sums, strict=True)]  # fmt: skip
        background, effective = np.array(known).reshape(-1, 2).T
        return background, effective


def measure_yields(fold: ScaledFold, network: Perceptron, cut: FloatArray) -> Yields:
    """Count the signal and background of a fold behind cuts (H,) on the output of a network."""
    ranked = fold.rank(network.logit(fold.events.features.T))
    sums, squares = selected(ranked, cut)  # (P + 1, H), signal last
    error = np.sqrt(fold.variances(sums, squares))
    columns = sums[SIGNAL], error[SIGNAL], sums[:SIGNAL], error[:SIGNAL]
    return Yields(fold.backgrounds, *columns, unseen_background(ranked), cut)


@dataclass(frozen=True)
class Background:
    """One background in the window."""

    name: str  # of its process
    events: float  # expected, positive
    effective: float  # number of simulated events behind it


@dataclass(frozen=True)
class CountingExperiment:
    """Everything the limit on the cross-section of one hypothesis depends on."""

    mass: float  # GeV
    signal: float  # events expected for a cross-section of 1 fb
    backgrounds: tuple[Background, ...]  # at least one
    #: By parameter, factors one sigma up and down on `signal` and on backgrounds, by name.
    factors: Mapping[str, Mapping[str, tuple[float, float]]]

    @classmethod
    def all_of(
        cls, yields: Yields, mass: FloatArray, luminosity: float, settings: LimitSettings
    ) -> list[Self | None]:
        """Models of all hypotheses (H,) in GeV, at fb^-1; None where there is no signal."""
        known = enumerate(mass.tolist())
        return [cls._of(yields, index, m, luminosity, settings) for index, m in known]

    @classmethod
    def _of(
        cls, yields: Yields, index: int, mass: float, luminosity: float, settings: LimitSettings
    ) -> Self | None:
        efficiency = float(yields.efficiency[index])
        if efficiency == 0:
            return None
        columns = yields.background[:, index].tolist(), yields.background_error[:, index].tolist()
        backgrounds = [
            Background(name, events, (events / error) ** 2)
            for name, events, error in zip(yields.backgrounds, *columns, strict=True)
            if events > 0
        ]
        given = settings.background_uncertainty
        sizes = given if isinstance(given, dict) else dict.fromkeys(yields.backgrounds, given)
        if not backgrounds:
            backgrounds = [Background(UNSEEN, float(yields.unseen[index]), 1.0)]
            given = max(sizes[name] for name in yields.backgrounds)
            sizes = {UNSEEN: given}
        names = [one.name for one in backgrounds]
        alone = {
            "efficiency": settings.efficiency_uncertainty_at(mass),
            "signal_statistics": float(yields.efficiency_error[index]) / efficiency,
        }
        factors = {name: {SIGNAL_PROCESS: log_normal(size)} for name, size in alone.items()}
        common = log_normal(settings.luminosity_uncertainty)
        factors[LUMINOSITY] = dict.fromkeys([SIGNAL_PROCESS, *names], common)
        for name in names:
            parameter = f"{ASSUMED}_{name}" if isinstance(given, dict) else ASSUMED
            factors.setdefault(parameter, {})[name] = log_normal(sizes[name])
        for parameter, effect in yields.effects.items():
            factors[parameter] = {
                name: (float(up[index]), float(down[index]))
                for name, (up, down) in effect.factor.items() if name in {SIGNAL_PROCESS, *names}
            }  # fmt: skip
        return cls(mass, efficiency * luminosity, tuple(backgrounds), acting(factors))

    @property
    def background(self) -> float:
        """Expected background events."""
        return sum(background.events for background in self.backgrounds)

    @property
    def effective_events(self) -> float:
        """Effective number of simulated events behind all backgrounds; 0 if they are `UNSEEN`."""
        if self.backgrounds[0].name == UNSEEN:
            return 0.0
        return self.background**2 / sum(b.events**2 / b.effective for b in self.backgrounds)

    @property
    def reach(self) -> float:
        """A cross-section in fb safely above every limit, from all variances added up."""
        variance = self.background + sum(b.events**2 / b.effective for b in self.backgrounds)
        for of in self.factors.values():
            known = [(b.events, of[b.name]) for b in self.backgrounds if b.name in of]
            variance += sum(n * max(abs(f - 1) for f in both) for n, both in known) ** 2
        return 10 * (3 + 3 * float(np.sqrt(variance))) / self.signal

    def workspace(self) -> dict[str, Any]:
        """The model as a HistFactory workspace; the observation is the background expected."""
        poi = {"name": POI, "type": "normfactor", "data": None}
        samples = [{"name": SIGNAL_PROCESS, "data": [self.signal],
                    "modifiers": [poi, *self._factors(SIGNAL_PROCESS)]}]  # fmt: skip
        for one in self.backgrounds:
            error = one.events / one.effective**0.5
            statistics = {"name": f"statistics_{one.name}", "type": "shapesys", "data": [error]}
            modifiers = [*self._factors(one.name), statistics]
            samples.append({"name": one.name, "data": [one.events], "modifiers": modifiers})
        parameter = {"name": POI, "inits": [0.0], "bounds": [[0.0, self.reach]]}
        config = {"poi": POI, "parameters": [parameter]}
        return {
            "channels": [{"name": "window", "samples": samples}],
            "observations": [{"name": "window", "data": [self.background]}],
            "measurements": [{"name": f"m = {self.mass:g} GeV", "config": config}],
            "version": "1.0.0",
        }

    def _factors(self, sample: str) -> list[dict[str, Any]]:
        known = ((name, of[sample]) for name, of in self.factors.items() if sample in of)
        return [
            {"name": name, "type": "normsys", "data": {"hi": up, "lo": down}}
            for name, (up, down) in known
        ]


def modifiers(samples: Sequence[Mapping[str, Any]], kind: str) -> dict[str, dict[int, Any]]:
    """What the modifiers of a type hold in a workspace, by name and number of the sample."""
    found = dict[str, dict[int, Any]]()
    for i, sample in enumerate(samples):
        for one in sample["modifiers"]:
            if one["type"] == kind:
                found.setdefault(one["name"], {})[i] = one["data"]
    return found


def log_normal(size: float) -> tuple[float, float]:
    """Factors one sigma up and down of a relative uncertainty."""
    return 1 + size, 1 / (1 + size)


def acting(
    factors: Mapping[str, Mapping[str, tuple[float, float]]],
) -> dict[str, dict[str, tuple[float, float]]]:
    """Factors by parameter and sample without those that change nothing."""
    found = {
        name: {of: both for of, both in samples.items() if max(abs(f - 1) for f in both) > 1e-9}
        for name, samples in factors.items()
    }
    return {name: of for name, of in found.items() if of}


def interpolated(theta: FloatArray, factors: FloatArray) -> tuple[FloatArray, ...]:
    """Logarithm of factors on a yield at parameters θ (...,), and its two derivatives in θ.

    The factors (..., 2) are those at θ = 1 and -1. Beyond they grow exponentially; in between they
    follow the polynomial of sixth degree that is 1 at 0 and continues both in value, slope and
    curvature: what HistFactory calls interpolation code 4, pyhf's default (CERN-OPEN-2012-016).
    """
    log = np.log(factors)
    signs = np.array([1, -1])
    ends = [factors - 1, signs * log * factors, log**2 * factors]
    of_theta = np.moveaxis(np.concatenate(ends, axis=-1) @ _POLYNOMIAL.T, -1, 0)
    coefficients = np.concatenate([np.ones_like(of_theta[:1]), of_theta])  # of 1, θ to θ⁶
    within = theta.clip(-1, 1)
    value, slope, bend = (
        polyval(within, polyder(coefficients, order), tensor=False) for order in range(3)
    )
    slope = slope / value
    beyond, outer = np.abs(theta) >= 1, np.where(theta > 0, log[..., 0], -log[..., 1])
    return (
        np.where(beyond, theta * outer, np.log(value)),
        np.where(beyond, outer, slope),
        np.where(beyond, 0.0, bend / value - slope**2),
    )


_DEGREE = np.arange(1, 7)
#: Turns values (less 1), slopes and curvatures at 1 and -1 into the coefficients.
_POLYNOMIAL = np.linalg.inv(
    [
        end ** (_DEGREE - order) * np.prod([_DEGREE - k for k in range(order)], axis=0)
        for order in range(3)
        for end in (1.0, -1.0)
    ]
)
