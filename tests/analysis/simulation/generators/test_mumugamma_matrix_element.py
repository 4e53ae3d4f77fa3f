"""The matrix elements against amplitudes from explicit Dirac matrices, and their limits."""

import numpy as np
import pytest
from four_vectors import GAMMA, METRIC, SQRT_S, boosted, currents, dot, mass2, slash, spinors

from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.simulation import lorentz
from punzinet.analysis.simulation.generators.mumugamma_matrix_element import (
    born_element,
    radiative_element,
)
from punzinet.analysis.simulation.generators.radiation import vacuum_polarisation


def brute_force(electron, positron, minus, plus, photon):
    """Squares of the two gauge-invariant parts and their interference over e^6."""
    s = mass2(electron + positron)
    s_mumu = mass2(minus + plus)
    along = photon[1:] / photon[0]
    first = np.cross(along, [0.3, 0.5, 0.8])
    first /= np.linalg.norm(first)
    one = np.eye(4)
    parts, metric = np.zeros(3), METRIC.diagonal()
    for vector in (first, np.cross(along, first)):
        e = slash(np.concatenate([[0.0], vector]))
        initial = [
            g @ (slash(electron - photon) + ELECTRON_MASS * one) @ e / -2 / dot(electron, photon)
            + e @ (slash(photon - positron) + ELECTRON_MASS * one) @ g / -2 / dot(positron, photon)
            for g in GAMMA
        ]
        final = [
            e @ (slash(minus + photon) + MUON_MASS * one) @ g / 2 / dot(minus, photon)
            + g @ (slash(-plus - photon) + MUON_MASS * one) @ e / 2 / dot(plus, photon)
            for g in GAMMA
        ]
        u, v = spinors(electron, ELECTRON_MASS), spinors(positron, ELECTRON_MASS, antiparticle=True)
        x, y = spinors(minus, MUON_MASS), spinors(plus, MUON_MASS, antiparticle=True)
        beams = np.einsum(
            "m,abm,cdm->abcd",
            metric,
            currents(v, np.array(initial), u),
            currents(x, GAMMA, y),
        )
        muons = np.einsum(
            "m,abm,cdm->abcd",
            metric,
            currents(v, GAMMA, u),
            currents(x, np.array(final), y),
        )
        a, b = beams / s_mumu, muons / s
        parts += [(abs(a) ** 2).sum(), (abs(b) ** 2).sum(), 2 * (a * b.conj()).real.sum()]
    return parts / 4


def configuration(x, opening, c, azimuth):
    """Momenta of electron, positron, mu-, mu+ and photon, from energy fraction and angles."""
    energy = SQRT_S / 2
    beam = np.sqrt(energy**2 - ELECTRON_MASS**2)
    k = x * energy
    photon = k * np.array([1, np.sqrt(opening * (2 - opening)), 0, 1 - opening])
    dimuon = np.array([2 * energy, 0, 0, 0]) - photon
    half = np.sqrt(mass2(dimuon)) / 2
    length = np.sqrt(half**2 - MUON_MASS**2)
    muon = lorentz.rotate_to(tuple(-photon[1:] / k), lorentz.about_z(half, length, 1 - c, azimuth))
    minus = boosted(np.array(muon), dimuon)
    return (
        np.array([energy, 0, 0, beam]),
        np.array([energy, 0, 0, -beam]),
        minus,
        dimuon - minus,
        photon,
    )


@pytest.mark.parametrize("x", [0.01, 0.3, 0.8, 0.97, 0.995])
@pytest.mark.parametrize("opening", [1.2, 1.9, 1e-3, 1e-6, 1e-8])
@pytest.mark.parametrize("c", [0.1, -0.9, 0.999])
def test_the_square_is_that_of_the_amplitudes(x, opening, c):
    electron, positron, minus, plus, photon = configuration(x, opening, c, 0.7)
    s = SQRT_S**2
    s_mumu = s * (1 - x)
    before, after = (1 / (1 - vacuum_polarisation(q)) for q in (s, s_mumu))
    parts = brute_force(electron, positron, minus, plus, photon)
    expected = parts @ [after**2, before**2, before * after]
    square = radiative_element(s, opening, tuple(photon), tuple(minus), tuple(plus))
    # terms of order m_mu^2/s_mumu are neglected in the muons' part only
    neglected = (abs(parts[1]) + abs(parts[2])) * before**2 * (2e-3 + 8 * MUON_MASS**2 / s_mumu)
    tolerance = 1e-6 * expected + neglected
    assert abs(square / (4 * np.pi * ALPHA) ** 3 - expected) < tolerance


def test_soft_photons_factorise():
    x = 1e-6
    opening = 0.9
    electron, positron, minus, plus, photon = configuration(x, opening, 0.3, 1.1)
    charges = ((electron, 1), (positron, -1), (minus, -1), (plus, 1))
    eikonal = sum(sign * p / dot(p, photon) for p, sign in charges)
    s = SQRT_S**2
    cosine = minus[3] / np.linalg.norm(minus[1:])
    expected = -4 * np.pi * ALPHA * mass2(eikonal) * born_element(s, cosine)
    square = radiative_element(s, opening, tuple(photon), tuple(minus), tuple(plus))
    assert square == pytest.approx(expected, rel=1e-3)


def test_the_born_cross_section_is_the_point_cross_section():
    s = SQRT_S**2
    cosine, weight = np.polynomial.legendre.leggauss(8)
    element = sum(
        w * born_element(s, c) for c, w in zip(cosine.tolist(), weight.tolist(), strict=True)
    )
    velocity = np.sqrt(1 - 4 * MUON_MASS**2 / s)
    cross_section = FB_PER_GEV2 * element / 2 * velocity / (8 * np.pi) / (2 * s)
    coupling = ALPHA / (1 - vacuum_polarisation(s))
    point = FB_PER_GEV2 * 4 * np.pi * coupling**2 / (3 * s)
    assert cross_section == pytest.approx(point * velocity * (3 - velocity**2) / 2, rel=1e-9)
