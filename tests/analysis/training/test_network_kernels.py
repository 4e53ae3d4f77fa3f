"""Forward and backward pass against PunziNet and against finite differences."""

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import vector_to_parameters

from punzinet.analysis.network import PunziNet
from punzinet.analysis.training.network_kernels import BLOCK, Network, backward, forward

WIDTHS = st.lists(st.integers(1, 11), min_size=2, max_size=5).map(lambda w: (*w, 1))


def make(widths: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random parameters, and rows with random inputs."""
    rng = np.random.default_rng(seed)
    parameters = rng.normal(0, 0.6, sum((a + 1) * b for a, b in pairwise(widths)))
    rows = np.zeros((sum(widths), BLOCK))
    rows[: widths[0]] = rng.random((widths[0], BLOCK))
    return parameters, rows


@given(WIDTHS, st.integers(0, 1000))
@settings(max_examples=25)
def test_forward_is_the_networks_logit(widths: tuple[int, ...], seed: int) -> None:
    parameters, rows = make(widths, seed)
    forward(Network(parameters, np.array(widths)), rows)
    inputs, *hidden, _ = widths
    network = PunziNet(list(map(str, range(inputs))), [0] * inputs, [1] * inputs, hidden).double()
    vector_to_parameters(torch.from_numpy(parameters), network.parameters())
    with torch.no_grad():
        logit = network.logit(torch.from_numpy(rows[:inputs].T.copy())).numpy()
    np.testing.assert_allclose(rows[-1], logit, rtol=1e-12, atol=1e-13)


@given(WIDTHS, st.integers(0, 1000))
@settings(max_examples=10)
def test_backward_is_the_slope_of_forward(widths: tuple[int, ...], seed: int) -> None:
    parameters, rows = make(widths, seed)
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=BLOCK)
    slopes = np.zeros((sum(widths[1:]), BLOCK))
    slopes[-1] = weight
    gradient = np.zeros(len(parameters))
    network = Network(parameters, np.array(widths))
    forward(network, rows)
    backward(network, rows, slopes, gradient)
    direction = rng.normal(size=len(parameters))
    values = []
    for step in (1e-5, -1e-5):
        forward(Network(parameters + step * direction, network.widths), rows)
        values.append(weight @ rows[-1])
    slope = (values[0] - values[1]) / 2e-5
    scale = np.abs(gradient * direction).sum()
    assert abs(gradient @ direction - slope) < 1e-8 * scale + 1e-9
