"""The loss is the inverse squared significance of a counting experiment."""

import numpy as np
import pytest
import torch

from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.significance_loss import SignificanceLoss

MASS = (1.0, 2.0, 3.0)


def test_significance_is_that_of_a_counting_experiment():
    rng = np.random.default_rng(3)
    start = rng.integers(0, len(MASS), 600)
    process = np.where(rng.random(600) < 0.3, SIGNAL, 0)
    weight = np.where(process == SIGNAL, 1e-3, 2.0)
    output = rng.random(600)
    columns = [torch.from_numpy(c) for c in (weight, process, start, start + 1)]
    loss = SignificanceLoss.of_sample(MASS, *columns, luminosity=50.0)
    loss.cross_section = 3.0
    expected = []
    for h in range(len(MASS)):
        selected, signal = (weight * output)[start == h], (process == SIGNAL)[start == h]
        s, b = 3.0 * 50.0 * selected[signal].sum(), selected[~signal].sum()
        expected.append((s / np.sqrt(s + b)) ** -2)
    value = loss(torch.from_numpy(output), *columns).item()
    assert value == pytest.approx(np.mean(expected), rel=1e-12)
