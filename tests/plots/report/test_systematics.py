import numpy as np

from punzinet.analysis.io.files import read_json
from punzinet.analysis.limits.model import Yields
from punzinet.analysis.limits.systematics import Effect, write_systematics
from punzinet.plots.report.systematics import HEADER, systematics_tables


def test_the_table_says_what_a_parameter_does_and_what_too_few_events_know(tmp_path):
    """A background of which a parameter doubles one third, and an efficiency that it lowers."""
    ones, mass = np.ones(2), np.array([1.0, 2.0])
    background = np.array([[1.0, 0.0], [2.0, 0.0]])
    yields = Yields(("one", "two"), ones, 0.1 * ones, background, background, ones, 0 * ones)
    factor = np.ones((2, 3, 2))
    factor[:, 0], factor[:, 2] = [[2.0], [0.5]], [[0.9], [1.2]]
    error = np.zeros((2, 3, 2))
    error[0, 1] = 0.3
    path, effects = tmp_path / "systematics.json", {"s": Effect(factor, error)}
    impact = {"s": np.array([0.0123, 0.0])}
    write_systematics(path, effects, impact, yields, mass=mass, provenance={})
    (table,) = systematics_tables(read_json(path, ""))
    assert table.header == HEADER
    assert "Too few varied events know the effect of s on two (± 30 %)" in table.caption
    found = [[cell.text for cell in row] for row in table.rows]
    assert found[0] == ["s", "1", "+33.3 / -16.7", "-10.0 / +20.0", "+1.23"]
    assert found[1] == ["s", "2", "+0.0 / +0.0", "-10.0 / +20.0", "+0.00"]
    ((only,),) = (
        [row[1].text for row in t.rows] for t in systematics_tables(read_json(path, ""), [1])
    )
    assert only == "2"
