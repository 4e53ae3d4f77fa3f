"""What agrees with a published number."""

import pytest

from punzinet.analysis.simulation.comparison import Comparison


def test_agreement_is_within_the_tolerance_at_both_ends():
    for ours, met in ((7.9, False), (8.1, True), (11.9, True), (12.1, False)):
        row = Comparison("q", "t", 10.0, ours, 0.5)
        assert row.met is met
        assert row.to_json()["ratio"] == pytest.approx(ours / 10)
        assert row.to_json()["error"] == 0.5


def test_what_is_missing_neither_agrees_nor_disagrees():
    content = Comparison("q", "t", 10.0, None, note="why").to_json()
    assert content["ratio"] is None
    assert content["met"] is None
    assert content["note"] == "why"
