"""Figures of the baselines: all curves, the features in colour, readable."""

import numpy as np
import pytest
from outputs import draft
from pictures import check_figure

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.observables import CANDIDATES
from punzinet.analysis.paper.baselines import Baseline, Baselines, Ranking
from punzinet.analysis.search import RECOIL
from punzinet.plots import style
from punzinet.plots.baselines import LINES, comparison_figure, ranking_figure, write_figures

METHODS, SYSTEMATICS = tuple(LINES)[:6], tuple(LINES)[6:]
VALUES = np.linspace(0.2, 0.0, len(CANDIDATES))
RANKING = Ranking(tuple(sorted(CANDIDATES)), VALUES, 0.1 * VALUES, 0.5 + VALUES)


@pytest.fixture
def results(make):
    """Results of baselines by name; at the heaviest mass they find nothing."""

    def of(names, count=87):
        mass, rng = np.linspace(0.1, 8.7, count), np.random.default_rng(1)
        shape = np.where(mass < 8.7, 2 + (mass - 3) ** 2, np.inf)
        found = {name: Baseline(name, make.selection(rng, shape), 0.1) for name in names}
        return Baselines(mass, np.arange(count) % 2 == 0, FigureOfMerit(), 50.0, found)

    return of


def test_all_figures_are_written(tmp_path, results, monkeypatch):
    monkeypatch.setattr(style, "save", draft)
    written = write_figures(tmp_path, results(METHODS), results(SYSTEMATICS), RANKING, RECOIL)
    assert [path.stem for path in written] == ["baselines", "systematics", "observables"]


@pytest.mark.parametrize("names", [METHODS, SYSTEMATICS])
def test_every_curve_is_drawn_and_named(names, results):
    figure = comparison_figure(results(names), names[1], "ratio", RECOIL.parameter)
    assert "50" in check_figure(figure)
    _, lower = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(names)
    assert len(lower.lines) == len(names)


@pytest.mark.parametrize("count", [2, 4])
def test_masses_may_be_fewer_than_lines_average_over(results, count):
    (line, *_) = comparison_figure(results(METHODS, count), METHODS[1], "r", "m").axes[0].lines
    assert len(line.get_xdata()) == count


def test_features_stand_out_among_the_observables():
    figure = ranking_figure(RANKING, RECOIL)
    check_figure(figure)
    (axes,) = figure.axes
    features, others = axes.containers[1], axes.containers[3]
    assert len(features.get_children()) + len(others.get_children()) == len(CANDIDATES)
    assert len(axes.get_yticks()) == len(CANDIDATES)
    low, high = axes.get_ylim()
    assert low > high  # the most important one on top
