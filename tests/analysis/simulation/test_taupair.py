"""Tau pairs against Dirac matrices, known limits, the published rate and conservation laws."""

from itertools import pairwise

import numpy as np
import pytest
from collisions import SQRT_S, probability, sample
from dirac import GAMMA, ONE, PAULI, UNIT, slash
from four_vectors import boosted, cosine, dot, isotropic, mass2, on_shell, two_body_momentum
from scipy.integrate import quad

from punzinet.analysis.constants import MUON_MASS, PION_MASS, TAU_MASS
from punzinet.analysis.io.compiled import njit
from punzinet.analysis.simulation import radiation, taupair

X0, LARGEST = taupair.LEAST_FRACTION, taupair.LARGEST_ENERGY
GAMMA5 = np.kron(PAULI[0], ONE)


def rate(taus, spins):
    """Sum over beam spins of |M|^2 with spin four-vectors of tau- and tau+, up to a constant."""
    one, other = (
        (slash(tau) + sign * TAU_MASS * UNIT) @ (UNIT + GAMMA5 @ slash(spin))
        for tau, spin, sign in zip(taus, spins, (1, -1), strict=True)
    )
    # massless beams along z: only the currents across it
    return np.real(sum(np.einsum("...ij,jk,...kl,li->...", one, g, other, g) for g in GAMMA[1:3]))


@pytest.mark.parametrize("gamma", [1.0001, 1.5, 2.98, 50.0])
@pytest.mark.parametrize("cosine", [-0.9, -0.2, 0.4, 0.99])
def test_spin_correlation_is_that_of_the_dirac_matrices(cosine, gamma):
    z = np.array([np.sqrt(1 - cosine**2), 0, cosine])
    x = (np.array([0, 0, 1.0]) - cosine * z) / np.sqrt(1 - cosine**2)
    axes = np.array([x, np.cross(z, x), z])
    momentum = TAU_MASS * np.sqrt(gamma**2 - 1) * z
    taus = [on_shell(p, TAU_MASS) for p in (momentum, -momentum)]
    nothing = np.zeros(4)
    average = rate(taus, [nothing, nothing])
    along = np.concatenate([np.zeros((3, 1)), axes], axis=1)
    a, b = (boosted(along, tau) for tau in taus)
    # no polarisation of one tau alone
    for both in (*((spin, nothing) for spin in a), *((nothing, spin) for spin in b)):
        assert rate(taus, both) == pytest.approx(average)
    c = np.array([[rate(taus, [one, other]) for other in b] for one in a]) / average - 1
    np.testing.assert_allclose(taupair.spin_correlation(cosine, gamma), c, atol=1e-9)
    assert np.trace(c) == pytest.approx(1)  # a spin triplet
    assert np.linalg.norm(c, 2) <= 1 + 1e-9


def reference_pairs(n, pion):
    """Positive and negative daughters and weights, from isotropic decays and Dirac matrices."""
    rng = np.random.default_rng(77)
    flight = np.sqrt(SQRT_S**2 / 4 - TAU_MASS**2) * isotropic(rng, n)
    taus = [on_shell(sign * flight, TAU_MASS) for sign in (1, -1)]
    daughters, spins = [], []
    weight = np.ones(n)
    for tau, sign in zip(taus, (1, -1), strict=True):
        unit = isotropic(rng, n)
        if pion:
            p, mass, power = (TAU_MASS**2 - PION_MASS**2) / (2 * TAU_MASS), PION_MASS, np.ones(n)
        else:
            x = rng.uniform(X0, 1, n)
            weight *= np.array([taupair.michel_spectrum(v) for v in x])
            power = np.array([taupair.muon_analysing_power(v) for v in x])
            p, mass = LARGEST * np.sqrt(x**2 - X0**2)[:, None], MUON_MASS
        daughters.append(boosted(on_shell(p * unit, mass), tau))
        spin = np.concatenate([np.zeros((n, 1)), (sign * power)[:, None] * unit], axis=1)
        spins.append(boosted(spin, tau))
    return daughters[1], daughters[0], weight * rate(taus, spins)


@njit(cache=True)
def make_pairs(rng, n, pion_share):
    momenta = np.empty((n, 2, 4))
    for i in range(n):
        momenta[i, 0], momenta[i, 1] = taupair.make_pair(rng, SQRT_S, pion_share)
    return momenta


@pytest.mark.parametrize("pion", [False, True])
def test_daughters_follow_the_matrix_element(pion):
    plus, minus, weight = reference_pairs(100_000, pion)
    made = make_pairs(np.random.default_rng(9), 200_000, float(pion))

    def across(p, q):
        turn = np.arctan2(p[:, 2], p[:, 1]) - np.arctan2(q[:, 2], q[:, 1])
        return np.mod(turn, 2 * np.pi)

    for of in (
        lambda p, _: cosine(p),
        lambda p, _: p[:, 0],
        lambda p, q: p[:, 0] * q[:, 0],
        lambda p, q: mass2(p + q),
        lambda p, q: np.hypot(*(p + q)[:, 1:3].T),
        across,
    ):
        assert probability(of(made[:, 0], made[:, 1]), of(plus, minus), weight, bins=25) > 1e-4


