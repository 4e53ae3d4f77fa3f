"""Local p-values and limits of what is observed."""

import pickle

import numpy as np
import pytest
from pictures import pictured
from scipy.stats import norm

from punzinet.analysis.search import RECOIL
from punzinet.plots import style
from punzinet.plots.observed import p_value_figure
from punzinet.plots.sensitivity import limits_figure

LABEL = f"Pseudo-data ({style.OWN_LABEL})"


@pictured("observed_p_value", "observed_cross_section")
def test_a_figure_looks_as_it_did(make, name):
    if name == "observed_p_value":
        return p_value_figure(make.observation(), RECOIL, LABEL)
    return limits_figure(make.observation(), RECOIL, coupling=False, label=LABEL)


@pytest.mark.parametrize("found", [True, False])
def test_p_values_are_drawn_at_all_points_with_sigmas_and_the_global_one(make, check, *, found):
    one = make.observation(global_p_value=0.0012 if found else 0.0)
    figure = p_value_figure(one, RECOIL, LABEL)
    said = check(figure)
    assert ("global p-value 0.0012 ± 0.0003" if found else "global p-value < 0.0003") in said
    assert "(10,000 pseudo-experiments)" in said
    assert "injected: 30 fb at 2.5 GeV" in said
    axes, right = figure.axes
    all_points, tested, between, injected, *_ = axes.lines
    np.testing.assert_array_equal(all_points.get_ydata(), one.p_value)
    np.testing.assert_array_equal(tested.get_xdata(), one.mass[one.hypothesis])
    np.testing.assert_array_equal(between.get_ydata(), one.p_value[~one.hypothesis])
    assert set(injected.get_xdata()) == {2.5}
    np.testing.assert_allclose(right.get_yticks(), norm.sf([1, 2, 3, 4, 5]))
    assert right.get_ylim() == axes.get_ylim()
    low, high = axes.get_ylim()
    assert low < min(one.p_value.min(), norm.sf(5)) < 1 < high
    assert pickle.loads(pickle.dumps(figure))  # noqa: S301 - other processes save figures


@pytest.mark.parametrize("source", ["data", "pseudo-data"])
def test_observed_limits_lie_over_their_bands(make, check, source):
    one = make.observation(source=source)
    figure = limits_figure(one, RECOIL, coupling=False, label=LABEL)
    check(figure)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    named = "observed" + " (pseudo-data)" * (source != "data")
    assert names[:2] == [named, "expected (median)"]
    observed, median, *_ = figure.axes[0].lines
    np.testing.assert_array_equal(observed.get_ydata(), one.limit)
    np.testing.assert_array_equal(median.get_ydata(), one.expected[:, 2])
