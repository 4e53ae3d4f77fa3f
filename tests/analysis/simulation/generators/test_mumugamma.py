"""Radiative muon pairs: conservation, total cross-section, partition, limits, seeds."""

import numpy as np
import pytest
from four_vectors import SQRT_S, at_rest, mass2, mean, sample

from punzinet.analysis.simulation.detector import MISSED, SEEN
from punzinet.analysis.simulation.generators.mumugamma import (
    HardestPhoton,
    hardest_photon,
    largest_transverse,
    strata,
    whole,
)


def test_the_total_cross_section_is_the_published_one():
    soft_photons, hard_photon = whole()
    soft, soft_error = mean(sample(soft_photons, 200_000, 1).weight)
    hard, hard_error = mean(sample(hard_photon, 400_000, 2).weight)
    error = np.hypot(soft_error, hard_error)
    assert error < 0.002e6
    # 1.148 nb, without any normalisation
    assert soft + hard == pytest.approx(1.148e6, rel=0.01)


def test_the_total_does_not_depend_on_where_hard_photons_begin():
    totals = []
    for x in (0.003, 0.05):
        soft, hard = (mean(sample(part, 300_000, 3).weight) for part in whole(x))
        totals.append(soft[0] + hard[0])
    assert totals[0] == pytest.approx(totals[1], rel=0.004)


def test_ranges_of_energy_and_angle_add_up():
    whole, error = mean(sample(HardestPhoton("all", (0.05, 1.0)), 400_000, 5).weight)
    parts = [
        mean(sample(HardestPhoton("part", x, y), 150_000, seed).weight)
        for seed, (x, y) in enumerate(
            (x, y)
            for x in ((0.05, 0.3), (0.3, 1.0))
            for y in ((0.0, 0.05), (0.05, 1.9), (1.9, 2.0))
        )
    ]
    errors = np.sqrt(error**2 + sum(e**2 for _, e in parts))
    assert sum(value for value, _ in parts) == pytest.approx(whole, abs=4 * errors)
    assert errors < 0.005 * whole


def test_seen_and_missed_photons_add_up(detector):
    veto = strata(detector)[0].veto
    whole, error = mean(sample(HardestPhoton("all", (0.1, 1.0)), 300_000, 6).weight)
    seen, seen_error = mean(
        sample(HardestPhoton("s", (0.1, 1.0), region=SEEN, veto=veto), 300_000, 7).weight
    )
    missed, missed_error = mean(
        sample(HardestPhoton("m", (0.1, 1.0), region=MISSED, veto=veto), 300_000, 8).weight
    )
    errors = np.sqrt(error**2 + seen_error**2 + missed_error**2)
    assert seen + missed == pytest.approx(whole, abs=4 * errors)
    # most photons are lost along the beams, and a good part is not
    assert 0.2 < seen / whole < 0.5


def test_the_strata_hold_all_that_the_detector_takes_for_signal(detector):
    regions = strata(detector)
    transverse = regions[0].least_transverse
    # without stratification: all photons, at any transverse momentum
    events = sample(HardestPhoton("all", (0.03, 1.0)), 600_000, 9)
    visible = events.weight * detector.visibility(events)[:, -1]
    photons = events.photons.sum(axis=1)
    across = np.hypot(photons[:, 1], photons[:, 2]) > transverse
    whole = (visible * across).mean()
    error = (visible * across).std() / np.sqrt(len(visible))
    total, variance = 0.0, error**2
    for seed, region in enumerate(regions):
        part = sample(region, 60_000, 100 + seed)
        weight = part.weight * detector.visibility(part)[:, -1]
        total += weight.mean()
        variance += weight.var() / len(weight)
    assert total == pytest.approx(whole, abs=4 * np.sqrt(variance))
    assert np.sqrt(variance) < 0.1 * whole
    assert transverse == pytest.approx(detector.least_transverse)


def test_the_quick_bound_loses_no_event():
    events = sample(HardestPhoton("all", (0.02, 1.0)), 300_000, 10)
    events = events[events.weight > 0]
    across = np.hypot(*events.photons.sum(axis=1)[:, 1:3].T)
    energy = SQRT_S / 2
    first, second = events.photons[:, 1, 0] / energy, events.photons[:, 2, 0] / energy
    # the fraction of the hardest photon and its angle, in the frame where it is radiated
    reduced = events.photons[:, 0] + events.photons[:, 3:].sum(axis=1)
    reduced += events.mu_plus + events.mu_minus
    x = 2 * at_rest(events.photons[:, 0], reduced)[:, 0]
    x /= np.sqrt(mass2(reduced))
    of_muons = events.photons[:, 3:, 0].sum(axis=1) / energy
    # where the other photons are soft the hardest has the same angle in both frames
    soft = (first + second < 0.05) & (of_muons < 0.05)
    y = 1 - events.photons[:, 0, 3] / events.photons[:, 0, 0]
    rows = zip(x[soft], y[soft], first[soft], second[soft], of_muons[soft], strict=True)
    bound = np.array([largest_transverse(energy, a, b, (c, d, e, 0.0)) for a, b, c, d, e in rows])
    assert np.all(across[soft] < bound * 1.001 + 1e-6)


def test_the_density_of_the_hardest_photon_is_normalised():
    rng = np.random.default_rng(11)
    ranges = (0.1, 0.8), (0.2, 1.5)
    drawn = np.array([hardest_photon(rng, SQRT_S**2, *ranges) for _ in range(40_000)])
    # the mean inverse density is the volume of x, y and the cosine
    volume = 0.7 * 1.3 * 2
    error = drawn[:, 3].std() / np.sqrt(len(drawn))
    assert drawn[:, 3].mean() == pytest.approx(volume, abs=4 * error)
    assert error < 0.01 * volume


def test_nothing_prefers_a_charge_once_the_angle_is_averaged():
    events = sample(HardestPhoton("all", (0.05, 1.0)), 300_000, 12)
    difference = events.weight * (events.mu_plus[:, 0] - events.mu_minus[:, 0])
    error = difference.std() / np.sqrt(len(difference))
    assert abs(difference.mean()) < 4 * error
