"""The reference of the kernels, and the engine of every other device: automatic differentiation.

It knows nothing of hand-written gradients. On a GPU events, parameters and losses stay there for
a whole epoch, which the host only gives orders to; all networks go through a batch together.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.punzi_loss import PunziLoss, SignificanceLoss, wide
from punzinet.analysis.training.batches import TILE, PackedEvents
from punzinet.analysis.training.engine import Engine, Loss, Objective
from punzinet.analysis.training.punzi_kernels import PunziValues
from punzinet.analysis.types import FloatArray, IntArray

#: Outputs, over all events and networks, that are computed at once, which bounds the memory
#: of activations: about 100 bytes each.
TOGETHER = 2**24


def usable_device(name: str) -> torch.device:
    """The device of a name such as ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

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


class _Columns(NamedTuple):
    """n events as `PunziLoss` takes them, on the device, and what all ranks have of them.

    `group` says what each event is scaled with, see `PunziLoss.class_sums`, and `held` (P + H,) are
    the sums of weights of that on all ranks.
    """

    x: torch.Tensor
    weight: torch.Tensor
    process: torch.Tensor
    start: torch.Tensor
    stop: torch.Tensor
    group: torch.Tensor
    held: torch.Tensor


class AutogradEngine(Engine):
    """Trains and evaluates networks with PyTorch, its events resident on the device."""

    def __init__(
        self,
        events: PackedEvents,
        widths: tuple[int, ...],
        objective: Objective,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make an engine.

        Raises:
            InputError: If there is no such device.
        """
        super().__init__(events, widths, objective)
        self._device = usable_device(device)
        self._dtype = dtype
        self._wide = wide(torch.zeros(1, device=self._device)).dtype
        kind = PunziLoss if objective.cross_section is None else SignificanceLoss
        self._loss = kind(
            torch.from_numpy(objective.signal_total),
            torch.from_numpy(objective.background_total),
            objective.luminosity,
            objective.figure_of_merit,
            objective.processes,
        ).to(dtype=self._wide)
        self._loss.to(self._device)
        if isinstance(self._loss, SignificanceLoss) and objective.cross_section is not None:
            self._loss.cross_section = objective.cross_section
        features, weight, cell = events.columns()
        self._x = torch.from_numpy(features).to(device=self._device, dtype=dtype)
        self._weight = torch.from_numpy(weight).to(device=self._device, dtype=dtype)
        self._process, self._start, self._stop = (
            torch.from_numpy(column).to(self._device) for column in events.windows_of(cell)
        )
        scale = np.roll(objective.bce_scale, events.processes)  # backgrounds first, here
        self._bce_scale = torch.from_numpy(scale).to(dtype=dtype).to(self._device)
        self._everything = self._columns(slice(None))
        self._all_tiles = int(events.strata.sum())

    def epoch(
        self,
        loss: Loss,
        parameters: FloatArray,
        rate: FloatArray,
        max_step: float,
        batches: tuple[IntArray, IntArray],
    ) -> FloatArray:
        """See `Engine`; nothing waits for the device before the end."""
        running = np.flatnonzero(rate)
        vectors = self._to_device(parameters[running])
        rates = self._to_device(rate[running, np.newaxis])
        order, bounds = torch.from_numpy(batches[0].astype(np.int64)).to(self._device), batches[1]
        total = torch.zeros_like(rates[:, 0])
        for start, stop in pairwise(bounds.tolist()):
            losses, gradient = self._gradient(loss, vectors, self._batch(order[start:stop]))
            step = rates * gradient
            length = torch.linalg.vector_norm(step, dim=1, keepdim=True)
            vectors = vectors - step * (max_step / length).clamp(max=1.0)
            total += losses / (len(bounds) - 1)
        parameters[running] = vectors.double().cpu().numpy()
        found = np.zeros(len(parameters))
        found[running] = total.double().cpu().numpy()
        return found

    def gradients(
        self, loss: Loss, parameters: FloatArray, tiles: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """See `Engine`."""
        batch = self._batch(torch.from_numpy(tiles.astype(np.int64)).to(self._device))
        losses, gradient = self._gradient(loss, self._to_device(parameters), batch)
        return losses.double().cpu().numpy(), gradient.double().cpu().numpy()

    @torch.no_grad()
    def bce_losses(self, parameters: FloatArray) -> FloatArray:
        """See `Engine`."""
        groups = self._groups(self._to_device(parameters), self._all_tiles)
        losses = torch.cat([self._cross_entropy(some, self._everything) for some in groups])
        return self.ranks.sum_tensor(losses).double().cpu().numpy()

    @torch.no_grad()
    def punzi_values(self, parameters: FloatArray) -> PunziValues:
        """See `Engine`."""
        batch, found = self._everything, []
        for vectors in self._groups(self._to_device(parameters), self._all_tiles):
            sums = self._window_sums(vectors, batch)
            sigma, loss = self._loss.values(sums, batch.held)
            found.append((loss, sums[0], sums[1], sigma))
        columns = (torch.cat(column) for column in zip(*found, strict=True))
        return PunziValues(*(column.double().cpu().numpy() for column in columns))

    def _gradient(
        self, loss: Loss, parameters: torch.Tensor, batch: _Columns
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses (N,) of networks, (N, K), and their gradients (N, K), for the batch of all ranks.

        Networks are taken as many at once as the memory of their activations allows.
        """
        losses, gradients = [], []
        loss_of = self._cross_entropy if loss == "bce" else self._punzi_loss
        tiles = -(-self._all_tiles // self.events.batches)
        for some in self._groups(parameters, tiles):
            vectors = some.detach().requires_grad_()
            value = loss_of(vectors, batch)
            (gradient,) = torch.autograd.grad(value.sum(), vectors)
            losses.append(value.detach())
            gradients.append(gradient)
        value, gradient = torch.cat(losses), self.ranks.sum_tensor(torch.cat(gradients))
        return self.ranks.sum_tensor(value) if loss == "bce" else value, gradient

    def _groups(self, parameters: torch.Tensor, tiles: int) -> tuple[torch.Tensor, ...]:
        """Networks, (N, K), as many at once as the memory for activations of some tiles allows.

        Ranks add up group by group, and have to agree on `tiles`.
        """
        return torch.split(parameters, max(1, TOGETHER // (TILE * max(tiles, 1))))

    def _window_sums(self, parameters: torch.Tensor, batch: _Columns) -> torch.Tensor:
        """ε, B and uncertain B_p, (N, H) each, of networks, (N, K), from events of all ranks."""
        output = torch.sigmoid(self._logit(parameters, batch.x))
        weight = batch.weight * self._loss.scale(batch.held)[batch.group]
        sums = self._loss.sums(output, weight, batch.process, batch.start, batch.stop)
        return self.ranks.sum_tensor(sums)

    def _punzi_loss(self, parameters: torch.Tensor, batch: _Columns) -> torch.Tensor:
        """Punzi-losses (N,) of networks, (N, K)."""
        return self._loss.values(self._window_sums(parameters, batch), batch.held)[1]

    def _cross_entropy(self, parameters: torch.Tensor, batch: _Columns) -> torch.Tensor:
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

    def _batch(self, tiles: torch.Tensor) -> _Columns:
        """The events of some tiles."""
        inside = torch.arange(TILE, device=self._device)
        return self._columns((tiles[:, None] * TILE + inside).flatten())

    def _columns(self, rows: torch.Tensor | slice) -> _Columns:
        """Some of the events."""
        columns = self._weight[rows], self._process[rows], self._start[rows], self._stop[rows]
        held, group = self._loss.class_sums(*columns)
        return _Columns(self._x[rows], *columns, group, self.ranks.sum_tensor(held))

    def _to_device(self, values: FloatArray) -> torch.Tensor:
        """Numbers on the device, in the widest precision it has."""
        return torch.from_numpy(values).to(dtype=self._wide).to(self._device)
