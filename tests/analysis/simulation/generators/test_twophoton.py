"""Two-photon muon pairs: conservation, known cross-sections, partition, seeds."""

from dataclasses import replace

import numpy as np
import pytest
from four_vectors import SQRT_S, mass2, mean, sample

from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.simulation.detector import EVERYWHERE, transform
from punzinet.analysis.simulation.generators.twophoton import strata, whole
from punzinet.analysis.simulation.lorentz import momenta


def test_the_total_cross_section_is_the_published_one():
    parts = [mean(sample(generator, 200_000, 2).weight) for generator in whole(0.5)]
    total = sum(value for value, _ in parts)
    assert np.hypot(*(error for _, error in parts)) < 0.005 * total
    # 18.9 nb for pair masses above 0.5 GeV, without any normalisation
    assert total == pytest.approx(18.9e6, rel=0.04)
    # the beams are alike
    assert parts[0][0] == pytest.approx(parts[1][0], rel=0.02)


def test_soft_photons_are_equivalent_to_a_flux_of_real_ones():
    """Both virtualities far below the muon mass, in a range of the pair mass."""
    largest, low, high = 1e-4, 2.0, 3.0
    total, variance = 0.0, 0.0
    for seed, generator in enumerate(whole(low)):
        events = sample(replace(generator, virtuality=(0.0, largest)), 300_000, seed)
        pair2 = mass2(events.mu_plus + events.mu_minus)
        value, error = mean(np.where(pair2 < high**2, events.weight, 0.0))
        total, variance = total + value, variance + error**2

    def flux(y):
        least = ELECTRON_MASS**2 * y**2 / (1 - y)
        log = np.log(largest / least)
        integral = (1 - y + y**2 / 2) * log - (1 - y) * (1 - least / largest)
        return np.where(least < largest, ALPHA / np.pi * integral, 0.0)

    def cross_section(mass2):
        ratio = 4 * MUON_MASS**2 / mass2
        v = np.sqrt(1 - ratio)
        known = (1 + ratio - ratio**2 / 2) * np.log((1 + v) ** 2 / ratio) - v * (1 + ratio)
        return FB_PER_GEV2 * 4 * np.pi * ALPHA**2 / mass2 * known

    # integral over the logarithms of the product of the fractions and of their ratio
    product = np.geomspace(low**2, high**2, 401) / SQRT_S**2
    inner = []
    for tau in product:
        rapidity = np.linspace(np.log(tau) / 2, -np.log(tau) / 2, 2001)[1:-1]
        root = np.sqrt(tau)
        both = flux(root * np.exp(rapidity)) * flux(root * np.exp(-rapidity))
        inner.append(np.trapezoid(both, rapidity))
    integrand = np.array(inner) * cross_section(product * SQRT_S**2)
    expected = np.trapezoid(integrand, np.log(product))
    assert np.sqrt(variance) < 0.005 * total
    assert total == pytest.approx(expected, rel=0.02)


def test_the_strata_hold_all_that_can_pass(detector):
    """Against one generator that knows neither strata nor the recoil's direction."""
    regions = strata(detector)
    reach = regions[0].reach
    total, variance = 0.0, 0.0
    for seed, region in enumerate(regions):
        value, error = mean(sample(region, 100_000, 10 + seed).weight)
        total, variance = total + value, variance + error**2
    expected = 0.0
    for seed, generator in enumerate(whole(2 * MUON_MASS)):
        loose = reach._replace(
            recoil_slope=(-np.inf, np.inf),
            recoil_mass2=np.inf,
            transverse_mass=0.4,
            region=EVERYWHERE,
        )
        events = sample(replace(generator, reach=loose), 1_500_000, 50 + seed)
        muons = np.stack([events.mu_plus, events.mu_minus], axis=1)
        recoil = -muons.sum(axis=1)
        recoil[:, 0] += SQRT_S
        angle = momenta(transform(recoil, detector.to_laboratory)).theta
        slope = 1 / np.tan(angle)
        passed = (slope >= reach.recoil_slope[0]) & (slope <= reach.recoil_slope[1])
        passed &= mass2(recoil) <= reach.recoil_mass2
        value, error = mean(np.where(passed, events.weight, 0.0))
        expected, variance = expected + value, variance + error**2
    assert np.sqrt(variance) < 0.015 * total
    assert total == pytest.approx(expected, abs=4 * np.sqrt(variance))


def test_events_have_what_their_stratum_says(detector):
    for region in strata(detector):
        events = sample(region, 30_000, 3)
        events = events[events.weight > 0]
        pair = events.mu_plus + events.mu_minus
        assert np.all(np.hypot(pair[:, 1], pair[:, 2]) >= region.reach.transverse)
        beam = np.zeros((2, 4))
        beam[:, 0] = SQRT_S / 2
        beam[:, 3] = np.sqrt(SQRT_S**2 / 4 - ELECTRON_MASS**2) * np.array([1, -1])
        virtuality = -mass2(beam - events.electrons)
        harder = virtuality[:, region.harder]
        assert np.all(harder >= virtuality[:, 1 - region.harder] - 1e-12)
        assert np.all((harder > region.virtuality[0]) & (harder < region.virtuality[1]))
        electrons = momenta(transform(events.electrons, detector.to_laboratory))
        low, high = np.radians(detector.calorimeter.polar_range)
        inside = (electrons.theta > low) & (electrons.theta < high)
        hit = inside & (detector.calorimeter.electron_threshold < electrons.E)
        assert np.all(hit.any(axis=1) == ("seen" in region.name))
