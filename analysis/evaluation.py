"""Judging networks: what their cuts select of a sample, and the σ_min that follows.

Everything is measured on the test events, which neither trained nor chose anything, and scaled to
the whole sample as the Punzi-loss scales its batches: a background process by the total over the
test sum of its weights, the signal of each hypothesis by its own such ratio. Cuts are chosen on the
validation events.

In the paper there are no test events. The validation events judge then, and the best cuts, which
follow the fluctuations of a few background events, are optimistic.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from punzinet.analysis.cuts import RankedEvents, best_cuts, selected, slope_sums, unseen_background
from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance, variance_slope
from punzinet.analysis.io.files import InputError
from punzinet.analysis.saved_network import Perceptron
from punzinet.analysis.sensitivity import CUTS, NetworkSensitivity, Selection, Sensitivity
from punzinet.analysis.training.data import PARTS, Events, Sample
from punzinet.analysis.types import SIGNAL, BoolArray, FloatArray, divided


@dataclass(frozen=True, eq=False)
class ScaledFold:
    """The events of one fold with the weights that make them stand for the whole sample.

    Sums are (P + 1, H): background processes, and in the last row the signal, by hypothesis.
    A background is scaled as a whole: all of its row is equal.
    """

    events: Events  # with scaled weights
    total: FloatArray  # (P + 1, H) sum of weights of what is scaled together
    total_variance: FloatArray  # (P + 1, H)
    squares: FloatArray  # (P + 1, H) sum of squares of the scaled weights
    backgrounds: tuple[str, ...]  # names of the P processes

    @classmethod
    def of(cls, sample: Sample[Events], part: str) -> Self:
        """Scale the events of a part of a sample, whose windows count all hypotheses to judge.

        What trains or validates is scaled to the total that both make expect, as if nothing tested.

        InputError if a background process has events, but none in this part.
        """
        events, parts = getattr(sample, part), [sample.training, sample.validation]
        known = sample.known
        if part == "test":
            parts, known = [*parts, events], 1.0
        total, variance = (
            np.sum([_sums(sample, one, one.weight**power) for one in parts], axis=0) / known**power
            for power in (1, 2)
        )
        subset = _sums(sample, events, events.weight)
        columns = total[:SIGNAL, 0], subset[:SIGNAL, 0]
        for name, whole, held in zip(sample.backgrounds, *columns, strict=True):
            if whole > 0 and held == 0:
                raise InputError(
                    f"None of the {name} events in the mass windows is in the {part} fold, so "
                    "that this background cannot be estimated; give it more events."
                )
        weight = events.weight * divided(total, subset)[events.process, events.start]
        # The number accepted of the generated signal events is binomial, of efficiency `total`.
        variance[SIGNAL] *= 1 - total[SIGNAL].clip(max=1)
        squares, scaled = _sums(sample, events, weight**2), replace(events, weight=weight)
        return cls(scaled, total, variance, squares, sample.backgrounds)

    def rank(self, logit: FloatArray) -> RankedEvents:
        """Sort the events by a network's output before the sigmoid, (n,)."""
        _, *columns = vars(self.events).values()
        processes, hypotheses = len(self.backgrounds), self.total.shape[1]
        return RankedEvents.rank(logit, *columns, processes=processes, hypotheses=hypotheses)

    def variances(self, sums: FloatArray, squares: FloatArray) -> FloatArray:
        """Variances (P + 1, H) of what passes, from the finite number of simulated events.

        A sum is the total T of the whole sample times the fraction f that passes, a ratio of
        sums of the events of this fold. With Q the scaled sums of squares, of those that pass
        and of all, its variance is T² var f + f² var T = Q (1 - 2f) + f² (Q_all + var T).
        """
        fraction = divided(sums, self.total)
        known = self.squares + self.total_variance
        variances: FloatArray = squares * (1 - 2 * fraction) + fraction**2 * known
        return variances.clip(min=0)


def _sums(sample: Sample[Events], events: Events, values: FloatArray) -> FloatArray:
    """Sum values of events over what is scaled together, (P + 1, H)."""
    signal = events.process == SIGNAL
    background = np.bincount(events.process[~signal], values[~signal], len(sample.backgrounds))
    of_signal = np.bincount(events.start[signal], values[signal], len(sample.mass))
    return np.vstack([np.repeat(background[:, None], len(of_signal), axis=1), of_signal])


