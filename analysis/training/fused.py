"""The fused engine: compiled kernels on all cores of the CPU.

An ensemble costs less than its networks one by one, because a batch is loaded once and then
stays in the cache for all of them.
"""

from itertools import pairwise

import numpy as np

from analysis.training.batches import Shelf
from analysis.training.bce_kernels import Descent, Epoch, bce_epoch, bce_sums
from analysis.training.engine import Engine, PunziValues, Steps, Task, parameter_count
from analysis.training.loading import RUNS, Batch, Workspace, workspace
from analysis.training.network_kernels import Network
from analysis.training.parallel import (
    CROSS_ENTROPY,
    GRADIENT,
    OPEN,
    SUMS,
    empty_parts,
    over_parts,
)
from analysis.training.punzi_kernels import Tables, Totals, Values, loss_and_slopes
from analysis.training.ranks import Ranks
from analysis.types import FloatArray, IntArray

#: Batches of up to this many blocks (65 536 events) keep their activations between the two
#: passes; those of larger ones would not stay in the second-level cache and are cheaper to
#: compute again.
KEPT_BLOCKS = 128


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
        width = shelf.hypotheses + 1
        places = shelf.classes * width
        scale = np.zeros(places, dtype)
        scale[: shelf.hypotheses] = task.bce_scale[: shelf.hypotheses]
        scale[width:] = np.repeat(task.bce_scale[shelf.hypotheses :], width)
        self._bce_scale = scale
        merit = task.figure_of_merit
        constants = np.array([merit.constant, merit.a, merit.b])
        self._totals = Totals(
            task.signal_total,
            task.background_total,
            task.luminosity,
            constants,
            merit.uncertainty_of(task.processes),
            task.cross_section or 0.0,
        )
        self._values = Values(*(np.zeros(shelf.hypotheses) for _ in range(3)))
        self._parts = empty_parts(places, parameter_count(widths))
        self._streaming = workspace(self.widths, scale, width)
        self._keeping: Workspace | None = None
        # What the open batch is worked on in, and holds.
        self._work = self._streaming
        self._weights: FloatArray = np.zeros(places)
        self._counts: IntArray = np.zeros(places, np.int64)
        self._whole: tuple[FloatArray, IntArray] | None = None

    def bce_epoch(
        self, parameters: FloatArray, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """See `Engine`."""
        if self.ranks.count > 1:
            return self._bce_epoch_of_ranks(parameters, steps, order, bounds)
        networks = len(parameters)
        width = self.shelf.hypotheses + 1
        work = workspace(self.widths, self._bce_scale, width, workers=networks)
        losses = np.zeros(networks)
        bce_epoch(
            Epoch(*self.shelf.runs, order, bounds),
            Descent(parameters, self._widths, steps.rate, steps.longest),
            work,
            losses,
        )
        return losses

    def _bce_epoch_of_ranks(
        self, parameters: FloatArray, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """`bce_epoch`, adding up over ranks before every step."""
        losses = np.zeros(len(parameters))
        sums = np.zeros((len(parameters), parameters.shape[1] + 2))
        for start, stop in pairwise(bounds.tolist()):
            batch = Batch(*self.shelf.runs, order, start, stop)
            descent = Descent(parameters, self._widths, steps.rate, steps.longest)
            bce_sums(batch, descent, self._streaming, sums)
            for network, (loss, weight, *gradient) in enumerate(self.ranks.sum(sums)):
                if steps.rate[network] > 0 and weight > 0:
                    steps.take(network, parameters[network], np.array(gradient) / weight)
                    losses[network] += loss / weight / (len(bounds) - 1)
        return losses

    def bce_loss(self, parameters: FloatArray) -> float:
        """See `Engine`."""
        network, everything = self._network(parameters), self._everything()
        over_parts(CROSS_ENTROPY, everything, network, self._streaming, self._parts)
        loss, weight = self.ranks.sum(self._parts.cross_entropy.sum(axis=0))
        return float(loss / weight)

    def open_batch(self, order: IntArray, start: int, stop: int) -> Batch:
        """See `Engine`. One batch is open at a time: they share a workspace."""
        batch = Batch(*self.shelf.runs, order, start, stop)
        blocks = -(-(stop - start) // RUNS)
        self._work = self._streaming
        if blocks <= KEPT_BLOCKS:
            if self._keeping is None or len(self._keeping.rows) < blocks:
                width = self.shelf.hypotheses + 1
                self._keeping = workspace(self.widths, self._bce_scale, width, keep=blocks)
            self._work = self._keeping
        elif stop - start == len(self.shelf):
            self._open_whole()
            return batch
        self._weights, self._counts = self._over_ranks(*self._sum_tables(batch))
        return batch

    def punzi_gradient(self, parameters: FloatArray, batch: Batch) -> tuple[float, FloatArray]:
        """See `Engine`."""
        network = self._network(parameters)
        loss = self._punzi_loss(network, batch)
        over_parts(GRADIENT, batch, network, self._work, self._parts)
        return loss, self.ranks.sum(self._parts.gradient.sum(axis=0))

    def punzi_values(self, parameters: FloatArray) -> PunziValues:
        """See `Engine`."""
        self._open_whole()
        loss = self._punzi_loss(self._network(parameters), self._everything())
        return PunziValues(loss, *(values.copy() for values in self._values))

    def _punzi_loss(self, network: Network, batch: Batch) -> float:
        """First pass: the loss; its slopes stay in the workspace."""
        over_parts(SUMS, batch, network, self._work, self._parts)
        sums = self.ranks.sum(self._parts.sums.sum(axis=0))
        tables = Tables(sums, self._weights, self._counts)
        return float(loss_and_slopes(tables, self._totals, self._values, self._work.by_place))

    def _network(self, parameters: FloatArray) -> Network:
        """A network with (K,) parameters, rounded to the precision of the passes."""
        return Network(parameters.astype(self._dtype), self._widths)

    def _everything(self) -> Batch:
        """The whole shelf, in order."""
        return Batch(*self.shelf.runs, self.shelf.in_order(), 0, len(self.shelf))

    def _open_whole(self) -> None:
        """Open the whole shelf, without keeping activations; its tables are summed up once."""
        self._work = self._streaming
        if self._whole is None:
            self._whole = self._sum_tables(self._everything())
        # Ranks may differ in what they keep, but have to add up in the same places.
        self._weights, self._counts = self._over_ranks(*self._whole)

    def _over_ranks(self, weights: FloatArray, counts: IntArray) -> tuple[FloatArray, IntArray]:
        """Add up the tables of all ranks."""
        if self.ranks.count == 1:
            return weights, counts
        both = self.ranks.sum(np.stack([weights, counts.astype(np.float64)]))
        return both[0], both[1].round().astype(np.int64)

    def _sum_tables(self, batch: Batch) -> tuple[FloatArray, IntArray]:
        """Load a batch, if it is kept; sums of weights and numbers of its events, by place."""
        no_network = self._network(np.zeros(parameter_count(self.widths)))
        over_parts(OPEN, batch, no_network, self._work, self._parts)
        return self._parts.weights.sum(axis=0), self._parts.counts.sum(axis=0)
