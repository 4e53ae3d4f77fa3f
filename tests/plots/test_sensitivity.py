import numpy as np

from punzinet.plots.sensitivity import Curve, sigma_min_figure


def test_trained_masses_are_circles_and_others_triangles(figures):
    mass = np.linspace(0.1, 8.7, 87)
    lines = figures["sigma_min"].axes[0].get_lines()
    for marker, expected in (("o", mass[::2]), ("^", mass[1::2])):
        drawn = [line.get_xdata() for line in lines if line.get_marker() == marker]
        assert drawn
        for x in drawn:
            assert np.isin(np.round(x, 6), np.round(expected, 6)).all()


def test_an_infinite_sigma_is_not_drawn(make):
    curve = Curve.of(make.sensitivity(np.random.default_rng(1)), ["bce"], "optimal")
    assert np.isinf(curve.sigma[-1])
    assert curve.figure_of_merit.sigma[-1] == 0
    assert np.isnan(curve.over(curve).sigma[-1])


def test_several_networks_give_mean_and_standard_error(make):
    punzi = ("punzi-00", "punzi-01", "punzi-02")
    sensitivity = make.sensitivity(np.random.default_rng(1), names=(*punzi, "bce-00"))
    curve = Curve.of(sensitivity, punzi, "single")
    sigma = np.array([sensitivity.networks[name].single.sigma_min for name in punzi])
    np.testing.assert_allclose(curve.sigma, sigma.mean(axis=0))
    np.testing.assert_allclose(curve.error, sigma.std(axis=0, ddof=1) / np.sqrt(3))
    drawn = sigma_min_figure(sensitivity, "m").axes[0].lines
    assert any(np.array_equal(line.get_ydata(), curve.sigma) for line in drawn)


def test_an_ensemble_is_averaged_in_its_figure_of_merit():
    sigma = 2 + np.random.default_rng(4).random((5, 87))
    sigma[0, -1] = np.inf
    fom = np.where(np.isfinite(sigma), 1 / sigma, 0)
    curve = Curve.of_ensemble(np.arange(87.0), np.ones(87, bool), sigma)
    np.testing.assert_allclose(curve.sigma, 1 / fom.mean(axis=0))
    inverse = curve.figure_of_merit
    np.testing.assert_allclose(inverse.sigma, fom.mean(axis=0))
    np.testing.assert_allclose(inverse.error, fom.std(axis=0, ddof=1) / np.sqrt(5))
