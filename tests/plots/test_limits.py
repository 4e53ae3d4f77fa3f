import numpy as np
import pytest

from punzinet.analysis.limits.result import Limits, SelectionLimits
from punzinet.analysis.search import RECOIL
from punzinet.plots.sensitivity import limits_figure

MASS = np.array([1.0, 2.0, 3.0, 4.0])


@pytest.fixture
def limits():
    """Limits of which one is missing, and a coupling that is known for three masses."""
    bands = np.outer([2.0, 0.5, 0.6, np.inf], [0.5, 0.7, 1.0, 1.4, 2.0])
    one = SelectionLimits("punzi-00", MASS, MASS, MASS, bands, 1.1 * bands)
    training, ratio = np.array([True, False] * 2), np.array([4.0e4, 100.0, np.nan, 100.0])
    return Limits(MASS, training, 50.0, 0.9, ratio, {"single": one, "best": one})


@pytest.mark.parametrize("coupling", [False, True])
def test_all_that_is_drawn_is_inside_and_named(limits, check, *, coupling):
    figure = limits_figure(limits, RECOIL, coupling=coupling)
    said = check(figure)
    assert "90 % CL" in said
    assert "BCE" in said
    (axes,) = figure.axes
    assert sum("sigma" in text.get_text() for text in axes.get_legend().get_texts()) == 2
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    for line in axes.lines:
        values = np.asarray(line.get_ydata(), dtype=float)
        assert low < np.nanmin(values) <= np.nanmax(values) < high


def test_unknown_cross_sections_leave_a_gap(limits):
    (axes,) = limits_figure(limits, RECOIL, coupling=True).axes
    drawn = np.asarray(axes.lines[0].get_ydata(), dtype=float)
    assert np.isfinite(drawn).tolist() == [True, True, False, False]
