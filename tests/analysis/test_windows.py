from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_data import windows_of

from punzinet.analysis.io.files import InputError
from punzinet.analysis.peak_fit import PeakFit
from punzinet.analysis.windows import interpolate_sigma, windows_from_fits


def make_windows():
    """87 hypotheses with the published shape of the widths, every second one trained."""
    mass = np.round(np.arange(1, 88) * 0.1, 3)
    sigma = 0.304 * np.exp(-(((mass - 1.9) / 6.0) ** 2))
    return windows_of(mass, sigma, np.arange(87) % 2 == 0)


def make_fit(sigma, error=0.002):
    return PeakFit(0.0, sigma / 2, sigma * 2, 2 / 3, sigma, error, 1e4, 100.0, 100, None)


def brute_force(windows, m2):
    return (m2[:, None] > windows.low) & (m2[:, None] < windows.high)


def as_mask(ranges, count):
    """(n, H) membership that (n,) starts and stops stand for."""
    start, stop = ranges
    assert start.dtype == stop.dtype == np.int16
    return (np.arange(count) >= start[:, None]) & (np.arange(count) < stop[:, None])


VALUES = st.floats(-5, 90) | st.sampled_from([np.nan, np.inf, -np.inf])


@given(arrays(np.float64, 50, elements=VALUES), st.integers(0, 2**32), st.sampled_from([1, 0.1]))
def test_assignment_equals_brute_force(m2, seed, width):
    """Windows overlap, or leave gaps; what is no number is in none."""
    training, usual = np.random.default_rng(seed).random(87) < 0.5, make_windows()
    windows = replace(usual, training=training, sigma=width * usual.sigma)
    ranges, expected = windows.assign(m2), brute_force(windows, m2)
    np.testing.assert_array_equal(as_mask(ranges, 87), expected)
    among_training = as_mask(windows.to_training(*ranges), int(training.sum()))
    np.testing.assert_array_equal(among_training, expected[:, training])


def test_both_edges_are_strict_and_their_neighbours_are_inside():
    windows, index = make_windows(), np.arange(87)
    for edge, inwards in ((windows.low, np.inf), (windows.high, -np.inf)):
        for values in (edge, np.nextafter(edge, inwards), np.nextafter(edge, -inwards)):
            mask = as_mask(windows.assign(values), 87)
            np.testing.assert_array_equal(mask, brute_force(windows, values))
        assert not as_mask(windows.assign(edge), 87)[index, index].any()
        assert as_mask(windows.assign(np.nextafter(edge, inwards)), 87)[index, index].all()


@pytest.mark.parametrize("mass", [1.0, 1e3, 1e6, 1e8])
def test_however_narrow_windows_are_no_rounding_matters(mass):
    """From 1 GeV² to where neighbouring numbers are further apart than cells are wide."""
    step = 20 * np.spacing(mass)
    windows = windows_of(mass + step * np.arange(30), np.full(30, 1.3 * mass * step))
    edges = np.concatenate([windows.low, windows.high])
    inside = np.random.default_rng(1).uniform(windows.low[0], windows.high[-1], 2000)
    m2 = np.concatenate([edges, np.nextafter(edges, np.inf), np.nextafter(edges, 0), inside])
    np.testing.assert_array_equal(as_mask(windows.assign(m2), 30), brute_force(windows, m2))


def test_hypotheses_are_found_by_value():
    windows = make_windows()
    mass = np.array([0.1 * 3, 8.7, 0.1, 0.15, 9.0, -1.0, np.nan, 0.1 + 2e-6, 0.1 - 1e-7])
    np.testing.assert_array_equal(windows.index_of(mass), [2, 86, 0, -1, -1, -1, -1, -1, 0])
    one = windows_of([2.0], [0.3])
    np.testing.assert_array_equal(one.index_of(np.array([2.0, 1.0, 3.0])), [0, -1, -1])
    keep = np.arange(87) != 40  # what is missing does not shift the others
    index = windows_of(windows.mass[keep], windows.sigma[keep]).index_of(windows.mass)
    np.testing.assert_array_equal(index, np.where(keep, np.cumsum(keep) - 1, -1))


@pytest.mark.parametrize(
    ("sigma", "message"),
    [((0.1, 0.2), "nested"), *(((0.1, s), "positive") for s in (-0.2, np.nan)), ((0.1,), "same")],
)
def test_windows_that_break_the_rules_are_refused(sigma, message):
    with pytest.raises(ValueError, match=message):
        windows_of([1.0, 1.01], sigma)


def test_interpolation_goes_between_the_fits_and_stays_flat_outside():
    mass, truth = make_windows().mass, make_windows().sigma
    error = 0.01 * truth
    noisy = truth * (1 + 0.01 * np.random.default_rng(3).standard_normal(87))
    known = (np.arange(87) % 3 != 0) & (mass > 0.35) & (mass < 8.45)
    result = interpolate_sigma(mass[known], noisy[known], error[known], mass)
    inside = slice(4, 83)
    assert np.abs(result[inside] / truth[inside] - 1).max() < 0.012
    np.testing.assert_array_equal(result[:4], result[4])
    np.testing.assert_array_equal(result[84:], result[83])

    few = [np.array(v) for v in ([1.0, 3.0], [0.1, 0.4], [0.01, 0.01], [0.0, 2.0, 5.0])]
    np.testing.assert_allclose(interpolate_sigma(*few), [0.1, 0.2, 0.4])


def test_masses_without_a_good_fit_are_interpolated():
    truth = make_windows()
    fits = [make_fit(sigma) for sigma in truth.sigma]
    fits[10] = None
    fits[20] = replace(make_fit(5.0), problem="χ² too large")
    fits[5] = make_fit(truth.sigma[5] + 0.2, error=0.05)  # the less precise of two nested ones
    windows = windows_from_fits(truth.mass, truth.training, fits)
    np.testing.assert_array_equal(np.flatnonzero(~windows.fitted), [5, 10, 20])
    assert windows.fits[5].problem == "window nested in its neighbour's"
    np.testing.assert_allclose(windows.sigma, truth.sigma, rtol=0.01)
    np.testing.assert_array_equal(windows.sigma[windows.fitted], truth.sigma[windows.fitted])


def test_fits_that_make_no_windows_are_an_error():
    with pytest.raises(InputError, match="Not one of the signal peaks"):
        windows_from_fits(np.array([1.0, 2.0]), np.ones(2, dtype=bool), [None, None])
    # A peak that its own window does not hold, unless the fit is no good anyway.
    mass, fits = np.array([1.0, 2.0]), [make_fit(0.3), replace(make_fit(0.3), mean=-0.7)]
    with pytest.raises(InputError, match=r"mass 2 GeV lies 2\.3 sigmas below that mass"):
        windows_from_fits(mass, np.ones(2, dtype=bool), fits)
    fits[1] = replace(fits[1], problem="few")
    assert windows_from_fits(mass, np.ones(2, dtype=bool), fits).fitted.tolist() == [True, False]
    # Masses too close for widths that jump.
    mass = np.round(np.linspace(1.0, 1.2, 21), 6)
    fits = [make_fit(0.01), *(None,) * 19, make_fit(1.0)]
    nested = r"^The windows of masses 1\.\d+ and 1\.\d+ GeV are nested"
    with pytest.raises(InputError, match=nested):
        windows_from_fits(mass, np.ones(21, dtype=bool), fits)
