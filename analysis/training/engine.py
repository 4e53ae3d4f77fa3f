"""Losses and gradients of networks on packed events, by compiled kernels on all cores of the CPU.

An engine takes and returns the parameters of N networks as an (N, K) array, one row a network
in the order of torch's `parameters_to_vector`. `Engine.gradients` is the door: the kernels of
`FusedEngine` and the automatic differentiation of `autograd.AutogradEngine`, their reference, give
the same numbers. An ensemble costs less than its networks one by one: a block of events is
loaded once, and then stays in the cache for all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numba
import numpy as np

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.training.batches import Batch, PackedEvents
from punzinet.analysis.training.bce_kernels import Descent, Learners, bce_parts, descend
from punzinet.analysis.training.network_kernels import PARTS, workspace
from punzinet.analysis.training.punzi_kernels import (
    Networks,
    PunziValues,
    Sums,
    Totals,
    gradient_parts,
    losses_and_slopes,
    sum_parts,
)
from punzinet.analysis.types import FloatArray, IntArray

Loss = Literal["bce", "punzi"]


@dataclass(frozen=True, eq=False)
class Objective:
    """What losses need to know besides events and networks.

    Attributes:
        signal_total: (H,) sums of weights of the whole sample's signal.
        background_total: (P,) sums of weights of its background processes.
        luminosity: Target luminosity in fb^-1.
        figure_of_merit: Which σ_min.
        bce_scale: (H + P,) factors on the weights of each signal hypothesis, and each
            background process, in the cross-entropy.
        processes: (P,) names of the background processes, which only uncertainties by process
            need.
        cross_section: Cross-section of the signal in fb for which the significance is
            optimised in place of σ_min; None for the Punzi-loss.
    """

    signal_total: FloatArray
    background_total: FloatArray
    luminosity: float
    figure_of_merit: FigureOfMerit
    bce_scale: FloatArray
    processes: tuple[str, ...] = ()
    cross_section: float | None = None


def parameter_count(widths: Sequence[int]) -> int:
    """K, the number of weights and biases of a network with layers of these widths."""
    return sum((inputs + 1) * units for inputs, units in pairwise(widths))


class Engine(ABC):
    """Trains and evaluates networks with layers of some widths, inputs first, 1 last."""

    def __init__(self, events: PackedEvents, widths: tuple[int, ...], objective: Objective) -> None:
        self.events = events
        self.widths = widths
        self.objective = objective
        self.ranks = events.ranks

    @abstractmethod
    def gradients(
        self, loss: Loss, parameters: FloatArray, tiles: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Losses (N,) of networks, (N, K), for the batch of some tiles, and (N, K) gradients."""

    @abstractmethod
    def epoch(
        self,
        loss: Loss,
        parameters: FloatArray,
        rate: FloatArray,
        max_step: float,
        batches: tuple[IntArray, IntArray],
    ) -> FloatArray:
        """Train for one epoch.

        Args:
            loss: Which one.
            parameters: (N, K) float64 parameters, changed.
            rate: (N,) learning rates; a network of rate 0 is left alone.
            max_step: Longest step in parameter space (Euclidean norm); infinite for no limit.
            batches: Order of the tiles and bounds of the batches in it, see `PackedEvents.epoch`.

        Returns:
            (N,) losses, mean over batches.
        """

    @abstractmethod
    def bce_losses(self, parameters: FloatArray) -> FloatArray:
        """Weighted mean cross-entropies (N,) of networks, (N, K), over all events."""

    @abstractmethod
    def punzi_values(self, parameters: FloatArray) -> PunziValues:
        """Punzi-losses of networks, (N, K), over all events."""


