"""Figures of the baselines: all curves, the features in colour, readable."""

import numpy as np
import pytest

from punzinet.analysis.baselines.results import Baseline, Baselines, Ranking
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.observables import CANDIDATES
from punzinet.analysis.search import RECOIL
from punzinet.analysis.sensitivity import Selection
from punzinet.plots.baselines import LINES, comparison_figure, ranking_figure, write_figures

NAMES = tuple(LINES)


def results(names: tuple[str, ...]) -> Baselines:
    rng = np.random.default_rng(1)
    mass = np.linspace(0.1, 8.7, 87)
    found = {}
    for name in names:
        sigma = (2 + (mass - 3) ** 2) * rng.normal(1, 0.05, 87)
        sigma[-1] = np.inf
        found[name] = Baseline(name, Selection(sigma, sigma, sigma, sigma, 0.05 * sigma), 0.1)
    return Baselines(mass, np.arange(87) % 2 == 0, FigureOfMerit(), 50.0, found)


def ranking() -> Ranking:
    values = np.linspace(0.2, 0.0, len(CANDIDATES))
    return Ranking(tuple(sorted(CANDIDATES)), values, 0.1 * values, values, 0.5 + values)


def test_all_figures_are_written(tmp_path):
    written = write_figures(tmp_path, results(NAMES[:6]), results(NAMES[6:]), ranking(), RECOIL)
    assert {path.stem for path in written} == {"baselines", "systematics", "observables"}
    assert all(path.stat().st_size > 1000 for path in written)


@pytest.mark.parametrize("names", [NAMES[:6], NAMES[6:]])
def test_every_curve_is_drawn_and_named(names, check):
    figure = comparison_figure(results(names), names[1], "ratio", RECOIL.parameter)
    assert "50" in check(figure)
    upper, lower = figure.axes
    assert [text.get_text() for text in upper.get_legend().get_texts()] == list(names)
    assert len(lower.lines) == len(names)


def test_features_stand_out_among_the_observables():
    (axes,) = ranking_figure(ranking(), RECOIL).axes
    features, others = axes.containers[1], axes.containers[3]
    assert len(features.get_children()) + len(others.get_children()) == len(CANDIDATES)
    assert len(axes.get_yticks()) == len(CANDIDATES)
    low, high = axes.get_ylim()
    assert low > high  # the most important one on top
