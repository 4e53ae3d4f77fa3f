"""Limits that are expected and observed, local p-values, and fits of the shape."""

import pickle

import numpy as np
import pytest
from pictures import check_figure, pictured
from scipy.stats import norm

from punzinet.analysis.limits.coupling import PublishedLimit
from punzinet.analysis.limits.result import Limits, SelectionLimits
from punzinet.analysis.limits.shape import ShapeLimits
from punzinet.analysis.search import RECOIL
from punzinet.plots import style
from punzinet.plots.limits import limits_figure, p_value_figure, shape_gain_figure

MASS = np.array([1.0, 2.0, 3.0, 4.0])
BANDS = np.outer([1.0, 2.0, 4.0, np.inf], [0.5, 0.7, 1.0, 1.4, 2.0])
FITS = ShapeLimits(
    "punzi-00", 50.0, 0.9, MASS, 1.5 * BANDS, BANDS,
    [[0.0, 2.0], [3.0, 3.5, 4.0, 5.0], [8.0, 10.0], []],
)  # fmt: skip
LABEL = f"Pseudo-data ({style.OWN_LABEL})"


@pictured("observed_p_value", "observed_cross_section")
def test_a_figure_looks_as_it_did(make, name):
    if name == "observed_p_value":
        return p_value_figure(make.observation(), RECOIL, LABEL)
    return limits_figure(make.observation(), RECOIL, coupling=False, label=LABEL)


@pytest.mark.parametrize(("known", "words"), [(0.0012, "0.0012 ± 0.0003"), (0.0, "< 0.0003")])
def test_p_values_are_drawn_with_sigmas_and_the_global_one(make, known, words):
    one = make.observation(global_p_value=known)
    figure = p_value_figure(one, RECOIL, LABEL)
    said = check_figure(figure)
    assert f"global p-value {words} (10,000 pseudo-experiments)" in said
    assert "injected: 30 fb at 2.5 GeV" in said
    axes, right = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), one.p_value)
    np.testing.assert_allclose(right.get_yticks(), norm.sf([1, 2, 3, 4, 5]))
    assert right.get_ylim() == axes.get_ylim()
    assert axes.get_ylim()[0] < min(one.p_value.min(), norm.sf(5))
    assert pickle.loads(pickle.dumps(figure))  # noqa: S301 - other processes save figures


@pytest.mark.parametrize("coupling", [False, True])
def test_limits_are_inside_and_named_and_unknown_ones_leave_a_gap(*, coupling):
    bands = np.outer([2.0, 0.5, 0.6, np.inf], [0.5, 0.7, 1.0, 1.4, 2.0])
    one = SelectionLimits("punzi-00", MASS, MASS, np.arange(4), bands, 1.1 * bands)
    training, ratio = np.array([True, False] * 2), np.array([4.0e4, 100.0, np.nan, 100.0])
    limits = Limits(MASS, training, 50.0, 0.9, ratio, {"single": one, "best": one})
    figure = limits_figure(limits, RECOIL, coupling=coupling)
    said = check_figure(figure)
    assert "90 % CL" in said
    assert "BCE" in said
    (axes,), (legend,) = figure.axes, figure.legends
    assert sum("sigma" in text.get_text() for text in legend.get_texts()) == 2
    assert axes.get_yscale() == "log"
    *lines, unseen = axes.lines
    assert unseen.get_label() == "no background"
    assert np.isfinite(unseen.get_ydata()).nonzero()[0].tolist() == [0, 4, 8]
    drawn = np.array([line.get_ydata() for line in lines], dtype=float)
    assert np.isfinite(drawn[0]).tolist() == [True, True, not coupling, False]
    low, high = axes.get_ylim()
    assert low < np.nanmin(drawn) <= np.nanmax(drawn) < high


@pytest.mark.parametrize("strength", [1.0, 1e-6])
def test_limits_stand_beside_published_ones_and_marks_within_reach(make, strength):
    windows = make.windows()
    mass = windows.mass
    bands = np.outer(strength * np.geomspace(3, 40, len(mass)), [0.5, 0.7, 1.0, 1.4, 2.0])
    one = SelectionLimits("punzi-00", mass, mass, mass, bands, bands)
    limits = Limits(mass, windows.training, 50.0, 0.9, 6e5 * np.exp(-1.4 * mass), {"single": one})
    about = {"source": "a paper", "confidence_level": 0.95}
    cases = ("coupling", [8.0]), ("coupling", [0.05, 1.0, 2.0, 9.5]), ("cross_section", [1.0, 2.0])
    published = [
        PublishedLimit(
            label=f"number {i}", quantity=of, mass=m, limit=[0.3, 0.1, 0.2, 50.0][: len(m)], **about
        )
        for i, (of, m) in enumerate(cases)
    ]
    seen = {"published": published, "resolution": windows.resolution}
    figure = limits_figure(limits, RECOIL, coupling=True, **seen)
    said = check_figure(figure)
    assert "number 1, 95 % CL" in said
    assert "number 2" not in said
    assert figure.axes[0].get_ylim()[1] < 50  # a number at another mass needs no room
    # An ending that is far above all limits and a band far above would only squeeze them.
    for mark in ("width", "4\\pi", "g-2"):
        assert (mark in said) == (strength == 1 or mark != "4\\pi"), mark
    alone = check_figure(limits_figure(limits, RECOIL, coupling=False, **seen))
    assert "number 2, 95 % CL" in alone
    assert "number 1" not in alone
    assert "g-2" not in alone


def test_the_gain_is_the_ratio_of_the_medians():
    figure = shape_gain_figure(FITS, RECOIL)
    assert "counting" in check_figure(figure)
    points = figure.axes[1].get_lines()[1].get_ydata()
    np.testing.assert_allclose(points, [1.5, 1.5, 1.5, np.nan])
