"""Masses of the search."""

import numpy as np
import pytest
from pydantic import ValidationError

from punzinet.analysis.manifest.hypotheses import Hypotheses, MassGrid, is_training


def test_the_papers_masses() -> None:
    hypotheses = Hypotheses()
    assert len(hypotheses.mass) == 87
    assert hypotheses.training.sum() == 44
    np.testing.assert_array_equal(hypotheses.mass[:3], [0.1, 0.2, 0.3])
    assert list(hypotheses.mass[hypotheses.training])[-1] == 8.7
    assert list(Hypotheses(masses=(3.0, 1.0, 2.0)).mass) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("masses", [(), (1.0, 1.0), (1.0, -2.0)])
def test_masses_that_make_no_search(masses: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        Hypotheses(masses=masses)


def test_a_grid_must_reach_its_end() -> None:
    with pytest.raises(ValidationError, match="never reach"):
        MassGrid(start=0.1, stop=1.0, step=0.2)


@pytest.mark.parametrize(("stop", "step"), [(1e308, 0.1), (8.7, 1e-320), (8.7, 1e-9), (0.05, 0.1)])
def test_a_grid_is_of_a_sensible_size(stop: float, step: float) -> None:
    with pytest.raises(ValidationError, match="are none, or 10000 or more"):
        MassGrid(start=0.1, stop=stop, step=step)


def test_roles_are_two() -> None:
    assert is_training("training")
    assert not is_training("validation")
    with pytest.raises(ValueError, match="the role of a mass is 'Training'"):
        is_training("Training")
