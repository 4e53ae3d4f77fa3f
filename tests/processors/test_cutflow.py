import numpy as np
import pytest

from punzinet.processors.cutflow import KEPT, READ, Counter, Line, merge, to_json


def test_every_entry_is_counted_once() -> None:
    weight = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    counter = Counter(weight)
    counter.require("a", np.array([True, False, True, True, True]))
    counter.require("b", np.array([True, False, False, True, True]))
    cutflow = counter.finish()
    assert cutflow == {
        READ: Line(5, 31.0), "a": Line(1, 2.0), "b": Line(1, 4.0), KEPT: Line(3, 25.0)
    }  # fmt: skip
    assert counter.alive.tolist() == [True, False, False, True, True]


def test_what_is_not_finite_weighs_nothing() -> None:
    counter = Counter(np.array([1.0, np.nan, np.inf]))
    assert counter.finish() == {READ: Line(3, 1.0), KEPT: Line(3, 1.0)}


def test_merging_adds_lines_and_keeps_their_order() -> None:
    one = {READ: Line(2, 1.0), "a": Line(1, 0.5), KEPT: Line(1, 0.5)}
    total = merge([one, one, {READ: Line(1, 1.0), "b": Line(0, 0.0), KEPT: Line(1, 1.0)}])
    assert total == {READ: Line(5, 3.0), "a": Line(2, 1.0), KEPT: Line(3, 2.0), "b": Line()}
    assert list(total)[:2] == [READ, "a"]
    assert to_json(total)[0] == {"step": READ, "entries": 5, "weight": 3.0}


@pytest.mark.parametrize("seed", range(5))
def test_lines_add_up_to_what_was_read(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counter = Counter(rng.exponential(size=1000))
    for name in "abc":
        counter.require(name, rng.random(1000) < 0.7)
    lines = counter.finish()
    read = lines.pop(READ)
    assert sum(line.entries for line in lines.values()) == read.entries
    assert sum(line.weight for line in lines.values()) == pytest.approx(read.weight)
