import numpy as np
import pyhf
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from punzinet.analysis.limits.asymptotic import BANDS, asymptotic_limits, target_roots
from punzinet.analysis.limits.counting import counting_limits
from punzinet.analysis.limits.model import Background, CountingExperiment


def experiment_with(
    background: float, effective: float = 1e7, size: float = 1e-4, signal: float = 10.0
) -> CountingExperiment:
    """One background; all uncertainties of the same relative size."""
    return CountingExperiment(
        mass=2.5,
        signal=signal,
        signal_systematics={"efficiency": size},
        luminosity=size,
        backgrounds=(Background("tautau", background, effective, ("background", size)),),
    )


def closed_form(background: float, confidence_level: float) -> np.ndarray:
    """Events excluded by a count without uncertainties (EPJC 71, 1554, Eq. 90 for the Asimov)."""

    def root(s: float) -> float:
        return float(np.sqrt(2 * (s - background * np.log1p(s / background))))

    return np.array(
        [brentq(lambda s, t=t: root(s) - t, 0, 1e4) for t in target_roots(confidence_level)]
    )


@pytest.mark.parametrize("background", [0.3, 5.0, 400.0])
@pytest.mark.parametrize("confidence_level", [0.9, 0.95])
def test_without_uncertainties_it_is_the_closed_form(
    background: float, confidence_level: float
) -> None:
    limits = 10 * asymptotic_limits(experiment_with(background), confidence_level)
    assert limits == pytest.approx(closed_form(background, confidence_level), rel=2e-3)


def test_bands_of_a_gaussian() -> None:
    # For large numbers: σ · (N + Φ⁻¹(1 − α Φ(N))).
    limits = 10 * asymptotic_limits(experiment_with(1e6, 1e9, 1e-5), 0.9)
    expected = 1e3 * (BANDS + norm.isf(0.1 * norm.cdf(BANDS)))
    assert limits == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize(("background", "effective"), [(0.7, 3.0), (6.5, 29.0), (50.0, 220.0)])
def test_pyhf_finds_the_same_cls(background: float, effective: float) -> None:
    experiment = experiment_with(background, effective, 0.1)
    limits = asymptotic_limits(experiment, 0.9)
    spec = experiment.workspace()
    model = pyhf.Model({"channels": spec["channels"]}, poi_name="cross_section", validate=False)
    data = [background, *model.config.auxdata]
    bounds = model.config.suggested_bounds()
    bounds[model.config.poi_index] = (0, experiment.reach)
    for i, limit in enumerate(limits):
        _, expected = pyhf.infer.hypotest(
            limit, data, model, par_bounds=bounds, test_stat="qtilde", return_expected_set=True
        )
        assert float(expected[i]) == pytest.approx(0.1, rel=0.02)


def test_uncertainties_weaken_limits() -> None:
    sizes = [asymptotic_limits(experiment_with(50.0, 1e7, size), 0.9)[2] for size in (0, 0.1, 0.3)]
    assert sizes[0] < 0.97 * sizes[1] < 0.9 * sizes[2]


def test_the_promise_without_background_is_too_good() -> None:
    """What the documentation warns of: 1.35 events where 2.30 can be excluded."""
    experiment = experiment_with(1e-4)
    assert 10 * asymptotic_limits(experiment, 0.9)[2] == pytest.approx(1.353, rel=0.01)
    assert 10 * counting_limits(experiment, 0.9)[2] == pytest.approx(np.log(10), rel=1e-3)


def test_lower_bands_promise_too_much_where_little_is_expected() -> None:
    """What the documentation warns of: no count excludes less than 2.30 events at 90 %."""
    experiment = experiment_with(0.67, 3.0, 0.1)
    asymptotic, counting = (
        10 * limits(experiment, 0.9)[0] for limits in (asymptotic_limits, counting_limits)
    )
    assert asymptotic < 0.8 * np.log(10) < np.log(10) < counting
