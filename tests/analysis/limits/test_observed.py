"""Observed limits and p-values against closed forms, pyhf and coverage; the file of both."""

import numpy as np
import pyhf
import pytest
from experiments import SIGNAL, THREE, experiment, realistic
from root import NEEDS_ROOT, check_by_roostats
from scipy.special import gammainc, gammaincc
from scipy.stats import kstest, nbinom, norm, poisson

from punzinet.analysis.io.files import InputError
from punzinet.analysis.limits.expected import asymptotic_limits, counting_limits
from punzinet.analysis.limits.model import interpolated
from punzinet.analysis.limits.observed import (
    Sums,
    observe,
    observed_asymptotic_limits,
    significance,
)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_nothing_counted_excludes_the_same_number_of_events_whatever_the_background(level):
    models = [experiment(1e-9), experiment(0.3), experiment(3.0)]
    limit, _, p_value, z = observe(models, np.zeros(3, int), level)
    assert limit * SIGNAL == pytest.approx(np.full(3, -np.log(1 - level)), rel=1e-6)
    assert [*p_value, *z] == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("background", [0.3, 3.0, 30.0, 1000.0])
def test_without_uncertainties_both_are_poisson_sums(background):
    counts = np.unique(poisson.ppf(norm.cdf([-2, 0, 1, 3]), background).astype(int))
    found = observe([experiment(background)] * len(counts), counts, 0.9)
    with_signal = poisson.cdf(counts, background + SIGNAL * found.limit)
    np.testing.assert_allclose(with_signal / poisson.cdf(counts, background), 0.1, rtol=1e-3)
    np.testing.assert_allclose(found.p_value, poisson.sf(counts - 1, background), rtol=1e-3)


def test_where_the_expectation_is_counted_the_expected_limit_is_observed():
    models = [realistic(b) for b in (0.3, 3.0, 30.0, 1000.0)]
    medians = [m.threshold(0.5) - 1 for m in map(Sums, models)]
    found = observe(models, np.array(medians), 0.9)
    np.testing.assert_allclose(found.limit, counting_limits(models, 0.9)[:, 2], rtol=1e-3)
    # Counts at which the Asimov data lies give the asymptotic median.
    models = [realistic(b) for b in (1.0, 30.0, 1000.0)]
    found = observe(models, np.array([1, 30, 1000]), 0.9)
    np.testing.assert_allclose(found.asymptotic, asymptotic_limits(models, 0.9)[:, 2], rtol=1e-6)


@pytest.mark.parametrize("surprise", [0, 2, 3, 5, 7])
@pytest.mark.parametrize(("background", "effective"), [(0.3, 1), (3, 10), (30, 100), (1000, 5000)])
def test_far_fluctuations_are_negative_binomial_where_the_sample_is_finite(
    background, effective, surprise
):
    """A Poisson count whose mean has a gamma distribution; points of a limit end at 3.5 sigma."""
    sums = Sums(experiment(background, effective))
    count = sums.threshold(norm.sf(surprise))
    exact = nbinom.sf(count - 1, effective, effective / (effective + background))
    assert sums.at_least(count) == pytest.approx(exact, rel=2e-3)
    assert sums.at_least(count) <= norm.sf(surprise) < sums.at_least(count - 1)


@pytest.mark.parametrize(("background", "size"), [(30.0, 0.3), (1000.0, 0.1), (1000.0, 0.02)])
@pytest.mark.parametrize("surprise", [-5, -3, -2, 0, 2, 5])
def test_limits_and_p_values_of_far_fluctuations_are_integrals_over_the_uncertainty(
    background, size, surprise
):
    normal = np.linspace(-10, 10, 20_001)
    weight = norm.pdf(normal) / norm.pdf(normal).sum()
    possible = background * (1 + size) ** normal
    count = int(background + surprise * np.hypot(np.sqrt(background), size * background))
    count = max(count, 2)
    sums = Sums(experiment(background, size=size))
    assert sums.at_least(count) == pytest.approx(weight @ gammainc(count, possible), rel=2e-3)
    signal = SIGNAL * sums.limit(count, 0.9)
    with_signal, without = (weight @ gammaincc(count + 1, possible + s) for s in (signal, 0.0))
    assert with_signal / without == pytest.approx(0.1, rel=2e-3)


