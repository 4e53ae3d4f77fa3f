"""Forward and backward pass against PunziNet and finite differences; functions, the library's."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import vector_to_parameters

from punzinet.analysis.compiled import njit
from punzinet.analysis.network import PunziNet
from punzinet.analysis.training import network_kernels
from punzinet.analysis.training.network_kernels import BLOCK, REORDERED, backward, forward

WIDTHS = st.lists(st.integers(1, 11), min_size=2, max_size=5).map(lambda w: (*w, 1))


def make(widths, seed):
    rng = np.random.default_rng(seed)
    parameters = rng.normal(0, 0.6, sum((a + 1) * b for a, b in pairwise(widths)))
    rows = np.zeros((sum(widths), BLOCK))
    rows[: widths[0]] = rng.random((widths[0], BLOCK))
    return parameters, rows


@given(WIDTHS, st.integers(0, 1000))
@settings(max_examples=25)
def test_forward_is_the_networks_logit(widths, seed):
    parameters, rows = make(widths, seed)
    forward(parameters, np.array(widths), rows)
    inputs, *hidden, _ = widths
    network = PunziNet(list(map(str, range(inputs))), [0] * inputs, [1] * inputs, hidden).double()
    vector_to_parameters(torch.from_numpy(parameters), network.parameters())
    with torch.no_grad():
        logit = network.logit(torch.from_numpy(rows[:inputs].T.copy())).numpy()
    np.testing.assert_allclose(rows[-1], logit, rtol=1e-12, atol=1e-13)


@given(WIDTHS, st.integers(0, 1000))
@settings(max_examples=10)
def test_backward_is_the_slope_of_forward(widths, seed):
    parameters, rows = make(widths, seed)
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=BLOCK)
    slopes = np.zeros((sum(widths[1:]), BLOCK))
    slopes[-1] = weight
    gradient = np.zeros(len(parameters))
    forward(parameters, np.array(widths), rows)
    backward(parameters, np.array(widths), rows, slopes, gradient)
    direction = rng.normal(size=len(parameters))
    values = []
    for step in (1e-5, -1e-5):
        forward(parameters + step * direction, np.array(widths), rows)
        values.append(weight @ rows[-1])
    slope = (values[0] - values[1]) / 2e-5
    scale = np.abs(gradient * direction).sum()
    assert abs(gradient @ direction - slope) < 1e-8 * scale + 1e-9


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


@pytest.mark.parametrize("name", ["tanh", "exp", "log1p"])
def test_double_precision_is_the_librarys(name):
    x = np.linspace(0, 1, 101)
    np.testing.assert_allclose(compiled(name)(x), getattr(np, name)(x), rtol=1e-15)
    plain = getattr(network_kernels, name)(0.3)
    assert plain == pytest.approx(float(getattr(np, name)(np.float64(0.3))), rel=1e-15)
