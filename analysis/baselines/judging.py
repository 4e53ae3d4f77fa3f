"""Baselines judged as networks are: cuts chosen on training events, σ_min on validation events."""

from dataclasses import replace

import numpy as np

from punzinet.analysis.baselines.rectangular_cuts import RectangularCuts
from punzinet.analysis.baselines.results import Baseline
from punzinet.analysis.cuts import RankedEvents, best_single_cut, interpolated_cuts, optimal_cuts
from punzinet.analysis.evaluation import ScaledEvents
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.sensitivity import Selection
from punzinet.analysis.training.data import Sample
from punzinet.analysis.types import BoolArray, FloatArray


class Judge:
    """Judges ways of selecting events on one sample."""

    def __init__(
        self,
        sample: Sample,
        training: BoolArray,
        figure_of_merit: FigureOfMerit,
        luminosity: float,
    ) -> None:
        """Scale the events of both folds; windows count all hypotheses, `training` some (H,)."""
        self.training_events = ScaledEvents.of(sample, "training")
        self.validation_events = ScaledEvents.of(sample, "validation")
        self._sample, self._training = sample, training
        self._merit = figure_of_merit, luminosity

    def scores(
        self, label: str, in_training: FloatArray, in_validation: FloatArray
    ) -> dict[str, Baseline]:
        """Judge a classifier by its outputs before the sigmoid for the events of both folds.

        Returns:
            ``interpolated``: with the best cut of each training hypothesis on the training
            events, interpolated to the others; ``single``: with the one cut that is best for
            the validation events, as for networks.
        """
        names = self._sample.backgrounds
        others = self.training_events.rank(in_training)
        events = self.validation_events.rank(in_validation)
        best = optimal_cuts(others, *self._merit, names)
        mass, known = self._sample.mass, self._training
        cuts = interpolated_cuts(mass[known], best[known], mass)
        single = best_single_cut(events, self._training, *self._merit, names)
        return {
            "interpolated": self._baseline(f"{label}, interpolated cuts", events, cuts),
            "single": self._baseline(f"{label}, one cut", events, single),
        }

    def _baseline(self, label: str, events: RankedEvents, cut: FloatArray | float) -> Baseline:
        """σ_min behind cuts on ranked validation events."""
        judged = self.validation_events.judge(events, cut, self._training, *self._merit)
        return Baseline(label, *judged)

    def rectangular(self, label: str, cuts: RectangularCuts) -> Baseline:
        """Judge cuts on the features.

        The uncertainty of the mean is an upper limit: that of windows that fluctuate together.
        """
        events = self.validation_events
        columns = []
        for h in range(len(self._sample.mass)):
            passes = cuts.passes(events.features, h).astype(np.float64)
            one, _ = events.judge(events.rank(passes), 0.5, self._training, *self._merit)
            columns.append([column[h] for column in vars(one).values()])
        selection = Selection(*np.array(columns).T)
        # There is no cut on an output.
        selection = replace(selection, cut=np.full(len(columns), np.inf))
        error = float(selection.sigma_min_error[self._training].mean())
        return Baseline(label, selection, error)
