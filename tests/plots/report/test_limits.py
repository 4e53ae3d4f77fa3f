"""Limits and systematic effects as tables, and in words what is observed."""

from dataclasses import replace

import numpy as np
import pytest

from punzinet.analysis.io.files import read_json
from punzinet.analysis.limits.model import Effect, Yields
from punzinet.analysis.limits.systematics import write_systematics
from punzinet.plots.report.limits import (
    SYSTEMATIC,
    conclusion,
    expected_table,
    most_significant,
    observed_table,
    systematics_tables,
)


def test_a_row_of_expected_limits_gives_the_coupling_and_bounds(make):
    one = make.limits(np.random.default_rng(1), np.array([1.0, 2.0]))
    one.selections["single"].effective_events[1] = 0  # no simulated background passes
    one.sigma_over_g2[1] = np.nan
    single = one.selections["single"]
    table, alone = expected_table(one), expected_table(replace(one, selections={"single": single}))
    texts = ([cell.text for cell in row] for row in table.rows)
    found = [dict(zip(table.header, row, strict=True)) for row in texts]
    median, known = single.counting[:, 2], np.sqrt(single.counting[0, 2] / one.sigma_over_g2[0])
    assert [row["g′"] for row in found] == [f"{known:.3g}", "–"]
    assert [row["median"] for row in found] == [f"{median[0]:.3g}", f"< {median[1]:.3g}"]
    assert found[1]["background"].startswith("< ")
    assert [row[-1].text for row in alone.rows] == ["–", "–"]
    single.efficiency[1] = single.background[1] = 0.0  # without signal nothing is bounded
    assert expected_table(one, [1]).rows[0][1].text == "0"


def test_a_row_has_what_was_counted_and_what_it_means(make):
    one = make.observation()
    best = most_significant(one)
    (row,) = observed_table(one, [best]).rows
    background, *others = row[2].text.split(" ± ")[0], *(row[i].text for i in (0, 1, 3, 4, 5, 7))
    strength = np.sqrt(one.limit[best] / one.sigma_over_g2[best])
    expected = one.mass[best], one.count[best], one.limit[best], one.expected[best, 2], strength
    assert list(map(float, others[:5])) == pytest.approx(expected, rel=0.01)
    assert float(background) == pytest.approx(one.background[best], rel=0.1)
    assert float(others[5]) == pytest.approx(one.significance.max(), abs=0.06)
    assert len(observed_table(one).rows) == len(one.mass)
    for column in (one.efficiency, one.background, one.background_error, one.effective_events):
        column[best] = 0.0  # without signal nothing is bounded
    assert observed_table(one, [best]).rows[0][2].text == "0"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"global_p_value": 0.31}, "compatible with background alone"),
        ({"global_p_value": 0.02}, "upcrossings). Globally that is 2.1 σ."),
        ({"global_p_value": 0.0012}, "hardly explains that: globally it is 3.0 σ."),
        ({"global_p_value": 0.0}, "globally it is more than 3.4 σ."),
    ],
)
def test_the_global_p_value_is_what_counts(make, changes, said):
    assert said in conclusion(make.observation(**changes))


def test_what_is_too_improbable_for_a_number_is_no_zero(make):
    one = make.observation()
    one.p_value[:] = 0.0
    assert "(local p-value < 10⁻³⁰⁰)" in conclusion(one)
    assert observed_table(one, [3]).rows[0][6].text == "< 10⁻³⁰⁰"


def test_the_table_says_what_a_parameter_does_and_what_too_few_events_know(tmp_path):
    """A background of which a parameter doubles one third, and an efficiency that it lowers."""
    ones, mass = np.ones(2), np.array([1.0, 2.0])
    background = np.array([[1.0, 0.0], [2.0, 0.0]])
    both = {"one": (2.0, 0.5), "two": (1.0, 1.0), "signal": (0.9, 1.2)}
    factor = {process: np.outer(of, ones) for process, of in both.items()}
    error = dict.fromkeys(both, np.zeros((2, 2))) | {"two": np.array([[0.3, 0.3], [0.0, 0.0]])}
    errors, effects = (background, ones, 0 * ones), {"s": Effect(factor, error)}
    yields = Yields(("one", "two"), ones, 0.1 * ones, background, *errors, effects)
    path, impact = tmp_path / "systematics.json", {"s": np.array([0.0123, 0.0])}
    write_systematics(path, yields, impact, mass, provenance={})
    (table,) = systematics_tables(read_json(path, ""))
    assert table.header == SYSTEMATIC
    assert "Too few varied events know the effect of s on two (± 30 %)" in table.caption
    found = [[cell.text for cell in row] for row in table.rows]
    assert found[0] == ["s", "1", "+33.3 / -16.7", "-10.0 / +20.0", "+1.23"]
    assert found[1] == ["s", "2", "+0.0 / +0.0", "-10.0 / +20.0", "+0.00"]
    ((only,),) = (
        [row[1].text for row in t.rows] for t in systematics_tables(read_json(path, ""), [1])
    )
    assert only == "2"
