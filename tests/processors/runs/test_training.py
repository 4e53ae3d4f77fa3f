"""Less background stands for all of it; more of one process leaves the others alone."""

import numpy as np
import pytest
from synthetic import synthetic_sample

from punzinet.processors.runs.training import scale_background, thin_background


@pytest.fixture(scope="module")
def sample():
    return synthetic_sample(40_000, hypotheses=7)


def test_scaled_background_is_more_of_one_process_and_nothing_else(sample):
    scaled = scale_background(sample, {"eemumu": 2.0})
    factor = np.array([{"eemumu": 2.0}.get(name, 1.0) for name in sample.backgrounds])
    for before, after, f in zip(sample.total, scaled.total, (1.0, factor), strict=True):
        np.testing.assert_allclose(after, f * before, rtol=1e-6)
    np.testing.assert_array_equal(scaled.training.features, sample.training.features)


def test_thinned_background_stands_for_all(sample):
    thinned = thin_background(sample, 0.25, np.random.default_rng(1))
    assert thinned.validation is sample.validation
    before, after = (one.totals_of("training")[1] for one in (sample, thinned))
    np.testing.assert_array_equal(before[0], after[0])
    assert after[1].sum() == pytest.approx(before[1].sum(), rel=0.03)
    background = [np.sum(part.training.process >= 0) for part in (sample, thinned)]
    assert background[1] / background[0] == pytest.approx(0.25, rel=0.05)
