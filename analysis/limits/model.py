"""The statistical model of one hypothesis: a counting experiment with uncertainties.

n events are observed in the window, expected are σ·ε·L of signal and the sum of the
backgrounds. Uncertainties that are factors (luminosity, efficiency, background) are
log-normal. The finite number of simulated background events is a Poisson constraint for each
process, whose effective number is (Σw)²/Σw² (Barlow and Beeston 1993).

Where not one simulated event of any background passes, a sample named ``unseen`` stands for half
an event of the typical weight, the mean of Jeffreys' posterior for a Poisson rate of which nothing
was seen; it counts as half an effective event. A process without events beside others with events
adds nothing: their constraint already is as wide as a few of its events.

The yields are of all events of the tensors, whatever fold they are in. Best cuts of each mass
would follow the fluctuations of the very events that judge them; therefore every fold is judged by
the cuts that were best on the others.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from punzinet.analysis.cuts import optimal_cuts, selected
from punzinet.analysis.evaluation import ScaledFold, rank_events
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.manifest.sections import LimitSettings
from punzinet.analysis.network import PunziNet
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import load_folds
from punzinet.analysis.types import BoolArray, FloatArray
from punzinet.analysis.windows import Windows

UNSEEN_EVENTS = 0.5  # simulated events that stand for none seen
POI = "cross_section"  # parameter of interest, cross-section times branching fraction in fb


@dataclass(frozen=True, eq=False)
class Yields:
    """Signal and backgrounds of H hypotheses, each in its own window, with errors of the sample."""

    backgrounds: tuple[str, ...]  # names of the P processes
    efficiency: FloatArray  # (H,) of signal
    efficiency_error: FloatArray  # (H,)
    background: FloatArray  # (P, H) events at the target luminosity
    background_error: FloatArray  # (P, H)
    #: (H,) weight of a typical simulated background event of the window before the selection,
    #: Σw²/Σw, in events; that of all windows where one has no background.
    typical_weight: FloatArray


def measure_yields(
    tensors: Path,
    windows: Windows,
    networks: Mapping[str, tuple[PunziNet, float | None]],
    figure_of_merit: FigureOfMerit,
    luminosity: float,
) -> dict[str, Yields]:
    """Count signal and background behind cuts in the folder of the tensors.

    Networks, by name, have one cut on the output before the sigmoid, or None for the cut that is
    best by a figure of merit for every training mass, interpolated between them for the others.

    Raises:
        InputError: If the tensors cannot be read, or a fold lacks signal or background.
    """
    events, samples = load_folds(tensors, windows)
    with ThreadPoolExecutor(2) as pool:  # numpy does not hold Python's lock
        logits = [*pool.map(lambda one: one[0].logit_numpy(events.features.T), networks.values())]
    folds = []
    for sample, validates in samples:
        names = sample.backgrounds
        shape = len(names), len(windows)
        ranked = rank_events(sample.validation, np.zeros(validates.sum()), *shape)
        sums = [selected(ranked, -np.inf)]
        for logit, (_, cut) in zip(logits, networks.values(), strict=True):
            cuts: FloatArray | float | None = cut
            if cuts is None:
                ranked = ScaledFold.of(sample, "training").rank(logit[~validates])
                best = optimal_cuts(ranked, figure_of_merit, luminosity, names)
                cuts = linear_cuts(windows.mass, best, windows.training)
            ranked = rank_events(sample.validation, logit[validates], *shape)
            sums.append(selected(ranked, cuts))  # (2, P + 1, H), signal last
        folds.append(np.array(sums))
    before, *after = np.sum(folds, axis=0)
    weight, squares = before[:, :SIGNAL].sum(axis=1)
    typical = np.full_like(weight, squares.sum() / weight.sum())
    np.divide(squares, weight, out=typical, where=weight > 0)
    found = {}
    for name, (sums, variances) in zip(networks, after, strict=True):
        error = np.sqrt(variances)
        columns = sums[SIGNAL], error[SIGNAL], sums[:SIGNAL], error[:SIGNAL]
        found[name] = Yields(names, *columns, typical)
    return found


def linear_cuts(mass: FloatArray, cut: FloatArray, training: BoolArray) -> FloatArray:
    """Cuts (H,) for all masses from the finite ones of the training masses, linear in between.

    They are infinite, selecting nothing, where no training mass has one.
    """
    known = training & np.isfinite(cut)
    if not known.any():
        return np.full(len(mass), np.inf)
    return np.interp(mass, mass[known], cut[known])


@dataclass(frozen=True)
class Background:
    """One background in the window."""

    name: str  # of its process
    events: float  # expected, positive
    effective: float  # number of simulated events behind it
    systematic: tuple[str, float]  # name of the uncertainty that scales it, and its relative size


@dataclass(frozen=True)
class CountingExperiment:
    """Everything the limit on the cross-section of one hypothesis depends on."""

    mass: float  # GeV
    signal: float  # events expected for a cross-section of 1 fb
    signal_systematics: dict[str, float]  # relative, by name, none shared with backgrounds
    luminosity: float  # relative uncertainty of signal and backgrounds alike
    backgrounds: tuple[Background, ...]  # at least one

    @classmethod
    def of(
        cls, yields: Yields, index: int, mass: float, luminosity: float, settings: LimitSettings
    ) -> Self | None:
        """Model of the hypothesis at an index of the yields, at fb^-1; None without any signal."""
        efficiency = float(yields.efficiency[index])
        if efficiency == 0:
            return None
        given = settings.background_uncertainty
        if isinstance(given, dict):
            systematics = {name: (f"background_{name}", given[name]) for name in yields.backgrounds}
        else:
            systematics = dict.fromkeys(yields.backgrounds, ("background", given))
        columns = yields.background[:, index].tolist(), yields.background_error[:, index].tolist()
        backgrounds = [
            Background(name, events, (events / error) ** 2, systematics[name])
            for name, events, error in zip(yields.backgrounds, *columns, strict=True)
            if events > 0
        ]
        if not backgrounds:
            events = UNSEEN_EVENTS * float(yields.typical_weight[index])
            largest = max(size for _, size in systematics.values())
            backgrounds = [Background("unseen", events, UNSEEN_EVENTS, ("background", largest))]
        signal_systematics = {
            "efficiency": settings.efficiency_uncertainty,
            "signal_statistics": float(yields.efficiency_error[index]) / efficiency,
        }
        common = settings.luminosity_uncertainty
        events = efficiency * luminosity
        return cls(mass, events, signal_systematics, common, tuple(backgrounds))

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
        common = {"luminosity": self.luminosity}
        poi = {"name": POI, "type": "normfactor", "data": None}
        modifiers = [poi, *_factors(common | self.signal_systematics)]
        samples = [{"name": "signal", "data": [self.signal], "modifiers": modifiers}]
        for one in self.backgrounds:
            error = one.events / one.effective**0.5
            statistics = {"name": f"statistics_{one.name}", "type": "shapesys", "data": [error]}
            modifiers = [*_factors(common | dict([one.systematic])), statistics]
            samples.append({"name": one.name, "data": [one.events], "modifiers": modifiers})
        parameter = {"name": POI, "inits": [0.0], "bounds": [[0.0, self.reach]]}
        config = {"poi": POI, "parameters": [parameter]}
        return {
            "channels": [{"name": "window", "samples": samples}],
            "observations": [{"name": "window", "data": [self.background]}],
            "measurements": [{"name": f"m = {self.mass:g} GeV", "config": config}],
            "version": "1.0.0",
        }


def _factors(sizes: Mapping[str, float]) -> list[dict[str, Any]]:
    """Log-normal factors as HistFactory modifiers: 1 + size at one sigma; none without size."""
    return [
        {"name": name, "type": "normsys", "data": {"hi": 1 + size, "lo": 1 / (1 + size)}}
        for name, size in sizes.items()
        if size
    ]
