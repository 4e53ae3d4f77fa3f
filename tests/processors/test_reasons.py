"""What is said of why a stage has to run."""

from typing import Any

import pytest

from punzinet.processors.reasons import reasons

THEN: dict[str, Any] = {
    "version": "1",
    "settings": {"luminosity": 50.0, "training": {"seed": 1, "rates": [1, 2]}},
    "after": {"features": "abc"},
    "files": [["a.root", 10, 20], ["b.root", 10, 20]],
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"version": "2"}, ['`version of punzinet` changed from "1" to "2"']),
        (
            {"settings": {"luminosity": 40.0, "training": {"seed": 2, "rates": [1, 2]}}},
            ["`luminosity` changed from 50.0 to 40.0", "`training.seed` changed from 1 to 2"],
        ),
        (
            {"settings": {"training": {"seed": 1, "rates": [1, 2], "device": "cuda"}}},
            ["`luminosity` is gone: it was 50.0", '`training.device` is new: "cuda"'],
        ),
        ({"after": {"features": "xyz"}}, ["`punzinet features` has run again"]),
        (
            {"files": [["a.root", 11, 20], ["c.root", 10, 20]]},
            [
                "input file c.root is new",
                "input file b.root is not used any more",
                "input file a.root has changed",
            ],
        ),
    ],
)
def test_each_difference_is_one_line(change: dict[str, Any], said: list[str]) -> None:
    assert reasons(THEN, {**THEN, **change}) == said


def test_tuples_and_paths_are_what_json_makes_of_them() -> None:
    settings = {"luminosity": 50.0, "training": {"seed": 1, "rates": (1, 2)}}
    assert reasons(THEN, {**THEN, "settings": settings}) == []


def test_long_values_are_shortened() -> None:
    (line,) = reasons(THEN, {**THEN, "settings": {**THEN["settings"], "masses": list(range(99))}})
    assert len(line) < 90


def test_a_record_that_says_nothing_explains_everything() -> None:
    assert len(reasons({}, THEN)) == 6
