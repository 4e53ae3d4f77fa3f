"""Results as tables: nothing is lost, and what is damaged is said."""

import math
from typing import Any

import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.plots.report.tables import (
    any_tables,
    baselines_table,
    claims_tables,
    limits_table,
    validation_table,
    variations_table,
)

LIMITS = {
    "confidence_level": 0.9,
    "hypotheses": [{"mass": 1.0, "sigma_over_g2_fb": 4.0}, {"mass": 2.0}],
    "selections": {
        name: {
            "background": [3.0, 0.0],
            "counting": [[1.0, 2.0, 9.0, 16.0, 25.0], [1.0, 2.0, 3.0, 4.0, 5.0]],
            "asymptotic": [[1.0, 2.0, 8.0, 16.0, 25.0], [1.0, 2.0, 3.0, 4.0, 5.0]],
        }
        for name in ("single", "best")
    },
}


def test_couplings_follow_from_cross_sections() -> None:
    table = limits_table(LIMITS)
    assert table is not None
    column = list(table.header).index("g′ (median)")
    assert float(table.rows[0][column].text) == math.sqrt(9 / 4)
    assert table.rows[1][column].text == "–"


def test_damaged_limits_are_one_sentence() -> None:
    with pytest.raises(InputError, match="limits --force"):
        limits_table({**LIMITS, "selections": {}})


def test_a_claim_that_is_not_met_is_shown_as_such() -> None:
    claim = {"text": "in words", "value": 1.0, "error": 0.1, "target": "≥ 1.3", "met": False}
    further = {"value": 2.0, "error": 0.1, "target": None, "met": None, "error_sample": 0.25}
    first, second = claims_tables({"two": further, "one": claim, "provenance": {}})
    ((name, _, target, verdict),) = first.rows
    assert name.text == "in words"
    assert target.text == "≥ 1.3"
    assert verdict.state == "bad"
    ((name, value, _, verdict),) = second.rows
    assert name.text == "two"
    assert "0.25" in value.detail
    assert not verdict.state
    assert claims_tables(None) == []


def test_variations_are_lines_below_the_recipe_as_it_is() -> None:
    def effect(label: str, value: float) -> dict[str, Any]:
        number = {"value": value, "error": 0.1, "error_sample": 0.25}
        numbers = {"1_to_4_gev": number, "worst": {**number, "text": "worst, 1.1 GeV"}}
        return {"label": label, "networks": 3, "converged": 2, "numbers": numbers}

    content = {"variations": {"main": effect("as it is", 1.0), "vary": effect("wide", 2.0)}}
    table = variations_table(content)
    assert table is not None
    assert list(table.header) == ["changed", "1 to 4 GeV", "worst, 1.1 GeV"]
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["as it is", "1.00 ± 0.10", "1.00 ± 0.10"],
        ["wide", "2.00 ± 0.10", "2.00 ± 0.10"],
    ]
    assert "2 of 3" in table.rows[0][0].detail
    assert "0.25" in table.rows[0][1].detail
    assert variations_table(None) is None
    with pytest.raises(InputError, match="--studies --force"):
        variations_table({"variations": {}})


def test_methods_are_averaged_over_trained_and_over_other_masses() -> None:
    content = {
        "hypotheses": [{"role": role} for role in ("training", "validation", "training")],
        "baselines": {
            "a": {"label": "A", "sigma_min": [1.0, 5.0, 3.0], "mean_error": 0.1},
            "b": {"label": "B", "sigma_min": [1.0, 5.0, None], "mean_error": None},
        },
    }
    first, second = baselines_table("methods", content).rows
    assert [cell.text for cell in first] == ["A", "2.00 ± 0.10", "5", "3", "0"]
    assert [cell.text for cell in second] == ["B", "∞", "5", "5", "1"]
    with pytest.raises(InputError, match="baselines --force"):
        baselines_table("methods", {"hypotheses": [], "baselines": {"a": {}}})


def test_provenance_is_no_quantity() -> None:
    row = {"ours": 1.0, "published": 2.0, "ratio": 0.5, "tolerance": 0.2, "met": False}
    table = validation_table({"σ": row, "provenance": {"ours?": 1}, "spectra": {"x": [1]}})
    assert table is not None
    assert [line[0].text for line in table.rows] == ["σ"]


@pytest.mark.parametrize("content", [{"a": {"b": {"c": 123.5}}}, [{"c": 123.5}], {"c": [123.5, 1]}])
def test_any_result_can_be_written(content: object) -> None:
    tables = any_tables("results", content)
    said = " ".join(cell.text for table in tables for row in table.rows for cell in row)
    assert "123.5" in said