def test_significances_are_one_sided_and_finite():
    found = significance(np.array([1.0, 0.7, 0.5, norm.sf(1), norm.sf(5), 0.0]))
    assert found[:5] == pytest.approx([0, 0, 0, 1, 5])
    assert found[5] == pytest.approx(37.5, abs=0.1)


@pytest.mark.parametrize("model", [realistic(650.0), experiment(100.0)])
def test_a_count_that_no_background_explains_is_no_limit(model):
    with pytest.raises(InputError, match=r"At 2.5 GeV 0 events .* check the luminosity"):
        observe([model], np.array([0]), 0.9)


def test_without_signal_nothing_is_excluded_and_nothing_found():
    found = observe([None, experiment(3.0)], np.array([9, 9]), 0.9)
    assert np.isinf([found.limit[0], found.asymptotic[0]]).all()
    assert (found.p_value[0], found.significance[0]) == (1, 0)
    assert found.significance[1] == pytest.approx(norm.isf(poisson.sf(8, 3.0)), rel=1e-3)
    assert observe([None], np.array([0]), 0.9).limit == np.inf


@pytest.mark.parametrize(
    ("model", "counts"),
    [
        (realistic(0.3), [0, 1, 6]),
        (THREE, [0, 4, 6, 9, 30]),
        (realistic(50.0), [30, 50, 60, 100]),
        (realistic(1000.0), [700, 1000, 1400]),
        # An efficiency known to a factor of two, with which a surplus may be of far more signal.
        (experiment(1.0, 1000, 0.1, 1.0, 0.01), [2, 2000]),
    ],
)
def test_pyhf_excludes_the_same_cross_sections(model, counts):
    """Deficits, surpluses and what is expected, all fitted at once, each against pyhf's fits."""
    workspace = pyhf.Workspace(model.workspace())
    fitted = workspace.model()
    bounds = fitted.config.suggested_bounds()
    found = observed_asymptotic_limits([model] * len(counts), np.array(counts), 0.95)
    for count, limit in zip(counts, found, strict=True):
        bounds[fitted.config.poi_index] = (0, 10 * limit)
        data = [float(count), *fitted.config.auxdata]
        cls = pyhf.infer.hypotest(limit, data, fitted, par_bounds=bounds)
        assert float(cls) == pytest.approx(0.05, rel=1e-3)


@pytest.mark.slow
@NEEDS_ROOT
def test_roostats_excludes_the_same_cross_sections(tmp_path):
    models = [realistic(b) for b in (0.3, 30.0, 30.0, 1000.0, 1000.0)]
    counts, workspaces = np.array([2, 20, 45, 900, 1100]), [one.workspace() for one in models]
    for workspace, count in zip(workspaces, counts.tolist(), strict=True):
        workspace["observations"][0]["data"] = [count]
    limits = observed_asymptotic_limits(models, counts, 0.9)
    check_by_roostats(tmp_path / "workspaces.json", workspaces, limits, 0.9)


def draw(model, number, random):
    """Backgrounds and signals for 1 fb that are possible, by numpy's own random numbers."""
    (source,) = model.backgrounds
    normal = dict(
        zip(model.factors, random.standard_normal((len(model.factors), number)), strict=True)
    )
    signal, background = (
        np.prod([of[name][0] ** normal[p] for p, of in model.factors.items() if name in of], axis=0)
        for name in ("signal", source.name)
    )
    statistics = random.gamma(source.effective, size=number) / source.effective
    return source.events * statistics * background, SIGNAL * signal * np.ones(number)


