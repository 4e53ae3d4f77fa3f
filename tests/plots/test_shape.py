"""What fits of the shape gain over counting, and one of them."""

from dataclasses import replace

import numpy as np

from punzinet.analysis.limits.shape import ShapeLimits
from punzinet.analysis.search import RECOIL
from punzinet.plots.shape import STRENGTH, example, shape_fit_figure, shape_gain_figure

BANDS = np.outer([1.0, 2.0, 4.0, np.inf], [0.5, 0.7, 1.0, 1.4, 2.0])
LIMITS = ShapeLimits(
    "punzi-00", 50.0, 0.9, np.array([1.0, 2.0, 3.0, 4.0]), 1.5 * BANDS, BANDS,
    [[0.0, 2.0], [3.0, 3.5, 4.0, 5.0], [8.0, 10.0], []],
)  # fmt: skip
SAMPLES = [
    {"name": "signal", "data": [1.0, 8.0, 1.0], "modifiers": []},
    {
        "name": "tautau",
        "data": [4.0, 5.0, 9.0],
        "modifiers": [{"name": "statistics_tautau", "type": "shapesys", "data": [1.0, 1.0, 1.0]}],
    },
    {"name": "unseen", "data": [0.0, 1.0, 0.0], "modifiers": []},
]


def test_the_gain_is_the_ratio_of_the_medians(check):
    figure = shape_gain_figure(LIMITS, RECOIL)
    assert "counting" in check(figure)
    points = figure.axes[1].get_lines()[1].get_ydata()
    np.testing.assert_allclose(points, [1.5, 1.5, 1.5, np.nan])


def test_a_signal_of_some_times_the_limit_lies_over_the_background(check):
    assert example(LIMITS) == 1
    workspace = {"channels": [{"name": "m2_recoil", "samples": SAMPLES}]}
    figure = shape_fit_figure(LIMITS, 1, workspace, RECOIL, {"tautau": r"$\tau\tau$"})
    assert f"{STRENGTH * 2:g} fb" in check(figure)
    points = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 3]
    drawn = points[0].get_ydata() * [0.5, 0.5, 1.0]  # events per GeV² in bins of this width
    np.testing.assert_allclose(drawn, [4 + 6, 6 + 48, 9 + 6])
    assert example(replace(LIMITS, edges=[[]] * 4)) is None
