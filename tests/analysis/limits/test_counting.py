import numpy as np
import pyhf
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import norm, poisson

from punzinet.analysis.limits.asymptotic import asymptotic_limits
from punzinet.analysis.limits.counting import counting_limits
from punzinet.analysis.limits.model import CountingExperiment

TOYS = 400


@given(background=st.floats(0.01, 200))
@example(background=1.841)  # where 0 events are all but exactly one sigma low
@settings(max_examples=30)
def test_without_uncertainties_cls_is_a_ratio_of_poisson_sums(
    background: float, experiment_with
) -> None:
    (limits,) = 10 * counting_limits([experiment_with(background, 1e10, 0.0)], 0.9)
    counts = poisson.ppf(norm.cdf([-2, -1, 0, 1, 2]), background)
    cls = poisson.cdf(counts, background + limits) / poisson.cdf(counts, background)
    assert cls == pytest.approx(np.full(5, 0.1), rel=1e-3)


def test_the_unseen_background_excludes_a_little_more_than_ln_10_events(experiment_with) -> None:
    # With 0 counted, CLs does not depend on the background at all: exp(−s).
    (limits,) = 10 * counting_limits([experiment_with(0.1, 0.5, 0.0)], 0.9)
    assert limits[:3] == pytest.approx(np.full(3, np.log(10)), rel=1e-6)


def test_points_of_the_average_suffice(experiment_with) -> None:
    experiments = [
        experiment_with(background, effective, 0.1)
        for background, effective in ((0.7, 3.0), (6.5, 29.0), (900.0, 4000.0))
    ]
    few, many = (counting_limits(experiments, 0.9, points) for points in (12, 15))
    assert few == pytest.approx(many, rel=0.03)


def test_points_that_lie_far_apart_are_no_obstacle(experiment_with) -> None:
    # The probability falls in steps, one for each point, on which slopes lead nowhere.
    (limits,) = 10 * counting_limits([experiment_with(1e5, 0.5, 0.1)], 0.9)
    assert limits == pytest.approx(
        [88.842759, 4190.2073, 48256.164, 213833.44, 595401.85], rel=1e-6
    )


def test_many_events_are_asymptotic(experiment_with) -> None:
    counting, asymptotic = (
        limits([experiment_with(400.0, 1e6, 0.02)], 0.9)[0, 2]
        for limits in (counting_limits, asymptotic_limits)
    )
    assert counting == pytest.approx(asymptotic, rel=0.02)


def median_cls(experiment: CountingExperiment, cross_section: float) -> float:
    """Expected CLs at a cross-section, from the distributions of q̃ over toys of pyhf."""
    spec = experiment.workspace()
    parameters = spec["measurements"][0]["config"]["parameters"]
    model = pyhf.Model(
        {"channels": spec["channels"], "parameters": parameters},
        poi_name="cross_section",
        validate=False,
    )
    data = [experiment.background, *model.config.auxdata]
    np.random.seed(1)  # noqa: NPY002  # pyhf draws from numpy's global generator
    calculator = pyhf.infer.calculators.ToyCalculator(data, model, ntoys=TOYS, track_progress=False)
    with_signal, without = (
        np.asarray(distribution.samples) for distribution in calculator.distributions(cross_section)
    )
    middle = np.median(without)
    return float(np.mean(with_signal >= middle) / np.mean(without >= middle))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("background", "effective", "signal"),
    [(50.85, 220.0, 8.2), (15.0, 66.0, 8.0), (6.52, 29.0, 7.85), (0.67, 3.0, 6.3)],
)
def test_toys_exclude_about_as_often(
    background: float, effective: float, signal: float, experiment_with
) -> None:
    """Yields of 1.3, 1.9 and 3.7 GeV of the default data, and some between the first two."""
    others = {"efficiency": 0.05, "luminosity": 0.01}
    experiment = experiment_with(background, effective, 0.1, signal, **others)
    by_asymptotic, by_counting = (
        median_cls(experiment, limits([experiment], 0.9)[0, 2])
        for limits in (asymptotic_limits, counting_limits)
    )
    # CLs falls by about a tenth for 5 % more signal; 400 toys are good to 0.02.
    assert 0.05 < by_counting < 0.15
    if background > 5:
        assert 0.05 < by_asymptotic < 0.15
