"""Errors of ensembles against closed forms."""

import numpy as np
import pytest

from punzinet.analysis.paper.statistics import Claim, Measured, Statistics, ratio
from punzinet.analysis.paper.studies import MAIN


def test_error_of_a_mean_is_its_standard_error(make_judgement):
    judgement = make_judgement(networks=7)
    measured = Statistics({MAIN: judgement}).measure(
        lambda ensembles: float(ensembles[MAIN]["punzi/single"][:, 5].mean())
    )
    fom = 1 / judgement.sigma("punzi", "single")[:, 5]
    assert measured.value == pytest.approx(fom.mean())
    assert measured.error == pytest.approx(fom.std(ddof=1) / np.sqrt(7))


def test_what_curves_share_cancels_in_their_ratio(make_judgement):
    judgement = make_judgement(replicas=400, sample=0.1)
    statistics = Statistics({MAIN: judgement})
    same, other = (
        statistics.measure(ratio("punzi/single", curve, judgement.training))
        for curve in ("punzi/single", "bce/best")
    )
    assert same.error_sample == pytest.approx(0.0, abs=1e-12)
    assert other.error_sample / other.value == pytest.approx(0.1 * np.sqrt(2), rel=0.15)


def test_fluctuations_of_ratios_are_no_improvement(make_judgement):
    judgement = make_judgement(1.0, spread=0.0)
    noise = np.exp(np.random.default_rng(1).normal(0, 0.7, (2, 1, 87)))
    for factor, curve in zip(noise, ("bce/best", "punzi/single"), strict=True):
        judgement.arrays[f"{curve}/sigma"] *= factor
    statistics = Statistics({MAIN: judgement})
    there = statistics.measure(ratio("bce/best", "punzi/single", judgement.training))
    back = statistics.measure(ratio("punzi/single", "bce/best", judgement.training))
    assert there.value * back.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("value", "low", "high", "words", "met"),
    [
        (1.2, 1.3, None, "≥ 1.3", False),
        (1.3, 1.3, None, "≥ 1.3", True),
        (1.1, None, 1.15, "≤ 1.15", True),
        (1.04, 0.97, 1.03, "0.97 to 1.03", False),
        (25.0, 25.0, 25.0, "= 25", True),
        (np.inf, 1.0, None, "≥ 1", False),
        (3.0, None, None, None, None),
    ],
)
def test_targets(value, low, high, words, met):
    claim = Claim.of("a ratio", Measured(value, np.nan, 0.1), low, high)
    assert (claim.target, claim.met) == (words, met)
    assert (claim.value, claim.error) == (value if np.isfinite(value) else None, None)
