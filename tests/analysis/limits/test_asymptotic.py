import numpy as np
import pyhf
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from punzinet.analysis.limits.asymptotic import asymptotic_limits, target_roots
from punzinet.analysis.limits.counting import counting_limits
from punzinet.analysis.limits.model import Background, CountingExperiment
from punzinet.analysis.limits.result import BANDS


def closed_form(background: float, confidence_level: float) -> np.ndarray:
    """Events excluded by a count without uncertainties (EPJC 71, 1554, Eq. 90 for the Asimov)."""

    def root(s: float) -> float:
        return float(np.sqrt(2 * (s - background * np.log1p(s / background))))

    return np.array(
        [brentq(lambda s, t=t: root(s) - t, 0, 1e4) for t in target_roots(confidence_level)]
    )


@pytest.mark.parametrize("confidence_level", [0.9, 0.95])
def test_without_uncertainties_it_is_the_closed_form(
    confidence_level: float, experiment_with
) -> None:
    backgrounds = [0.3, 5.0, 400.0]
    limits = 10 * asymptotic_limits([experiment_with(b) for b in backgrounds], confidence_level)
    expected = [closed_form(background, confidence_level) for background in backgrounds]
    assert limits == pytest.approx(np.array(expected), rel=2e-3)


def test_bands_of_a_gaussian(experiment_with) -> None:
    # For large numbers: σ · (N + Φ⁻¹(1 − α Φ(N))).
    (limits,) = 10 * asymptotic_limits([experiment_with(1e6, 1e9, 1e-5)], 0.9)
    expected = 1e3 * (BANDS + norm.isf(0.1 * norm.cdf(BANDS)))
    assert limits == pytest.approx(expected, rel=3e-3)


def test_pyhf_finds_the_same_cls(experiment_with) -> None:
    """Experiments of one and of three backgrounds, solved together, each against pyhf's fits."""
    backgrounds = (
        Background("tautau", 0.9, 4.0, ("background_tautau", 0.1)),
        Background("eemumu", 0.2, 1.0, ("background_eemumu", 0.2)),
        Background("mumugamma", 5.0, 50.0, ("background_mumugamma", 0.3)),
    )
    systematics = {"efficiency": 0.05, "signal_statistics": 0.02}
    experiments = [
        experiment_with(0.7, 3.0, 0.1),
        CountingExperiment(1.0, 8.0, systematics, 0.01, backgrounds),
        experiment_with(50.0, 220.0, 0.1),
    ]
    for experiment, limits in zip(experiments, asymptotic_limits(experiments, 0.9), strict=True):
        spec = experiment.workspace()
        model = pyhf.Model({"channels": spec["channels"]}, poi_name="cross_section", validate=False)
        data = [experiment.background, *model.config.auxdata]
        bounds = model.config.suggested_bounds()
        bounds[model.config.poi_index] = (0, experiment.reach)
        for i, limit in enumerate(limits):
            _, expected = pyhf.infer.hypotest(
                limit, data, model, par_bounds=bounds, test_stat="qtilde", return_expected_set=True
            )
            assert float(expected[i]) == pytest.approx(0.1, rel=1e-3)


def test_uncertainties_weaken_limits(experiment_with) -> None:
    experiments = [experiment_with(50.0, 1e7, size) for size in (0, 0.1, 0.3)]
    median = asymptotic_limits(experiments, 0.9)[:, 2]
    assert median[0] < 0.97 * median[1] < 0.9 * median[2]


def test_no_experiment_no_limit() -> None:
    assert asymptotic_limits([], 0.9).shape == counting_limits([], 0.9).shape == (0, 5)


def test_the_promise_without_background_is_too_good(experiment_with) -> None:
    """What the documentation warns of: 1.35 events where 2.30 can be excluded."""
    experiments = [experiment_with(1e-4)]
    assert 10 * asymptotic_limits(experiments, 0.9)[0, 2] == pytest.approx(1.353, rel=0.01)
    assert 10 * counting_limits(experiments, 0.9)[0, 2] == pytest.approx(np.log(10), rel=1e-3)


def test_lower_bands_promise_too_much_where_little_is_expected(experiment_with) -> None:
    """What the documentation warns of: no count excludes less than 2.30 events at 90 %."""
    asymptotic, counting = (
        10 * limits([experiment_with(0.67, 3.0, 0.1)], 0.9)[0, 0]
        for limits in (asymptotic_limits, counting_limits)
    )
    assert asymptotic < 0.8 * np.log(10) < np.log(10) < counting
