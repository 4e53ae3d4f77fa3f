import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import norm, poisson

from punzinet.analysis.limits.asymptotic import asymptotic_limits
from punzinet.analysis.limits.counting import counting_limits
from punzinet.analysis.limits.model import Background, CountingExperiment


def experiment_with(background: float, effective: float, size: float) -> CountingExperiment:
    """One background; all uncertainties of the same relative size; 10 events a fb."""
    return CountingExperiment(
        mass=2.5,
        signal=10.0,
        signal_systematics={"efficiency": size},
        luminosity=size,
        backgrounds=(Background("tautau", background, effective, ("background", size)),),
    )


@given(background=st.floats(0.01, 200))
@example(background=1.841)  # where 0 events are all but exactly one sigma low
@settings(max_examples=30)
def test_without_uncertainties_cls_is_a_ratio_of_poisson_sums(background: float) -> None:
    limits = 10 * counting_limits(experiment_with(background, 1e10, 0.0), 0.9)
    counts = poisson.ppf(norm.cdf([-2, -1, 0, 1, 2]), background)
    cls = poisson.cdf(counts, background + limits) / poisson.cdf(counts, background)
    assert cls == pytest.approx(np.full(5, 0.1), rel=1e-3)


def test_the_unseen_background_excludes_a_little_more_than_ln_10_events() -> None:
    # With 0 counted, CLs does not depend on the background at all: exp(−s).
    limits = 10 * counting_limits(experiment_with(0.1, 0.5, 0.0), 0.9)
    assert limits[:3] == pytest.approx(np.full(3, np.log(10)), rel=1e-6)


@pytest.mark.parametrize(("background", "effective"), [(0.7, 3.0), (6.5, 29.0), (900.0, 4000.0)])
def test_points_of_the_average_suffice(background: float, effective: float) -> None:
    experiment = experiment_with(background, effective, 0.1)
    few, many = (counting_limits(experiment, 0.9, points) for points in (12, 15))
    assert few == pytest.approx(many, rel=0.03)


def test_many_events_are_asymptotic() -> None:
    experiment = experiment_with(400.0, 1e6, 0.02)
    assert counting_limits(experiment, 0.9)[2] == pytest.approx(
        asymptotic_limits(experiment, 0.9)[2], rel=0.02
    )
