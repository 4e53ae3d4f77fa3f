"""Judging networks: what their cuts select of a sample, and the σ_min that follows.

Everything is measured on the validation events, which no network was trained on, and scaled
to the whole sample as the Punzi-loss scales its batches: a background process by the total
over the validation sum of its weights, the signal of each hypothesis by its own such ratio.

Cuts are chosen on the validation events as well, as in the paper. For the single cut, one
number for all masses, that is harmless. The optimal cut of each mass, though, also follows
the fluctuations of the few background events in that one window, all the more the smaller
the sample: its σ_min is optimistic. The same cuts chosen on the training events and judged by
the validation events are not, and are given beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from punzinet.analysis.cuts import RankedEvents, best_single_cut, optimal_cuts, selected, slope_sums
from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance, variance_slope
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.network import PunziNet
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection, Sensitivity
from punzinet.analysis.training.data import Events, Sample
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

NONE_FOUND = 1.148
"""Events that are excluded at one standard deviation (68.27 %) where none was found."""


@dataclass(frozen=True, eq=False)
class ScaledEvents:
    """The events of one fold with the weights that make them stand for the whole sample.

    Sums are (P + 1, H): background processes, and in the last row the signal, by hypothesis.
    Where a background is scaled as a whole, all of its row is equal.

    Attributes:
        features: (v, F) the inputs of the networks.
        weight: (v,) scaled weights.
        process: (v,) process codes.
        start: (v,) first windows.
        stop: (v,) one past the last windows.
        total: (P + 1, H) sum of weights of what is scaled together.
        total_variance: (P + 1, H) its variance.
        squares: (P + 1, H) sum of squares of the scaled weights of what is scaled together.
        backgrounds: Names of the P background processes.
    """

    features: FloatArray
    weight: FloatArray
    process: IntArray
    start: IntArray
    stop: IntArray
    total: FloatArray
    total_variance: FloatArray
    squares: FloatArray
    backgrounds: tuple[str, ...]

    @classmethod
    def of(cls, sample: Sample, fold: Literal["training", "validation"]) -> Self:
        """Scale the events of a fold of a sample, whose windows count all hypotheses to judge.

        InputError if a background process has events, but none in this fold.
        """
        events = sample.training if fold == "training" else sample.validation
        other = sample.validation if fold == "training" else sample.training
        signal, background = sample.total
        total = np.concatenate([background, signal])
        subset = _class_sums(sample, events, events.weight)
        for name, whole, part in zip(sample.backgrounds, total, subset, strict=False):
            if whole > 0 and part == 0:
                raise InputError(
                    f"None of the {name} events in the mass windows is in the {fold} fold, so "
                    "that this background cannot be estimated; give it more events."
                )
        scale = np.divide(total, subset, out=np.zeros_like(total), where=subset > 0)
        weight = events.weight * scale[_classes(sample, events)]
        # The number accepted of the generated signal events is binomial, of efficiency `total`.
        binomial = np.ones_like(total)
        binomial[len(sample.backgrounds) :] = 1 - total[len(sample.backgrounds) :].clip(max=1)
        variance = binomial * (
            _class_sums(sample, events, events.weight**2)
            + _class_sums(sample, other, other.weight**2)
        )
        return cls(
            features=events.features.T,
            weight=weight,
            process=events.process,
            start=events.start,
            stop=events.stop,
            total=_by_hypothesis(sample, total),
            total_variance=_by_hypothesis(sample, variance),
            squares=_by_hypothesis(sample, _class_sums(sample, events, weight**2)),
            backgrounds=sample.backgrounds,
        )

    def rank(self, logit: FloatArray) -> RankedEvents:
        """Sort the events by a network's output before the sigmoid, (v,)."""
        columns = self.weight, self.process, self.start, self.stop
        rows, hypotheses = self.total.shape
        return RankedEvents.rank(logit, *columns, processes=rows - 1, hypotheses=hypotheses)

    def judge(
        self,
        events: RankedEvents,
        cut: FloatArray | float,
        training: BoolArray,
        figure_of_merit: FigureOfMerit,
        luminosity: float,
    ) -> tuple[Selection, float]:
        """Evaluate a cut.

        The uncertainty of σ_min is that of efficiency and background, propagated. For the
        background it is half the difference of σ_min between one standard deviation of its
        variance V above and below, because √V bends where few events pass; where none does, it
        is that of the events which cannot be excluded.

        Args:
            events: The events as `rank` sorted them.
            cut: Cut on the output before the sigmoid, one for all or (H,).
            training: (H,) which hypotheses the mean is taken over.
            figure_of_merit: Which σ_min.
            luminosity: Target luminosity in fb^-1.

        Returns:
            What the cut achieves, and the uncertainty of the mean σ_min in fb.
        """
        sums, squares = selected(events, cut)
        statistical = self._variances(sums, squares)
        efficiency, background = sums[SIGNAL], sums[:SIGNAL].sum(axis=0)
        variance, slopes = self._background_variance(sums, figure_of_merit)
        spread = np.sqrt((slopes**2 * statistical[:SIGNAL]).sum(axis=0))
        unseen = NONE_FOUND * self._typical_weights(events)
        none = background == 0
        sigma, above, below = (
            figure_of_merit.sigma_min(efficiency, varied, luminosity)
            for varied in (
                variance,
                variance + np.where(none, unseen, spread),
                np.maximum(variance - spread, 0),
            )
        )
        error, independent = np.full((2, len(sigma)), np.inf)
        found = efficiency > 0
        from_signal = sigma[found] * np.sqrt(statistical[SIGNAL, found]) / efficiency[found]
        from_background = (above[found] - below[found]) / np.where(none[found], 1, 2)
        error[found] = np.hypot(from_signal, from_background)
        unseen_error = np.where(none[found], from_background, 0.0)
        independent[found] = np.hypot(from_signal, unseen_error)
        per_event = np.zeros_like(sigma)
        seen = found & ~none & (spread > 0)
        per_event[seen] = (above[seen] - below[seen]) / (2 * spread[seen])
        selection = Selection(
            cut=np.broadcast_to(np.asarray(cut, dtype=np.float64), sigma.shape).copy(),
            efficiency=efficiency,
            background=background,
            sigma_min=sigma,
            sigma_min_error=error,
        )
        return selection, self._mean_error(
            events, selection, slopes * per_event, independent, training
        )

    def _mean_error(
        self,
        events: RankedEvents,
        selection: Selection,
        slopes: FloatArray,
        independent: FloatArray,
        training: BoolArray,
    ) -> float:
        """Uncertainty of the mean σ_min over hypotheses, infinite if one has no efficiency.

        An event counts in all its windows, and all windows of a process share its total. With
        g the sum of ∂(mean σ_min)/∂B over the windows in which an event passes, the variance
        is Σ w²(g - ḡ)² + ḡ² var T for each process, where ḡ = Σ wg/T: for a single window it is
        that of `_variances`. The signals of the hypotheses are independent of one another.

        Args:
            events: The events as `rank` sorted them.
            selection: What the cut achieves.
            slopes: (P, H) changes of σ_min in fb for an event more of a process.
            independent: (H,) uncertainties of σ_min in fb that no other hypothesis shares: of the
                signal, and of a window in which no background passes.
            training: (H,) which hypotheses the mean is taken over.
        """
        if np.isinf(selection.sigma_min[training]).any():
            return np.inf
        share = training / training.sum()
        slopes = np.where(training, slopes * share, 0.0)
        linear, quadratic, mixed = slope_sums(events, selection.cut, slopes)
        total = self.total[:SIGNAL, 0]
        mean = np.divide(linear, total, out=np.zeros_like(linear), where=total > 0)
        known = self.squares[:SIGNAL, 0] + self.total_variance[:SIGNAL, 0]
        background = quadratic - 2 * mean * mixed + mean**2 * known
        alone = (share[training] * independent[training]) ** 2
        return float(np.sqrt(background.clip(min=0).sum() + alone.sum()))

    def _background_variance(
        self, sums: FloatArray, figure_of_merit: FigureOfMerit
    ) -> tuple[FloatArray, FloatArray]:
        """Variance V of the background counts, from Poisson and systematic uncertainties.

        Returns (H,) variances and their (P, H) slopes by the background of each process.
        """
        uncertainty = figure_of_merit.uncertainty_of(self.backgrounds)
        by_process = sums[:SIGNAL]
        background = by_process.sum(axis=0)
        own = uncertainty.by_process if len(uncertainty.by_process) else np.zeros(len(by_process))
        slopes = [
            variance_slope(background, events, uncertainty.overall, relative)
            for events, relative in zip(by_process, own.tolist(), strict=True)
        ]
        variance = background_variance(background, by_process, uncertainty)
        return variance, np.reshape(slopes, by_process.shape)

    def _variances(self, sums: FloatArray, squares: FloatArray) -> FloatArray:
        """Variances (P + 1, H) of what passes, from the finite number of simulated events.

        A sum is the total T of the whole sample times the fraction f that passes, a ratio of
        sums of the validation events. With Q the scaled sums of squares, of those that pass
        and of all, its variance is T² var f + f² var T = Q (1 - 2f) + f² (Q_all + var T).
        """
        fraction = np.divide(sums, self.total, out=np.zeros_like(sums), where=self.total > 0)
        variances: FloatArray = squares * (1 - 2 * fraction) + fraction**2 * (
            self.squares + self.total_variance
        )
        return variances.clip(min=0)

    def _typical_weights(self, events: RankedEvents) -> FloatArray:
        """Weight of a typical background event in each window, Σw²/Σw, (H,).

        Where a window has none, that of all background.
        """
        sums, squares = (array[:SIGNAL].sum(axis=0) for array in selected(events, -np.inf))
        total, total_squares = self.total[:SIGNAL, 0].sum(), self.squares[:SIGNAL, 0].sum()
        anywhere = total_squares / total if total > 0 else 0.0
        weights = np.full(sums.shape, anywhere)
        np.divide(squares, sums, out=weights, where=sums > 0)
        return weights


