"""Judging baselines: the same numbers as networks get, interpolated cuts, files."""

from dataclasses import asdict

import numpy as np
import pytest
from synthetic import synthetic_sample

from punzinet.analysis.baselines.rectangular_cuts import RectangularCuts
from punzinet.analysis.baselines.results import Baselines, judge_rectangular, judge_scores
from punzinet.analysis.evaluation import Judge
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import InputError

FIGURE = FigureOfMerit()
TRAINING = np.arange(7) % 2 == 0
MERIT = TRAINING, FIGURE, 50.0


@pytest.fixture(scope="module")
def judge():
    return Judge(synthetic_sample(12_000, hypotheses=7), *MERIT)


@pytest.fixture(scope="module")
def found(judge):
    """What the difference of two features achieves."""
    folds = judge.training_fold, judge.validation_fold
    return judge_scores(judge, "sum", *(scores_of(fold.events.features) for fold in folds))


def scores_of(features: np.ndarray) -> np.ndarray:
    return (features[0] - features[1]).astype(float)


def test_scores_are_cut_as_those_of_networks(judge, found):
    events = judge.validation_fold
    ranked = events.rank(scores_of(events.events.features))
    for baseline in found.values():
        again, _ = judge.judge(ranked, baseline.selection.cut)
        np.testing.assert_array_equal(baseline.selection.sigma_min, again.sigma_min)
        # A cut found elsewhere may leave a mass without any signal in this small sample.
        assert np.isinf(baseline.mean_error) == np.isinf(baseline.mean(TRAINING))
    assert 0 < found["single"].mean_error < found["single"].mean(TRAINING)
    assert len(set(found["single"].selection.cut.tolist())) == 1
    # An untrained mass has a cut between those of its trained neighbours.
    cuts = found["interpolated"].selection.cut
    assert cuts[[0, 2]].min() <= cuts[1] <= cuts[[0, 2]].max()


def test_rectangular_cuts_on_one_feature_are_a_cut_on_it(judge):
    low, high = np.full((7, 4), -100.0), np.full((7, 4), 100.0)
    low[:, 0] = np.linspace(1.0, 2.0, 7)
    rectangular = judge_rectangular(judge, "one", RectangularCuts(low, high)).selection
    events = judge.validation_fold
    first = events.events.features[0].astype(float)
    expected, _ = judge.judge(events.rank(first), low[:, 0])
    for column in ("sigma_min", "sigma_min_error"):
        columns = (getattr(selection, column) for selection in (rectangular, expected))
        np.testing.assert_allclose(*columns, rtol=1e-12)


def test_results_come_back_from_their_file(found, tmp_path):
    path = tmp_path / "baselines.json"
    baselines = Baselines(np.arange(7.0), *MERIT, found)
    baselines.write(path, {"seed": 1})
    read = Baselines.read(path)
    assert list(read.baselines) == list(found)
    np.testing.assert_equal(asdict(read), asdict(baselines))
    path.write_text('{"baselines": {}}')
    with pytest.raises(InputError, match=r"baselines\.json does not hold the baselines"):
        Baselines.read(path)
