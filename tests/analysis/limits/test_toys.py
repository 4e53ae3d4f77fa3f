"""Limits against toy experiments of pyhf, with background and all uncertainties.

Yields are those at 1.3, 1.9 and 3.7 GeV of the default data, and some between the first two.
"""

import numpy as np
import pyhf
import pytest

from punzinet.analysis.limits.asymptotic import asymptotic_limits
from punzinet.analysis.limits.counting import counting_limits
from punzinet.analysis.limits.model import Background, CountingExperiment

TOYS = 400


def median_cls(experiment: CountingExperiment, cross_section: float) -> float:
    """Expected CLs at a cross-section, from the distributions of q̃ over toys."""
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
def test_toys_exclude_about_as_often(background: float, effective: float, signal: float) -> None:
    experiment = CountingExperiment(
        mass=1.0,
        signal=signal,
        signal_systematics={"efficiency": 0.05},
        luminosity=0.01,
        backgrounds=(Background("all", background, effective, ("background", 0.1)),),
    )
    asymptotic = asymptotic_limits(experiment, 0.9)[2]
    counting = counting_limits(experiment, 0.9)[2]
    by_asymptotic, by_counting = (median_cls(experiment, x) for x in (asymptotic, counting))
    # CLs falls by about a tenth for 5 % more signal; 400 toys are good to 0.02.
    assert 0.05 < by_counting < 0.15
    if background > 5:
        assert 0.05 < by_asymptotic < 0.15
