"""What is observed: its file."""

from dataclasses import replace

import numpy as np
import pytest

from punzinet.analysis.io.files import InputError, read_json, write_json
from punzinet.analysis.limits.observed import Observation, Upcrossings


def observation(points=3):
    column = np.linspace(0.1, 0.5, points)
    return Observation(
        source="pseudo-data", injected={2.5: 30.0}, luminosity=50.0, confidence_level=0.9,
        network="punzi-00", cut=1.5, mass=column, hypothesis=np.arange(points) % 2 == 0,
        efficiency=column, background=column, background_error=column,
        effective_events=column, count=np.arange(points), expected=np.tile(column, (5, 1)).T,
        limit=np.full(points, np.inf), asymptotic=column, p_value=column, significance=column,
        sigma_over_g2=np.full(points, np.nan), global_p_value=0.0, global_error=1e-4,
        experiments=10_000, upcrossings=Upcrossings(3.2, 1.0, 2e-4),
    )  # fmt: skip


def test_a_file_gives_back_what_was_written(tmp_path):
    path, written = tmp_path / "observed.json", observation()
    written.write(path, {"seed": 1})
    for name, value in vars(Observation.read(path)).items():
        expected = getattr(written, name)
        np.testing.assert_array_equal(value, expected, err_msg=name)
        assert getattr(value, "dtype", None) == getattr(expected, "dtype", None), name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mass", [0.1, 0.5, 0.3]),
        ("count", [1, 2]),
        ("count", [1, 2, 2.5]),
        ("expected", [1.0, 2.0, 3.0]),
        ("source", "simulation"),
        ("upcrossings", [1.0, 2.0]),
        ("global_p_value", None),
    ],
)
def test_a_file_that_holds_something_else_is_refused_with_the_key(tmp_path, key, value):
    path = tmp_path / "observed.json"
    observation().write(path, {})
    write_json(path, read_json(path, "") | {key: value})
    with pytest.raises(InputError, match=f"observation.*{key}"):
        Observation.read(path)


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="limit"):
        replace(observation(), limit=np.ones(2))
