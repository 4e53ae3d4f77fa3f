"""The running coupling: known value, continuity, decoupling, the dispersion relation."""

import numpy as np
import pytest
from scipy.integrate import quad

from punzinet.analysis.constants import ALPHA, MUON_MASS
from punzinet.analysis.simulation.vacuum_polarisation import (
    _hadron_loop,
    _lepton_loop,
    photon_propagator_factor,
    vacuum_polarisation,
)


def test_leptons_at_the_z_have_their_published_value() -> None:
    # one-loop leptonic contribution at the Z mass: 0.031419 (Steinhauser 1998)
    masses = [0.51099895e-3, 0.1056583755, 1.77693]
    total = sum(_lepton_loop(91.1876**2, mass) for mass in masses)
    assert total == pytest.approx(0.031419, rel=1e-3)


def test_hadrons_at_the_z_have_their_published_value() -> None:
    # 0.02761 +- 0.00036 (Burkhardt and Pietrzyk 2001)
    assert _hadron_loop(91.1876**2) == pytest.approx(0.02761, abs=0.00036)


@pytest.mark.parametrize("edge", [0.7, 2.0, 4.0, 10.0])
def test_the_hadronic_pieces_join(edge: float) -> None:
    below, above = _hadron_loop(edge**2 - 1e-9), _hadron_loop(edge**2 + 1e-9)
    assert above == pytest.approx(below, rel=3e-4)


def test_a_loop_fulfils_its_dispersion_relation() -> None:
    # Delta alpha(s) = (alpha s / 3 pi) P int ds' R(s') / (s' (s - s')), here below threshold,
    # where nothing is singular; R = v (3 - v^2)/2
    s = 2 * MUON_MASS**2
    threshold = 4 * MUON_MASS**2

    def integrand(x: float) -> float:
        other = threshold / x
        v = np.sqrt(1 - x)
        return v * (3 - v**2) / 2 / (other * (other - s)) * threshold / x**2

    integral, _ = quad(integrand, 0, 1)
    assert _lepton_loop(s, MUON_MASS) == pytest.approx(
        -ALPHA * s / (3 * np.pi) * integral, rel=1e-6
    )


def test_a_heavy_loop_decouples_smoothly() -> None:
    for s in (0.999e-4, 1.001e-4):
        expected = -ALPHA * s / (15 * np.pi)
        assert _lepton_loop(4 * s, 1.0) == pytest.approx(4 * expected, rel=1e-3)
    assert abs(vacuum_polarisation(1e-12)) < 1e-6


def test_the_coupling_at_the_energy_of_the_collisions() -> None:
    assert vacuum_polarisation(111.9) == pytest.approx(0.0364, rel=0.02)


def test_the_propagator_has_the_running_coupling_squared() -> None:
    s = np.array([0.05, 14.0, 111.9])
    expected = [(1 - vacuum_polarisation(x)) ** -2 for x in s.tolist()]
    np.testing.assert_allclose(photon_propagator_factor(s), expected, rtol=1e-12)
