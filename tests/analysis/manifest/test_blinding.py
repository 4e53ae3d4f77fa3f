import numpy as np
import pytest
from pydantic import ValidationError

from punzinet.analysis.manifest.datasets import Blinding

N = 40_000


def identity(n: int = N) -> dict[str, np.ndarray]:
    event = np.arange(n)
    return {"experiment": event % 7, "run": event % 11, "event": event, "production": event * 0}


def test_a_tenth_is_seen_by_default() -> None:
    shown = Blinding().shown(identity(), np.zeros(N))
    assert shown.mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / N))
    assert Blinding().exposure == 0.1


def test_a_larger_share_holds_the_smaller_one() -> None:
    small, large = (Blinding(fraction=f).shown(identity(), np.zeros(N)) for f in (0.05, 0.4))
    assert not (small & ~large).any()
    assert large.sum() > small.sum() > 0


def test_what_is_seen_does_not_depend_on_order_or_mass() -> None:
    rng = np.random.default_rng(1)
    order = rng.permutation(N)
    shuffled = {name: values[order] for name, values in identity().items()}
    plain = Blinding().shown(identity(), np.zeros(N))
    np.testing.assert_array_equal(Blinding().shown(shuffled, rng.normal(size=N)), plain[order])


@pytest.mark.parametrize(
    ("region", "seen"),
    [
        ((2.0, 8.0), [True, True, True, False, False, True]),
        # Resolution carries a light particle to negative squares.
        ((0.0, 8.0), [False, False, False, False, False, True]),
    ],
)
def test_sidebands(region: tuple[float, float], seen: list[bool]) -> None:
    blinding = Blinding(signal_region=region)
    mass = np.array([-0.7, 0.0, 1.99, 2.0, 7.99, 8.0])
    for found in (blinding.shown(identity(6), mass), blinding.beside_signal_region(mass)):
        assert found.tolist() == seen
    assert blinding.exposure == 1.0


def test_simulation_is_seen_everywhere_where_data_is_thinned() -> None:
    assert Blinding().beside_signal_region(np.linspace(-5, 100, 50)).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"fraction": 0.1, "signal_region": (1.0, 2.0)}, "not both"),
        ({"signal_region": (2.0, 1.0)}, "from a smaller to a larger"),
        ({"fraction": 1.0}, "less than 1"),
        ({"fraction": 0.0}, "greater than 0"),
    ],
)
def test_contradictions_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Blinding.model_validate(settings)


def test_it_says_in_words_what_is_seen() -> None:
    assert str(Blinding(fraction=0.25)) == "25 % of the data"
    region = Blinding(signal_region=(1, 8.5))
    assert str(region) == "data outside of masses from 1 to 8.5 GeV"
