"""Automatic differentiation: on the CPU what a plain loop does, on a GPU what the CPU does."""

import numpy as np
import pytest
import torch
from torch.nn.utils import vector_to_parameters

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.network import PunziNet
from punzinet.analysis.punzi_loss import PunziLoss
from punzinet.analysis.training import autograd
from punzinet.analysis.training.autograd import AutogradEngine
from punzinet.analysis.training.batches import PackedEvents, pack
from punzinet.analysis.training.data import Sample
from punzinet.analysis.training.engine import Loss, Objective

WIDTHS = (4, 8, 4, 1)
LOSSES = pytest.mark.parametrize("loss", ["bce", "punzi"])
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def vectors(networks: int) -> np.ndarray:
    return np.random.default_rng(2).normal(0, 0.5, (networks, 81))


def test_gradient_is_that_of_module_and_loss(small_sample: Sample, objective: Objective) -> None:
    """The whole training sample, through the classes that a user's own loop would use."""
    events = small_sample.training
    packed = pack(small_sample, events, None, np.random.default_rng(0))
    engine = AutogradEngine(packed, WIDTHS, objective, dtype=torch.float64)
    (loss,), (gradient,) = engine.gradients("punzi", vectors(1), packed.batch().tiles)

    network = PunziNet(small_sample.features, *small_sample.scaling)
    vector_to_parameters(torch.from_numpy(vectors(1)[0]).float(), network.parameters())
    columns = (events.weight, events.process, events.start, events.stop)
    module = PunziLoss(*map(torch.from_numpy, small_sample.total), 50.0)
    expected = module(network(torch.from_numpy(events.features.T)), *map(torch.from_numpy, columns))
    expected.backward()
    slopes = np.concatenate([p.grad.numpy().ravel() for p in network.parameters()])
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, slopes, atol=1e-4 * np.abs(slopes).max())


@LOSSES
@pytest.mark.parametrize("max_step", [np.inf, 0.01])
def test_networks_together_do_what_each_does_alone(
    packed: PackedEvents,
    objective: Objective,
    loss: Loss,
    max_step: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = AutogradEngine(packed, WIDTHS, objective, dtype=torch.float64)
    batches = packed.epoch(np.random.default_rng(3))
    rate = np.array([2e-3, 0.0, 1e-3, 2e-3])
    together, parts = vectors(4), vectors(4)
    losses = engine.epoch(loss, together, rate, max_step, batches)
    monkeypatch.setattr(autograd, "TOGETHER", 5000)  # two at a time
    assert (engine.epoch(loss, parts, rate, max_step, batches) != 0).sum() == 3
    np.testing.assert_allclose(parts, together, rtol=1e-12)
    for n in range(4):
        alone = vectors(4)[n : n + 1]
        of_one = engine.epoch(loss, alone, rate[n : n + 1], max_step, batches)
        assert of_one == pytest.approx(losses[n : n + 1], rel=1e-10)
        np.testing.assert_allclose(alone[0], together[n], rtol=1e-10)


@pytest.mark.parametrize("name", ["cuda:99", "nonsense", "meta:x"])
def test_missing_device_is_one_sentence(
    packed: PackedEvents, objective: Objective, name: str
) -> None:
    with pytest.raises(InputError, match=f"cannot compute on the device '{name}' .*--device"):
        AutogradEngine(packed, WIDTHS, objective, name)


@NEEDS_GPU
@LOSSES
def test_gpu_trains_what_the_cpu_trains(
    packed: PackedEvents, objective: Objective, loss: Loss
) -> None:
    batches = packed.epoch(np.random.default_rng(3))
    results = []
    for device in ("cpu", "cuda"):
        engine = AutogradEngine(packed, WIDTHS, objective, device)
        trained = vectors(3)
        losses = engine.epoch(loss, trained, np.full(3, 2e-3), 0.02, batches)
        results.append((trained, losses, engine.punzi_values(trained).sigma))
    for cpu, gpu in zip(*results, strict=True):
        np.testing.assert_allclose(gpu, cpu, rtol=1e-4, atol=1e-6)


@NEEDS_GPU
def test_gpu_is_not_waited_for_within_an_epoch(packed: PackedEvents, objective: Objective) -> None:
    engine = AutogradEngine(packed, WIDTHS, objective, "cuda")
    order, bounds = packed.epoch(np.random.default_rng(3))
    tiles = torch.from_numpy(order.astype(np.int64)).cuda()
    parameters = torch.from_numpy(vectors(3)).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        engine._gradient("punzi", parameters, engine._batch(tiles[: bounds[1]]))
    finally:
        torch.cuda.set_sync_debug_mode("default")
