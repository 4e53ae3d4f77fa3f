"""Decays of polarised taus against the three-body matrix element and closed limits."""

import math
from itertools import pairwise

import numpy as np
import pytest
from four_vectors import boosted, dot, isotropic, mass2, momentum, on_shell, two_body_momentum
from scipy.integrate import cumulative_trapezoid, quad
from scipy.stats import kstest

from punzinet.analysis.constants import MUON_MASS, PION_MASS, TAU_MASS
from punzinet.analysis.simulation.generators.tau_decay import (
    LARGEST_ENERGY,
    LEAST_FRACTION,
    decay,
    michel_spectrum,
    muon_analysing_power,
)

N = 40_000


def sample(
    charge: float, polarisation: tuple[float, float, float], pion_share: float = 0.0, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    decays = [decay(rng, charge, polarisation, pion_share) for _ in range(N)]
    return np.array([d[0] for d in decays]), np.array([d[1] for d in decays])


def test_muon_energies_follow_the_closed_spectrum() -> None:
    p, _ = sample(-1.0, (0.0, 0.0, 0.0))
    np.testing.assert_allclose(mass2(p), MUON_MASS**2, atol=1e-12)
    grid = np.linspace(LEAST_FRACTION, 1, 4001)
    cumulative = cumulative_trapezoid([michel_spectrum(x) for x in grid], grid, initial=0)
    result = kstest(
        p[:, 0] / LARGEST_ENERGY, lambda x: np.interp(x, grid, cumulative / cumulative[-1])
    )
    assert result.pvalue > 1e-3


def test_spectrum_and_polarimeter_come_from_the_matrix_element() -> None:
    # V-A: |M|^2 ~ ((P - M S).k_antinu) (p.k_nu) for the tau-, over flat three-body phase space
    n = 400_000
    rng = np.random.default_rng(5)
    pair = np.sqrt(rng.uniform(0, (TAU_MASS - MUON_MASS) ** 2, n))
    momentum = two_body_momentum(TAU_MASS, pair, MUON_MASS)
    muon = on_shell(momentum[:, None] * isotropic(rng, n), MUON_MASS)
    tau = np.array([TAU_MASS, 0, 0, 0])
    inside = on_shell(pair[:, None] / 2 * isotropic(rng, n), 0.0)
    nu = boosted(inside, tau - muon)
    antinu = tau - muon - nu
    spin = np.array([0, 0, 0, 1.0])
    # the flavours are exchanged by turning the neutrinos round: the mean of both is smoother
    weight = momentum * dot(tau - TAU_MASS * spin, antinu) * dot(muon, nu)

    x = muon[:, 0] / LARGEST_ENERGY
    cosine = muon[:, 3] / momentum
    edges = np.linspace(0.15, 1, 9)
    shape = np.array([quad(michel_spectrum, a, b)[0] for a, b in pairwise(edges)])
    rate = np.histogram(x, edges, weights=weight)[0]
    variance = np.histogram(x, edges, weights=weight**2)[0]
    scale = rate.sum() / shape.sum()
    assert np.all(np.abs(rate - scale * shape) < 5 * np.sqrt(variance))
    # 3 <cos> is the analysing power
    for (a, b), total, error in zip(pairwise(edges), rate, np.sqrt(variance), strict=True):
        inside_bin = (x > a) & (x < b)
        measured = 3 * np.sum((weight * cosine)[inside_bin]) / total
        expected = quad(lambda v: michel_spectrum(v) * muon_analysing_power(v), a, b)[0]
        expected /= quad(michel_spectrum, a, b)[0]
        assert abs(measured - expected) < 5 * 3 / math.sqrt(3) * error / total


def test_limits_of_the_analysing_power() -> None:
    assert muon_analysing_power(1.0) == pytest.approx(-1)
    # far above the muon mass it is the massless (1 - 2x)/(3 - 2x)
    for x in (0.5, 0.8):
        assert muon_analysing_power(x) == pytest.approx((1 - 2 * x) / (3 - 2 * x), abs=0.01)
    energies = np.linspace(LEAST_FRACTION, 1, 200)
    powers = np.array([muon_analysing_power(x) for x in energies])
    assert np.all(np.abs(powers) <= 1 + 1e-12)
    mean = quad(lambda x: michel_spectrum(x) * muon_analysing_power(x), LEAST_FRACTION, 1)[0]
    mean /= quad(michel_spectrum, LEAST_FRACTION, 1)[0]
    assert mean == pytest.approx(-1 / 3, abs=0.01)


@pytest.mark.parametrize("charge", [-1.0, 1.0])
@pytest.mark.parametrize("pion_share", [0.0, 1.0])
def test_angles_follow_the_polarisation(charge: float, pion_share: float) -> None:
    polarisation = np.array([0.3, -0.5, 0.6])
    p, h = sample(charge, tuple(polarisation), pion_share)
    # density 1 + P.h: the mean of h is P <h^2> / 3
    error = np.sqrt((h**2).mean(axis=0) / N)
    expected = polarisation * (h**2).sum(axis=1).mean() / 3
    assert np.all(np.abs(h.mean(axis=0) - expected) < 5 * error)
    # hard muons leave a tau- against its spin, pions along it, and the tau+ the other way round
    hard = p[p[:, 0] > 0.8 * LARGEST_ENERGY] if pion_share == 0 else p
    along = (hard[:, 1:] @ polarisation).mean()
    assert np.sign(along) == (charge if pion_share == 0 else -charge)
    mass = PION_MASS if pion_share else MUON_MASS
    np.testing.assert_allclose(mass2(p), mass**2, atol=1e-12)


def test_unpolarised_taus_decay_isotropically() -> None:
    p, _ = sample(1.0, (0.0, 0.0, 0.0))
    unit = p[:, 1:] / momentum(p)[:, None]
    assert np.all(np.abs(unit.mean(axis=0)) < 5 / math.sqrt(3 * N))
    np.testing.assert_allclose((unit**2).mean(axis=0), 1 / 3, atol=5 * 0.3 / math.sqrt(N))


def test_polarisation_along_minus_z() -> None:
    _, h = sample(-1.0, (0.0, 0.0, -1.0), pion_share=1.0)
    assert h[:, 2].mean() == pytest.approx(-1 / 3, abs=5 * 0.5 / math.sqrt(N))


def test_shares_of_the_channels() -> None:
    p, _ = sample(-1.0, (0.0, 0.0, 0.0), pion_share=0.25)
    pions = np.isclose(mass2(p), PION_MASS**2)
    assert pions.mean() == pytest.approx(0.25, abs=5 * math.sqrt(0.25 * 0.75 / N))
