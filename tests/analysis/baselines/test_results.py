"""Judging baselines: the same numbers as networks get, interpolated cuts, files."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from punzinet.analysis.baselines.rectangular_cuts import RectangularCuts
from punzinet.analysis.baselines.results import Baseline, Baselines, Judge
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.training.data import Sample

FIGURE = FigureOfMerit()
SYNTHETIC = Path(__file__).parents[2] / "bench" / "synthetic.py"
TRAINING = np.arange(7) % 2 == 0


@pytest.fixture(scope="module")
def sample() -> Sample:
    return runpy.run_path(str(SYNTHETIC))["synthetic_sample"](12_000, hypotheses=7)


def test_scores_are_cut_as_those_of_networks(sample: Sample) -> None:
    judge = Judge(sample, TRAINING, FIGURE, 50.0)
    scores = [
        (e.features[:, 0] - e.features[:, 1]).astype(float)
        for e in (judge.training_events, judge.validation_events)
    ]
    found = judge.scores("sum", *scores)
    events = judge.validation_events.rank(scores[1])
    for baseline in found.values():
        cut = baseline.selection.cut
        again, _ = judge.validation_events.judge(events, cut, TRAINING, FIGURE, 50.0)
        np.testing.assert_array_equal(baseline.selection.sigma_min, again.sigma_min)
        # A cut found elsewhere may leave a mass without any signal in this small sample.
        assert np.isinf(baseline.mean_error) == np.isinf(baseline.mean(TRAINING))
    assert 0 < found["single"].mean_error < found["single"].mean(TRAINING)
    single = found["single"].selection.cut
    assert (single == single[0]).all()
    # An untrained mass has a cut between those of its trained neighbours.
    cuts = found["interpolated"].selection.cut
    assert cuts[[0, 2]].min() <= cuts[1] <= cuts[[0, 2]].max()


def test_rectangular_cuts_on_one_feature_are_a_cut_on_it(sample: Sample) -> None:
    judge = Judge(sample, TRAINING, FIGURE, 50.0)
    low, high = np.full((7, 4), -100.0), np.full((7, 4), 100.0)
    low[:, 0] = np.linspace(1.0, 2.0, 7)
    rectangular = judge.rectangular("one", RectangularCuts(low, high)).selection
    x = judge.validation_events.features[:, 0].astype(float)
    events = judge.validation_events
    expected, _ = events.judge(events.rank(x), low[:, 0], TRAINING, FIGURE, 50.0)
    np.testing.assert_allclose(rectangular.sigma_min, expected.sigma_min, rtol=1e-12)
    np.testing.assert_allclose(rectangular.sigma_min_error, expected.sigma_min_error, rtol=1e-12)


def test_results_come_back_from_their_file(sample: Sample, tmp_path: Path) -> None:
    judge = Judge(sample, TRAINING, FIGURE, 50.0)
    scores = [
        e.features[:, 0].astype(float) for e in (judge.training_events, judge.validation_events)
    ]
    found: dict[str, Baseline] = judge.scores("first feature", *scores)
    path = tmp_path / "baselines.json"
    Baselines(sample.mass, TRAINING, FIGURE, 50.0, found).write(path, {"seed": 1})
    read = Baselines.read(path)
    assert list(read.baselines) == list(found)
    for name, baseline in found.items():
        assert read.baselines[name].label == baseline.label
        assert read.baselines[name].mean(TRAINING) == baseline.mean(TRAINING)
        assert read.baselines[name].mean_error == baseline.mean_error
    path.write_text('{"baselines": {}}')
    with pytest.raises(InputError, match=r"baselines\.json does not hold the baselines"):
        Baselines.read(path)
