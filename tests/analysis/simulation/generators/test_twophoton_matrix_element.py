"""The two-photon amplitude against explicit Dirac matrices, and its closed-form limits."""

import numpy as np
import pytest
from four_vectors import (
    GAMMA,
    METRIC,
    SQRT_S,
    at_rest,
    boosted,
    currents,
    isotropic,
    mass2,
    slash,
    spinors,
)

from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, MUON_MASS
from punzinet.analysis.simulation import lorentz
from punzinet.analysis.simulation.generators.twophoton import _square
from punzinet.analysis.simulation.generators.twophoton_matrix_element import pair_square
from punzinet.analysis.simulation.generators.twophoton_sampling import scattered_electron


def pair_amplitudes(first, second, minus, plus):
    """All Lorentz and spin components of gamma* gamma* -> mu- mu+, (4, 4, 2, 2)."""
    one = np.eye(4)
    left = spinors(minus, MUON_MASS).conj() @ GAMMA[0]
    right = spinors(plus, MUON_MASS, antiparticle=True)
    direct, crossed = minus - first, minus - second
    a = (slash(direct) + MUON_MASS * one) / (mass2(direct) - MUON_MASS**2)
    b = (slash(crossed) + MUON_MASS * one) / (mass2(crossed) - MUON_MASS**2)
    tensor = np.einsum("mij,jk,nkl->mnil", GAMMA, a, GAMMA)
    tensor = tensor + np.einsum("nij,jk,mkl->mnil", GAMMA, b, GAMMA)
    return np.einsum("ri,mnil,sl->mnrs", left, tensor, right)


@pytest.mark.parametrize(
    ("q1", "q2"), [(0.5, 0.3), (2.0, 1e-3), (1e-2, 1.5), (1e-4, 1e-4), (3.0, 3.0), (1e-6, 0.1)]
)
def test_the_square_is_that_of_the_diagrams(q1, q2):
    rng = np.random.default_rng(1)
    beam = np.sqrt(SQRT_S**2 / 4 - ELECTRON_MASS**2)
    electron = np.array([SQRT_S / 2, 0, 0, beam])
    positron = np.array([SQRT_S / 2, 0, 0, -beam])
    first, _ = scattered_electron(SQRT_S, 0.4, q1, 0.3, 1.0)
    second, _ = scattered_electron(SQRT_S, 0.6, q2, 2.1, -1.0)
    photon, other = electron - np.array(first), positron - np.array(second)
    pair = photon + other
    mass = np.sqrt(mass2(pair))
    axis = at_rest(photon, pair)[1:]
    axis /= np.linalg.norm(axis)
    unit = isotropic(rng, 1)[0]
    muon = np.concatenate([[mass / 2], np.sqrt(mass**2 / 4 - MUON_MASS**2) * unit])
    anti = np.concatenate([muon[:1], -muon[1:]])
    minus, plus = (
        boosted(np.array(lorentz.rotate_to(tuple(axis), tuple(p))), pair) for p in (muon, anti)
    )

    pairs = pair_amplitudes(photon, other, minus, plus)
    beams = (electron, first, False), (positron, second, True)
    u, ubar, v, vbar = (
        spinors(np.array(p), ELECTRON_MASS, antiparticle=anti) for *ps, anti in beams for p in ps
    )
    upper, lower = currents(ubar, GAMMA, u), currents(v, GAMMA, vbar)
    metric = METRIC.diagonal()
    amplitudes = np.einsum("abm,m,cdn,n,mnrs->abcdrs", upper, metric, lower, metric, pairs)
    expected = (abs(amplitudes) ** 2).sum() / 4
    square = _square(SQRT_S, tuple(pair), (q1, q2), tuple(axis), (tuple(muon), tuple(anti)))
    # the components of the explicit currents cancel against each other for soft photons
    assert square == pytest.approx(expected, rel=1e-5)


def real_photons(mass, cosine):
    """Momenta of two real photons and of the muons, and transverse polarisation vectors."""
    half = mass / 2
    velocity = np.sqrt(1 - MUON_MASS**2 / half**2)
    sine = np.sqrt(1 - cosine**2)
    photons = (half, 0.0, 0.0, half), (half, 0.0, 0.0, -half)
    minus = (half, half * velocity * sine, 0.0, half * velocity * cosine)
    plus = (half, -minus[1], 0.0, -minus[3])
    vectors = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    return vectors, photons, (minus, plus), velocity


@pytest.mark.parametrize("mass", [0.25, 1.0, 5.0])
@pytest.mark.parametrize("cosine", [0.0, 0.4, -0.95])
def test_real_photons_have_the_known_angular_distribution(mass, cosine):
    vectors, photons, muons, v = real_photons(mass, cosine)
    square = pair_square(vectors, vectors, photons, muons) / 4
    sine2 = 1 - cosine**2
    known = 1 + 2 * v**2 * sine2 - v**4 - v**4 * sine2**2
    known *= 2 * np.pi * ALPHA**2 * v / mass**2 / (1 - v**2 * cosine**2) ** 2
    ours = (4 * np.pi * ALPHA) ** 2 * square * v / (32 * np.pi * mass**2)
    assert ours == pytest.approx(known, rel=1e-9)


def test_real_photons_have_the_known_total_cross_section():
    mass = 1.5
    cosine, weight = np.polynomial.legendre.leggauss(200)
    total = 0.0
    for c, w in zip(cosine.tolist(), weight.tolist(), strict=True):
        vectors, photons, muons, v = real_photons(mass, c)
        square = pair_square(vectors, vectors, photons, muons) / 4
        total += w * (4 * np.pi * ALPHA) ** 2 * square * v / (32 * np.pi * mass**2)
    # Breit and Wheeler
    ratio = 4 * MUON_MASS**2 / mass**2
    logarithm = np.log((1 + v) ** 2 / ratio)
    known = (1 + ratio - ratio**2 / 2) * logarithm - v * (1 + ratio)
    assert total == pytest.approx(4 * np.pi * ALPHA**2 / mass**2 * known, rel=1e-6)


def test_the_amplitude_is_blind_to_the_photons_own_momentum():
    pair_mass, q1, q2 = 2.0, 0.5, 0.2
    energy = (pair_mass**2 - q1 + q2) / (2 * pair_mass)
    momentum = np.sqrt(energy**2 + q1)
    photons = (energy, 0.0, 0.0, momentum), (pair_mass - energy, 0.0, 0.0, -momentum)
    _, _, muons, _ = real_photons(pair_mass, 0.3)
    some = np.array([[0.3, 0.2, 0.5, 0.1]])
    size = pair_square(some, some, photons, muons)
    assert pair_square(np.array([photons[0]]), some, photons, muons) < 1e-24 * size
    assert pair_square(some, np.array([photons[1]]), photons, muons) < 1e-24 * size
