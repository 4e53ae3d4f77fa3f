"""Two-photon muon pairs against explicit Dirac matrices, known cross-sections and closed limits."""

import numpy as np
import pytest
from collisions import DETECTOR, SQRT_S, add, assert_agreement, beam_momenta, mean, rate, sample
from dirac import GAMMA, METRIC, currents, pair_amplitudes, spinors
from four_vectors import at_rest, boosted, isotropic, mass2, on_shell

from punzinet.analysis.constants import ALPHA, ELECTRON_MASS, FB_PER_GEV2, MUON_MASS
from punzinet.analysis.simulation import twophoton_matrix_element
from punzinet.analysis.simulation.detector import EVERYWHERE
from punzinet.analysis.simulation.events import momenta, rotate_to, transform
from punzinet.analysis.simulation.twophoton import ALL, scattered_electron, strata, whole

BEAMS = beam_momenta(ELECTRON_MASS)


def test_soft_photons_are_equivalent_to_a_flux_of_real_ones():
    """Both virtualities far below the muon mass, in a range of the pair mass."""
    largest, low, high = 1e-4, 2.0, 3.0
    parts = []
    for seed, generator in enumerate(whole(low)):
        events = sample(generator._replace(virtuality=(0.0, largest)), 300_000, seed)
        light = mass2(events.mu_plus + events.mu_minus) < high**2
        parts.append(mean(np.where(light, events.weight, 0.0)))
    # the beams are alike
    assert parts[0][0] == pytest.approx(parts[1][0], rel=0.02)
    total, error = add(parts)
    assert error < 0.005 * total

    def flux(y):
        least = ELECTRON_MASS**2 * y**2 / (1 - y)
        log = np.log(largest / least)
        integral = (1 - y + y**2 / 2) * log - (1 - y) * (1 - least / largest)
        return np.where(least < largest, ALPHA / np.pi * integral, 0.0)

    def breit_wheeler(mass2):
        ratio = 4 * MUON_MASS**2 / mass2
        v = np.sqrt(1 - ratio)
        known = (1 + ratio - ratio**2 / 2) * np.log((1 + v) ** 2 / ratio) - v * (1 + ratio)
        return 4 * np.pi * ALPHA**2 / mass2 * known

    # integral over the logarithms of the product of the fractions and of their ratio
    product = np.geomspace(low**2, high**2, 401) / SQRT_S**2
    rapidity = np.linspace(np.log(product) / 2, -np.log(product) / 2, 2001)[1:-1]
    both = (flux(np.sqrt(product) * np.exp(sign * rapidity)) for sign in (1, -1))
    inner = np.trapezoid(np.prod(list(both), axis=0), rapidity, axis=0)
    integrand = FB_PER_GEV2 * inner * breit_wheeler(product * SQRT_S**2)
    assert total == pytest.approx(np.trapezoid(integrand, np.log(product)), rel=0.02)


def test_the_strata_hold_all_that_can_pass():
    """Against one generator that knows neither strata nor the recoil's direction."""
    regions = strata(DETECTOR)
    reach = regions[0]
    own = [rate(region, 100_000, 10 + seed) for seed, region in enumerate(regions)]
    parts = []
    for seed in (0, 1):
        loose = reach._replace(
            harder=seed, virtuality=(0.0, np.inf), recoil_slope=ALL, recoil_mass2=np.inf,
            transverse_mass=0.4, region=reach.region._replace(where=EVERYWHERE),
        )  # fmt: skip
        events = sample(loose, 1_500_000, 50 + seed)
        recoil = np.array([SQRT_S, 0, 0, 0]) - events.mu_plus - events.mu_minus
        slope = 1 / np.tan(momenta(transform(recoil, DETECTOR.to_laboratory)).theta)
        passed = (slope >= reach.recoil_slope[0]) & (slope <= reach.recoil_slope[1])
        passed &= mass2(recoil) <= reach.recoil_mass2
        parts.append(mean(np.where(passed, events.weight, 0.0)))
    assert_agreement(add(parts), add(own), 0.015)


def test_events_have_what_their_stratum_says():
    low, high = np.radians(DETECTOR.electrons.polar_range)
    for region in strata(DETECTOR):
        events = sample(region, 30_000, 3)
        events = events.pick(events.weight > 0)
        pair = events.mu_plus + events.mu_minus
        assert np.all(np.hypot(pair[:, 1], pair[:, 2]) >= region.transverse)
        virtuality = -mass2(BEAMS - events.electrons)
        harder = virtuality[:, region.harder]
        assert np.all(harder >= virtuality[:, 1 - region.harder] - 1e-12)
        assert np.all((harder > region.virtuality[0]) & (harder < region.virtuality[1]))
        electrons = momenta(transform(events.electrons, DETECTOR.to_laboratory))
        inside = (electrons.theta > low) & (electrons.theta < high)
        hit = inside & (DETECTOR.electrons.threshold < electrons.E)
        assert np.all(hit.any(axis=1) == ("seen" in region.name))


@pytest.mark.parametrize(
    "q2", [(0.5, 0.3), (2.0, 1e-3), (1e-2, 1.5), (1e-4, 1e-4), (3.0, 3.0), (1e-6, 0.1)]
)
def test_the_square_is_that_of_the_diagrams(q2):
    electron, positron = BEAMS
    first = np.array(scattered_electron(SQRT_S, 0.4, q2[0], 0.3, 1.0)[0])
    second = np.array(scattered_electron(SQRT_S, 0.6, q2[1], 2.1, -1.0)[0])
    photon, other = electron - first, positron - second
    pair = photon + other
    axis = at_rest(photon, pair)[1:]
    axis = tuple(axis / np.linalg.norm(axis))
    length = np.sqrt(mass2(pair) / 4 - MUON_MASS**2)
    unit = isotropic(np.random.default_rng(1), 1)[0]
    muons = [tuple(on_shell(sign * length * unit, MUON_MASS)) for sign in (1, -1)]
    minus, plus = (boosted(np.array(rotate_to(axis, p)), pair) for p in muons)

    pairs = pair_amplitudes(minus, plus, -photon)
    u, ubar = (spinors(p, ELECTRON_MASS) for p in (electron, first))
    v, vbar = (spinors(p, ELECTRON_MASS, antiparticle=True) for p in (positron, second))
    upper, lower = currents(ubar, GAMMA, u), currents(v, GAMMA, vbar)
    metric = METRIC.diagonal()
    amplitudes = np.einsum("abm,m,cdn,n,mnrs->abcdrs", upper, metric, lower, metric, pairs)
    square = twophoton_matrix_element.element_square(SQRT_S, tuple(pair), q2, axis, tuple(muons))
    # the components of the explicit currents cancel against each other for soft photons
    assert square == pytest.approx((abs(amplitudes) ** 2).sum() / 4, rel=1e-5)
