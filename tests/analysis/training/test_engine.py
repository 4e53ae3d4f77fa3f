"""The compiled kernels against automatic differentiation, that against a plain loop."""

import numba
import numpy as np
import pytest
import torch
from scipy.stats import gmean
from synthetic import synthetic_sample, synthetic_windows
from torch.nn.utils import vector_to_parameters

from punzinet.analysis.io.compiled import njit
from punzinet.analysis.io.files import InputError
from punzinet.analysis.network import PunziNet
from punzinet.analysis.training import engine as engines
from punzinet.analysis.training import network_kernels
from punzinet.analysis.training.batches import pack
from punzinet.analysis.training.engine import AutogradEngine, FusedEngine, parameter_count
from punzinet.analysis.training.loss_kernels import Descent
from punzinet.analysis.training.network_kernels import REORDERED

WIDTHS = (4, 8, 4, 1)
RANDOM = np.random.default_rng
BY_PROCESS = {"background_uncertainty": {"tautau": 0.1, "mumugamma": 0.3}}
LINE = dict(zip(synthetic_windows(7).mass.tolist(), np.linspace(-0.2, 0.4, 7), strict=True))
MEASURED = {
    "background_uncertainty": "measured",
    "shifts": {"x": {"mumugamma": LINE, "eemumu": dict.fromkeys(LINE, 0.3)}, "y": {"tautau": LINE}},
}
LOSSES = pytest.mark.parametrize("loss", ["bce", "punzi"])
STEPS = pytest.mark.parametrize("max_step", [np.inf, 0.01])
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def parameters(networks=1, widths=WIDTHS):
    return RANDOM(3).normal(0, 0.5, (networks, parameter_count(widths)))


def both(packed, objective, widths=WIDTHS, dtype=np.float64):
    """The compiled kernels, and their reference in double precision."""
    reference = AutogradEngine(packed, widths, *objective, dtype=torch.float64)
    return FusedEngine(packed, widths, *objective, dtype=dtype), reference


def assert_same_gradient(pair, vectors, tiles, rtol=1e-10):
    """The Punzi-loss of some tiles, and its gradient, are finite and agree."""
    (loss, gradient), (expected, slope) = (one.gradients("punzi", vectors, tiles) for one in pair)
    assert np.isfinite(gradient).all()
    assert loss == pytest.approx(expected, rel=rtol)
    np.testing.assert_allclose(gradient, slope, atol=rtol * np.abs(slope).max(), rtol=0)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-4), (np.float64, 1e-10)])
@pytest.mark.parametrize("widths", [WIDTHS, (4, 7, 5, 1), (4, 1, 2, 1), (4, 9, 6, 3, 1)])
def test_gradient_is_that_of_autograd(packed, objective, dtype, rtol, widths):
    pair = both(packed, objective, widths, dtype)
    order = RANDOM(1).permutation(len(packed)).astype(np.int32)
    for tiles in (order, order[5:55]):
        assert_same_gradient(pair, parameters(1, widths), tiles, rtol)


@pytest.mark.parametrize(
    "options",
    [
        *({"form": form, "a": 5.0} for form in ("punzi", "punzi-improved")),
        {"background_uncertainty": 0.2},
        {"average": "geometric"},
        BY_PROCESS,
        MEASURED,
        {"cross_section": 7.0},
        {"cross_section": 7.0, **MEASURED},
    ],
)
def test_every_loss_is_that_of_the_loss_module(small_sample, make_objective, packed, options):
    pair = both(packed, make_objective(small_sample, **options))
    assert_same_gradient(pair, parameters(), packed.batch().tiles[3:90])
    values, others = (one.punzi_values(parameters()) for one in pair)
    assert values.loss == pytest.approx(others.loss, rel=1e-12)
    for ours, theirs in zip(values, others, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    average = gmean if options.get("average") == "geometric" else np.mean
    assert average(values.sigma, axis=1) == pytest.approx(values.loss)
    if "background_uncertainty" in options and "cross_section" not in options:
        plain = FusedEngine(packed, WIDTHS, *make_objective(small_sample), dtype=np.float64)
        assert (values.sigma > plain.punzi_values(parameters()).sigma).all()


def test_batch_without_some_signals_and_backgrounds(make_objective):
    # Tiles of one kind of event each: batches then miss whole hypotheses and processes.
    sample = synthetic_sample(4000, hypotheses=9)
    events = sample.training
    packed = pack(sample, events[np.lexsort((events.start, events.process))])
    pair = both(packed, make_objective(sample))
    for start, stop in ((0, 1), (0, 9), (20, 30), (len(packed) - 1, len(packed))):
        assert_same_gradient(pair, parameters(), packed.batch().tiles[start:stop])


@pytest.mark.parametrize("bias", [-60.0, 200.0])
def test_saturated_outputs_have_finite_gradients(packed, objective, bias):
    vectors, engine = parameters(), FusedEngine(packed, WIDTHS, *objective)
    vectors[0, -1] = bias
    for found in engine.gradients("punzi", vectors, packed.batch().tiles):
        assert np.isfinite(found).all()


@STEPS
def test_bce_epoch_is_that_of_autograd(packed, objective, max_step):
    start, rate = parameters(2), np.array([0.5, 0.1])
    batches = packed.epoch(RANDOM(5))
    results = []
    for engine in both(packed, objective):
        vectors = start.copy()
        losses = engine.epoch("bce", Descent(vectors, rate, max_step), batches)
        results.append((vectors, losses, engine.bce_losses(vectors)))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    if max_step == np.inf:
        assert results[0][2][0] < FusedEngine(packed, WIDTHS, *objective).bce_losses(start)[0]


def test_results_do_not_depend_on_the_number_of_cores(packed, objective):
    results, threads = [], numba.get_num_threads()
    for count in (1, threads):
        numba.set_num_threads(count)
        vectors, engine = parameters(3), FusedEngine(packed, WIDTHS, *objective)
        descent = Descent(vectors, np.full(3, 1e-3), np.inf)
        for loss in ("bce", "punzi"):
            engine.epoch(loss, descent, packed.epoch(RANDOM(5)))
        results.append((vectors, engine.punzi_values(vectors).loss, engine.bce_losses(vectors)))
    for one, several in zip(*results, strict=True):
        np.testing.assert_array_equal(one, several)


def test_no_step_is_longer_than_the_limit(small_sample, objective):
    vectors, packed = parameters(), pack(small_sample, small_sample.training)
    descent = Descent(vectors, np.array([1e3]), 0.005)
    FusedEngine(packed, WIDTHS, *objective).epoch("punzi", descent, packed.epoch(RANDOM(5)))
    assert np.linalg.norm(vectors - parameters()) == pytest.approx(0.005)


def test_autograd_is_what_module_and_loss_give(small_sample, objective):
    """The whole training sample, through the classes that a user's own loop would use."""
    events = small_sample.training
    packed = pack(small_sample, events, None, RANDOM(0))
    engine = AutogradEngine(packed, WIDTHS, *objective, dtype=torch.float64)
    (loss,), (gradient,) = engine.gradients("punzi", parameters(), packed.batch().tiles)
    network = PunziNet(small_sample.features, *small_sample.scaling)
    vector_to_parameters(torch.from_numpy(parameters()[0]).float(), network.parameters())
    columns = (events.features.T, events.weight, events.process, events.start, events.stop)
    x, *others = map(torch.from_numpy, columns)
    expected = objective[0](network(x), *others)
    expected.backward()
    slopes = np.concatenate([p.grad.numpy().ravel() for p in network.parameters()])
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, slopes, atol=1e-4 * np.abs(slopes).max())


