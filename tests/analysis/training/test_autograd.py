"""The engine for any device: on the CPU what a plain loop does, on a GPU what the CPU does."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn.utils import vector_to_parameters

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.network import PunziNet
from punzinet.analysis.punzi_loss import PunziLoss
from punzinet.analysis.training import autograd
from punzinet.analysis.training.autograd import AutogradEngine
from punzinet.analysis.training.batches import Shelf, shelve_random
from punzinet.analysis.training.data import Sample
from punzinet.analysis.training.engine import Steps, Task

WIDTHS = (4, 8, 4, 1)


@pytest.fixture(scope="module")
def task(small_sample: Sample, make_task: Callable[..., Task]) -> Task:
    return make_task(small_sample)


@pytest.fixture(scope="module")
def shelf(small_sample: Sample) -> Shelf:
    return shelve_random(small_sample, small_sample.training, 2000, np.random.default_rng(0))


def vectors(networks: int) -> np.ndarray:
    return np.random.default_rng(2).normal(0, 0.5, (networks, 81))


def test_gradient_is_that_of_module_and_loss(small_sample: Sample, task: Task) -> None:
    """The whole training sample, through the classes that a user's own loop would use."""
    events = small_sample.training
    shelf = shelve_random(small_sample, events, None, np.random.default_rng(0))
    engine = AutogradEngine(shelf, WIDTHS, task, dtype=torch.float64)
    batch = engine.open_batch(shelf.in_order(), 0, len(shelf))
    (loss,), (gradient,) = engine.punzi_gradients(vectors(1), batch)

    network = PunziNet(small_sample.features, *small_sample.scaling)
    vector_to_parameters(torch.from_numpy(vectors(1)[0]).float(), network.parameters())
    columns = (events.weight, events.process, events.start, events.stop)
    module = PunziLoss(*map(torch.from_numpy, small_sample.total), 50.0)
    expected = module(network(torch.from_numpy(events.features.T)), *map(torch.from_numpy, columns))
    expected.backward()
    slopes = np.concatenate([p.grad.numpy().ravel() for p in network.parameters()])
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, slopes, atol=1e-4 * np.abs(slopes).max())


@pytest.mark.parametrize("loss", ["bce_epoch", "punzi_epoch"])
@pytest.mark.parametrize("longest", [np.inf, 0.01])
def test_networks_together_do_what_each_does_alone(
    shelf: Shelf, task: Task, loss: str, longest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = AutogradEngine(shelf, WIDTHS, task, dtype=torch.float64)
    order, bounds = shelf.batches(np.random.default_rng(3))
    rate = np.array([2e-3, 0.0, 1e-3, 2e-3])
    together, parts = vectors(4), vectors(4)
    losses = getattr(engine, loss)(together, Steps(rate, longest), order, bounds)
    monkeypatch.setattr(autograd, "TOGETHER", 5000)  # two at a time
    assert (getattr(engine, loss)(parts, Steps(rate, longest), order, bounds) != 0).sum() == 3
    np.testing.assert_allclose(parts, together, rtol=1e-12)
    for network in range(4):
        alone = vectors(4)[network : network + 1]
        steps = Steps(rate[network : network + 1], longest)
        assert getattr(engine, loss)(alone, steps, order, bounds) == pytest.approx(
            losses[network : network + 1], rel=1e-10
        )
        np.testing.assert_allclose(alone[0], together[network], rtol=1e-10)


@pytest.mark.parametrize("name", ["cuda:99", "nonsense", "meta:x"])
def test_missing_device_is_one_sentence(shelf: Shelf, task: Task, name: str) -> None:
    with pytest.raises(InputError, match=f"cannot compute on the device '{name}' .*--device"):
        AutogradEngine(shelf, WIDTHS, task, name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("loss", ["bce_epoch", "punzi_epoch"])
def test_gpu_trains_what_the_cpu_trains(shelf: Shelf, task: Task, loss: str) -> None:
    order, bounds = shelf.batches(np.random.default_rng(3))
    steps = Steps(np.full(3, 2e-3), 0.02)
    results = []
    for device in ("cpu", "cuda"):
        engine = AutogradEngine(shelf, WIDTHS, task, device)
        trained = vectors(3)
        losses = getattr(engine, loss)(trained, steps, order, bounds)
        results.append((trained, losses, engine.punzi_values(trained)[0].sigma))
    for cpu, gpu in zip(*results, strict=True):
        np.testing.assert_allclose(gpu, cpu, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_gpu_is_not_waited_for_within_an_epoch(shelf: Shelf, task: Task) -> None:
    engine = AutogradEngine(shelf, WIDTHS, task, "cuda")
    order, bounds = shelf.batches(np.random.default_rng(3))
    runs = torch.from_numpy(order.astype(np.int64)).cuda()
    parameters = torch.from_numpy(vectors(3)).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        batch = engine._batch(engine._rows(runs[: bounds[1]]))
        engine._gradient(engine._punzi_loss, parameters, batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
