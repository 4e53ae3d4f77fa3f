"""Roughness is 1 for what is smooth, with many events or few, and more for what is not."""

import numpy as np
import pytest

from punzinet.analysis.io.tensor_events import TensorEvents
from punzinet.analysis.paper.smoothness import MassBins, PassingFraction, passing_fractions
from punzinet.analysis.search import RECOIL

MASS = np.linspace(0.1, 8.7, 87)


def drawn(
    fraction: np.ndarray, total: int, rng: np.random.Generator, weight: float = 1.0
) -> PassingFraction:
    """Events that pass with some fraction in each bin, all of one weight."""
    passed = rng.binomial(total, fraction)
    scale = np.array([[weight], [weight**2]])
    return PassingFraction(scale * passed, scale * np.full(len(fraction), total))


@pytest.mark.parametrize("total", [5, 50, 5000])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_a_smooth_selection_has_roughness_one(total: int, weight: float) -> None:
    rng = np.random.default_rng(3)
    fraction = 0.4 + 0.3 * np.sin(MASS / 2)
    values = [drawn(fraction, total, rng, weight).roughness(rng) for _ in range(40)]
    assert np.mean(values) == pytest.approx(1.0, abs=0.1)


def test_steps_are_found() -> None:
    rng = np.random.default_rng(3)
    jagged = 0.4 + 0.15 * rng.standard_normal(len(MASS)).clip(-2, 2)
    assert drawn(jagged, 1000, rng).roughness(rng) > 5


def test_nothing_passes() -> None:
    rng = np.random.default_rng(3)
    assert np.isnan(drawn(np.zeros(87), 100, rng).roughness(rng))


def test_bins_lie_around_the_masses() -> None:
    edges = MassBins.around(MASS).edges
    assert edges[0] == pytest.approx(0.05)
    assert edges[-1] == pytest.approx(8.75)
    assert ((edges[:-1] < MASS) & (edges[1:] > MASS)).all()


def test_cuts_are_interpolated_in_the_recoil_mass() -> None:
    recoil = np.array([1.0, 1.5, 2.0, 1.5])
    events = TensorEvents(
        RECOIL,
        np.zeros((4, 4)),
        np.array(["tautau"] * 3 + ["signal"]),
        np.array([np.nan] * 3 + [2.0]),
        recoil**2,
        np.ones(4),
        np.zeros(4, np.int8),
    )
    mass = np.array([1.0, 2.0])
    logit = np.array([0.1, 0.4, 0.9, 0.6])
    fractions = passing_fractions(events, logit, MassBins.around(mass), mass, np.array([0.0, 1.0]))
    assert fractions["background"].passed[0].tolist() == [1, 0]
    assert fractions["background"].total[0].sum() == 3
    assert fractions["signal"].passed[0].tolist() == [0, 1]
