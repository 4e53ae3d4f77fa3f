"""What is observed, as a table and in words."""

import numpy as np
import pytest

from punzinet.plots.report.observed import (
    conclusion,
    most_significant,
    observed_table,
    observed_tables,
)


def test_a_row_has_what_was_counted_and_what_it_means(make):
    one = make.observation()
    best = most_significant(one)
    assert one.p_value[best] == one.p_value.min()
    (row,) = observed_table(one, [best]).rows
    mass, count, background, limit, median, coupling, p_value, sigmas = (c.text for c in row)
    assert (float(mass), int(count)) == (one.mass[best], one.count[best])
    value, error = map(float, background.split(" ± "))
    assert value == pytest.approx(one.background[best], rel=0.1)
    assert error == pytest.approx(one.background_error[best], rel=0.1)
    assert float(limit) == pytest.approx(one.limit[best], rel=0.01)
    assert float(median) == pytest.approx(one.expected[best, 2], rel=0.01)
    strength = np.sqrt(one.limit[best] / one.sigma_over_g2[best])
    assert float(coupling) == pytest.approx(strength, rel=0.01)
    assert p_value.startswith(f"{one.p_value[best]:.1e}"[0])
    assert float(sigmas) == pytest.approx(one.significance[best], abs=0.06)
    assert len(observed_table(one).rows) == len(one.mass)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"global_p_value": 0.31}, "compatible with background alone"),
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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Pseudo-data of background and 30 fb at 2.5 GeV, 50 fb⁻¹"),
        ({"injected": {}}, "Pseudo-data of background, 50 fb⁻¹"),
        ({"source": "data", "injected": {}, "luminosity": 62.8}, "Data, 62.8 fb⁻¹"),
    ],
)
def test_a_table_says_what_was_counted(make, changes, said):
    (table,) = observed_tables(make.observation(**changes))
    assert table.caption.startswith(f"{said}: upper limits on σ·B at 90 % CL")
    assert "Most significant is " in table.caption
