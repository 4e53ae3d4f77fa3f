"""Radiation off the beams: normalisation, angular pattern, conservation, known limits."""

import numpy as np
import pytest
from scipy.integrate import quad

from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, MUON_MASS
from punzinet.analysis.simulation import lorentz
from punzinet.analysis.simulation.radiation import (
    SOFT_AND_VIRTUAL,
    emission_angle,
    exponent,
    photon_momentum,
    radiate_from_beams,
    splitting_weight,
)

SQRT_S = 10.58


def test_the_radiator_is_normalised_to_one() -> None:
    b = float(exponent(SQRT_S, ELECTRON_MASS))
    # substitute u = z^b, under which the density b z^(b-1) is flat
    integral, _ = quad(lambda u: float(splitting_weight(np.array(u ** (1 / b)), np.array(b))), 0, 1)
    assert integral == pytest.approx(1, rel=1e-9)


def test_the_first_order_of_the_radiator_is_the_splitting_function() -> None:
    z = np.array([0.1, 0.5, 0.9])
    b = 1e-7
    density = b * z ** (b - 1) * splitting_weight(z, np.array(b))
    np.testing.assert_allclose(density / b, (1 + (1 - z) ** 2) / (2 * z), rtol=1e-5)


def test_the_integrated_pattern_is_the_logarithm_minus_one() -> None:
    energy = SQRT_S / 2
    a = MUON_MASS**2 / (2 * energy**2)
    integral, _ = quad(lambda d: d / (d + a) ** 2, 0, 2, points=[a, 10 * a], limit=200)
    assert ALPHA / np.pi * integral == pytest.approx(float(exponent(SQRT_S, MUON_MASS)), rel=1e-3)


@pytest.mark.parametrize("mass", [ELECTRON_MASS, MUON_MASS])
def test_the_angles_follow_the_pattern_of_a_massive_charge(mass: float) -> None:
    uniform = np.linspace(0, 1, 1001)[:-1]
    energy = np.full_like(uniform, SQRT_S / 2)
    a = mass**2 / (2 * energy[0] ** 2)
    opening = emission_angle(uniform, energy, mass)

    def cumulative(d: np.ndarray) -> np.ndarray:
        return np.log1p(d / a) - d / (d + a)

    # rounding of the closed form at the smallest angles sets the absolute tolerance
    np.testing.assert_allclose(
        cumulative(opening) / cumulative(np.array(2.0)), uniform, rtol=1e-6, atol=1e-12
    )


def test_photons_are_massless_at_the_smallest_angles() -> None:
    opening = np.array([0.0, 1e-14, 1e-6, 1.0, 2.0])
    photon = photon_momentum(np.full(5, 3.0), opening, np.full(5, 0.3))
    np.testing.assert_allclose(lorentz.mass2(photon), 0, atol=1e-13)


def test_momentum_is_conserved_and_the_axis_is_the_beam_axis_for_soft_photons() -> None:
    rng = np.random.default_rng(1)
    sqrt_s = rng.normal(SQRT_S, 0.005, 20_000)
    radiation = radiate_from_beams(rng, sqrt_s, threshold=2 * MUON_MASS)
    total = radiation.reduced + radiation.photons.sum(axis=1)
    np.testing.assert_allclose(total[:, 0], sqrt_s, rtol=1e-14)
    np.testing.assert_allclose(total[:, 1:], 0, atol=1e-13)
    assert lorentz.mass2(radiation.reduced).min() > 4 * MUON_MASS**2
    np.testing.assert_allclose(np.linalg.norm(radiation.axis, axis=1), 1, rtol=1e-12)
    soft = radiation.fraction.max(axis=1) < 1e-6
    assert soft.sum() > 1000
    np.testing.assert_allclose(radiation.axis[soft], np.tile([0, 0, 1], (soft.sum(), 1)), atol=1e-5)


def test_the_mean_weight_is_the_soft_and_virtual_correction() -> None:
    rng = np.random.default_rng(2)
    radiation = radiate_from_beams(rng, np.full(200_000, SQRT_S), threshold=0.0)
    error = radiation.weight.std() / np.sqrt(radiation.weight.size)
    # the few events with no energy left at all are the difference from unitarity
    assert radiation.weight.mean() == pytest.approx(SOFT_AND_VIRTUAL, abs=4 * error + 2e-4)


def test_the_two_beams_radiate_alike_in_opposite_directions() -> None:
    rng = np.random.default_rng(3)
    radiation = radiate_from_beams(rng, np.full(200_000, SQRT_S), threshold=1.0)
    hard = radiation.fraction > 0.01
    electron = radiation.photons[hard[:, 0], 0]
    positron = radiation.photons[hard[:, 1], 1]
    assert len(electron) == pytest.approx(len(positron), rel=0.02)
    assert np.median(electron[:, 3] / electron[:, 0]) > 0.999
    assert np.median(positron[:, 3] / positron[:, 0]) < -0.999


def test_the_energy_after_radiation_matches_the_convolution_of_two_radiators() -> None:
    rng = np.random.default_rng(4)
    radiation = radiate_from_beams(rng, np.full(400_000, SQRT_S), threshold=1.0)
    x = lorentz.mass2(radiation.reduced) / SQRT_S**2
    lost = 0.1
    fraction = radiation.weight[x > 1 - lost].sum() / radiation.weight.sum()
    # soft limit of the convolution: v^(2b) with the first-order hard correction
    b = float(exponent(SQRT_S, ELECTRON_MASS))
    expected = lost ** (2 * b) * (1 + 1.5 * b) - 2 * b * lost
    assert fraction == pytest.approx(expected, rel=0.01)


def test_seeds_make_events() -> None:
    sqrt_s = np.full(100, SQRT_S)
    first = radiate_from_beams(np.random.default_rng(5), sqrt_s, threshold=1.0)
    again = radiate_from_beams(np.random.default_rng(5), sqrt_s, threshold=1.0)
    other = radiate_from_beams(np.random.default_rng(6), sqrt_s, threshold=1.0)
    assert np.array_equal(first.photons, again.photons)
    assert not np.array_equal(first.photons, other.photons)
