"""What holds for every generator: conservation, mass shells, seeds."""

import numpy as np
import pytest
from collisions import DETECTOR, SQRT_S
from four_vectors import mass2

from punzinet.analysis.constants import ELECTRON_MASS, MUON_MASS, PION_MASS
from punzinet.analysis.simulation import twophoton
from punzinet.analysis.simulation.mumugamma import HardestPhoton, SoftPhotons
from punzinet.analysis.simulation.signal import SignalGenerator
from punzinet.analysis.simulation.taupair import TauPairGenerator

#: Trials, tolerances of sums of momenta (GeV) and of squared masses (GeV^2).
EXACT, RADIATED, ROTATED = (100_000, 1e-12, 1e-12), (50_000, 1e-10, 1e-12), (20_000, 1e-12, 1e-11)
STRATA = twophoton.strata(DETECTOR)
GENERATORS = [
    *((SignalGenerator(mass), ROTATED) for mass in (0.1, 4.0, 9.0)),
    *((SignalGenerator(mass, radiates=True), ROTATED) for mass in (0.1, 9.0)),
    *((TauPairGenerator(misidentified), ROTATED) for misidentified in (0.0, 0.5)),
    (HardestPhoton("hard", (0.01, 1.0)), RADIATED),
    (SoftPhotons("soft", 0.5), RADIATED),
    *((generator, EXACT) for generator in (*twophoton.whole(0.5), STRATA[3], STRATA[4])),
]


@pytest.mark.parametrize(("generator", "tolerances"), GENERATORS)
def test_momentum_is_conserved_and_particles_are_on_shell(generator, tolerances):
    n, of_sum, of_mass = tolerances
    rng = np.random.default_rng(1)
    events = generator.generate(rng, rng.normal(SQRT_S, 0.005, n))
    assert np.all(events.weight >= 0)
    total = events.mu_plus + events.mu_minus + events.invisible
    total += events.photons.sum(axis=1) + events.electrons.sum(axis=1)
    there = total[:, 0] > 0  # rows of zeros where a trial has failed
    expected = np.outer(events.sqrt_s, [1, 0, 0, 0])
    np.testing.assert_allclose(total[there], expected[there], rtol=0, atol=of_sum)
    events = events.pick(events.weight > 0)
    assert len(events.weight) > 100
    muons = mass2(np.stack([events.mu_plus, events.mu_minus]))
    pions = muons > (MUON_MASS**2 + PION_MASS**2) / 2
    np.testing.assert_allclose(muons, np.where(pions, PION_MASS, MUON_MASS) ** 2, atol=of_mass)
    assert pions.any() == (getattr(generator, "pion_misidentification", 0) > 0)
    np.testing.assert_allclose(mass2(events.photons), 0, atol=of_mass)
    scattered = np.where(events.electrons[..., 0] > 0, ELECTRON_MASS**2, 0.0)
    np.testing.assert_allclose(mass2(events.electrons), scattered, atol=1e-13)
    mass = getattr(generator, "mass", np.nan)
    np.testing.assert_array_equal(events.mass, mass)
    if mass > 0:
        np.testing.assert_allclose(mass2(events.invisible), mass**2, rtol=0, atol=1e-11)
    # neutrinos together: never space-like
    assert mass2(events.invisible).min() > -1e-9
    assert np.all(events.invisible[:, 0] >= 0)
