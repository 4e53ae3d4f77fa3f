"""The boost of SuperKEKB."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from punzinet.analysis.manifest.sections import Beams


def test_superkekb_collides_at_the_upsilon_4s() -> None:
    assert Beams().sqrt_s == pytest.approx(10.58, abs=0.005)


def test_head_on_beams_give_twice_the_geometric_mean() -> None:
    assert Beams(crossing_angle=0.0).sqrt_s == pytest.approx(2 * np.sqrt(7.007 * 4.0))


@given(st.floats(1, 10), st.floats(1, 10), st.floats(0, 0.5))
def test_energy_against_the_closed_form(high: float, low: float, angle: float) -> None:
    beams = Beams(electron_energy=high, positron_energy=low, crossing_angle=angle)
    # Massless beams at opening angle pi - angle: s = 2 E1 E2 (1 + cos angle).
    assert beams.sqrt_s == pytest.approx(np.sqrt(2 * high * low * (1 + np.cos(angle))))


def test_the_crossing_angle_lies_between_the_beams() -> None:
    beams = Beams()
    cosine = beams.electron[1:] @ beams.positron[1:] / (beams.electron[0] * beams.positron[0])
    assert np.arccos(cosine) == pytest.approx(np.pi - 0.083)
