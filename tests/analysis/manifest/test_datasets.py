"""Blinding: what may be seen of data."""

import numpy as np
import pytest
from pydantic import ValidationError

from punzinet.analysis.manifest.datasets import Blinding

N = 40_000


def identity(event: np.ndarray) -> dict[str, np.ndarray]:
    return {"experiment": event % 7, "run": event % 11, "event": event, "production": event * 0}


def test_a_tenth_is_seen_by_default_and_a_larger_share_holds_the_smaller_one():
    shares = [Blinding(), Blinding(fraction=0.4)]
    small, large = (share.shown(identity(np.arange(N)), np.zeros(N)) for share in shares)
    assert small.mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / N))
    assert [share.exposure for share in shares] == [0.1, 0.4]
    assert not (small & ~large).any()
    assert large.sum() > small.sum()
    # It does not depend on order or mass, and simulation is seen everywhere.
    rng = np.random.default_rng(1)
    order, mass = rng.permutation(N), rng.normal(size=N)
    np.testing.assert_array_equal(Blinding().shown(identity(order), mass), small[order])
    assert Blinding().beside_signal_region(mass).all()


@pytest.mark.parametrize(
    ("region", "seen"),
    [
        ((2.0, 8.0), [True, True, True, False, False, True]),
        # Resolution carries a light particle to negative squares.
        ((0.0, 8.0), [False, False, False, False, False, True]),
    ],
)
def test_sidebands(region, seen):
    blinding = Blinding(signal_region=region)
    mass = np.array([-0.7, 0.0, 1.99, 2.0, 7.99, 8.0])
    assert blinding.shown(identity(np.arange(6)), mass).tolist() == seen
    assert blinding.beside_signal_region(mass).tolist() == seen
    assert blinding.exposure == 1.0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"fraction": 0.1, "signal_region": (1.0, 2.0)}, "not both"),
        ({"signal_region": (2.0, 1.0)}, "from a smaller to a larger"),
        ({"fraction": 1.0}, "less than 1"),
        ({"fraction": 0.0}, "greater than 0"),
    ],
)
def test_contradictions_are_refused(settings, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Blinding.model_validate(settings)


def test_it_says_in_words_what_is_seen():
    assert str(Blinding(fraction=0.25)) == "25 % of the data"
    region = Blinding(signal_region=(1, 8.5))
    assert str(region) == "data outside of masses from 1 to 8.5 GeV"
