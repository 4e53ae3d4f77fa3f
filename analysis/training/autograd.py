"""The engine for any device: the same training by PyTorch's automatic differentiation.

It knows nothing of hand-written gradients, sees the same batches in the same order as the fused
engine, and is its reference on the CPU. On a GPU events, parameters and losses stay there for a
whole epoch, which the host only gives orders to; all networks go through a batch together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.punzi_loss import PunziLoss, SignificanceLoss, wide
from punzinet.analysis.training.batches import RUN, Shelf
from punzinet.analysis.training.engine import Engine, PunziValues, Steps, Task
from punzinet.analysis.training.ranks import Ranks
from punzinet.analysis.types import FloatArray, IntArray

#: Outputs, over all events and networks, that are computed at once, which bounds the memory
#: of activations: about 100 bytes each.
TOGETHER = 2**24


def usable_device(name: str) -> torch.device:
    """The device of this name.

    Args:
        name: Such as ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises:
        InputError: If there is no such device.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"PyTorch cannot compute on the device {name!r} here ({reason}); choose another with "
            "--device (cpu is always there) or `training.device`."
        ) from error
    return device


@dataclass(frozen=True, eq=False)
class TensorBatch:
    """Events as the losses take them, on the device, and what all ranks have of them.

    Attributes:
        x: (n, F) scaled features.
        weight: (n,) event weights.
        process: (n,) process codes.
        start: (n,) first window.
        stop: (n,) one past the last window.
        group: (n,) what each event is scaled with, see `PunziLoss.class_sums`.
        held: (P + H,) sums of weights of that, on all ranks.
    """

    x: torch.Tensor
    weight: torch.Tensor
    process: torch.Tensor
    start: torch.Tensor
    stop: torch.Tensor
    group: torch.Tensor
    held: torch.Tensor


