"""Scan points of an observation: their windows, what is expected there, and what is counted.

Scan points are all hypotheses and masses between them, so close that the scan covers every mass
from the lightest to the heaviest: events between the windows of two hypotheses count there.

Pseudo-data stands in for data, to rehearse: each simulated event that judges occurs as often as
a Poisson distribution with its weight as the mean says, at the target luminosity.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from punzinet.analysis.cuts import RankedEvents, selected, unseen_background
from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.tensor_events import TensorEvents
from punzinet.analysis.limits.model import Yields
from punzinet.analysis.types import SIGNAL, FloatArray, IntArray
from punzinet.analysis.windows import HALF_WIDTH, Windows

MOST = 10_000_000  # events to be injected at one mass: beyond any search, and few for memory
#: Numbers of equal parts of the step from one hypothesis to the next: masses stay short.
PARTS = np.array([2, 4, 5, 8, 10, 16, 20, 25, 40, 50, 80, 100])


@dataclass(frozen=True, eq=False)
class Scan:
    """S scan points, by ascending mass."""

    windows: Windows  # (S,); for training are the hypotheses, whichever networks were trained on
    position: FloatArray  # (S,) of the points among the hypotheses, whole numbers for themselves

    @classmethod
    def of(cls, windows: Windows) -> Self:
        """All hypotheses, and between neighbours so many masses that windows overlap by half.

        The width of a window between others is linear in the variable from one to the other, as its
        edges then are: they grow with the mass, whatever errors the fitted widths have.
        """
        near = HALF_WIDTH * np.minimum(windows.resolution[1:], windows.resolution[:-1])
        number = PARTS[np.searchsorted(PARTS[:-1], np.diff(windows.mass) / near)]
        steps = [i + np.arange(n) / n for i, n in enumerate(number.tolist())]
        position = np.concatenate([*steps, [len(windows) - 1]])
        tested, none = position % 1 == 0, (None,) * len(position)
        mass = np.interp(position, np.arange(len(windows)), windows.mass)
        mass = np.where(tested, mass, mass.round(9))
        sigma = np.interp(windows.search.centre(mass), windows.centre, windows.sigma)
        return cls(Windows(mass, sigma, tested, tested, none, windows.search), position)

    @property
    def mass(self) -> FloatArray:
        """Their masses in GeV, (S,)."""
        return self.windows.mass

    def interpolate(self, values: FloatArray) -> FloatArray:
        """Values of the hypotheses (..., H) at all scan points, linear in the mass in between."""
        below, above = (end(self.position).astype(int) for end in (np.floor, np.ceil))
        share = self.position - below
        return np.asarray((1 - share) * values[..., below] + share * values[..., above])

    def yields(self, known: Yields, events: TensorEvents, logit: FloatArray) -> Yields:
        """Yields (S,) behind a single cut, of which those of the hypotheses are `known`.

        The background among the `events` that judge, and have these network outputs, is counted;
        efficiency, and shared systematic effects, are interpolated.
        """
        kept, own, count = ~events.signal, len(known.backgrounds), len(self.mass)
        found, code = np.unique(events.process[kept], return_inverse=True)
        others = [name for name in found.tolist() if name not in known.backgrounds]
        names, cut = (*known.backgrounds, *others), np.full(count, known.cut[0])
        process = np.array([names.index(name) for name in found], dtype=int)[code]
        ranked = RankedEvents.rank(
            logit[kept], events.weight[kept], process,
            *self.windows.assign(events.variable[kept]), processes=len(names), hypotheses=count,
        )  # fmt: skip
        sums, squares = (of[:SIGNAL] for of in selected(ranked, cut))
        error, unseen = np.sqrt(squares), unseen_background(ranked)
        tested = self.windows.training
        sums[:own, tested], error[:own, tested] = known.background, known.background_error
        unseen[tested] = known.unseen
        # What lies between windows only has no systematic effects that were measured.
        shared = {name: self.interpolate(np.insert(of, [own] * len(others), 1.0, axis=1))
                  for name, of in known.shared.items()}  # fmt: skip
        of_signal = [*map(self.interpolate, (known.efficiency, known.efficiency_error))]
        return Yields(names, of_signal[0], of_signal[1], sums, error, unseen, cut, shared)


def draw_pseudo_data(
    events: TensorEvents, luminosity: float, injected: Mapping[float, float], seed: int
) -> IntArray:
    """Draw how often each event that judges might be measured at a luminosity in fb^-1, (n,).

    Signal is `injected` with cross-sections in fb by mass, of which the background does not depend.
    InputError if it has no event, or too many.
    """
    rng, background = np.random.default_rng(seed), ~events.signal
    times = np.zeros(len(background), dtype=np.int64)
    times[background] = rng.poisson(events.weight[background])
    for mass, cross_section in injected.items():
        own = events.mass == mass
        mean = cross_section * luminosity * events.weight[own]
        if not 0 < mean.sum() < MOST and cross_section > 0:
            raise InputError(
                f"--inject: {cross_section:g} fb at {mass:g} GeV would be {mean.sum():.3g} events "
                f"in its window; inject more than 0, and less than {MOST}."
            )
        times[own] = rng.poisson(mean)
    return times