def spectrum_mean(f, low=X0, high=1):
    """Mean of a function of the muon's energy fraction within a range of it."""
    top = quad(lambda x: taupair.michel_spectrum(x) * f(x), low, high)[0]
    return top / quad(taupair.michel_spectrum, low, high)[0]


def test_rate_without_and_with_radiation():
    # far above threshold 86.8 nb GeV^2 / s with the running alpha
    assert taupair.born_cross_section(12.0) == 0
    running = (1 - radiation.vacuum_polarisation(1e4)) ** -2
    assert taupair.born_cross_section(1e4) == pytest.approx(86.85e6 / 1e4 * running, rel=1e-4)
    weight = sample(taupair.TauPairGenerator(), 300_000, 1).weight
    # weights are nearly equal
    assert weight.max() < 1.2 * weight.mean()
    assert weight.std() < 0.2 * weight.mean()
    # pions add their share of the rate
    mixed = sample(taupair.TauPairGenerator(0.1), 300_000, 1).weight
    expected = (1 + 0.1 * 0.1082 / 0.1739) ** 2
    assert mixed.mean() / weight.mean() == pytest.approx(expected, rel=5e-3)


def test_spectrum_and_polarimeter_come_from_the_matrix_element():
    # V-A: |M|^2 ~ ((P - M S).k_antinu) (p.k_nu) for the tau-, over flat three-body phase space
    n = 400_000
    rng = np.random.default_rng(5)
    pair = np.sqrt(rng.uniform(0, (TAU_MASS - MUON_MASS) ** 2, n))
    momentum = two_body_momentum(TAU_MASS, pair, MUON_MASS)
    muon = on_shell(momentum[:, None] * isotropic(rng, n), MUON_MASS)
    tau = np.array([TAU_MASS, 0, 0, 0])
    nu = boosted(on_shell(pair[:, None] / 2 * isotropic(rng, n), 0.0), tau - muon)
    spin = np.array([0, 0, 0, TAU_MASS])
    weight = momentum * dot(tau - spin, tau - muon - nu) * dot(muon, nu)

    x = muon[:, 0] / LARGEST
    cosine = muon[:, 3] / momentum
    edges = np.linspace(0.15, 1, 9)
    shape = np.array([quad(taupair.michel_spectrum, a, b)[0] for a, b in pairwise(edges)])
    power = [spectrum_mean(taupair.muon_analysing_power, a, b) for a, b in pairwise(edges)]
    weights = weight, weight**2, weight * cosine
    rate, variance, along = (np.histogram(x, edges, weights=w)[0] for w in weights)
    scale = rate.sum() / shape.sum()
    assert np.all(np.abs(rate - scale * shape) < 5 * np.sqrt(variance))
    # 3 <cos> is the analysing power
    error = 3 / np.sqrt(3) * np.sqrt(variance) / rate
    assert np.all(np.abs(3 * along / rate - power) < 5 * error)
    powers = [taupair.muon_analysing_power(x) for x in np.linspace(X0, 1, 200)]
    assert powers[-1] == pytest.approx(-1)
    assert np.abs(powers).max() <= 1 + 1e-12


@njit(cache=True)
def decays(rng, n, charge, polarisation, pion_share):
    """Momenta (n, 4) of the daughters of taus, and polarimeters (n, 3)."""
    momenta, polarimeters = np.empty((n, 4)), np.empty((n, 3))
    for i in range(n):
        momenta[i], polarimeters[i] = taupair.decay(rng, charge, polarisation, pion_share)
    return momenta, polarimeters


@pytest.mark.parametrize("charge", [-1.0, 1.0])
@pytest.mark.parametrize("pion_share", [0.0, 1.0])
@pytest.mark.parametrize("polarisation", [(0.3, -0.5, 0.6), (0.0, 0.0, -1.0), (0.0, 0.0, 0.0)])
def test_angles_follow_the_polarisation(charge, pion_share, polarisation):
    p, h = decays(np.random.default_rng(1), 40_000, charge, polarisation, pion_share)
    # density 1 + P.h: the mean of h is P <h^2> / 3, and all squares are alike
    expected = np.array(polarisation) * (h**2).sum(axis=1).mean() / 3
    error = np.sqrt((h**2).mean(axis=0) / len(h))
    assert np.all(np.abs(h.mean(axis=0) - expected) < 5 * error)
    # hard muons leave a tau- against its spin, pions along it, and the tau+ the other way round
    hard = p[(p[:, 0] > 0.8 * LARGEST) | (pion_share > 0)]
    along = (hard[:, 1:] @ polarisation).mean()
    assert np.sign(along) == any(polarisation) * (-charge if pion_share else charge)
