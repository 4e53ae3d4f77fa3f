"""Uncertainty of anything from the finite simulated sample: the sample drawn again and again.

Each replica gives every event a Poisson weight of mean 1 (the bootstrap for counting
experiments). All networks and cuts see the same replicas, so that what they share cancels in
their ratios, as it should, and an average over networks is as uncertain as its common events.

Where not one event passes a cut, every replica would find the same nothing. There the expected
background of a replica is drawn from what nothing allows: an exponential with the mean of one
typical event, whose 68 % quantile is the upper limit used elsewhere.
"""

from typing import NamedTuple

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.evaluation import ScaledEvents
from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance
from punzinet.analysis.types import FloatArray, IntArray


class Replicas:
    """R replicas of the events of a fold."""

    def __init__(self, events: ScaledEvents, count: int, rng: np.random.Generator) -> None:
        """Draw R = `count` replicas."""
        hypotheses = events.total.shape[1]
        self._events = events
        self._counts = rng.poisson(1.0, (len(events.weight), count)).astype(np.uint8)
        background = events.process >= 0
        weight = events.weight[background]
        typical = float((weight**2).sum() / weight.sum()) if weight.size else 0.0
        self._unseen = typical * rng.standard_exponential((hypotheses, count))

    def sigma_min(
        self,
        logit: FloatArray,
        cut: FloatArray,
        figure_of_merit: FigureOfMerit,
        luminosity: float,
    ) -> FloatArray:
        """σ_min (R, H) in fb behind a cut (H,) in every replica, infinite where nothing passes.

        `logit` (n,) are outputs before the sigmoid, in the order of the events.
        """
        events = self._events
        passing = np.flatnonzero(logit >= cut.min())
        once = np.ones((len(passing), 1), dtype=self._counts.dtype)
        columns = _Passing(
            logit[passing],
            events.weight[passing].astype(np.float64),
            events.process[passing],
            events.start[passing],
            events.stop[passing],
            np.hstack([self._counts[passing], once]),
        )
        sums = _sums(columns, cut.astype(np.float64), len(events.backgrounds))
        total = sums[:-1].sum(axis=0)
        background = np.where(total[:, -1:] > 0, total[:, :-1], self._unseen)
        variance = background_variance(
            background, sums[:-1, :, :-1], figure_of_merit.uncertainty_of(events.backgrounds)
        )
        sigma: FloatArray = figure_of_merit.sigma_min(sums[-1, :, :-1], variance, luminosity)
        return sigma.T


class _Passing(NamedTuple):
    """Columns of n events; a tuple, because compiled loops take one as it is."""

    logit: FloatArray
    weight: FloatArray
    process: IntArray
    start: IntArray
    stop: IntArray
    counts: IntArray


@njit(cache=True)
def _sums(events: _Passing, cut: FloatArray, processes: int) -> FloatArray:
    """(P + 1, H, R) sums of the weights of backgrounds and signal that pass, by replica."""
    sums = np.zeros((processes + 1, len(cut), events.counts.shape[1]))
    for i in range(len(events.logit)):
        row = events.process[i] if events.process[i] >= 0 else processes
        for window in range(events.start[i], events.stop[i]):
            if events.logit[i] >= cut[window]:
                target = sums[row, window]
                for r in range(events.counts.shape[1]):
                    target[r] += events.weight[i] * events.counts[i, r]
    return sums