@LOSSES
@STEPS
@pytest.mark.parametrize(("kind", "rtol"), [(FusedEngine, 0.0), (AutogradEngine, 1e-10)])
def test_networks_together_do_what_each_does_alone(
    *, packed, objective, loss, max_step, kind, rtol, monkeypatch
):
    """The compiled kernels to the last bit."""
    more = {"dtype": torch.float64} if kind is AutogradEngine else {}
    engine, batches = kind(packed, WIDTHS, *objective, **more), packed.epoch(RANDOM(3))

    def train(which):
        vectors, rate = parameters(4)[which], np.array([2e-3, 3e-3, 1e-3, 2e-3])[which]
        return engine.epoch(loss, Descent(vectors, rate, max_step), batches), vectors

    losses, together = train(slice(4))
    for n in range(4):
        of_one, alone = train(slice(n, n + 1))
        np.testing.assert_allclose(of_one, losses[n : n + 1], rtol=rtol)
        np.testing.assert_allclose(alone[0], together[n], rtol=rtol)
    monkeypatch.setattr(engines, "TOGETHER", 5000)  # autograd takes two at a time
    np.testing.assert_allclose(train(slice(4))[1], together, rtol=rtol)


@pytest.mark.parametrize("name", ["cuda:99", "nonsense", "meta:x"])
def test_missing_device_is_one_sentence(packed, objective, name):
    with pytest.raises(InputError, match=f"cannot compute on the device '{name}' .*--device"):
        AutogradEngine(packed, WIDTHS, *objective, device=name)


@NEEDS_GPU
@LOSSES
def test_gpu_trains_what_the_cpu_trains(packed, objective, loss):
    batches = packed.epoch(RANDOM(3))
    results = []
    for device in ("cpu", "cuda"):
        engine = AutogradEngine(packed, WIDTHS, *objective, device=device)
        trained = parameters(3)
        losses = engine.epoch(loss, Descent(trained, np.full(3, 2e-3), 0.02), batches)
        results.append((trained, losses, engine.punzi_values(trained).sigma))
    for cpu, gpu in zip(*results, strict=True):
        np.testing.assert_allclose(gpu, cpu, rtol=1e-4, atol=1e-6)


def compiled(name):
    function = getattr(network_kernels, name)

    @njit(fastmath=REORDERED, error_model="numpy")
    def of_array(x):
        return np.array([function(value) for value in x])

    return of_array


@pytest.mark.parametrize(
    ("name", "low", "high", "tolerance"),
    [
        ("tanh", -30, 30, {"atol": 5e-7, "rtol": 0}),
        ("tanh", -1e-3, 1e-3, {"rtol": 2e-6}),
        ("exp", -86.9, 86.9, {"rtol": 5e-7}),
        ("log1p", 0, 1, {"atol": 2e-7, "rtol": 0}),
    ],
)
def test_functions_are_accurate(name, low, high, tolerance):
    x = np.linspace(low, high, 200_001).astype(np.float32)
    found = compiled(name)(x)
    np.testing.assert_allclose(found, getattr(np, name)(x.astype(float)), **tolerance)
    if name == "tanh":
        assert np.abs(found).max() <= 1 + 3e-7
    if name == "exp":  # it never overflows
        assert np.isfinite(compiled(name)(np.float32([-1e30, 1e30, np.inf, -np.inf]))).all()
