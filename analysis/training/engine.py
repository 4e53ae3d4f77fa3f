"""Losses and gradients of networks on packed events.

The parameters of N networks are an (N, K) array, one row a network in the order of torch's
`parameters_to_vector`. The compiled kernels of `FusedEngine`, on all cores of the CPU, and the
automatic differentiation of `AutogradEngine`, their reference and the engine of every other device,
give the same numbers. An ensemble costs less than its networks one by one: a block of events is
loaded once, and then stays in the cache for all of them.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numba
import numpy as np
import torch

import punzinet.analysis.training.loss_kernels as kernels
from punzinet.analysis.io.files import InputError
from punzinet.analysis.punzi_loss import PunziLoss, SignificanceLoss, wide
from punzinet.analysis.training.batches import TILE, Batch, Batches, PackedEvents
from punzinet.analysis.training.loss_kernels import Descent, Labels, PunziValues, Totals
from punzinet.analysis.training.network_kernels import PARTS, Workspace
from punzinet.analysis.types import FloatArray, IntArray

Loss = Literal["bce", "punzi"]
Gradients = tuple[FloatArray, FloatArray]  # losses (N,) of networks, and their gradients (N, K)
#: Outputs that automatic differentiation computes at once, about 100 bytes of activations each.
TOGETHER = 2**24


def parameter_count(widths: Sequence[int]) -> int:
    """K, the number of weights and biases of a network with layers of these widths."""
    return sum((inputs + 1) * units for inputs, units in pairwise(widths))


class Engine(ABC):
    """Trains and evaluates networks with layers of some widths, inputs first, 1 last.

    The loss is that of the whole sample, or a `SignificanceLoss` in its place; `bce_scale` (H + P,)
    are factors on the weights of hypotheses, and of background processes, in the cross-entropy.
    """

    def __init__(
        self, events: PackedEvents, widths: tuple[int, ...], loss: PunziLoss, bce_scale: FloatArray
    ) -> None:
        self.events, self.widths, self.loss, self.bce_scale = events, widths, loss, bce_scale
        self.ranks = events.ranks

    @abstractmethod
    def gradients(self, loss: Loss, parameters: FloatArray, tiles: IntArray) -> Gradients:
        """Losses and gradients of networks, (N, K), for the batch of some tiles."""

    @abstractmethod
    def epoch(self, loss: Loss, descent: Descent, batches: Batches) -> FloatArray:
        """Train networks in place for one epoch of `PackedEvents`; (N,) mean losses of batches."""

    def losses(
        self, loss: Loss, parameters: FloatArray, tiles: IntArray | None = None
    ) -> FloatArray:
        """Losses (N,) of networks, (N, K), over some tiles, or all."""
        if loss == "bce":
            return self.bce_losses(parameters, tiles)
        return self.punzi_values(parameters, tiles).loss

    @abstractmethod
    def bce_losses(self, parameters: FloatArray, tiles: IntArray | None = None) -> FloatArray:
        """Weighted mean cross-entropies (N,) of networks, (N, K), over some tiles, or all."""

    @abstractmethod
    def punzi_values(self, parameters: FloatArray, tiles: IntArray | None = None) -> PunziValues:
        """Punzi-losses of networks, (N, K), over some tiles, or all."""


class FusedEngine(Engine):
    """Trains and evaluates networks with compiled kernels."""

    def __init__(self, *given: Any, dtype: type[np.floating] = np.float32) -> None:
        """Make an engine of what `Engine` takes; double precision is for tests, and slow."""
        super().__init__(*given)
        self._dtype = dtype
        events, loss, merit = self.events, self.loss, self.loss.figure_of_merit
        signal, background = np.split(self.bce_scale, [events.hypotheses])
        scale = np.concatenate([signal, np.tile(background, len(events.ranges))])
        self._labels = Labels(events.hypotheses, scale.astype(dtype))
        totals = loss.signal_total.numpy(), loss.background_total.numpy(), events.ranges
        constants = np.array([merit.constant, merit.a, merit.b])
        cross_section = loss.cross_section if isinstance(loss, SignificanceLoss) else 0.0
        uncertainty = loss.overall, loss.shifts.numpy()
        about = (*totals, loss.luminosity, constants, *uncertainty, cross_section)
        self._totals = Totals(*about, merit.average == "geometric")
        workers = min(PARTS, numba.get_num_threads())
        self._threads = ThreadPoolExecutor(workers)
        self._work = [Workspace.of(self.widths, dtype) for _ in range(workers)]

    def gradients(self, loss: Loss, parameters: FloatArray, tiles: IntArray) -> Gradients:
        """See `Engine`."""
        batch = self.events.batch(tiles)
        if loss == "bce":
            sums = self._cross_entropies(parameters, batch, 2 + parameters.shape[1])
            sums /= np.where(sums[:, 1:2] > 0, sums[:, 1:2], 1.0)
            return sums[:, 0], sums[:, 2:]
        values, slopes = self._evaluate(parameters, batch)
        gradients = np.empty((PARTS, *parameters.shape))
        self._in_threads(kernels.gradient_parts, batch, parameters, slopes, gradients)
        return values.loss, self.ranks.sum(gradients.sum(axis=0))

    def epoch(self, loss: Loss, descent: Descent, batches: Batches) -> FloatArray:
        """See `Engine`."""
        (order, bounds), (vectors, rate, longest) = batches, descent
        mean = np.zeros(len(vectors))
        if loss == "bce" and self.ranks.count == 1:
            # In one call: its batches are too short to be shared.
            sums, epoch = np.zeros((len(vectors), 2 + vectors.shape[1])), self.events.batch(order)
            about = vectors, bounds, descent, self._labels, (sums, mean)
            self._in_threads(kernels.descend, epoch, *about, workers=len(vectors))
            return mean
        for start, stop in pairwise(bounds.tolist()):
            losses, gradients = self.gradients(loss, vectors, order[start:stop])
            mean += losses / (len(bounds) - 1)
            for n, gradient in enumerate(gradients):
                step = rate[n] * gradient
                length = np.sqrt(step @ step)
                vectors[n] -= step * (longest / length if length > longest else 1.0)
        return mean

    def bce_losses(self, parameters: FloatArray, tiles: IntArray | None = None) -> FloatArray:
        """See `Engine`."""
        sums = self._cross_entropies(parameters, self.events.batch(tiles), 2)
        return sums[:, 0] / sums[:, 1]

    def punzi_values(self, parameters: FloatArray, tiles: IntArray | None = None) -> PunziValues:
        """See `Engine`."""
        return self._evaluate(parameters, self.events.batch(tiles))[0]

    def _evaluate(self, parameters: FloatArray, batch: Batch) -> tuple[PunziValues, FloatArray]:
        """First pass: what the losses of networks are made of, and their (N, cells) slopes."""
        count, hypotheses, cells = len(parameters), self.events.hypotheses, len(self._labels.scale)
        sums = np.empty((PARTS, 1 + count, cells))
        self._in_threads(kernels.sum_parts, batch, parameters, sums)
        values = PunziValues(np.empty(count), *(np.empty((count, hypotheses)) for _ in range(3)))
        slopes = np.empty((count, cells), self._dtype)
        kernels.losses_and_slopes(self.ranks.sum(sums.sum(axis=0)), self._totals, values, slopes)
        return values, slopes

    def _cross_entropies(self, parameters: FloatArray, batch: Batch, columns: int) -> FloatArray:
        """(N, columns) cross-entropies, weights and, if there are more, gradients of networks."""
        sums = np.empty((PARTS, len(parameters), columns))
        self._in_threads(kernels.bce_parts, batch, parameters, self._labels, sums)
        return self.ranks.sum(sums.sum(axis=0))

    def _in_threads(
        self, kernel: Any, batch: Batch, parameters: FloatArray, *about: Any, workers: int = PARTS
    ) -> None:
        """Let a kernel run for each of some workers; which of them does what changes no result."""
        workers = min(workers, len(self._work))
        given = batch, parameters.astype(self._dtype), *about
        run = map if workers == 1 else self._threads.map
        list(run(lambda n: kernel((n, workers, self._work[n]), *given), range(workers)))


def usable_device(name: str) -> torch.device:
    """The device of a name such as ``cpu``, ``cuda:1`` or ``mps``; InputError if there is none."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    # What PyTorch raises without the device, without support for it, and where it holds no data.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"PyTorch cannot compute on the device {name!r} here ({reason}); choose another with "
            "--device (cpu is always there) or `training.device`."
        ) from error
    return device


