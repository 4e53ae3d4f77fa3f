"""The detector: geometry of the boost, efficiencies and vetoes at their edges, resolutions."""

from dataclasses import replace

import numpy as np
import pytest
from four_vectors import dot, on_shell

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.manifest.sections import Beams, DetectorSettings
from punzinet.analysis.simulation.detector import VISIBILITY, Detector, transform
from punzinet.analysis.simulation.events import GeneratedEvents

BEAMS = Beams()
DETECTOR = Detector(BEAMS)
MUONS = DETECTOR.muons
CALORIMETER = DETECTOR.calorimeter


def at_angle(energy: np.ndarray | float, degrees: np.ndarray | float, mass: float) -> np.ndarray:
    """CMS momenta of particles that have these energies and polar angles in the laboratory."""
    energy, angle = np.broadcast_arrays(energy, np.radians(degrees))
    p = np.sqrt(energy**2 - mass**2)
    lab = on_shell(np.stack([0 * p, p * np.sin(angle), p * np.cos(angle)], axis=-1), mass)
    return transform(lab, DETECTOR.from_laboratory)


def events(
    plus: np.ndarray, minus: np.ndarray, photon: object = 0.0, electron: object = 0.0
) -> GeneratedEvents:
    made = GeneratedEvents.zeros(np.full(len(plus), BEAMS.sqrt_s), photons=3)
    made.photons[:, 1] = photon
    made.electrons[:, 1] = electron
    return replace(made, mu_plus=plus, mu_minus=minus)


def central(n: int) -> np.ndarray:
    """Muons that are always seen, but for the plateau of the barrel."""
    return at_angle(np.full(n, 3.0), 90.0, MUON_MASS)


def step(seen: np.ndarray, name: str) -> np.ndarray:
    """Probability of one step on its own."""
    i = VISIBILITY.index(name)
    return seen[:, i] / (seen[:, i - 1] if i else 1.0)


def test_boost_brings_cms_axes_to_the_beams() -> None:
    half = BEAMS.sqrt_s / 2
    cms = np.array([[half, 0, 0, half], [half, 0, 0, -half]])
    lab = transform(cms, DETECTOR.to_laboratory)
    np.testing.assert_allclose(lab, [BEAMS.electron, BEAMS.positron], atol=1e-12)


def test_boost_leaves_the_normal_of_the_beam_plane_alone() -> None:
    lab = transform(np.array([0.0, 0, 1, 0]), DETECTOR.to_laboratory)
    np.testing.assert_allclose(lab, [0, 0, 1, 0], atol=1e-15)


def test_boost_keeps_products_and_orientation() -> None:
    p = np.random.default_rng(1).normal(size=(2, 50, 4))
    lab = transform(p, DETECTOR.to_laboratory)
    np.testing.assert_allclose(dot(lab[0], lab[1]), dot(p[0], p[1]), atol=1e-12)
    assert np.linalg.det(DETECTOR.to_laboratory) == pytest.approx(1.0)
    np.testing.assert_allclose(transform(lab, DETECTOR.from_laboratory), p, atol=1e-12)


def test_energy_spread_is_that_of_background_or_signal() -> None:
    rng = np.random.default_rng(2)
    energy = DETECTOR.colliding_energy(rng, 100_000)
    assert energy.mean() == pytest.approx(BEAMS.sqrt_s, abs=1e-4)
    assert energy.std() == pytest.approx(0.005, rel=0.02)
    assert np.all(DETECTOR.colliding_energy(rng, 10, signal=True) == BEAMS.sqrt_s)


def test_drift_chamber_ends_where_it_says() -> None:
    angle = np.array([16.9, 17.1, 149.9, 150.1])
    inside = np.array([0.0, 1, 1, 0])
    other = central(4)
    tracks = at_angle(np.full(4, 3.0), angle, MUON_MASS)
    for pair in ((tracks, other), (other, tracks)):
        seen = DETECTOR.visibility(events(*pair))
        np.testing.assert_array_equal(step(seen, VISIBILITY[0]), inside)
        assert np.all(seen[inside == 0] == 0)


def test_muon_identification_has_a_plateau_and_a_threshold() -> None:
    p = np.array([0.2, MUONS.threshold, 5.0, 5.0, 5.0, 5.0])
    angle = np.array([90.0, 90, 90, 25, 140, 19.9])
    tracks = at_angle(np.hypot(p, MUON_MASS), angle, MUON_MASS)
    found = DETECTOR.visibility(events(tracks, central(6)))[:, 1] / MUONS.barrel_efficiency
    barrel, endcap = MUONS.barrel_efficiency, MUONS.endcap_efficiency
    np.testing.assert_allclose(found[1:], [barrel / 2, barrel, endcap, endcap, 0], rtol=1e-6)
    assert found[0] < 0.01


@pytest.mark.parametrize(
    ("energy", "degrees", "miss"),
    [
        (2.0, 90.0, CALORIMETER.photon_inefficiency),
        (2.0, 31.8, CALORIMETER.gap_inefficiency),
        (2.0, 129.5, CALORIMETER.gap_inefficiency),
        (2.0, 12.3, 1.0),
        (2.0, 155.2, 1.0),
        (2.0, 12.5, CALORIMETER.photon_inefficiency),
        (CALORIMETER.photon_threshold - 1e-6, 90.0, 1.0),
        (CALORIMETER.photon_threshold + 1e-6, 90.0, CALORIMETER.photon_inefficiency),
    ],
)
def test_photon_veto(energy: float, degrees: float, miss: float) -> None:
    photon = at_angle(np.array([energy]), degrees, 0.0)
    seen = DETECTOR.visibility(events(central(1), central(1), photon=photon))
    assert step(seen, "no photon seen")[0] == pytest.approx(miss)
    assert step(seen, "no electron seen")[0] == 1


@pytest.mark.parametrize(
    ("energy", "degrees", "miss"),
    [
        (2.0, 90.0, CALORIMETER.electron_inefficiency),
        (2.0, 31.8, CALORIMETER.electron_inefficiency),
        (2.0, 12.3, 1.0),
        (0.1, 90.0, 1.0),
    ],
)
def test_electron_veto_has_no_gaps(energy: float, degrees: float, miss: float) -> None:
    electron = at_angle(np.array([energy]), degrees, 0.0)
    seen = DETECTOR.visibility(events(central(1), central(1), electron=electron))
    assert step(seen, "no electron seen")[0] == pytest.approx(miss)
    assert step(seen, "no photon seen")[0] == 1


def test_two_photons_must_both_be_missed() -> None:
    generated = events(central(1), central(1), photon=at_angle(np.array([2.0]), 90.0, 0.0))
    generated.photons[:, 0] = generated.photons[:, 1]
    seen = DETECTOR.visibility(generated)
    assert step(seen, "no photon seen")[0] == pytest.approx(CALORIMETER.photon_inefficiency**2)


def test_settings_vary_what_is_least_known() -> None:
    varied = Detector.varied(BEAMS, DetectorSettings(photon_loss=2.0, momentum_resolution=1.5))
    assert varied.calorimeter.photon_inefficiency == 2 * CALORIMETER.photon_inefficiency
    assert varied.calorimeter.gap_inefficiency == 2 * CALORIMETER.gap_inefficiency
    assert varied.momentum_resolution == 1.5
    assert Detector.varied(BEAMS, DetectorSettings()) == DETECTOR
    assert Detector.varied(BEAMS, DetectorSettings(photon_loss=9)).calorimeter.gap_inefficiency == 1
