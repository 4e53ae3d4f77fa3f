"""Exact cuts against exhaustive search over every distinct output."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from punzinet.analysis.cuts import (
    RankedEvents,
    best_single_cut,
    interpolated_cuts,
    optimal_cuts,
    selected,
)
from punzinet.analysis.figures_of_merit import FigureOfMerit, background_variance
from punzinet.analysis.io.errors import InputError
from punzinet.analysis.punzi_loss import SIGNAL

H = 4
FORMS = [FigureOfMerit(), FigureOfMerit(form="punzi-improved", a=5.0)]


@st.composite
def event_columns(draw):
    """Few distinct outputs, so that ties are the rule; some events in no window."""
    n = draw(st.integers(1, 40))
    logit = draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n))
    rows = draw(
        st.lists(
            st.tuples(st.integers(-1, 2), st.integers(0, H), st.integers(0, 3), st.integers(0, 8)),
            min_size=n,
            max_size=n,
        )
    )
    process, start, width, size = (np.array(c) for c in zip(*rows, strict=True))
    stop = np.where(process == SIGNAL, start + np.minimum(width, 1), start + width)
    weight = np.where(process == SIGNAL, 0.001, 0.7) * size
    return np.array(logit, dtype=np.float32) / 3, weight, process, start, np.minimum(stop, H)


def rank(columns, hypotheses=87):
    return RankedEvents.rank(*columns, processes=3, hypotheses=hypotheses)


def brute_force(columns, figure):
    """σ_min (candidates, H) of every distinct output as a cut, one mask at a time."""
    logit, weight, process, start, stop = columns
    candidates = np.unique(logit)
    sigma = np.empty((len(candidates), H))
    for row, cut in enumerate(candidates):
        for h in range(H):
            inside = (logit >= cut) & (start <= h) & (h < stop)
            efficiency = weight[inside & (process == SIGNAL)].sum()
            background = weight[inside & (process != SIGNAL)].sum()
            sigma[row, h] = figure.sigma_min(efficiency, background, 50.0)
    return candidates, sigma


def sigma_of(events, cut, figure):
    sums, _ = selected(events, cut)
    return figure.sigma_min(sums[SIGNAL], sums[:SIGNAL].sum(axis=0), 50.0)


@pytest.mark.parametrize("figure", FORMS)
@settings(max_examples=150)
@given(columns=event_columns())
def test_the_optimal_cuts_are_those_of_an_exhaustive_search(figure, columns):
    events = rank(columns, H)
    cuts = optimal_cuts(events, figure, 50.0)
    _, sigma = brute_force(columns, figure)
    np.testing.assert_allclose(sigma_of(events, cuts, figure), sigma.min(axis=0), rtol=1e-12)
    assert np.isin(cuts[np.isfinite(cuts)], columns[0]).all()
    assert np.array_equal(np.isinf(cuts), np.isinf(sigma.min(axis=0)))


@pytest.mark.parametrize("figure", FORMS)
@settings(max_examples=150)
@given(columns=event_columns(), training=st.tuples(*[st.booleans()] * H))
def test_the_single_cut_is_that_of_an_exhaustive_search(figure, columns, training):
    events = rank(columns, H)
    candidates, sigma = brute_force(columns, figure)
    used = np.array(training) & np.isfinite(sigma).any(axis=0)
    if not used.any():
        with pytest.raises(InputError, match="No training hypothesis has a signal event"):
            best_single_cut(events, np.array(training), figure, 50.0)
        return
    cut = best_single_cut(events, np.array(training), figure, 50.0)
    mean = sigma[:, used].mean(axis=1)
    assert cut in candidates
    assert sigma_of(events, cut, figure)[used].mean() == pytest.approx(mean.min(), rel=1e-12)


@given(columns=event_columns(), cut=st.integers(-14, 14))
def test_selected_sums_equal_masks(columns, cut):
    logit, weight, process, start, stop = columns
    events = rank(columns, H)
    cuts = np.float32(cut) / np.float32(3) + np.array([0.0, 0.5, -0.5, np.inf])
    sums, squares = selected(events, cuts)
    assert sums.shape == (4, H)
    for row in range(SIGNAL, events.processes):
        for h in range(H):
            inside = (process == row) & (logit >= cuts[h]) & (start <= h) & (h < stop)
            assert sums[row, h] == pytest.approx(weight[inside].sum(), rel=1e-12)
            assert squares[row, h] == pytest.approx((weight[inside] ** 2).sum(), rel=1e-12)


def many(n, hypotheses=87, seed=0, highest=76.0):
    """Events at the true spacing of the hypotheses, whose windows overlap at low mass."""
    rng = np.random.default_rng(seed)
    mass = 0.1 * np.arange(1, hypotheses + 1)
    sigma = np.interp(mass, [0.1, 4.0, 8.7], [0.25, 0.28, 0.08])
    m2 = rng.uniform(-0.4, highest, n)
    signal, own = rng.random(n) < 0.1, rng.integers(0, hypotheses, n)
    start = np.searchsorted(mass**2 + 2 * sigma, m2, side="right")
    stop = np.searchsorted(mass**2 - 2 * sigma, m2, side="left")
    process = np.where(signal, SIGNAL, rng.integers(0, 3, n))
    weight = np.where(signal, 5e-5, 0.05) * rng.uniform(0.5, 2.0, n)
    logit = rng.normal(2.0 * signal, 1.0).astype(np.float32)
    start, stop = np.where(signal, own, start), np.where(signal, own + 1, stop)
    return logit, weight, process, start.astype(np.int16), stop.astype(np.int16)


def test_the_order_of_the_events_does_not_matter():
    columns = many(20_000)
    columns[0].round(1, out=columns[0])
    events = rank(columns)
    shuffle = np.random.default_rng(1).permutation(20_000)
    other = rank([c[shuffle] for c in columns])
    training = np.arange(87) % 2 == 0
    assert np.array_equal(optimal_cuts(events, FORMS[0], 50.0), optimal_cuts(other, FORMS[0], 50.0))
    assert best_single_cut(events, training, FORMS[0], 50.0) == best_single_cut(
        other, training, FORMS[0], 50.0
    )


def test_the_best_cut_of_each_mass_beats_every_cut_for_all():
    events = rank(many(50_000))
    training = np.arange(87) % 2 == 0
    best = sigma_of(events, optimal_cuts(events, FORMS[0], 50.0), FORMS[0])
    single = sigma_of(events, best_single_cut(events, training, FORMS[0], 50.0), FORMS[0])
    assert (best <= single * (1 + 1e-12)).all()
    for cut in np.linspace(-2, 4, 25):
        plain = sigma_of(events, cut, FORMS[0])
        assert (best <= plain * (1 + 1e-12)).all()
        assert single[training].mean() <= plain[training].mean() * (1 + 1e-12)


def test_the_single_cut_of_overlapping_windows_is_that_of_an_exhaustive_search():
    """Every candidate's mean σ_min from cumulative sums, hypothesis by hypothesis."""
    columns = many(4000, hypotheses=12, highest=2.0)
    logit, weight, process, start, stop = columns
    assert len(np.unique(logit)) == len(logit)
    training, order, total = np.arange(12) % 2 == 0, np.argsort(-logit), np.zeros(len(logit))
    for h in np.flatnonzero(training):
        inside = (start <= h) & (h < stop)
        efficiency, background = (
            np.cumsum(np.where(inside & kind, weight, 0)[order])
            for kind in (process == SIGNAL, process != SIGNAL)
        )
        total += FORMS[0].sigma_min(efficiency, background, 50.0)
    cut = best_single_cut(rank(columns, 12), training, FORMS[0], 50.0)
    assert cut == logit[order][np.argmin(total)]


