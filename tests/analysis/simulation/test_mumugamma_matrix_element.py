"""The matrix elements against amplitudes from explicit Dirac matrices, and their limits."""

import numpy as np
import pytest

from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.simulation import lorentz
from punzinet.analysis.simulation.mumugamma_matrix_element import born_element, radiative_element
from punzinet.analysis.simulation.vacuum_polarisation import vacuum_polarisation

SQRT_S = 10.58
METRIC = np.array([1.0, -1.0, -1.0, -1.0])
SIGMA = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=complex)
ZERO, ONE = np.zeros((2, 2)), np.eye(2)
GAMMA = np.array(
    [np.block([[ONE, ZERO], [ZERO, -ONE]])] + [np.block([[ZERO, s], [-s, ZERO]]) for s in SIGMA]
)


def slash(p):
    return np.einsum("m,mij->ij", METRIC * p, GAMMA)


def spinors(p, mass, antiparticle):
    """Both spin states in the Dirac representation, (2, 4)."""
    norm = np.sqrt(p[0] + mass)
    small = np.einsum("k,kij->ij", p[1:], SIGMA) / (p[0] + mass)
    parts = (small, ONE) if antiparticle else (ONE, small)
    return norm * np.concatenate(parts).T


def current(left, vertex, right):
    """All spin combinations of left-bar vertex^mu right, (2, 2, 4)."""
    return np.einsum("ai,mij,bj->abm", left.conj() @ GAMMA[0], vertex, right)


def brute_force(electron, positron, minus, plus, photon):
    """Squares of the two gauge-invariant parts and their interference over e^6."""
    s = lorentz.mass2(electron + positron)
    s_mumu = lorentz.mass2(minus + plus)
    along = photon[1:] / photon[0]
    first = np.cross(along, [0.3, 0.5, 0.8])
    first /= np.linalg.norm(first)
    one = np.eye(4)
    parts = np.zeros(3)
    for vector in (first, np.cross(along, first)):
        e = slash(np.concatenate([[0.0], vector]))
        initial = [
            g
            @ (slash(electron - photon) + ELECTRON_MASS * one)
            @ e
            / -2
            / lorentz.dot(electron, photon)
            + e
            @ (slash(photon - positron) + ELECTRON_MASS * one)
            @ g
            / -2
            / lorentz.dot(positron, photon)
            for g in GAMMA
        ]
        final = [
            e @ (slash(minus + photon) + MUON_MASS * one) @ g / 2 / lorentz.dot(minus, photon)
            + g @ (slash(-plus - photon) + MUON_MASS * one) @ e / 2 / lorentz.dot(plus, photon)
            for g in GAMMA
        ]
        u, v = spinors(electron, ELECTRON_MASS, False), spinors(positron, ELECTRON_MASS, True)
        x, y = spinors(minus, MUON_MASS, False), spinors(plus, MUON_MASS, True)
        beams = np.einsum(
            "m,abm,cdm->abcd", METRIC, current(v, np.array(initial), u), current(x, GAMMA, y)
        )
        muons = np.einsum(
            "m,abm,cdm->abcd", METRIC, current(v, GAMMA, u), current(x, np.array(final), y)
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
    half = np.sqrt(lorentz.mass2(dimuon)) / 2
    unit = lorentz.rotate_to(-photon[1:], lorentz.direction(np.array(c), np.array(azimuth)))
    muon = np.concatenate([[half], np.sqrt(half**2 - MUON_MASS**2) * unit])
    minus = lorentz.from_rest_frame(muon, dimuon)
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
    eikonal = sum(sign * p / lorentz.dot(p, photon) for p, sign in charges)
    s = SQRT_S**2
    cosine = minus[3] / np.linalg.norm(minus[1:])
    expected = -4 * np.pi * ALPHA * lorentz.mass2(eikonal) * born_element(s, cosine)
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
