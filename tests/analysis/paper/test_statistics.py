"""Errors of ensembles against closed forms."""

from collections.abc import Callable

import numpy as np
import pytest

from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.statistics import (
    Claim,
    Measured,
    Statistics,
    figures_of_merit,
    is_met,
    target_in_words,
)
from punzinet.analysis.paper.studies import MAIN


def test_nothing_found_counts_as_zero() -> None:
    assert figures_of_merit(np.array([2.0, np.inf])).tolist() == [0.5, 0.0]


def test_error_of_a_mean_is_its_standard_error(make_judgement: Callable[..., Judgement]) -> None:
    judgement = make_judgement(networks=7)
    measured = Statistics({MAIN: judgement}).measure(
        lambda ensembles: float(ensembles[MAIN]["punzi/single"][:, 5].mean())
    )
    fom = 1 / judgement.sigma("punzi", "single")[:, 5]
    assert measured.value == pytest.approx(fom.mean())
    assert measured.error == pytest.approx(fom.std(ddof=1) / np.sqrt(7))


def test_what_curves_share_cancels_in_their_ratio(make_judgement: Callable[..., Judgement]) -> None:
    statistics = Statistics({MAIN: make_judgement(replicas=400, sample=0.1)})

    def ratio(ensembles: object, first: str, second: str) -> float:
        """Ratio of two mean figures of merit."""
        fom = ensembles[MAIN]  # type: ignore[index]  # a mapping
        return float(fom[first].mean() / fom[second].mean())

    same = statistics.measure(lambda e: ratio(e, "punzi/single", "punzi/single"))
    other = statistics.measure(lambda e: ratio(e, "punzi/single", "bce/best"))
    assert same.error_sample == pytest.approx(0.0, abs=1e-12)
    assert other.error_sample / other.value == pytest.approx(0.1 * np.sqrt(2), rel=0.15)


@pytest.mark.parametrize(
    ("value", "low", "high", "words", "met"),
    [
        (1.2, 1.3, None, "≥ 1.3", False),
        (1.3, 1.3, None, "≥ 1.3", True),
        (1.1, None, 1.15, "≤ 1.15", True),
        (1.04, 0.97, 1.03, "0.97 to 1.03", False),
        (25.0, 25.0, 25.0, "= 25", True),
        (None, 1.0, None, "≥ 1", False),
        (3.0, None, None, None, None),
    ],
)
def test_targets(
    value: float | None, low: float | None, high: float | None, words: str | None, met: bool | None
) -> None:
    assert target_in_words(low, high) == words
    assert is_met(value, low, high) is met


def test_what_is_not_finite_is_no_value() -> None:
    claim = Claim.of("a ratio", Measured(np.inf, np.nan, 0.1), at_least=1.0)
    assert claim.value is None
    assert claim.error is None
    assert claim.met is False
