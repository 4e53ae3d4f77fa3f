"""The detector: geometry of the boost, efficiencies and vetoes at their edges, resolutions."""

import numpy as np
import pytest

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.manifest.beams import Beams
from punzinet.analysis.simulation.detector import (
    VISIBILITY,
    Detector,
    lever_arm,
    momentum_resolution,
    polar_angle,
    smear,
    transform,
)
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.lorentz import dot, mass2, momentum, on_shell
from punzinet.analysis.simulation.settings import DetectorSettings, TrackingSettings

BEAMS = Beams()
DETECTOR = Detector(DetectorSettings(), BEAMS)
MUONS = DETECTOR.settings.muons
CALORIMETER = DETECTOR.settings.calorimeter


def at_angle(energy: np.ndarray | float, degrees: np.ndarray | float, mass: float) -> np.ndarray:
    """CMS momenta of particles that have these energies and polar angles in the laboratory."""
    energy, angle = np.broadcast_arrays(
        np.asarray(energy, float), np.radians(np.asarray(degrees, float))
    )
    p = np.sqrt(energy**2 - mass**2)
    lab = on_shell(np.stack([0 * p, p * np.sin(angle), p * np.cos(angle)], axis=-1), mass)
    return transform(lab, DETECTOR.from_laboratory)


def events(
    plus: np.ndarray,
    minus: np.ndarray,
    photon: np.ndarray | None = None,
    electron: np.ndarray | None = None,
) -> GeneratedEvents:
    n = len(plus)
    photons, electrons = np.zeros((n, 3, 4)), np.zeros((n, 2, 4))
    if photon is not None:
        photons[:, 1] = photon
    if electron is not None:
        electrons[:, 1] = electron
    nothing = np.full(n, np.nan)
    return GeneratedEvents(
        plus, minus, photons, electrons, np.zeros((n, 4)), nothing, np.ones(n), nothing
    )


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


def test_lever_arm_is_full_through_the_outer_cylinder_and_falls_towards_the_ends() -> None:
    angle = np.radians([17.0, 25, 35.5, 60, 90, 120, 126.2, 140, 150])
    arm = lever_arm(angle, TrackingSettings())
    np.testing.assert_array_equal(arm[2:7], 1.0)
    assert np.all(np.diff(arm[:3]) > 0)
    assert np.all(np.diff(arm[6:]) < 0)
    # a straight line from the interaction point to the corner of the drift chamber
    corner = np.arctan2(1.13, 1.59)
    assert lever_arm(np.array(corner / 2), TrackingSettings()) == pytest.approx(
        np.tan(corner / 2) / np.tan(corner)
    )


def test_resolution_is_the_quoted_one_for_central_tracks() -> None:
    settings = TrackingSettings(curvature_resolution=0.001, scattering_resolution=0.003)
    pt = np.array([1.0, 3.0, 5.0])
    good = np.zeros(3, dtype=bool)
    beta = pt / np.hypot(pt, MUON_MASS)
    np.testing.assert_allclose(
        momentum_resolution(pt, np.full(3, np.pi / 2), good, settings),
        np.sqrt((0.001 * pt) ** 2 + (0.003 / beta) ** 2),
    )
    bad = momentum_resolution(pt, np.full(3, np.pi / 2), ~good, settings)
    np.testing.assert_allclose(
        bad, np.sqrt((0.001 * settings.tail_scale * pt) ** 2 + (0.003 / beta) ** 2)
    )


def test_smeared_curvature_and_angles_have_the_stated_widths() -> None:
    settings = TrackingSettings(tail_fraction=0.0)
    n = 200_000
    true = on_shell(np.tile([2.0, 2.0, 1.0], (n, 1)), MUON_MASS)
    seen = smear(np.random.default_rng(3), true, settings)
    np.testing.assert_allclose(mass2(seen), MUON_MASS**2, atol=1e-12)
    pt, angle = np.hypot(2, 2), np.arctan2(np.hypot(2, 2), 1)
    ratio = pt / np.hypot(seen[:, 1], seen[:, 2]) - 1
    good = np.zeros(1, dtype=bool)
    expected = momentum_resolution(np.array([pt]), np.array([angle]), good, settings)[0]
    assert ratio.mean() == pytest.approx(0, abs=5 * expected / np.sqrt(n))
    assert ratio.std() == pytest.approx(expected, rel=0.01)
    angular = np.hypot(0.0005, 0.001 / 3.0 * np.hypot(3, MUON_MASS) / 3)
    assert polar_angle(seen).std() == pytest.approx(angular, rel=0.01)
    azimuth = np.arctan2(seen[:, 2], seen[:, 1])
    assert azimuth.std() == pytest.approx(angular / np.sin(angle), rel=0.01)


def test_tails_are_as_frequent_as_stated() -> None:
    settings = TrackingSettings(scattering_resolution=0.0, tail_fraction=0.2, tail_scale=4.0)
    true = on_shell(np.tile([3.0, 0.0, 0.0], (200_000, 1)), MUON_MASS)
    seen = smear(np.random.default_rng(4), true, settings)
    pull = (3 / np.hypot(seen[:, 1], seen[:, 2]) - 1) / 0.003
    assert pull.var() == pytest.approx(0.8 + 0.2 * 16, rel=0.03)
    assert np.mean(np.abs(pull) > 4) == pytest.approx(0.2 * 0.3173, rel=0.05)


def test_measurement_is_of_the_laboratory_momenta() -> None:
    exact = TrackingSettings(
        curvature_resolution=0,
        scattering_resolution=0,
        angle_resolution=0,
        angle_scattering=0,
    )
    detector = Detector(DetectorSettings(tracking=exact), BEAMS)
    plus, minus = at_angle(np.array([3.0]), 60.0, MUON_MASS), central(1)
    measured = detector.measure(np.random.default_rng(5), events(plus, minus))
    assert momentum(measured)[0, 0] == pytest.approx(np.sqrt(9 - MUON_MASS**2))
    np.testing.assert_allclose(np.degrees(polar_angle(measured)), [[60.0, 90.0]])