class FusedEngine(Engine):
    """Trains and evaluates networks with compiled kernels."""

    def __init__(
        self,
        events: PackedEvents,
        widths: tuple[int, ...],
        objective: Objective,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        """Make an engine; double precision is for tests, and slow."""
        super().__init__(events, widths, objective)
        self._dtype = dtype
        self._widths = np.array(widths)
        signal, background = np.split(objective.bce_scale, [events.hypotheses])
        scale = np.concatenate([signal, np.tile(background, len(events.ranges))])
        self._bce_scale: FloatArray = scale.astype(dtype)
        merit = objective.figure_of_merit
        self._totals = Totals(
            objective.signal_total,
            objective.background_total,
            events.ranges,
            objective.luminosity,
            np.array([merit.constant, merit.a, merit.b]),
            merit.uncertainty_of(objective.processes),
            objective.cross_section or 0.0,
        )
        self._workers = min(PARTS, numba.get_num_threads())
        self._threads = ThreadPoolExecutor(self._workers)
        self._work = workspace(widths, dtype, self._workers)

    def gradients(
        self, loss: Loss, parameters: FloatArray, tiles: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """See `Engine`."""
        batch = self.events.batch(tiles)
        if loss == "bce":
            sums = self._cross_entropies(parameters, batch, 2 + parameters.shape[1])
            sums /= np.where(sums[:, 1:2] > 0, sums[:, 1:2], 1.0)
            return sums[:, 0], sums[:, 2:]
        networks, values = self._evaluate(parameters, batch)
        gradients = np.empty((PARTS, *parameters.shape))
        self._in_threads(gradient_parts, self._workers, batch, networks, self._work, gradients)
        return values.loss, self.ranks.sum(gradients.sum(axis=0))

    def epoch(
        self,
        loss: Loss,
        parameters: FloatArray,
        rate: FloatArray,
        max_step: float,
        batches: tuple[IntArray, IntArray],
    ) -> FloatArray:
        """See `Engine`."""
        running = np.flatnonzero(rate)
        vectors, mean = parameters[running], np.zeros(len(running))
        if loss == "bce" and self.ranks.count == 1:
            self._bce_epoch(vectors, rate[running], max_step, batches, mean)
        else:
            order, bounds = batches
            for start, stop in pairwise(bounds.tolist()):
                losses, gradients = self.gradients(loss, vectors, order[start:stop])
                mean += losses / (len(bounds) - 1)
                for n, gradient in enumerate(gradients):
                    step = rate[running[n]] * gradient
                    length = np.sqrt(step @ step)
                    vectors[n] -= step * (max_step / length if length > max_step else 1.0)
        parameters[running] = vectors
        found = np.zeros(len(parameters))
        found[running] = mean
        return found

    def bce_losses(self, parameters: FloatArray) -> FloatArray:
        """See `Engine`."""
        sums = self._cross_entropies(parameters, self.events.batch(), 2)
        return sums[:, 0] / sums[:, 1]

    def punzi_values(self, parameters: FloatArray) -> PunziValues:
        """See `Engine`."""
        return self._evaluate(parameters, self.events.batch())[1]

    def _bce_epoch(
        self,
        vectors: FloatArray,
        rate: FloatArray,
        max_step: float,
        batches: tuple[IntArray, IntArray],
        losses: FloatArray,
    ) -> None:
        """An epoch of cross-entropy in one call: its batches are too short to be shared."""
        order, bounds = batches
        self._in_threads(
            descend,
            min(self._workers, len(vectors)),
            self.events.batch(order),
            bounds,
            Descent(vectors, rate, max_step),
            self._learners(vectors),
            self._work,
            np.zeros((len(vectors), 2 + vectors.shape[1])),
            losses,
        )

    def _evaluate(self, parameters: FloatArray, batch: Batch) -> tuple[Networks, PunziValues]:
        """First pass: what the losses of (N, K) networks are made of, and their slopes."""
        hypotheses, ranges = self.events.hypotheses, len(self.events.ranges)
        count, cells = len(parameters), hypotheses + self.events.processes * ranges
        networks = Networks(
            parameters.astype(self._dtype), self._widths, np.empty((count, cells), self._dtype)
        )
        parts = Sums(np.empty((PARTS, cells)), np.empty((PARTS, count, cells)))
        self._in_threads(sum_parts, self._workers, batch, networks, self._work, parts)
        # In one array, so that ranks have to add up only once.
        sums = np.concatenate([parts.weight.sum(axis=0)[np.newaxis], parts.selected.sum(axis=0)])
        sums = self.ranks.sum(sums)
        values = PunziValues(np.empty(count), *(np.empty((count, hypotheses)) for _ in range(3)))
        losses_and_slopes(Sums(sums[0], sums[1:]), self._totals, values, networks.slopes)
        return networks, values

    def _cross_entropies(self, parameters: FloatArray, batch: Batch, columns: int) -> FloatArray:
        """(N, columns) cross-entropies, weights and, if there are more, gradients of networks."""
        sums = np.empty((PARTS, len(parameters), columns))
        learners = self._learners(parameters)
        self._in_threads(bce_parts, self._workers, batch, learners, self._work, sums)
        return self.ranks.sum(sums.sum(axis=0))

    def _learners(self, parameters: FloatArray) -> Learners:
        """Networks with (N, K) parameters, rounded to the precision of the passes."""
        vectors = parameters.astype(self._dtype)
        return Learners(vectors, self._widths, self._bce_scale, self.events.hypotheses)

    def _in_threads(self, kernel: Callable[..., None], workers: int, *arguments: Any) -> None:
        """Let a kernel run for each of some workers; which of them does what changes no result."""
        if workers == 1:
            kernel(0, 1, *arguments)
            return
        calls = [self._threads.submit(kernel, n, workers, *arguments) for n in range(workers)]
        for call in calls:
            call.result()
