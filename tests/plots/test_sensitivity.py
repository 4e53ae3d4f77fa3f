"""Curves of networks against the mass."""

import numpy as np
from pictures import check_figure

from punzinet.plots import sensitivity as plots
from punzinet.plots.sensitivity import sigma_min_figure


def test_an_infinite_sigma_is_not_drawn(make):
    curve = make.sensitivity(np.random.default_rng(1)).average(["bce"], "optimal")
    assert np.isinf(curve.sigma[-1])
    assert curve.figure_of_merit.sigma[-1] == 0
    assert np.isnan(curve.over(curve).sigma[-1])


def test_several_networks_give_mean_and_standard_error(make):
    punzi = ("punzi-00", "punzi-01", "punzi-02")
    sensitivity = make.sensitivity(np.random.default_rng(1), names=(*punzi, "bce-00"))
    curve = sensitivity.average(punzi, "single")
    sigma = np.array([sensitivity.networks[name].single.sigma_min for name in punzi])
    np.testing.assert_allclose(curve.sigma, sigma.mean(axis=0))
    np.testing.assert_allclose(curve.error, sigma.std(axis=0, ddof=1) / np.sqrt(3))
    drawn = sigma_min_figure(sensitivity, "m").axes[0].lines
    assert any(np.array_equal(line.get_ydata(), curve.sigma) for line in drawn)


def test_windows_in_which_nothing_passes_are_limits(make):
    sensitivity = make.sensitivity(np.random.default_rng(1), names=("bce-00", "punzi-00"))
    bce, punzi = (sensitivity.networks[name] for name in ("bce-00", "punzi-00"))
    assert "no background" not in check_figure(sigma_min_figure(sensitivity, "m"))
    bce.optimal.effective[[5, 6]] = punzi.single.effective[[6, 7]] = 0
    drawn = [of(sensitivity, "m") for of in (plots.figure_of_merit_figure, sigma_min_figure)]
    assert all("no background" in check_figure(figure) for figure in drawn)
    lines = [line for figure in drawn for axes in figure.axes for line in axes.lines]
    lines = [line for line in lines if line.get_markerfacecolor() == "white"]
    marked = [line.get_marker() + str((10 * line.get_xdata()).round()) for line in lines]
    # σ_min is below, its inverse above; of a ratio of two limits nothing is known.
    seen = ["^[6. 7.]", "^[7. 8.]", "v[6. 7.]", "v[7. 8.]", "v[6.]", "^[8.]"]
    assert [one for one in marked if "." in one] == seen


def test_axes_follow_what_is_measured_and_limits_beyond_stand_at_their_ends(make):
    sensitivity = make.sensitivity(np.random.default_rng(1), names=("bce-00", "punzi-00"))
    single = sensitivity.networks["punzi-00"].single
    single.effective[6], single.sigma_min[6], single.sigma_min_error[50] = 0, 1e-3, 900.0
    for figure in (sigma_min_figure, plots.figure_of_merit_figure):
        axes = figure(sensitivity, "m").axes[0]
        low, high = axes.get_ylim()
        assert 0 <= low < high < 100
        (limit,) = (
            y for y in axes.lines if y.get_markerfacecolor() == "white" and len(y.get_xdata())
        )
        assert low < limit.get_ydata()[0] < high