class _Columns(NamedTuple):
    """n events as `PunziLoss` takes them, on the device."""

    x: torch.Tensor  # (n, F)
    columns: list[torch.Tensor]  # weight, process, start, stop
    group: torch.Tensor  # what each event is scaled with, see `PunziLoss.class_sums`
    held: torch.Tensor  # (P + H,) sums of weights of that on all ranks


class AutogradEngine(Engine):
    """Trains and evaluates networks with PyTorch, without any hand-written gradient.

    Events, parameters and losses stay on the device for an epoch; all networks share a batch.
    """

    def __init__(
        self, *given: Any, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        """Make an engine of what `Engine` takes; InputError if there is no such device."""
        super().__init__(*given)
        self._device = usable_device(device)
        self._dtype = dtype
        self._wide = wide(torch.zeros(1, device=self._device)).dtype
        self.loss = copy.deepcopy(self.loss).to(dtype=self._wide).to(self._device)
        features, weight, *windows = self.events.columns()
        scale = np.roll(self.bce_scale, self.events.processes)  # backgrounds first, here
        floats = [torch.from_numpy(one).to(dtype=dtype) for one in (scale, features, weight)]
        integers = [torch.from_numpy(one) for one in windows]
        self._bce_scale, *self._all = [one.to(self._device) for one in floats + integers]

    def epoch(self, loss: Loss, descent: Descent, batches: Batches) -> FloatArray:
        """See `Engine`."""
        # Nothing waits for the device before the end.
        parameters, rates = map(self._to_device, (descent.parameters, descent.rate[:, np.newaxis]))
        order, bounds = torch.from_numpy(batches[0].astype(np.int64)).to(self._device), batches[1]
        mean = torch.zeros_like(rates[:, 0])
        for start, stop in pairwise(bounds.tolist()):
            losses, gradient = self._gradient(loss, parameters, self._batch(order[start:stop]))
            step = rates * gradient
            length = torch.linalg.vector_norm(step, dim=1, keepdim=True)
            parameters = parameters - step * (descent.longest / length).clamp(max=1.0)
            mean += losses / (len(bounds) - 1)
        descent.parameters[:] = _to_host(parameters)
        return _to_host(mean)

    def gradients(self, loss: Loss, parameters: FloatArray, tiles: IntArray) -> Gradients:
        """See `Engine`."""
        found = self._gradient(loss, self._to_device(parameters), self._batch(tiles))
        return _to_host(found[0]), _to_host(found[1])

    @torch.no_grad()
    def bce_losses(self, parameters: FloatArray, tiles: IntArray | None = None) -> FloatArray:
        """See `Engine`."""
        batch = self._batch(tiles)
        groups = self._groups(self._to_device(parameters), self.events.tiles)
        losses = torch.cat([self._cross_entropy(some, batch) for some in groups])
        return _to_host(self.ranks.sum_tensor(losses))

    @torch.no_grad()
    def punzi_values(self, parameters: FloatArray, tiles: IntArray | None = None) -> PunziValues:
        """See `Engine`."""
        found, batch = [], self._batch(tiles)
        for vectors in self._groups(self._to_device(parameters), self.events.tiles):
            sums = self._window_sums(vectors, batch)
            sigma, loss = self.loss.values(sums, batch.held)
            found.append((loss, sums[-1], sums[:-1].sum(0), sigma))
        return PunziValues(*(_to_host(torch.cat(column)) for column in zip(*found, strict=True)))

    def _gradient(
        self, loss: Loss, parameters: torch.Tensor, batch: _Columns
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`gradients` on the device, for the batch of all ranks."""
        losses, gradients = [], []
        tiles = -(-self.events.tiles // self.events.batches)
        for some in self._groups(parameters, tiles):
            vectors = some.detach().requires_grad_()
            if loss == "bce":
                value = self._cross_entropy(vectors, batch)
            else:
                value = self.loss.values(self._window_sums(vectors, batch), batch.held)[1]
            gradients.append(torch.autograd.grad(value.sum(), vectors)[0])
            losses.append(value.detach())
        value, gradient = torch.cat(losses), self.ranks.sum_tensor(torch.cat(gradients))
        return self.ranks.sum_tensor(value) if loss == "bce" else value, gradient

    def _groups(self, parameters: torch.Tensor, tiles: int) -> tuple[torch.Tensor, ...]:
        """Networks, (N, K), as many at once as the memory for activations of some tiles allows.

        Ranks add up group by group, and have to agree on `tiles`.
        """
        return torch.split(parameters, max(1, TOGETHER // (TILE * max(tiles, 1))))

    def _window_sums(self, parameters: torch.Tensor, batch: _Columns) -> torch.Tensor:
        """(P + 1, N, H) `PunziLoss.sums` of networks, (N, K), from events of all ranks."""
        output = torch.sigmoid(self._logit(parameters, batch.x))
        weight, *windows = batch.columns
        weight = weight * self.loss.scale(batch.held)[batch.group]
        return self.ranks.sum_tensor(self.loss.sums(output, weight, *windows))

    def _cross_entropy(self, parameters: torch.Tensor, batch: _Columns) -> torch.Tensor:
        """Weighted mean cross-entropies (N,) of networks, (N, K); the share of this rank."""
        weight = batch.columns[0] * self._bce_scale[batch.group]
        label = (batch.columns[1] < 0).to(weight.dtype)
        logit = self._logit(parameters, batch.x)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logit, label.expand_as(logit), weight.expand_as(logit), reduction="none"
        )
        total = (batch.held * self._bce_scale).sum()
        return wide(loss).sum(1) / torch.where(total > 0, total, 1.0)

    def _logit(self, parameters: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Outputs (N, n) before the sigmoid of networks, (N, K), for scaled features (n, F)."""
        sizes = [size for n, units in pairwise(self.widths) for size in (n * units, units)]
        parts = torch.split(parameters.to(self._dtype), sizes, dim=1)
        units = x.expand(len(parameters), *x.shape)
        for layer, (weight, bias) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
            matrix = weight.reshape(-1, bias.shape[1], units.shape[-1]).mT
            units = torch.baddbmm(bias[:, None], units if layer == 0 else units.tanh(), matrix)
        return units.squeeze(-1)

    def _batch(self, tiles: IntArray | torch.Tensor | None) -> _Columns:
        """The events of some tiles, or all."""
        rows: torch.Tensor | slice = slice(None)
        if tiles is not None:
            first = TILE * torch.as_tensor(tiles, dtype=torch.int64, device=self._device)
            rows = (first[:, None] + torch.arange(TILE, device=self._device)).flatten()
        x, *columns = (column[rows] for column in self._all)
        held, group = self.loss.class_sums(*columns)
        return _Columns(x, columns, group, self.ranks.sum_tensor(held))

    def _to_device(self, values: FloatArray) -> torch.Tensor:
        """Numbers on the device, in the widest precision it has."""
        return torch.from_numpy(values).to(dtype=self._wide).to(self._device)


def _to_host(values: torch.Tensor) -> FloatArray:
    return np.asarray(values.double().cpu())
