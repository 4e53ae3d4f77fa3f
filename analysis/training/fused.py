"""The fused engine: compiled kernels on all cores of the CPU.

An ensemble costs less than its networks one by one: a block of events is loaded once, and then
stays in the cache for all of them.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np

from punzinet.analysis.training.batches import Shelf
from punzinet.analysis.training.bce_kernels import Descent, Epoch, Learners, bce_parts, descend
from punzinet.analysis.training.engine import Engine, PunziValues, Steps, Task
from punzinet.analysis.training.loading import PARTS, Batch, workspace
from punzinet.analysis.training.punzi_kernels import (
    Networks,
    Sums,
    Totals,
    Values,
    gradient_parts,
    losses_and_slopes,
    sum_parts,
)
from punzinet.analysis.training.ranks import Ranks
from punzinet.analysis.types import FloatArray, IntArray


class FusedEngine(Engine[Batch]):
    """Trains and evaluates networks with compiled kernels; see `Engine`."""

    def __init__(
        self,
        shelf: Shelf,
        widths: tuple[int, ...],
        task: Task,
        dtype: type[np.floating] = np.float32,
        ranks: Ranks | None = None,
    ) -> None:
        """Make an engine.

        Args:
            shelf: The events.
            widths: Units of each layer, inputs first, 1 last.
            task: What the losses need to know.
            dtype: Precision of the passes; double precision is a reference and slow.
            ranks: Processes that hold the other events; none if not given.
        """
        super().__init__(shelf, widths, task, ranks)
        self._dtype = dtype
        self._widths = np.array(widths)
        signal, background = np.split(task.bce_scale, [shelf.hypotheses])
        scale = np.concatenate([signal, np.tile(background, len(shelf.ranges))])
        self._bce_scale: FloatArray = scale.astype(dtype)
        merit = task.figure_of_merit
        self._totals = Totals(
            task.signal_total,
            task.background_total,
            shelf.ranges,
            task.luminosity,
            np.array([merit.constant, merit.a, merit.b]),
            merit.uncertainty_of(task.processes),
            task.cross_section or 0.0,
        )
        self._workers = min(PARTS, numba.get_num_threads())
        self._threads = ThreadPoolExecutor(self._workers)
        self._work = workspace(widths, dtype, self._workers)

    def bce_epoch(
        self, parameters: FloatArray, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """See `Engine`."""
        if self.ranks.count > 1:
            return super().bce_epoch(parameters, steps, order, bounds)
        running = np.flatnonzero(steps.rate)
        vectors, losses = parameters[running], np.zeros(len(parameters))
        mean = np.zeros(len(running))
        self._in_threads(
            descend,
            min(self._workers, len(running)),
            Epoch(*self.shelf.runs, order, bounds),
            Descent(vectors, steps.rate[running], steps.longest),
            self._learners(vectors),
            self._work,
            np.zeros((len(running), 2 + vectors.shape[1])),
            mean,
        )
        parameters[running], losses[running] = vectors, mean
        return losses

    def bce_losses(self, parameters: FloatArray) -> FloatArray:
        """See `Engine`."""
        sums = self._cross_entropies(parameters, self._everything(), 2)
        return sums[:, 0] / sums[:, 1]

    def bce_gradients(self, parameters: FloatArray, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """See `Engine`."""
        sums = self._cross_entropies(parameters, batch, 2 + parameters.shape[1])
        sums /= np.where(sums[:, 1:2] > 0, sums[:, 1:2], 1.0)
        return sums[:, 0], sums[:, 2:]

    def open_batch(self, order: IntArray, start: int, stop: int) -> Batch:
        """See `Engine`."""
        return Batch(*self.shelf.runs, order, start, stop)

    def punzi_gradients(
        self, parameters: FloatArray, batch: Batch
    ) -> tuple[FloatArray, FloatArray]:
        """See `Engine`."""
        networks, values = self._evaluate(parameters, batch)
        gradients = np.empty((PARTS, *parameters.shape))
        self._in_threads(gradient_parts, self._workers, batch, networks, self._work, gradients)
        return values.loss, self.ranks.sum(gradients.sum(axis=0))

    def punzi_values(self, parameters: FloatArray) -> list[PunziValues]:
        """See `Engine`."""
        _, values = self._evaluate(parameters, self._everything())
        return [PunziValues(float(loss), *of) for loss, *of in zip(*values, strict=True)]

    def _evaluate(self, parameters: FloatArray, batch: Batch) -> tuple[Networks, Values]:
        """First pass: what the losses of (N, K) networks are made of, and their slopes."""
        count, places = len(parameters), self.shelf.places
        networks = Networks(
            parameters.astype(self._dtype), self._widths, np.empty((count, places), self._dtype)
        )
        parts = Sums(np.empty((PARTS, places)), np.empty((PARTS, count, places)))
        self._in_threads(sum_parts, self._workers, batch, networks, self._work, parts)
        # In one array, so that ranks have to add up only once.
        sums = np.concatenate([parts.weight.sum(axis=0)[np.newaxis], parts.selected.sum(axis=0)])
        sums = self.ranks.sum(sums)
        values = Values(
            np.empty(count), *(np.empty((count, self.shelf.hypotheses)) for _ in range(3))
        )
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
        return Learners(vectors, self._widths, self._bce_scale, self.shelf.hypotheses)

    def _in_threads(self, kernel: Callable[..., None], workers: int, *arguments: Any) -> None:
        """Let a kernel run for each of some workers; which of them does what changes no result."""
        if workers == 1:
            kernel(0, 1, *arguments)
            return
        calls = [self._threads.submit(kernel, n, workers, *arguments) for n in range(workers)]
        for call in calls:
            call.result()

    def _everything(self) -> Batch:
        """The whole shelf, in order."""
        return self.open_batch(self.shelf.in_order(), 0, len(self.shelf))
