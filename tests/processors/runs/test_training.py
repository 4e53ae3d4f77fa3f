"""Less background stands for all of it; more of one process leaves the others alone."""

import numpy as np
import pytest
from synthetic import synthetic_sample

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.processors.runs.training import scale_background, thin_background, train_visibly


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
    before, after = (one.training_total for one in (sample, thinned))
    np.testing.assert_array_equal(before[0], after[0])
    assert after[1].sum() == pytest.approx(before[1].sum(), rel=0.03)
    background = [np.sum(part.training.process >= 0) for part in (sample, thinned)]
    assert background[1] / background[0] == pytest.approx(0.25, rel=0.05)


def test_training_shows_its_epochs_and_losses(sample, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    once = {"finish": 0, "pretraining": {"epochs": 1}, "punzi": {"epochs": 2}}
    settings = TrainingSettings.model_validate(once)
    output, merit = OutputFolder(tmp_path), (FigureOfMerit(), 50.0)
    trained = train_visibly(sample, merit, settings, output).punzi[0]
    said = " ".join(capsys.readouterr().err.split())
    assert f"best {trained.loss:.5g}" in said
    assert "100%" in said
