"""Less background stands for all of it."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from analysis.paper.thinning import thin_background


def test_thinned_background_stands_for_all() -> None:
    synthetic = Path(__file__).parents[2] / "bench" / "synthetic.py"
    sample = runpy.run_path(str(synthetic))["synthetic_sample"](40_000, hypotheses=7)
    thinned = thin_background(sample, 0.25, np.random.default_rng(1))
    assert thinned.validation is sample.validation
    before, after = sample.training_totals, thinned.training_totals
    np.testing.assert_array_equal(before[0], after[0])
    assert after[1].sum() == pytest.approx(before[1].sum(), rel=0.03)
    background = [np.sum(part.training.process >= 0) for part in (sample, thinned)]
    assert background[1] / background[0] == pytest.approx(0.25, rel=0.05)