class AutogradEngine(Engine[TensorBatch]):
    """Trains and evaluates networks with PyTorch; see `Engine`."""

    def __init__(
        self,
        shelf: Shelf,
        widths: tuple[int, ...],
        task: Task,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        *,
        ranks: Ranks | None = None,
    ) -> None:
        """Make an engine, its events resident on the device.

        Args:
            shelf: The events.
            widths: Units of each layer, inputs first, 1 last.
            task: What the losses need to know.
            device: PyTorch device.
            dtype: Precision of networks and events.
            ranks: Processes that hold the other events; none if not given.

        Raises:
            InputError: If there is no such device.
        """
        super().__init__(shelf, widths, task, ranks)
        self._device = usable_device(device)
        self._dtype = dtype
        self._wide = wide(torch.zeros(1, device=self._device)).dtype
        kind = PunziLoss if task.cross_section is None else SignificanceLoss
        self._loss = kind(
            torch.from_numpy(task.signal_total),
            torch.from_numpy(task.background_total),
            task.luminosity,
            task.figure_of_merit,
            task.processes,
        ).to(dtype=self._wide)
        self._loss.to(self._device)
        if isinstance(self._loss, SignificanceLoss) and task.cross_section is not None:
            self._loss.cross_section = task.cross_section
        features, weight, place = shelf.runs.columns()
        process, start, stop = shelf.windows_of(place)
        self._x = torch.from_numpy(features).to(device=self._device, dtype=dtype)
        self._weight = torch.from_numpy(weight).to(device=self._device, dtype=dtype)
        self._process, self._start, self._stop = (
            torch.from_numpy(column).to(self._device) for column in (process, start, stop)
        )
        scale = np.roll(task.bce_scale, len(task.background_total))  # backgrounds first, here
        self._bce_scale = torch.from_numpy(scale).to(dtype=dtype).to(self._device)
        self._everything = self._batch(slice(None))
        self._all_runs = int(shelf.strata.sum())

    def bce_epoch(
        self, parameters: FloatArray, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """See `Engine`."""
        return self._device_epoch(self._cross_entropy, parameters, steps, order, bounds)

    def punzi_epoch(
        self, parameters: FloatArray, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """See `Engine`."""
        return self._device_epoch(self._punzi_loss, parameters, steps, order, bounds)

    @torch.no_grad()
    def bce_losses(self, parameters: FloatArray) -> FloatArray:
        """See `Engine`."""
        groups = self._groups(self._to_device(parameters), self._all_runs)
        losses = torch.cat([self._cross_entropy(some, self._everything) for some in groups])
        return self.ranks.sum_tensor(losses).double().cpu().numpy()

    def open_batch(self, order: IntArray, start: int, stop: int) -> TensorBatch:
        """See `Engine`."""
        runs = torch.from_numpy(order[start:stop].astype(np.int64)).to(self._device)
        return self._batch(self._rows(runs))

    def bce_gradients(
        self, parameters: FloatArray, batch: TensorBatch
    ) -> tuple[FloatArray, FloatArray]:
        """See `Engine`."""
        return self._host_gradient(self._cross_entropy, parameters, batch)

    def punzi_gradients(
        self, parameters: FloatArray, batch: TensorBatch
    ) -> tuple[FloatArray, FloatArray]:
        """See `Engine`."""
        return self._host_gradient(self._punzi_loss, parameters, batch)

    @torch.no_grad()
    def punzi_values(self, parameters: FloatArray) -> list[PunziValues]:
        """See `Engine`."""
        batch, found = self._everything, []
        for vectors in self._groups(self._to_device(parameters), self._all_runs):
            efficiency, background, *by_process = self._window_sums(vectors, batch)
            sigma = self._loss.sigma(efficiency, background, batch.held, by_process)
            loss = self._loss.mean(efficiency, background, batch.held, by_process)
            of = (column.double().cpu().numpy() for column in (efficiency, background, sigma))
            found += [PunziValues(*one) for one in zip(loss.tolist(), *of, strict=True)]
        return found

    def _device_epoch(
        self,
        loss_of: Callable[[torch.Tensor, TensorBatch], torch.Tensor],
        parameters: FloatArray,
        steps: Steps,
        order: IntArray,
        bounds: IntArray,
    ) -> FloatArray:
        """Train for one epoch of a loss; nothing waits for the device before its end.

        Args:
            loss_of: Losses (N,) of networks with given parameters (N, K), for a batch.
            parameters: (N, K) float64 parameters, changed.
            steps: Learning rates and step limit.
            order: Order of the shelf's runs.
            bounds: (batches + 1,) bounds of the batches in that order.

        Returns:
            (N,) losses, mean over batches.
        """
        running = np.flatnonzero(steps.rate)
        vectors = self._to_device(parameters[running])
        rate = self._to_device(steps.rate[running, np.newaxis])
        runs = torch.from_numpy(order.astype(np.int64)).to(self._device)
        total = torch.zeros_like(rate[:, 0])
        for start, stop in pairwise(bounds.tolist()):
            batch = self._batch(self._rows(runs[start:stop]))
            loss, gradient = self._gradient(loss_of, vectors, batch)
            step = rate * gradient
            length = torch.linalg.vector_norm(step, dim=1, keepdim=True)
            vectors = vectors - step * (steps.longest / length).clamp(max=1.0)
            total += loss / (len(bounds) - 1)
        parameters[running] = vectors.double().cpu().numpy()
        losses = np.zeros(len(parameters))
        losses[running] = total.double().cpu().numpy()
        return losses

    def _host_gradient(
        self,
        loss_of: Callable[[torch.Tensor, TensorBatch], torch.Tensor],
        parameters: FloatArray,
        batch: TensorBatch,
    ) -> tuple[FloatArray, FloatArray]:
        """`_gradient`, from and to the host."""
        loss, gradient = self._gradient(loss_of, self._to_device(parameters), batch)
        return loss.double().cpu().numpy(), gradient.double().cpu().numpy()

    def _gradient(
        self,
        loss_of: Callable[[torch.Tensor, TensorBatch], torch.Tensor],
        parameters: torch.Tensor,
        batch: TensorBatch,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses (N,) of networks, (N, K), and their gradients (N, K), for the batch of all ranks.

        Networks are taken as many at once as the memory of their activations allows.
        """
        losses, gradients = [], []
        runs = -(-self._all_runs // self.shelf.count)
        for some in self._groups(parameters, runs):
            vectors = some.detach().requires_grad_()
            loss = loss_of(vectors, batch)
            (gradient,) = torch.autograd.grad(loss.sum(), vectors)
            losses.append(loss.detach())
            gradients.append(gradient)
        loss, gradient = torch.cat(losses), self.ranks.sum_tensor(torch.cat(gradients))
        if loss_of == self._cross_entropy:
            loss = self.ranks.sum_tensor(loss)
        return loss, gradient

    def _groups(self, parameters: torch.Tensor, runs: int) -> tuple[torch.Tensor, ...]:
        """Networks, (N, K), as many at once as the memory for activations of some runs allows.

        Ranks add up group by group, and have to agree on `runs`.
        """
        return torch.split(parameters, max(1, TOGETHER // (RUN * max(runs, 1))))

    def _window_sums(
        self, parameters: torch.Tensor, batch: TensorBatch
    ) -> tuple[torch.Tensor, ...]:
        """ε, B and uncertain B_p, (N, H) each, of networks, (N, K), from events of all ranks."""
        output = torch.sigmoid(self._logit(parameters, batch.x))
        weight = batch.weight * self._loss.scale(batch.held)[batch.group]
        events = output, weight, batch.process, batch.start, batch.stop
        sums = [*self._loss.sums(*events), *self._loss.uncertain_backgrounds(*events)]
        return self.ranks.sum_tensor(torch.stack(sums)).unbind()

    def _punzi_loss(self, parameters: torch.Tensor, batch: TensorBatch) -> torch.Tensor:
        """Punzi-losses (N,) of networks, (N, K)."""
        efficiency, background, *by_process = self._window_sums(parameters, batch)
        return self._loss.mean(efficiency, background, batch.held, by_process)

    def _cross_entropy(self, parameters: torch.Tensor, batch: TensorBatch) -> torch.Tensor:
        """Weighted mean cross-entropies (N,) of networks, (N, K); the share of this rank."""
        weight = batch.weight * self._bce_scale[batch.group]
        label = (batch.process < 0).to(weight.dtype)
        logit = self._logit(parameters, batch.x)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logit, label.expand_as(logit), weight.expand_as(logit), reduction="none"
        )
        total = (batch.held * self._bce_scale).sum()
        return wide(loss).sum(1) / torch.where(total > 0, total, 1.0)

    def _logit(self, parameters: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Outputs (N, n) before the sigmoid of networks, (N, K), for scaled features (n, F)."""
        vectors = parameters.to(self._dtype)
        units = x.expand(len(vectors), *x.shape)
        at = 0
        for layer, (inputs, outputs) in enumerate(pairwise(self.widths)):
            weight = vectors[:, at : at + inputs * outputs].reshape(-1, outputs, inputs)
            at += inputs * outputs
            bias = vectors[:, None, at : at + outputs]
            at += outputs
            units = torch.baddbmm(bias, units if layer == 0 else units.tanh(), weight.mT)
        return units.squeeze(-1)

    def _rows(self, runs: torch.Tensor) -> torch.Tensor:
        """Places of the events of some runs."""
        inside = torch.arange(RUN, device=self._device)
        return (runs[:, None] * RUN + inside).flatten()

    def _batch(self, rows: torch.Tensor | slice) -> TensorBatch:
        """Some of the events."""
        columns = self._weight[rows], self._process[rows], self._start[rows], self._stop[rows]
        held, group = self._loss.class_sums(*columns)
        return TensorBatch(self._x[rows], *columns, group, self.ranks.sum_tensor(held))

    def _to_device(self, values: FloatArray) -> torch.Tensor:
        """Numbers on the device, in the widest precision it has."""
        return torch.from_numpy(values).to(dtype=self._wide).to(self._device)
