"""The boost of SuperKEKB, masses of the search, sizes of samples, what may be seen of data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from punzinet.analysis.manifest import sections
from punzinet.analysis.manifest.datasets import Blinding
from punzinet.analysis.manifest.sections import Beams, Hypotheses, SimulationSettings


def test_superkekb_collides_at_the_upsilon_4s_at_an_angle():
    beams = Beams()
    assert beams.sqrt_s == pytest.approx(10.58, abs=0.005)
    cosine = beams.electron[1:] @ beams.positron[1:] / (beams.electron[0] * beams.positron[0])
    assert np.arccos(cosine) == pytest.approx(np.pi - 0.083)


@given(st.floats(1, 10), st.floats(1, 10), st.floats(0, 0.5))
def test_energy_against_the_closed_form(high, low, angle):
    beams = Beams(electron_energy=high, positron_energy=low, crossing_angle=angle)
    # Massless beams at opening angle pi - angle: s = 2 E1 E2 (1 + cos angle).
    assert beams.sqrt_s == pytest.approx(np.sqrt(2 * high * low * (1 + np.cos(angle))))


def test_scales_are_those_of_the_search_and_of_the_paper():
    settings = SimulationSettings(seed=7)
    assert SimulationSettings.model_validate(settings.model_dump(mode="json")) == settings
    assert settings.scales["default"].luminosity >= 4 * 50
    assert settings.scales["paper"] == sections.Scale(luminosity=1000.0, signal_events=20000)


def test_the_papers_masses():
    hypotheses = Hypotheses()
    assert (len(hypotheses.mass), hypotheses.training.sum()) == (87, 44)
    np.testing.assert_array_equal(hypotheses.mass[:3], [0.1, 0.2, 0.3])
    assert hypotheses.mass[hypotheses.training][-1] == 8.7
    assert list(Hypotheses(masses=(3.0, 1.0, 2.0)).mass) == [1.0, 2.0, 3.0]


def test_roles_are_two():
    mass, training = sections.read_hypotheses(rows := sections.hypothesis_rows(*TWO))
    assert (mass.tolist(), training.tolist()) == ([1.0, 2.0], [True, False])
    with pytest.raises(ValueError, match="not in tuple"):
        sections.read_hypotheses([{**rows[0], "role": "Training"}])


TWO = np.array([1.0, 2.0]), np.array([True, False])
N = 40_000


def identity(event):
    return {"experiment": event % 7, "run": event % 11, "event": event, "production": event * 0}


def test_a_tenth_is_seen_by_default_and_a_larger_share_holds_the_smaller_one():
    shares = [Blinding(), Blinding(fraction=0.4)]
    small, large = (share.shown(identity(np.arange(N)), np.zeros(N)) for share in shares)
    assert small.mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / N))
    assert [share.exposure for share in shares] == [0.1, 0.4]
    assert list(map(str, shares)) == ["10 % of the data", "40 % of the data"]
    assert not (small & ~large).any()
    assert large.sum() > small.sum()
    # It does not depend on order or mass, and simulation is seen everywhere.
    rng = np.random.default_rng(1)
    order, mass = rng.permutation(N), rng.normal(size=N)
    np.testing.assert_array_equal(Blinding().shown(identity(order), mass), small[order])
    assert Blinding().beside_signal_region(mass).all()


# Resolution carries a light particle to negative squares.
@pytest.mark.parametrize(("region", "hidden"), [((2.0, 8.0), [3, 4]), ((0.0, 8.0), range(5))])
def test_sidebands(region, hidden):
    blinding = Blinding(signal_region=region)
    mass = np.array([-0.7, 0.0, 1.99, 2.0, 7.99, 8.0])
    seen = [i not in hidden for i in range(6)]
    assert blinding.shown(identity(np.arange(6)), mass).tolist() == seen
    assert blinding.beside_signal_region(mass).tolist() == seen
    assert blinding.exposure == 1.0
    assert str(blinding) == f"data outside of masses from {region[0]:g} to 8 GeV"
