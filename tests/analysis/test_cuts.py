"""Exact cuts against exhaustive search over every distinct output."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gmean, poisson

from punzinet.analysis import cuts as exact
from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance
from punzinet.analysis.io.files import InputError
from punzinet.analysis.punzi_loss import SIGNAL

H = 4
PLAIN = FigureOfMerit()
#: A parameter that moves two processes against each other in half of the windows, and another one.
SHIFTS = {
    "x": {"a": {1.0: 1.5, 2.0: 1.5, 3.0: 0.0, 4.0: 0.0}, "b": dict.fromkeys(range(1, 5), -0.7)},
    "y": {"c": {1.0: 0.1, 2.0: 0.4, 3.0: 0.9, 4.0: 1.6}},
}
UNCERTAIN = (
    FigureOfMerit(background_uncertainty={"a": 0.5, "c": 2.0}),
    FigureOfMerit(background_uncertainty="measured", shifts=SHIFTS),
)
OTHERS = {"form": "punzi-improved", "a": 5.0}, {"average": "geometric"}
FIGURES = (PLAIN, *UNCERTAIN, *(FigureOfMerit(**settings) for settings in OTHERS))
MERIT = 50.0, ("a", "b", "c")


@st.composite
def event_columns(draw):
    """Few distinct outputs, so that ties are the rule; some events in no window."""
    n = draw(st.integers(1, 40))
    logit = draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n))
    row = st.tuples(st.integers(-1, 2), st.integers(0, H), st.integers(0, 3), st.integers(0, 8))
    rows = draw(st.lists(row, min_size=n, max_size=n))
    process, start, width, size = (np.array(c) for c in zip(*rows, strict=True))
    stop = np.where(process == SIGNAL, start + np.minimum(width, 1), start + width)
    weight = np.where(process == SIGNAL, 0.001, 0.7) * size
    return np.array(logit, dtype=np.float32) / 3, weight, process, start, np.minimum(stop, H)


def rank(columns, hypotheses=87):
    return exact.RankedEvents.rank(*columns, processes=3, hypotheses=hypotheses)


def masked_sums(columns, cuts):
    """Sums of weights and of their squares (4, H) of what passes, one mask at a time."""
    logit, weight, process, start, stop = columns
    sums = np.empty((2, 4, H))
    for row in range(SIGNAL, 3):
        for h in range(H):
            inside = (process == row) & (logit >= cuts[h]) & (start <= h) & (h < stop)
            sums[:, row, h] = weight[inside].sum(), (weight[inside] ** 2).sum()
    return sums


def sigma_of(sums, unseen, figure):
    """σ_min (H,), with what cannot be excluded in place of no background."""
    background = sums[:SIGNAL].sum(axis=0)
    background = np.where(background > 0, background, unseen)
    uncertainty = figure.uncertainty_of(MERIT[1], H)
    variance = background_variance(background, sums[:SIGNAL], *uncertainty)
    return figure.sigma_min(sums[SIGNAL], variance, 50.0)


@given(columns=event_columns(), cut=st.integers(-14, 14))
def test_selected_sums_equal_masks(columns, cut):
    cuts = np.float32(cut) / np.float32(3) + np.array([0.0, 0.5, -0.5, np.inf])
    found = exact.selected(rank(columns, H), cuts)
    np.testing.assert_allclose(found, masked_sums(columns, cuts), 1e-12)


@pytest.mark.parametrize("figure", FIGURES)
@settings(max_examples=150)
@given(columns=event_columns(), training=st.tuples(*[st.booleans()] * H))
def test_cuts_are_those_of_an_exhaustive_search(figure, columns, training):
    events, training = rank(columns, H), np.array(training)
    candidates, unseen = np.unique(columns[0]), exact.unseen_background(events)

    def sigma_behind(cuts):
        return sigma_of(masked_sums(columns, cuts)[0], unseen, figure)

    sigma = np.array([sigma_behind(np.full(H, c)) for c in candidates])
    # Only a cut that signal lies at gains anything.
    logit, _, process, start, stop = columns
    signal = (process == SIGNAL) & (start < stop)
    at = [[(signal & (start == h) & (logit == c)).any() for h in range(H)] for c in candidates]
    best = np.where(at, sigma, np.inf).min(axis=0)
    near = np.array(at) & (sigma <= 1.05 * best) & np.isfinite(sigma)
    ends = [candidates[of][[0, -1]] if of.any() else [np.nan] * 2 for of in near.T]
    found = exact.nearly_best_cuts(events, 0.05, figure, *MERIT)
    np.testing.assert_array_equal(found.T, ends)
    used = training & np.isfinite(best)
    if not used.any():
        with pytest.raises(InputError, match="No training hypothesis has a signal event"):
            exact.best_cuts(events, training, figure, *MERIT)
        return
    cuts, cut = exact.best_cuts(events, training, figure, *MERIT)
    np.testing.assert_allclose(sigma_behind(cuts), best, rtol=1e-12)
    assert np.isin(cuts[np.isfinite(cuts)], candidates).all()
    assert np.array_equal(np.isinf(cuts), np.isinf(best))
    average = gmean if figure.average == "geometric" else np.mean
    mean, possible = average(sigma[:, used], axis=1), np.array(at)[:, used].any(axis=1)
    assert mean[candidates == cut] == pytest.approx(mean[possible].min(), rel=1e-12)


def test_no_cut_gains_by_emptying_a_window():
    """Two events of background, far apart: behind the first one, less is known than in front."""
    logit, process = np.array([3.0, 2.0, 1.0, 0.0], np.float32), np.array([-1, 0, -1, 0])
    columns = logit, np.array([0.2, 0.5, 0.01, 0.5]), process, np.zeros(4, int), np.ones(4, int)
    events = rank(columns, 1)
    (limit,) = exact.unseen_background(events)
    assert limit == pytest.approx(exact.NONE_FOUND * 0.5)
    assert exact.best_cuts(events, np.ones(1, bool), PLAIN, *MERIT) == ([1.0], 1.0)


@pytest.mark.parametrize("weight", [0.02, 3.0])
def test_unseen_background_is_the_upper_limit_of_the_most_signal_like_weights(weight):
    rng, n = np.random.default_rng(2), 200
    leading = np.arange(n) < exact.LEADING
    weights, zeros = np.where(leading, weight, 50.0), np.zeros(n, int)
    columns = np.where(leading, 5.0, rng.random(n)), weights, zeros, zeros, zeros + 1
    found = exact.unseen_background(rank([c.astype(c.dtype) for c in columns], 2))
    assert found[0] == pytest.approx(exact.NONE_FOUND * weight)
    assert found[1] == pytest.approx(found[0])  # a window without any background
    assert poisson.pmf(0, exact.NONE_FOUND) == pytest.approx(1 - 0.6827, abs=1e-4)


def test_no_events_select_nothing():
    empty = [np.empty(0, dtype=t) for t in (np.float32, float, np.int16, np.int16, np.int16)]
    events = rank(empty, 3)
    np.testing.assert_array_equal(exact.selected(events, np.zeros(3)), np.zeros((2, 4, 3)))


@pytest.mark.parametrize(
    ("column", "value", "kind", "sentence"),
    [
        *((1, w, InputError, "weight is negative or not finite") for w in (-0.1, np.nan, np.inf)),
        (0, np.nan, InputError, "not a number for 1 events"),
        *((c, code, ValueError, "out of range") for c, code in ((2, -2), (2, 3), (3, -1), (4, 88))),
    ],
)
def test_columns_are_checked_before_compiled_loops_see_them(column, value, kind, sentence):
    columns = np.zeros((5, 9))
    columns[4] = 1
    columns[column, 7] = value
    with pytest.raises(kind, match=sentence):
        rank(columns)


def test_interpolated_cuts_pass_through_the_known_ones_and_never_beyond_neighbours():
    mass = np.array([1.0, 1.5, 2.0, 3.0, 4.0])
    cut = np.array([0.3, -1.0, np.inf, 2.0, 1.9])
    finite = np.isfinite(cut)
    found = exact.interpolated_cuts(mass, cut, mass[finite])
    np.testing.assert_allclose(found, cut[finite], atol=1e-12)
    between = exact.interpolated_cuts(mass, cut, np.linspace(1.5, 3.0, 50))
    assert np.all(np.diff(between) >= 0)
    assert between.min() >= -1.0
    assert between.max() <= 2.0
    outside = exact.interpolated_cuts(mass, cut, np.array([0.0, 9.0, np.nan]))
    np.testing.assert_array_equal(outside, [0.3, 1.9, np.nan])
    for known, everywhere in (([np.inf, 0.4], 0.4), ([np.inf, np.inf], np.inf)):
        found = exact.interpolated_cuts(mass[:2], np.array(known), np.array([0.5, 1.2]))
        assert found.tolist() == [everywhere, everywhere]
