"""Radiative corrections: running coupling, normalisation, angular pattern, conservation, limits."""

import numpy as np
import pytest
from collisions import SQRT_S, mean
from scipy.integrate import quad

from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, MUON_MASS, TAU_MASS
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.simulation import radiation

S = SQRT_S**2
B = radiation.exponent(S, ELECTRON_MASS)


@njit(cache=True)
def draw(rng, n, below, share):
    """Fractions and weights of photons off one beam, (n, 2)."""
    found = np.empty((n, 2))
    for i in range(n):
        found[i] = radiation.softer_fraction(rng, S, ELECTRON_MASS, below, share)
    return found


@njit(cache=True)
def radiate(rng, fractions):
    """Photons (n, 2, 4) of fractions (n, 2) off both beams, and axes (n, 3) of what collides."""
    photons, axes = np.empty((len(fractions), 2, 4)), np.empty((len(fractions), 3))
    for i, (first, second) in enumerate(fractions):
        found = radiation.radiate_off_beams(rng, SQRT_S, (first, second, 0.0, 0.0))
        photons[i, 0], photons[i, 1], (_, axes[i]) = found
    return photons, axes


def test_the_first_order_of_the_radiator_is_the_splitting_function():
    z = np.array([0.1, 0.5, 0.9])
    b = 1e-7
    density = b * z ** (b - 1) * radiation.hard_spectrum(z, b)
    np.testing.assert_allclose(density / b, (1 + (1 - z) ** 2) / (2 * z), rtol=1e-5)


@pytest.mark.parametrize("mass", [ELECTRON_MASS, MUON_MASS])
def test_the_angles_follow_the_pattern_of_a_massive_charge(mass):
    uniform = np.linspace(0, 1, 1001)
    a = 2 * mass**2 / S
    angle = np.array([radiation.emission_angle(u, SQRT_S / 2, mass) for u in uniform[:-1]] + [2.0])
    cumulative = np.log1p(angle / a) - angle / (angle + a)
    # the integrated pattern is the logarithm minus one
    assert ALPHA / np.pi * cumulative[-1] == pytest.approx(radiation.exponent(S, mass), rel=1e-3)
    # rounding of the closed form at the smallest angles sets the absolute tolerance
    np.testing.assert_allclose(cumulative / cumulative[-1], uniform, rtol=1e-6, atol=1e-12)


def test_the_axis_is_the_beam_axis_for_soft_photons():
    rng = np.random.default_rng(3)
    fraction = np.stack([draw(rng, 100_000, 0.99, 0.0)[:, 0] for _ in range(2)], axis=1)
    photons, axis = radiate(rng, fraction)
    np.testing.assert_allclose(np.linalg.norm(axis, axis=1), 1, rtol=1e-12)
    soft = fraction.max(axis=1) < 1e-5
    assert soft.sum() > 1000
    np.testing.assert_allclose(axis[soft] - [0, 0, 1], 0, atol=1e-5)
    # the two beams radiate alike in opposite directions
    electron, positron = (photons[fraction[:, i] > 0.01, i] for i in (0, 1))
    assert len(electron) == pytest.approx(len(positron), rel=0.02)
    assert np.median(electron[:, 3] / electron[:, 0]) > 0.999
    assert np.median(positron[:, 3] / positron[:, 0]) < -0.999


def test_the_radiator_is_normalised_and_weights_are_the_probability_of_nothing_harder():
    def up_to(z):
        # substitute u = z^b, under which the density b z^(b-1) is flat
        return quad(lambda u: radiation.hard_spectrum(u ** (1 / B), B), 0, z**B)[0]

    assert up_to(1.0) == pytest.approx(1, rel=1e-9)
    for below, share in ((0.2, 0.0), (0.99, 0.0), (0.99, 0.06)):
        fraction, weight = draw(np.random.default_rng(2), 100_000, below, share).T
        assert fraction.max() < below
        value, error = mean(weight)
        assert value == pytest.approx(up_to(below), abs=4 * error)


def test_the_coupling_has_its_published_values():
    # one-loop leptonic contribution at the Z mass: 0.031419 (Steinhauser 1998)
    z = 91.1876**2
    leptons = sum(radiation.lepton_loop(z, m) for m in (ELECTRON_MASS, MUON_MASS, TAU_MASS))
    assert leptons == pytest.approx(0.031419, rel=1e-3)
    # 0.02761 +- 0.00036 (Burkhardt and Pietrzyk 2001)
    assert radiation.hadron_loop(z) == pytest.approx(0.02761, abs=0.00036)
    assert radiation.vacuum_polarisation(111.9) == pytest.approx(0.0364, rel=0.02)
    for edge in (0.7, 2.0, 4.0, 10.0):  # the hadronic pieces join
        below, above = (radiation.hadron_loop(edge**2 + step) for step in (-1e-9, 1e-9))
        assert above == pytest.approx(below, rel=3e-4)


def test_a_loop_fulfils_its_dispersion_relation():
    # Delta alpha(s) = (alpha s / 3 pi) P int ds' R(s') / (s' (s - s')), here below threshold,
    # where nothing is singular; R = v (3 - v^2)/2
    s, threshold = 2 * MUON_MASS**2, 4 * MUON_MASS**2

    def integrand(x):
        other = threshold / x
        v = np.sqrt(1 - x)
        return v * (3 - v**2) / 2 / (other * (other - s)) * threshold / x**2

    expected = -ALPHA * s / (3 * np.pi) * quad(integrand, 0, 1)[0]
    assert radiation.lepton_loop(s, MUON_MASS) == pytest.approx(expected, rel=1e-6)
