"""The reference engine: the same training by PyTorch's automatic differentiation.

It knows nothing of hand-written gradients, runs on whatever device PyTorch has, and sees the
same batches in the same order as the fused engine.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from analysis.network import PunziNet
from analysis.punzi_loss import MIN_EFFICIENCY, PunziLoss
from analysis.training.batches import RUN, Shelf
from analysis.training.engine import Engine, PunziValues, Steps, Task
from analysis.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class TensorBatch:
    """Events as the losses take them, on the device.

    Attributes:
        x: (n, F) scaled features.
        weight: (n,) event weights.
        process: (n,) process codes.
        start: (n,) first window.
        stop: (n,) one past the last window.
    """

    x: torch.Tensor
    weight: torch.Tensor
    process: torch.Tensor
    start: torch.Tensor
    stop: torch.Tensor

    def __getitem__(self, rows: torch.Tensor) -> "TensorBatch":
        """Some of the events."""
        return TensorBatch(
            self.x[rows], self.weight[rows], self.process[rows], self.start[rows], self.stop[rows]
        )


class AutogradEngine(Engine[TensorBatch]):
    """Trains and evaluates networks with PyTorch; see `Engine`."""

    def __init__(
        self,
        shelf: Shelf,
        widths: tuple[int, ...],
        task: Task,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make an engine, its events resident on the device.

        Args:
            shelf: The events.
            widths: Units of each layer, inputs first, 1 last.
            task: What the losses need to know.
            device: PyTorch device.
            dtype: Precision of networks and events.
        """
        super().__init__(shelf, widths, task)
        inputs, *hidden, _ = widths
        # The shelf holds scaled features: the network's own scaling is the identity.
        self._network = PunziNet(
            [str(i) for i in range(inputs)], [0.0] * inputs, [1.0] * inputs, hidden
        )
        self._network.to(device=device, dtype=dtype)
        self._loss = PunziLoss(
            torch.from_numpy(task.signal_total),
            torch.from_numpy(task.background_total),
            task.luminosity,
            task.figure_of_merit,
        ).to(device)
        features, weight, first, last = shelf.runs.columns()
        process, start = np.divmod(first.astype(np.int64), shelf.hypotheses + 1)
        process -= 1
        stop = np.where(process < 0, start + 1, last % (shelf.hypotheses + 1))
        self._events = TensorBatch(
            torch.from_numpy(features).to(device=device, dtype=dtype),
            torch.from_numpy(weight).to(device=device, dtype=dtype),
            *(torch.from_numpy(column).to(device) for column in (process, start, stop)),
        )
        self._bce_scale = torch.from_numpy(task.bce_scale).to(device=device, dtype=dtype)

    def bce_epoch(
        self, parameters: FloatArray, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """See `Engine`."""
        losses = np.zeros(len(parameters))
        for start, stop in pairwise(bounds.tolist()):
            batch = self.open_batch(order, start, stop)
            for network in np.flatnonzero(steps.rate).tolist():
                self._set(parameters[network])
                loss = self._cross_entropy(batch)
                steps.take(network, parameters[network], self._gradient(loss))
                losses[network] += loss.item() / (len(bounds) - 1)
        return losses

    @torch.no_grad()
    def bce_loss(self, parameters: FloatArray) -> float:
        """See `Engine`."""
        self._set(parameters)
        return self._cross_entropy(self._events).item()

    def open_batch(self, order: IntArray, start: int, stop: int) -> TensorBatch:
        """See `Engine`."""
        rows = order[start:stop, np.newaxis].astype(np.int64) * RUN + np.arange(RUN)
        return self._events[torch.from_numpy(rows.ravel()).to(self._events.weight.device)]

    def punzi_gradient(
        self, parameters: FloatArray, batch: TensorBatch
    ) -> tuple[float, FloatArray]:
        """See `Engine`."""
        self._set(parameters)
        loss = self._punzi_loss(batch)
        return loss.item(), self._gradient(loss)

    @torch.no_grad()
    def punzi_values(self, parameters: FloatArray) -> PunziValues:
        """See `Engine`."""
        self._set(parameters)
        batch = self._events
        group = self._group(batch)
        total = torch.cat([self._loss.signal_total, self._loss.background_total])
        held = torch.zeros_like(total).index_add(0, group, batch.weight.double())
        weight = batch.weight * torch.where(held > 0, total / held, 0.0)[group]
        efficiency, background = self._loss.sums(
            self._network(batch.x), weight, batch.process, batch.start, batch.stop
        )
        present = held[: len(efficiency)] > 0
        sigma = self.task.figure_of_merit.sigma_min(
            efficiency.clamp(min=MIN_EFFICIENCY), background, self.task.luminosity
        )
        sigma = torch.where(present, sigma, 0.0)
        loss = (sigma.sum() / present.sum()).item()
        return PunziValues(loss, *(v.cpu().numpy() for v in (efficiency, background, sigma)))

    def _punzi_loss(self, batch: TensorBatch) -> torch.Tensor:
        """Punzi-loss of the present network."""
        output = self._network(batch.x)
        loss: torch.Tensor = self._loss(
            output, batch.weight, batch.process, batch.start, batch.stop
        )
        return loss

    def _group(self, batch: TensorBatch) -> torch.Tensor:
        """Number each event by its class: signal hypotheses first, then background processes."""
        hypotheses = len(self.task.signal_total)
        return torch.where(batch.process < 0, batch.start, hypotheses + batch.process)

    def _cross_entropy(self, batch: TensorBatch) -> torch.Tensor:
        """Weighted mean cross-entropy of the present network."""
        weight = batch.weight * self._bce_scale[self._group(batch)]
        label = (batch.process < 0).to(weight.dtype)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            self._network.logit(batch.x), label, weight, reduction="sum"
        )
        return loss / weight.sum()

    def _set(self, parameters: FloatArray) -> None:
        """Give the network its (K,) parameters."""
        own = list(self._network.parameters())
        vector = torch.from_numpy(parameters).to(device=own[0].device, dtype=own[0].dtype)
        vector_to_parameters(vector, own)

    def _gradient(self, loss: torch.Tensor) -> FloatArray:
        """(K,) gradient of a loss with respect to the network's parameters."""
        gradient = torch.autograd.grad(loss, list(self._network.parameters()))
        return parameters_to_vector(gradient).double().cpu().numpy()
