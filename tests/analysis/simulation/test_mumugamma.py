"""Radiative muon pairs against explicit Dirac matrices, known cross-sections and limits."""

import numpy as np
import pytest
from collisions import DETECTOR, SQRT_S, add, assert_agreement, beam_momenta, mean, rate, sample
from dirac import GAMMA, METRIC, currents, pair_amplitudes, propagator, slash, spinors
from four_vectors import at_rest, boosted, mass2

from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, MUON_MASS
from punzinet.analysis.simulation import mumugamma
from punzinet.analysis.simulation.detector import MISSED, SEEN, Region
from punzinet.analysis.simulation.events import about_z, rotate_to
from punzinet.analysis.simulation.radiation import vacuum_polarisation

S = SQRT_S**2


def test_the_total_is_the_published_one_wherever_hard_photons_begin():
    every = map(mumugamma.whole, (0.003, 0.01, 0.05))
    parts = [[rate(part, 200_000, 3) for part in whole] for whole in every]
    totals, errors = np.transpose([add(both) for both in parts])
    assert errors.max() < 0.002e6
    # 1.148 nb, without any normalisation
    np.testing.assert_allclose(totals, 1.148e6, rtol=0.01)
    np.testing.assert_allclose(totals, totals[0], rtol=0.004)


def shares(least, parts, n):
    """Parts of all photons above an energy fraction, which they have to be together."""
    expected = rate(mumugamma.HardestPhoton("all", (least, 1.0)), 200_000, 5)
    rates = [rate(part, n, seed) for seed, part in enumerate(parts)]
    assert_agreement(add(rates), expected, 0.005)
    return [value / expected[0] for value, _ in rates]


def test_ranges_of_energy_and_angle_add_up():
    energies, angles = ((0.05, 0.3), (0.3, 1.0)), ((0.0, 0.05), (0.05, 1.9), (1.9, 2.0))
    shares(0.05, [mumugamma.HardestPhoton("part", x, y) for x in energies for y in angles], 75_000)


def test_seen_and_missed_photons_add_up():
    seen = mumugamma.strata(DETECTOR)[0]._replace(fraction=(0.1, 1.0), least_transverse=0.0)
    where, *detector = seen.region
    assert where == SEEN
    share, _ = shares(0.1, [seen, seen._replace(region=Region(MISSED, *detector))], 150_000)
    # most photons are lost along the beams, and a good part is not
    assert 0.2 < share < 0.5


def visible(generator, n, seed):
    events = sample(generator, n, seed)
    return events, events.weight * DETECTOR.visibility(events)[:, -1]


def test_the_strata_hold_all_that_the_detector_takes_for_signal():
    regions = mumugamma.strata(DETECTOR)
    transverse = regions[0].least_transverse
    assert transverse == pytest.approx(DETECTOR.least_transverse)
    # without stratification: all photons, at any transverse momentum
    events, weight = visible(mumugamma.HardestPhoton("all", (0.03, 1.0)), 600_000, 9)
    across = np.hypot(*events.photons.sum(axis=1)[:, 1:3].T) > transverse
    parts = [mean(visible(part, 60_000, 100 + seed)[1]) for seed, part in enumerate(regions)]
    assert_agreement(add(parts), mean(weight * across), 0.1)


def test_the_quick_bound_loses_no_event():
    events = sample(mumugamma.HardestPhoton("all", (0.02, 1.0)), 300_000, 10)
    events = events.pick(events.weight > 0)
    across = np.hypot(*events.photons.sum(axis=1)[:, 1:3].T)
    energy = SQRT_S / 2
    first, second = events.photons[:, 1, 0] / energy, events.photons[:, 2, 0] / energy
    # the fraction of the hardest photon and its angle, in the frame where it is radiated
    reduced = events.photons[:, 0] + events.photons[:, 3:].sum(axis=1)
    reduced += events.mu_plus + events.mu_minus
    x = 2 * at_rest(events.photons[:, 0], reduced)[:, 0] / np.sqrt(mass2(reduced))
    of_muons = events.photons[:, 3:, 0].sum(axis=1) / energy
    # where the other photons are soft the hardest has the same angle in both frames
    soft = (first + second < 0.05) & (of_muons < 0.05)
    y = 1 - events.photons[:, 0, 3] / events.photons[:, 0, 0]
    rows = zip(x[soft], y[soft], first[soft], second[soft], of_muons[soft], strict=True)
    bound = [mumugamma.largest_transverse(energy, a, b, (*others, 0.0)) for a, b, *others in rows]
    assert np.all(across[soft] < np.array(bound) * 1.001 + 1e-6)