class Judge:
    """Finds cuts and judges selections of the events of one sample, by one figure of merit."""

    def __init__(
        self, sample: Sample[Events], training: BoolArray, figure: FigureOfMerit, luminosity: float
    ) -> None:
        """Scale the events of all parts, with weights normalised to the luminosity in fb^-1.

        The sample's windows count all hypotheses; networks are trained for some of them, (H,).
        InputError if a background process is missing in a fold.
        """
        self.mass, self.training, self.merit = sample.mass, training, (figure, luminosity)
        self.folds = {p: ScaledFold.of(sample, p) for p in PARTS if len(getattr(sample, p))}
        *_, self.judging_fold = self.folds.values()  # the last one with events

    def cuts(self, events: RankedEvents) -> tuple[FloatArray, float]:
        """The best cut of each hypothesis (H,), and the one for all; see `best_cuts`."""
        return best_cuts(events, self.training, *self.merit, self.judging_fold.backgrounds)

    def averaged(self, selection: Selection) -> float:
        """Average σ_min in fb over the training hypotheses."""
        return self.merit[0].averaged(selection.sigma_min[self.training])

    def judge(
        self, events: RankedEvents, cut: FloatArray | float, fold: ScaledFold | None = None
    ) -> tuple[Selection, float]:
        """Evaluate a cut on the output before the sigmoid, one for all or (H,).

        The uncertainty of σ_min is that of efficiency and background, propagated. For the
        background it is half the difference of σ_min between one standard deviation of its
        variance V above and below, because √V bends where few events pass. Where none does, the
        background is the `unseen_background`, and as uncertain as it is large.

        The events are ranked ones of a fold, by default the one that judges. Returns what the cut
        achieves, and the uncertainty of the average σ_min over the training hypotheses in fb.
        """
        fold, (figure, luminosity) = fold or self.judging_fold, self.merit
        cuts = np.full(events.hypotheses, cut, dtype=np.float64)
        sums, squares = selected(events, cuts)
        statistical = fold.variances(sums, squares)
        efficiency, by_process = sums[SIGNAL], sums[:SIGNAL]
        background = by_process.sum(axis=0)
        found, none = efficiency > 0, background == 0
        background = np.where(none, unseen_background(events), background)
        about = background, by_process, *figure.uncertainty_of(fold.backgrounds, len(cuts))
        slopes = np.array([variance_slope(*about, process) for process in range(len(by_process))])
        variance = background_variance(*about)
        spread = np.sqrt((slopes**2 * statistical[:SIGNAL]).sum(axis=0))
        spread = np.where(none, background, spread)
        varied = variance, variance + spread, np.maximum(variance - spread, 0)
        sigma, above, below = (figure.sigma_min(efficiency, v, luminosity) for v in varied)
        with np.errstate(divide="ignore", invalid="ignore"):  # nothing found
            from_signal = sigma * np.sqrt(statistical[SIGNAL]) / efficiency
            from_background = (above - below) / 2
            per_event = (above - below) / (2 * spread)
        error, independent = (
            np.where(found, np.hypot(from_signal, other), np.inf)
            for other in (from_background, np.where(none, from_background, 0.0))
        )
        slopes = slopes * np.where(found & ~none & (spread > 0), per_event, 0.0)
        effective = divided(background**2, squares[:SIGNAL].sum(axis=0))
        selection = Selection(cuts, efficiency, background, sigma, error, effective)
        return selection, self._mean_error(fold, events, selection, slopes, independent)

    def _mean_error(
        self,
        fold: ScaledFold,
        events: RankedEvents,
        selection: Selection,
        slopes: FloatArray,
        own: FloatArray,
    ) -> float:
        """Uncertainty of the average σ_min over hypotheses, infinite if one has no efficiency.

        An event counts in all its windows, and all windows of a process share its total. With
        g the sum of ∂(average σ_min)/∂B over the windows in which an event passes, the variance
        is Σ w²(g - ḡ)² + ḡ² var T for each process, where ḡ = Σ wg/T: for a single window it is
        that of `variances`. The signals of the hypotheses are independent of one another.

        The slopes (P, H) are changes of σ_min in fb for an event more of a process, `own` (H,) are
        uncertainties of σ_min that no other hypothesis shares.
        """
        training = self.training
        if np.isinf(selection.sigma_min[training]).any():
            return np.inf
        share = training / training.sum()
        if self.merit[0].average == "geometric":
            share = share * self.averaged(selection) / selection.sigma_min
        slopes = np.where(training, slopes * share, 0.0)
        linear, quadratic, mixed = slope_sums(events, selection.cut, slopes)
        mean = divided(linear, fold.total[:SIGNAL, 0])
        known = fold.squares[:SIGNAL, 0] + fold.total_variance[:SIGNAL, 0]
        background = quadratic - 2 * mean * mixed + mean**2 * known
        alone = (share[training] * own[training]) ** 2
        return float(np.sqrt(background.clip(min=0).sum() + alone.sum()))


def evaluate(networks: Mapping[str, Perceptron], judge: Judge) -> Sensitivity:
    """Judge networks, by name, by what they select; InputError if an output is no number."""
    results, folds = {}, judge.folds.items()
    for name, network in networks.items():
        ranked = {p: fold.rank(network.logit(fold.events.features.T)) for p, fold in folds}
        chooses, (*_, events) = ranked["validation"], ranked.values()
        optimal, single = judge.cuts(chooses)
        judged = [judge.judge(events, cut) for cut in (optimal, single, 0.0)]
        by_events = {p: judge.averaged(judge.judge(ranked[p], single, f)[0]) for p, f in folds}
        columns = zip(*judged, strict=True)
        selections, errors = (dict(zip(CUTS, column, strict=True)) for column in columns)
        results[name] = NetworkSensitivity(**selections, mean_error=errors, by_events=by_events)
    return Sensitivity(judge.mass, judge.training, *judge.merit, results)
