"""The statistical model of one hypothesis: a counting experiment with uncertainties.

n events are observed in the window, expected are σ·ε·L of signal and the sum of the
backgrounds. Uncertainties that are factors (luminosity, efficiency, background) are
log-normal. The finite number of simulated background events is a Poisson constraint for each
process, whose effective number is (Σw)²/Σw² (Barlow and Beeston 1993).

Where not one simulated event of any background passes, nothing would be expected, with
certainty. There a sample named ``unseen`` stands for half an event of the typical weight, the
mean of Jeffreys' posterior for a Poisson rate of which nothing was seen; it counts as half an
effective event. A process without events beside others with events adds nothing: their
constraint already is as wide as a few of its events.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from punzinet.analysis.limits.yields import Yields
from punzinet.analysis.manifest.sections import LimitSettings

#: Simulated events that stand for none seen.
UNSEEN_EVENTS = 0.5
POI = "cross_section"
"""Parameter of interest, cross-section times branching fraction in fb."""


@dataclass(frozen=True)
class Background:
    """One background in the window.

    Attributes:
        name: Its process.
        events: Expected events, positive.
        effective: Effective number of simulated events behind it.
        systematic: Name of the uncertainty that scales it, and its relative size.
    """

    name: str
    events: float
    effective: float
    systematic: tuple[str, float]


@dataclass(frozen=True)
class CountingExperiment:
    """Everything the limit on the cross-section of one hypothesis depends on.

    Attributes:
        mass: Mass of the hypothesis in GeV.
        signal: Signal events expected for a cross-section of 1 fb.
        signal_systematics: Relative uncertainties of the signal by name, none of them shared
            with backgrounds.
        luminosity: Relative uncertainty of signal and backgrounds alike.
        backgrounds: The backgrounds, at least one.
    """

    mass: float
    signal: float
    signal_systematics: dict[str, float]
    luminosity: float
    backgrounds: tuple[Background, ...]

    @classmethod
    def of(
        cls, yields: Yields, index: int, mass: float, luminosity: float, settings: LimitSettings
    ) -> Self | None:
        """Build the model of the hypothesis at an index of the yields.

        Luminosity is in fb^-1. Without any signal there is no limit, and the model is None.
        """
        efficiency = float(yields.efficiency[index])
        if efficiency == 0:
            return None
        statistics = float(yields.efficiency_error[index]) / efficiency
        backgrounds = [
            Background(
                name, float(events), float((events / error) ** 2), _systematic(settings, name)
            )
            for name, events, error in zip(
                yields.backgrounds,
                yields.background[:, index],
                yields.background_error[:, index],
                strict=True,
            )
            if events > 0
        ]
        if not backgrounds:
            events = UNSEEN_EVENTS * float(yields.typical_weight[index])
            largest = max(_systematic(settings, name)[1] for name in yields.backgrounds)
            backgrounds = [Background("unseen", events, UNSEEN_EVENTS, ("background", largest))]
        return cls(
            mass=mass,
            signal=efficiency * luminosity,
            signal_systematics={
                "efficiency": settings.efficiency_uncertainty,
                "signal_statistics": statistics,
            },
            luminosity=settings.luminosity_uncertainty,
            backgrounds=tuple(backgrounds),
        )

    @property
    def background(self) -> float:
        """Expected background events."""
        return sum(background.events for background in self.backgrounds)

    @property
    def effective_events(self) -> float:
        """Effective number of simulated events behind all backgrounds."""
        return self.background**2 / sum(b.events**2 / b.effective for b in self.backgrounds)

    @property
    def reach(self) -> float:
        """A cross-section in fb safely above every limit, from all variances added up."""
        variance = self.background + sum(
            (b.events**2) * (1 / b.effective + b.systematic[1] ** 2 + self.luminosity**2)
            for b in self.backgrounds
        )
        return 10 * (3 + 3 * float(np.sqrt(variance))) / self.signal

    def workspace(self) -> dict[str, Any]:
        """The model as a HistFactory workspace; the observation is the background expected."""
        luminosity = _normsys("luminosity", self.luminosity)
        signal = [{"name": POI, "type": "normfactor", "data": None}, *luminosity]
        for name, size in self.signal_systematics.items():
            signal += _normsys(name, size)
        samples = [{"name": "signal", "data": [self.signal], "modifiers": signal}]
        for background in self.backgrounds:
            statistics = {
                "name": f"statistics_{background.name}",
                "type": "shapesys",
                "data": [background.events / background.effective**0.5],
            }
            samples.append(
                {
                    "name": background.name,
                    "data": [background.events],
                    "modifiers": [*luminosity, *_normsys(*background.systematic), statistics],
                }
            )
        parameter = {"name": POI, "inits": [0.0], "bounds": [[0.0, self.reach]]}
        config = {"poi": POI, "parameters": [parameter]}
        return {
            "channels": [{"name": "window", "samples": samples}],
            "observations": [{"name": "window", "data": [self.background]}],
            "measurements": [{"name": f"m = {self.mass:g} GeV", "config": config}],
            "version": "1.0.0",
        }


def _systematic(settings: LimitSettings, process: str) -> tuple[str, float]:
    """Name and relative size of what scales a background."""
    given = settings.background_uncertainty
    if isinstance(given, dict):
        return f"background_{process}", given[process]
    return "background", given


def _normsys(name: str, size: float) -> list[dict[str, Any]]:
    """A log-normal factor as a HistFactory modifier: 1 + size at one sigma; none without size."""
    if size == 0:
        return []
    return [{"name": name, "type": "normsys", "data": {"hi": 1 + size, "lo": 1 / (1 + size)}}]
