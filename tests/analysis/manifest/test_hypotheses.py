"""Masses of the search."""

import numpy as np
import pytest
from pydantic import ValidationError

from punzinet.analysis.manifest.hypotheses import Hypotheses, is_training


def test_the_papers_masses() -> None:
    hypotheses = Hypotheses()
    assert (len(hypotheses.mass), hypotheses.training.sum()) == (87, 44)
    np.testing.assert_array_equal(hypotheses.mass[:3], [0.1, 0.2, 0.3])
    assert hypotheses.mass[hypotheses.training][-1] == 8.7
    assert list(Hypotheses(masses=(3.0, 1.0, 2.0)).mass) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("masses", "sentence"),
    [
        ((), "at least one mass"),
        ((1.0, 1.0), "two masses are the same"),
        ((1.0, -2.0), "greater than 0"),
        ({"start": 0.1, "stop": 1.0, "step": 0.2}, "never reach"),
        # A grid is of a sensible size.
        *(
            ({"stop": stop, "step": step}, "are none, or 10000 or more")
            for stop, step in ((1e308, 0.1), (8.7, 1e-320), (8.7, 1e-9), (0.05, 0.1))
        ),
    ],
)
def test_masses_that_make_no_search(masses: object, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Hypotheses.model_validate({"masses": masses})


def test_roles_are_two() -> None:
    assert is_training("training")
    assert not is_training("validation")
    with pytest.raises(ValueError, match="the role of a mass is 'Training'"):
        is_training("Training")