def least_count(background, signal):
    """Smallest count at which CLs does not exclude a signal: 90 % limits of larger ones cover."""
    low, high = -1, int(10 * (background.mean() + signal.mean() + 10))
    while high - low > 1:
        count = (low + high) // 2
        with_signal, without = (gammaincc(count + 1, b) for b in (background + signal, background))
        low, high = (low, count) if with_signal.mean() >= 0.1 * without.mean() else (count, high)
    return high


@pytest.mark.slow
@pytest.mark.parametrize("model_of", [experiment, realistic])
@pytest.mark.parametrize("background", [0.3, 3.0, 30.0, 1000.0])
def test_limits_cover_as_often_as_cls_must(background, model_of):
    """2000 pseudo-experiments each, beside the exact sum over counts.

    The middle signal lies just above the expected limit: at the step itself rounding decides.
    """
    model, random = model_of(background), np.random.default_rng(17)
    sums, expected = Sums(model), counting_limits([model], 0.9)[0, 2]
    events = draw(model, 2000, random)
    many = draw(model, 20_000, random)
    for truth in (0.0, 1.02 * expected, 2 * expected):
        counts = random.poisson(events[0] + truth * events[1])
        limits = {count: sums.limit(count, 0.9) for count in np.unique(counts).tolist()}
        covered = np.mean([limits[count] >= truth for count in counts.tolist()])
        least = least_count(many[0], truth * many[1])
        must = gammainc(least, many[0] + truth * many[1]).mean() if least else 1.0
        assert covered >= 0.89
        assert covered == pytest.approx(must, abs=0.02)


def test_limits_cover_by_the_exact_sum_over_counts():
    """The light version: coverage between 90 % and what the next count adds."""
    model = experiment(3.0)
    sums, counts = Sums(model), np.arange(60)
    limits = np.array([sums.limit(count, 0.9) for count in counts.tolist()])
    for truth in np.linspace(0.05, 2, 40):
        chance = poisson.pmf(counts, 3.0 + SIGNAL * truth)
        covered = chance[limits >= truth].sum()
        least = least_count(np.array([3.0]), np.array([SIGNAL * truth]))
        assert 0.9 <= covered == pytest.approx(chance[least:].sum(), abs=1e-9)


@pytest.mark.parametrize("model_of", [experiment, realistic])
@pytest.mark.parametrize("background", [0.3, 3.0, 30.0, 1000.0])
def test_p_values_of_background_follow_the_distribution_that_counts_allow(background, model_of):
    model, random = model_of(background), np.random.default_rng(1)
    counts = random.poisson(draw(model, 2000, random)[0])
    sums = Sums(model)
    attainable = {count: sums.at_least(count) for count in np.unique(counts).tolist()}
    p_values = np.array([attainable[count] for count in counts.tolist()])
    for alpha in attainable.values():
        error = np.sqrt(alpha * (1 - alpha) / len(counts))
        assert (p_values <= alpha).mean() == pytest.approx(alpha, abs=4 * error + 1 / len(counts))
    if background == 1000:
        assert kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("both", [(1.1, 1.09), (1.2, 1.15), (1.2, 1.2)])
def test_p_values_of_backgrounds_that_grow_both_ways_are_those_of_a_sum(both):
    """Beside a usual uncertainty, over a grid of both."""
    theta = np.linspace(-7, 7, 561)
    weight = np.outer(*[norm.pdf(theta) * (theta[1] - theta[0])] * 2)
    logs = [interpolated(theta, np.array(of))[0] for of in (both, (1.05, 1 / 1.05))]
    mean = 500.0 * np.exp(np.add.outer(*logs))
    sums = Sums(experiment(500.0, 1e9, 0.05, shared={"grows": {"tautau": both}}))
    for count in (650, 750, 850):
        expected = (weight * poisson.sf(count - 1, mean)).sum()
        assert sums.at_least(count) == pytest.approx(expected, rel=0.03)
