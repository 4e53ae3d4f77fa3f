"""Models of yields; expected limits against closed forms, Poisson sums, pyhf's fits and toys."""

from dataclasses import replace

import numpy as np
import pyhf
import pytest
from experiments import SIGNAL, THREE, counted, experiment, realistic
from hypothesis import example, given, settings
from hypothesis import strategies as st
from root import NEEDS_ROOT, check_by_roostats
from scipy.stats import norm, poisson

from punzinet.analysis.limits.expected import asymptotic_limits, counting_limits
from punzinet.analysis.limits.model import Background
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.limits.tables import hepdata_reaction
from punzinet.analysis.search import RECOIL


def test_what_cannot_be_excluded_stands_for_no_background_and_no_signal_has_no_limit():
    nothing = counted([0.0, 0.0], [0.0, 0.0])
    assert nothing.backgrounds == (Background("unseen", 0.3, 1.0),)
    assert nothing.factors["background"] == {"unseen": (1.1, 1 / 1.1)}
    assert nothing.effective_events == 0
    assert counted([1.0, 1.0], [1.0, 1.0], efficiency=0.0) is None


def test_workspace_is_histfactory_and_expects_what_the_yields_say():
    workspace = pyhf.Workspace(counted([3.0, 1.0], [1.0, 0.5]).workspace())
    model = workspace.model()
    parameters = np.array(model.config.suggested_init())
    for cross_section in (0.0, 0.7):
        parameters[model.config.poi_index] = cross_section
        expected = model.expected_actualdata(parameters)
        assert expected == pytest.approx([4.0 + 0.2 * 50 * cross_section])
    assert workspace.data(model, include_auxdata=False) == [4.0]


@pytest.mark.parametrize(
    ("mathtext", "words"),
    [
        (RECOIL.reaction, "E+ E- --> MU+ MU- Z'"),
        (r"e^+e^-\to\gamma X", "E+ E- --> GAMMA X"),
        (r"\mathrm{e}^{+}e^-\to\mu^+\mu^-\phi", "E+ E- --> MU+ MU- PHI"),
    ],
)
def test_reactions_are_written_as_hepdata_does(mathtext, words):
    assert hepdata_reaction(mathtext) == words


BOTH = asymptotic_limits, counting_limits


def alike(background, effective, size=0.1, **others):
    """One background and uncertainties of the same relative size."""
    return experiment(background, effective, size, size, size, **others)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_without_uncertainties_asymptotic_limits_are_the_closed_form(level):
    """√q_A = √(2(s − b ln(1 + s/b))) (EPJC 71, 1554, Eq. 90 for the Asimov data)."""
    backgrounds = [0.3, 5.0, 400.0, 1e6]
    found = SIGNAL * asymptotic_limits([alike(b, 1e9, 1e-5) for b in backgrounds], level)
    for b, limits in zip(backgrounds, found, strict=True):
        for s, target in zip(limits, BANDS + norm.isf((1 - level) * norm.cdf(BANDS)), strict=True):
            q = 2 * (s - b * np.log1p(s / b))
            assert np.sqrt(q) == pytest.approx(target, rel=2e-3)


def model_of(one):
    """pyhf's model, and the data that background alone is expected to give."""
    workspace = pyhf.Workspace(one.workspace())
    model = workspace.model()
    return model, workspace.data(model)


#: Two parameters, of which one is lopsided and the other makes every yield grow both ways.
SHARED = {
    "lopsided": {"signal": (0.9, 1.2), "tautau": (1.3, 0.85), "eemumu": (1.05, 0.9)},
    "one-sided": {"signal": (1.1, 1.08), "mumugamma": (1.4, 1.2)},
}
MANY = tuple(
    replace(b, events=40 * b.events, effective=40 * b.effective) for b in THREE.backgrounds
)
FITTED = [
    alike(0.7, 3.0),
    THREE,
    alike(50.0, 220.0),
    replace(THREE, factors=THREE.factors | SHARED),
    replace(THREE, backgrounds=MANY, factors=THREE.factors | SHARED),
    alike(50.0, 220.0, shared={"lopsided": {"tautau": (1.3, 0.85)}}),
]


def test_pyhf_finds_the_same_cls():
    """Few events and many, one background or three: solved together, each against pyhf's fits."""
    for one, limits in zip(FITTED, asymptotic_limits(FITTED, 0.95), strict=True):
        model, data = model_of(one)
        assert {*one.factors} <= {*model.config.parameters}
        for i, limit in enumerate(limits):
            _, expected = pyhf.infer.hypotest(limit, data, model, return_expected_set=True)
            assert float(expected[i]) == pytest.approx(0.05, rel=1e-3)


#: Background, effective events, and factors of one parameter on it and on signal: those up and down
#: are of one sign, or hardly so. Fits jumped to and fro, or stayed in the worse of two minima.
ONE_SIGN = [
    (495.0, 30.0, (0.76, 1.12), (0.99, 0.80)),
    (839.0, 30.0, (0.83, 0.90), (0.99, 0.87)),
    (1094.0, 1.0, (1.03, 0.75), (1.10, 1.03)),
    (2868.0, 30.0, (0.75, 1.00), (0.95, 0.87)),
]