def brute_force(electron, positron, minus, plus, photon):
    """Squares of the two gauge-invariant parts and their interference over e^6."""
    along = photon[1:] / photon[0]
    first = np.cross(along, [0.3, 0.5, 0.8])
    first /= np.linalg.norm(first)
    u, v = spinors(electron, ELECTRON_MASS), spinors(positron, ELECTRON_MASS, antiparticle=True)
    x, y = spinors(minus, MUON_MASS), spinors(plus, MUON_MASS, antiparticle=True)
    radiated = pair_amplitudes(minus, plus, photon)
    metric = METRIC.diagonal()
    parts = np.zeros(3)
    for vector in (first, np.cross(along, first)):
        e = slash(np.concatenate([[0.0], vector]))
        initial = GAMMA @ propagator(electron - photon, ELECTRON_MASS) @ e
        initial = initial + e @ propagator(photon - positron, ELECTRON_MASS) @ GAMMA
        final = np.einsum("k,kmcd->cdm", -vector, radiated[1:])
        a = np.einsum("m,abm,cdm->abcd", metric, currents(v, initial, u), currents(x, GAMMA, y))
        b = np.einsum("m,abm,cdm->abcd", metric, currents(v, GAMMA, u), final)
        a, b = a / mass2(minus + plus), b / mass2(electron + positron)
        parts += [(abs(a) ** 2).sum(), (abs(b) ** 2).sum(), 2 * (a * b.conj()).real.sum()]
    return parts / 4


def configuration(x, opening, c, azimuth):
    """Momenta of electron, positron, mu-, mu+ and photon, from energy fraction and angles."""
    k = x * SQRT_S / 2
    photon = k * np.array([1, np.sqrt(opening * (2 - opening)), 0, 1 - opening])
    dimuon = np.array([SQRT_S, 0, 0, 0]) - photon
    half = np.sqrt(mass2(dimuon)) / 2
    length = np.sqrt(half**2 - MUON_MASS**2)
    muon = rotate_to(tuple(-photon[1:] / k), about_z(half, length, 1 - c, azimuth))
    minus = boosted(np.array(muon), dimuon)
    return (*beam_momenta(ELECTRON_MASS), minus, dimuon - minus, photon)


@pytest.mark.parametrize("x", [0.01, 0.3, 0.8, 0.97, 0.995])
@pytest.mark.parametrize("opening", [1.2, 1.9, 1e-3, 1e-6, 1e-8])
@pytest.mark.parametrize("c", [0.1, -0.9, 0.999])
def test_the_square_is_that_of_the_amplitudes(x, opening, c):
    electron, positron, minus, plus, photon = configuration(x, opening, c, 0.7)
    s_mumu = S * (1 - x)
    before, after = (1 / (1 - vacuum_polarisation(q)) for q in (S, s_mumu))
    parts = brute_force(electron, positron, minus, plus, photon)
    expected = parts @ [after**2, before**2, before * after]
    muons = tuple(minus), tuple(plus)
    square = mumugamma.radiative_element(S, opening, tuple(photon), *muons)
    # terms of order m_mu^2/s_mumu are neglected in the muons' part only
    neglected = (abs(parts[1]) + abs(parts[2])) * before**2 * (2e-3 + 8 * MUON_MASS**2 / s_mumu)
    assert abs(square / (4 * np.pi * ALPHA) ** 3 - expected) < 1e-6 * expected + neglected
