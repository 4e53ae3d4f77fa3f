"""Targets, in words and in numbers."""

import numpy as np
import pytest

from punzinet.analysis.paper.claim import Claim, is_met, target_in_words
from punzinet.analysis.paper.statistics import Measured


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
    assert Claim(**claim.to_json()) == claim