def _classes(sample: Sample, events: Events) -> IntArray:
    """Index of what each event is scaled with: its background process, or P + its hypothesis."""
    signal = events.process == SIGNAL
    return np.where(signal, len(sample.backgrounds) + events.start, events.process)


def _class_sums(sample: Sample, events: Events, values: FloatArray) -> FloatArray:
    """Sum values of events over what is scaled together, (P + H,)."""
    size = len(sample.backgrounds) + len(sample.mass)
    sums = np.bincount(_classes(sample, events), values, minlength=size)
    return sums.astype(np.float64, copy=False)


def _by_hypothesis(sample: Sample, sums: FloatArray) -> FloatArray:
    """Bring (P + H,) sums into the shape (P + 1, H), backgrounds the same for all hypotheses."""
    processes = len(sample.backgrounds)
    background = np.broadcast_to(sums[:processes, None], (processes, len(sample.mass)))
    return np.vstack([background, sums[processes:]])


def evaluate(
    networks: Mapping[str, PunziNet],
    sample: Sample,
    training: BoolArray,
    figure_of_merit: FigureOfMerit,
    luminosity: float,
) -> Sensitivity:
    """Judge networks by what they select of the validation events.

    The sample's windows count all hypotheses, and `training` (H,) says which of them the networks
    were trained on; its weights are normalised to the luminosity in fb^-1.

    Raises:
        InputError: If a background process is missing in a fold, or an output is no number.
    """
    others = ScaledEvents.of(sample, "training")
    validation = ScaledEvents.of(sample, "validation")
    results = {}
    for name, network in networks.items():
        merit = figure_of_merit, luminosity, sample.backgrounds
        elsewhere = optimal_cuts(others.rank(network.logit_numpy(others.features)), *merit)
        events = validation.rank(network.logit_numpy(validation.features))
        cuts: dict[str, FloatArray | float] = {
            "optimal": optimal_cuts(events, *merit),
            "optimal_in_training": elsewhere,
            "single": best_single_cut(events, training, *merit),
            "half": 0.0,
        }
        judged = {
            kind: validation.judge(events, cut, training, figure_of_merit, luminosity)
            for kind, cut in cuts.items()
        }
        results[name] = NetworkSensitivity(
            **{kind: selection for kind, (selection, _) in judged.items()},
            mean_error={kind: error for kind, (_, error) in judged.items()},
        )
    return Sensitivity(sample.mass, training, figure_of_merit, luminosity, results)