@pytest.mark.parametrize(("background", "effective", "on_background", "on_signal"), ONE_SIGN)
def test_limits_are_those_of_the_best_fit_where_effects_are_of_one_sign(
    background, effective, on_background, on_signal
):
    shared = {"moved": {"tautau": on_background, "signal": on_signal}}
    one = experiment(background, effective, 0.1, 0.05, 0.01, shared=shared)
    ((*limits,),) = asymptotic_limits([one], 0.9)
    model, data = model_of(one)
    config = model.config
    alone = pyhf.infer.mle.twice_nll(config.suggested_init(), data, model)
    for band, limit in zip(BANDS, limits, strict=True):
        lost = []
        for side in (-1.0, 1.0):
            begin = np.array(config.suggested_init())
            begin[config.par_slice("moved")] = side
            fit = pyhf.infer.mle.fixed_poi_fit
            _, value = fit(limit, data, model, begin.tolist(), return_fitted_val=True)
            lost.append((value - alone).item())
        target = band - norm.ppf(0.1 * norm.cdf(band))
        assert np.sqrt(min(lost)) == pytest.approx(target, rel=1e-3)


@pytest.mark.slow
@NEEDS_ROOT
def test_roostats_finds_the_same_limits(tmp_path):
    experiments = [*map(realistic, (0.3, 30.0, 1000.0)), *FITTED]
    workspaces = [one.workspace() for one in experiments]
    limits = asymptotic_limits(experiments, 0.9)
    check_by_roostats(tmp_path / "workspaces.json", workspaces, limits, 0.9)


def test_counting_limits_average_over_shared_parameters():
    """By random numbers, and pyhf's own expectation for the yields at each of them."""
    one, rng, toys = FITTED[3], np.random.default_rng(2), 20_000
    ((*_, limit, _, _),) = counting_limits([one], 0.9, 14)
    model = pyhf.Workspace(one.workspace()).model(batch_size=toys)
    config = model.config
    columns = np.tile(config.suggested_init(), (toys, 1))
    for name in config.par_order:
        where = config.par_slice(name)
        if name.startswith("statistics"):
            effective = {f"statistics_{b.name}": b.effective for b in one.backgrounds}[name]
            columns[:, where] = rng.gamma(effective, 1 / effective, (toys, 1))
        elif name != config.poi_name:
            columns[:, where] = rng.standard_normal((toys, 1))
    means = []
    for cross_section in (0.0, limit):
        columns[:, config.poi_index] = cross_section
        means.append(model.expected_actualdata(columns)[:, 0])
    median = next(n for n in range(99) if poisson.cdf(n, means[0]).mean() >= 0.5)
    cls = poisson.cdf(median, means[1]).mean() / poisson.cdf(median, means[0]).mean()
    assert cls == pytest.approx(0.1, rel=0.02)


def test_asymptotic_limits_promise_too_much_where_little_is_expected():
    """What the documentation warns of: no count excludes less than ln 10 = 2.30 events at 90 %."""
    experiments = [alike(1e-4, 1e7, 1e-4), alike(0.67, 3.0)]
    assert {limits([], 0.9).shape for limits in BOTH} == {(0, 5)}
    asymptotic, counting = (SIGNAL * limits(experiments, 0.9) for limits in BOTH)
    assert asymptotic[0, 2] == pytest.approx(1.353, rel=0.01)
    assert counting[0, 2] == pytest.approx(np.log(10), rel=1e-3)
    assert asymptotic[1, 0] < 0.8 * np.log(10) < np.log(10) < counting[1, 0]


@given(background=st.floats(0.01, 200))
@example(background=1.841)  # where 0 events are all but exactly one sigma low
@settings(max_examples=30)
def test_without_uncertainties_cls_is_a_ratio_of_poisson_sums(background):
    (limits,) = SIGNAL * counting_limits([experiment(background, 1e10)], 0.9)
    counts = poisson.ppf(norm.cdf([-2, -1, 0, 1, 2]), background)
    cls = poisson.cdf(counts, background + limits) / poisson.cdf(counts, background)
    assert cls == pytest.approx(np.full(5, 0.1), rel=1e-3)


def test_points_of_the_average_suffice():
    yields = ((0.7, 3.0), (6.5, 29.0), (900.0, 4000.0))
    experiments = [alike(*one) for one in yields]
    few, many = (counting_limits(experiments, 0.9, points) for points in (12, 15))
    assert few == pytest.approx(many, rel=0.03)


def test_points_that_lie_far_apart_are_no_obstacle():
    # The probability falls in steps, one for each point, on which slopes lead nowhere.
    (limits,) = SIGNAL * counting_limits([alike(1e5, 0.5)], 0.9)
    expected = [88.842759, 4190.2073, 48256.164, 213833.44, 595401.85]
    assert limits == pytest.approx(expected, rel=1e-6)


def test_many_events_are_asymptotic():
    experiments = [alike(400.0, 1e6, 0.02)]
    asymptotic, counting = (limits(experiments, 0.9)[0, 2] for limits in BOTH)
    assert counting == pytest.approx(asymptotic, rel=0.02)