def test_more_luminosity_never_loosens_the_cuts_of_a_likelihood_ratio():
    """Background grows with L, the b² term does not: selections get tighter."""
    logit, weight, process, start, stop = many(50_000)
    training = np.ones(87, dtype=bool)
    cuts = []
    for luminosity in (1.0, 50.0, 2500.0):
        scaled = np.where(process == SIGNAL, weight, weight * luminosity / 50.0)
        events = rank((logit, scaled, process, start, stop))
        cuts.append(best_single_cut(events, training, FORMS[0], luminosity))
    assert cuts[0] < cuts[1] < cuts[2]


def test_perfect_separation_keeps_all_signal_and_no_background():
    logit = np.array([2.0, 1.0, 0.5, -1.0], dtype=np.float32)
    process, weight = np.array([SIGNAL, SIGNAL, SIGNAL, 0]), np.array([0.1, 0.1, 0.1, 1e6])
    events = rank((logit, weight, process, np.zeros(4, int), np.ones(4, int)), 1)
    assert optimal_cuts(events, FORMS[0], 50.0)[0] == 0.5
    assert best_single_cut(events, np.array([True]), FORMS[0], 50.0) == 0.5


def test_no_events_select_nothing():
    empty = [np.empty(0, dtype=t) for t in (np.float32, float, np.int16, np.int16, np.int16)]
    events = RankedEvents.rank(*empty, processes=2, hypotheses=3)
    assert np.isinf(optimal_cuts(events, FORMS[0], 50.0)).all()
    sums, squares = selected(events, 0.0)
    assert sums.shape == (3, 3)
    assert sums.sum() == squares.sum() == 0


