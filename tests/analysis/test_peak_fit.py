import numpy as np
import pytest

from punzinet.analysis.peak_fit import PEAK_FIT, fit_peak, peak_edges
from punzinet.analysis.search import RECOIL

EDGES = peak_edges(RECOIL.peak_reach)


def sample(seed, n, fraction=0.7):
    """M²_rec - m² of n signal events with a double-Gaussian resolution."""
    rng = np.random.default_rng(seed)
    return 0.03 + np.where(rng.random(n) < fraction, 0.2, 0.45) * rng.standard_normal(n)


def fit(values, weights=None):
    weights = np.ones(len(values)) if weights is None else weights
    sums = [np.histogram(values, EDGES, weights=w)[0] for w in (weights, weights**2)]
    result = fit_peak(*sums, EDGES)
    assert result is not None
    return result


def test_double_gaussian_is_recovered():
    result = fit(sample(1, 200_000))
    assert result.problem is None
    found = result.mean, result.sigma, result.sigma_narrow, result.sigma_wide, result.fraction
    expected, precision = (0.03, 0.275, 0.2, 0.45, 0.7), (0.003, 0.00275, 0.006, 0.0225, 0.04)
    assert (np.abs(np.subtract(found, expected)) < precision).all()
    assert result.chi2 / result.ndof == pytest.approx(1.0, abs=0.6)
    mixed = result.fraction * result.sigma_narrow + (1 - result.fraction) * result.sigma_wide
    assert result.sigma == pytest.approx(mixed, rel=1e-12)
    assert fit(sample(1, 200_000)) == result


@pytest.mark.parametrize(
    ("fraction", "events", "bias"),
    # where there is little of the wide Gaussian its width is the one known beforehand
    [(0.7, 8000, 0.0), (1.0, 8000, -0.1), (0.9, 500, -0.2), (1.0, 150, -0.2)],
)
def test_every_peak_is_fitted_and_errors_are_those_that_repetition_shows(fraction, events, bias):
    fits = [fit(sample(seed, events, fraction)) for seed in range(200)]
    assert all(result.problem is None for result in fits)
    assert all(result.sigma_narrow <= result.sigma_wide for result in fits)
    truth = fraction * 0.2 + (1 - fraction) * 0.45
    pulls = np.array([(result.sigma - truth) / result.sigma_error for result in fits])
    assert pulls.mean() == pytest.approx(bias, abs=3 / np.sqrt(200))
    assert pulls.std() == pytest.approx(1.0, abs=3 / np.sqrt(400))


def test_a_radiative_tail_hardly_moves_the_peak():
    rng = np.random.default_rng(3)
    clean = sample(3, 20_000)
    tail = clean + np.where(rng.random(20_000) < 0.1, rng.exponential(2.0, 20_000), 0.0)
    before, after = fit(clean), fit(tail)
    assert after.problem is None
    assert after.sigma == pytest.approx(before.sigma, rel=0.2)
    assert after.mean == pytest.approx(before.mean, abs=0.1 * before.sigma)


def test_constant_weights_change_nothing_but_varying_ones_cost_precision():
    values = sample(4, 20_000)
    weights = np.random.default_rng(4).exponential(1.0, len(values))
    plain, varying = fit(values), fit(values, weights)
    scaled = fit(values, np.full(len(values), 3.0))
    assert scaled.sigma == pytest.approx(plain.sigma, rel=1e-3)
    assert scaled.sigma_error == pytest.approx(plain.sigma_error, rel=0.02)
    assert scaled.events == pytest.approx(plain.events)
    assert varying.events == pytest.approx(plain.events / 2, rel=0.05)
    assert varying.sigma_error == pytest.approx(np.sqrt(2) * plain.sigma_error, rel=0.2)


def test_few_events_are_no_good_fit_none_is_no_fit_and_a_flat_spectrum_no_peak():
    result = fit(sample(5, 99))
    assert result.problem == "fewer than 100 events"
    assert PEAK_FIT.validate_python(PEAK_FIT.dump_python(result)).problem == result.problem
    assert fit_peak(np.zeros(2400), np.zeros(2400), EDGES) is None
    assert fit(np.random.default_rng(6).uniform(-6, 6, 300)).problem is not None
    result = fit(np.full(1000, 0.001))  # in a single bin
    assert result.sigma < 0.02 or result.problem is not None