@pytest.mark.parametrize(
    ("column", "value", "kind", "sentence"),
    [
        *(
            (1, weight, InputError, "weight is negative or not finite")
            for weight in (-0.1, np.nan, np.inf)
        ),
        (0, np.nan, InputError, "not a number for 1 events"),
        *((c, code, ValueError, "out of range") for c, code in ((2, -2), (2, 3), (3, -1), (4, 88))),
    ],
)
def test_columns_without_meaning_are_refused_before_compiled_loops_see_them(
    column, value, kind, sentence
):
    columns = many(100)
    columns[column][7] = value
    with pytest.raises(kind, match=sentence):
        rank(columns)


@pytest.mark.slow
def test_five_million_events_are_scanned_in_five_seconds():
    columns = many(5_000_000)
    training = np.arange(87) % 2 == 0
    for _ in range(2):  # the first compiles
        begin = time.perf_counter()
        events = rank(columns)
        optimal_cuts(events, FORMS[0], 50.0)
        best_single_cut(events, training, FORMS[0], 50.0)
        duration = time.perf_counter() - begin
    assert duration < 5.0


def test_interpolated_cuts_pass_through_the_known_ones_and_never_beyond_neighbours() -> None:
    mass = np.array([1.0, 1.5, 2.0, 3.0, 4.0])
    cut = np.array([0.3, -1.0, np.inf, 2.0, 1.9])
    finite = np.isfinite(cut)
    np.testing.assert_allclose(interpolated_cuts(mass, cut, mass[finite]), cut[finite], atol=1e-12)
    between = interpolated_cuts(mass, cut, np.linspace(1.5, 3.0, 50))
    assert np.all(np.diff(between) >= 0)
    assert between.min() >= -1.0
    assert between.max() <= 2.0
    np.testing.assert_array_equal(
        interpolated_cuts(mass, cut, np.array([0.0, 9.0, np.nan])), [0.3, 1.9, np.nan]
    )
    for known, everywhere in (([np.inf, 0.4], 0.4), ([np.inf, np.inf], np.inf)):
        found = interpolated_cuts(mass[:2], np.array(known), np.array([0.5, 1.2]))
        assert found.tolist() == [everywhere, everywhere]


UNCERTAIN = FigureOfMerit(background_uncertainty={"a": 0.5, "c": 2.0})


@settings(max_examples=100)
@given(columns=event_columns())
def test_uncertain_backgrounds_move_the_optimal_cuts_with_them(columns):
    names = ("a", "b", "c")
    events = rank(columns, H)
    uncertainty = UNCERTAIN.uncertainty_of(names)

    def sigma(cut):
        sums, _ = selected(events, cut)
        variance = background_variance(sums[:SIGNAL].sum(axis=0), sums[:SIGNAL], uncertainty)
        return UNCERTAIN.sigma_min(sums[SIGNAL], variance, 50.0)

    cuts = optimal_cuts(events, UNCERTAIN, 50.0, names)
    every = np.array([sigma(cut) for cut in np.unique(columns[0])])
    np.testing.assert_allclose(sigma(cuts), every.min(axis=0), rtol=1e-12)
    seen = np.isfinite(every.min(axis=0))
    if seen.any():
        single = best_single_cut(events, seen, UNCERTAIN, 50.0, names)
        assert sigma(single)[seen].sum() == pytest.approx(every[:, seen].sum(axis=1).min())


def test_cuts_with_zero_uncertainty_are_those_without():
    events, names = rank(many(5000)), ("a", "b", "c")
    training = np.arange(87) % 2 == 0
    zero = FigureOfMerit(background_uncertainty={"a": 0.0})
    np.testing.assert_array_equal(
        optimal_cuts(events, zero, 50.0, names), optimal_cuts(events, FORMS[0], 50.0)
    )
    single = best_single_cut(events, training, FORMS[0], 50.0)
    assert best_single_cut(events, training, zero, 50.0, names) == single
