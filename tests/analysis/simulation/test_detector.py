"""The detector: geometry of the boost, efficiencies and vetoes at their edges, what is measured."""

from dataclasses import replace

import numpy as np
import pytest
from collisions import BEAMS, DETECTOR
from four_vectors import boosted, dot, mass2, on_shell

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.manifest.sections import DetectorSettings
from punzinet.analysis.simulation import detector as simulated
from punzinet.analysis.simulation.detector import Detector, Preselection, Tracking
from punzinet.analysis.simulation.events import GeneratedEvents, momenta, transform

MUONS = DETECTOR.muons
PHOTONS, ELECTRONS = DETECTOR.photons, DETECTOR.electrons


def at_angle(energy, degrees, mass):
    """CMS momenta (n, 4) of particles with these energies and polar angles in the laboratory."""
    energy, angle = np.broadcast_arrays(np.atleast_1d(energy), np.radians(degrees))
    p = np.sqrt(energy**2 - mass**2)
    lab = on_shell(np.stack([0 * p, p * np.sin(angle), p * np.cos(angle)], axis=-1), mass)
    return transform(lab, DETECTOR.from_laboratory)


def central(n=1):
    """Muons that are always seen, but for the plateau of the barrel."""
    return at_angle(np.full(n, 3.0), 90.0, MUON_MASS)


def steps(plus, minus, photon=0.0, electron=0.0):
    """Probabilities of each step on its own, (4, n), NaN after one that is never passed."""
    events = GeneratedEvents.zeros(np.full(len(plus), BEAMS.sqrt_s), photons=3)
    events.photons[:, 1:] = photon
    events.electrons[:, 1] = electron
    seen = DETECTOR.visibility(events._replace(mu_plus=plus, mu_minus=minus)).T
    before = np.concatenate([np.ones((1, len(plus))), seen[:-1]])
    return np.divide(seen, before, out=np.full_like(seen, np.nan), where=before > 0)


def test_boost_brings_cms_axes_to_the_beams_and_leaves_their_normal_alone():
    half = BEAMS.sqrt_s / 2
    cms = np.array([[half, 0, 0, half], [half, 0, 0, -half], [0, 0, 1, 0]])
    lab = transform(cms, DETECTOR.to_laboratory)
    np.testing.assert_allclose(lab[:2], [BEAMS.electron, BEAMS.positron], atol=1e-12)
    np.testing.assert_allclose(lab[2], [0, 0, 1, 0], atol=1e-15)
    # it keeps products and orientation
    p = np.random.default_rng(1).normal(size=(2, 50, 4))
    lab = transform(p, DETECTOR.to_laboratory)
    np.testing.assert_allclose(dot(lab[0], lab[1]), dot(p[0], p[1]), atol=1e-12)
    assert np.linalg.det(DETECTOR.to_laboratory) == pytest.approx(1.0)
    np.testing.assert_allclose(transform(lab, DETECTOR.from_laboratory), p, atol=1e-12)


def test_energy_spread_is_that_of_background_or_signal():
    rng = np.random.default_rng(2)
    energy = DETECTOR.colliding_energy(rng, 100_000)
    assert energy.mean() == pytest.approx(BEAMS.sqrt_s, abs=1e-4)
    assert energy.std() == pytest.approx(0.005, rel=0.02)
    assert np.all(DETECTOR.colliding_energy(rng, 10, signal=True) == BEAMS.sqrt_s)


def test_drift_chamber_ends_where_it_says():
    inside = np.array([0.0, 1, 1, 0])
    tracks = at_angle(3.0, np.array([16.9, 17.1, 149.9, 150.1]), MUON_MASS)
    for pair in ((tracks, central(4)), (central(4), tracks)):
        passed = steps(*pair)
        np.testing.assert_array_equal(passed[0], inside)
        assert np.all(np.isnan(passed[1]) == (inside == 0))


def test_muon_identification_has_a_plateau_and_a_threshold():
    p = np.array([0.2, MUONS.threshold, 5.0, 5.0, 5.0, 5.0])
    tracks = at_angle(np.hypot(p, MUON_MASS), np.array([90.0, 90, 90, 25, 140, 19.9]), MUON_MASS)
    found = steps(tracks, central(6))[1] / MUONS.barrel_efficiency
    barrel, endcap = MUONS.barrel_efficiency, MUONS.endcap_efficiency
    np.testing.assert_allclose(found[1:], [barrel / 2, barrel, endcap, endcap, 0], rtol=1e-6)
    assert found[0] < 0.01


MISS = PHOTONS.inefficiency, ELECTRONS.inefficiency


@pytest.mark.parametrize(
    ("energy", "degrees", "miss", "electron_miss"),
    [
        *((2.0, degrees, *MISS) for degrees in (12.5, 90.0)),
        *((2.0, degrees, PHOTONS.gap_inefficiency, MISS[1]) for degrees in (31.8, 129.5)),
        *((2.0, degrees, 1.0, 1.0) for degrees in (12.3, 155.2)),
        (PHOTONS.threshold - 1e-6, 90.0, 1.0, MISS[1]),
        (PHOTONS.threshold + 1e-6, 90.0, *MISS),
        (0.1, 90.0, 1.0, 1.0),
    ],
)
def test_vetoes(energy, degrees, miss, electron_miss):
    particle = at_angle(energy, degrees, 0.0)
    # two photons must both be missed
    passed = steps(central(), central(), photon=particle[:, np.newaxis])
    np.testing.assert_allclose(passed[2:, 0], [1, miss**2])
    passed = steps(central(), central(), electron=particle)
    np.testing.assert_allclose(passed[2:, 0], [electron_miss, 1])


def test_settings_vary_what_is_least_known():
    varied = Detector.varied(BEAMS, DetectorSettings(photon_loss=2.0, momentum_resolution=1.5))
    for name in ("inefficiency", "gap_inefficiency"):
        assert getattr(varied.photons, name) == 2 * getattr(PHOTONS, name)
    assert varied.momentum_resolution == 1.5
    assert Detector.varied(BEAMS, DetectorSettings()) == DETECTOR
    assert Detector.varied(BEAMS, DetectorSettings(photon_loss=9)).photons.gap_inefficiency == 1


def test_lever_arm_is_full_through_the_outer_cylinder_and_falls_towards_the_ends():
    angle = np.radians([17.0, 25, 35.5, 60, 90, 120, 126.2, 140, 150])
    arm = simulated.lever_arm(angle, Tracking())
    np.testing.assert_array_equal(arm[2:7], 1.0)
    assert np.all(np.diff(arm[:3]) > 0)
    assert np.all(np.diff(arm[6:]) < 0)
    # a straight line from the interaction point to the corner of the drift chamber
    corner = np.arctan2(1.13, 1.59)
    expected = np.tan(corner / 2) / np.tan(corner)
    assert simulated.lever_arm(np.array(corner / 2), Tracking()) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_smeared_curvature_and_angles_have_the_stated_widths(scale):
    settings = Tracking(curvature_resolution=0.001, scattering_resolution=0.003, tail_fraction=0.0)
    n, beta = 200_000, 3 / np.hypot(3, MUON_MASS)
    true = momenta(on_shell(np.tile([2.0, 2.0, 1.0], (n, 1)), MUON_MASS))
    seen = simulated.smear(np.random.default_rng(3), true, settings, scale)
    np.testing.assert_allclose(seen.mass2, MUON_MASS**2, atol=1e-12)
    ratio = true.pt / seen.pt - 1
    expected = scale * np.hypot(0.001 * np.sqrt(8), 0.003 / beta)
    assert ratio.mean() == pytest.approx(0, abs=5 * expected / np.sqrt(n))
    assert ratio.std() == pytest.approx(expected, rel=0.01)
    angular = np.hypot(0.0005, 0.001 / (3.0 * beta))
    assert seen.theta.std() == pytest.approx(angular, rel=0.01)
    assert seen.phi.std() == pytest.approx(angular / np.sin(true.theta[0]), rel=0.01)


def test_tails_are_as_frequent_as_stated():
    settings = Tracking(scattering_resolution=0.0, tail_fraction=0.2, tail_scale=4.0)
    true = momenta(on_shell(np.tile([3.0, 0.0, 0.0], (200_000, 1)), MUON_MASS))
    pull = (3 / simulated.smear(np.random.default_rng(4), true, settings).pt - 1) / 0.003
    assert pull.var() == pytest.approx(0.8 + 0.2 * 16, rel=0.03)
    assert np.mean(np.abs(pull) > 4) == pytest.approx(0.2 * 0.3173, rel=0.05)


def test_measurement_is_of_the_laboratory_momenta():
    exact = Tracking(
        curvature_resolution=0.0, scattering_resolution=0.0, angle_resolution=0, angle_scattering=0
    )
    detector = replace(DETECTOR, tracking=exact)
    lab = on_shell(np.array([[[0.0, 3.0, 2.0]], [[1.0, 0.0, -2.0]]]), MUON_MASS)
    plus, minus = transform(lab, detector.from_laboratory)
    events = GeneratedEvents.zeros(np.ones(1))._replace(mu_plus=plus, mu_minus=minus)
    measured = simulated.measure(np.random.default_rng(5), events, detector)
    for axis in ("px", "py", "pz"):
        np.testing.assert_allclose(measured[axis][0], momenta(lab)[axis][:, 0], atol=1e-12)


def pair_against(mass, energy, cosine):
    """Laboratory momenta (1, 2, 4) of muons that leave a recoil of these properties in the CMS."""
    p = np.sqrt(energy**2 - mass**2)
    sine = np.sqrt(1 - cosine**2)
    dimuon = np.array([BEAMS.sqrt_s - energy, -p * sine, 0.0, -p * cosine])
    half = np.sqrt(mass2(dimuon) / 4 - MUON_MASS**2)
    muons = on_shell(np.array([[0.0, half, 0.0], [0.0, -half, 0.0]]), MUON_MASS)
    return transform(boosted(muons, dimuon), DETECTOR.to_laboratory)[np.newaxis]


CLEAR = pair_against(3.0, 4.5, 0.2)
ACROSS = pair_against(3.0, np.hypot(3.0, 1.5), 0.6)  # 1.5 GeV, 1.2 of them across in the CMS
BACKWARD = pair_against(2.0, 4.0, -0.5)
ANGLE = float(np.degrees(momenta(BEAMS.total - BACKWARD.sum(axis=1)).theta[0]))  # in the laboratory
SOFTER = np.hypot(CLEAR[..., 1], CLEAR[..., 2]).min()


@pytest.mark.parametrize(
    ("step", "muons", "cut", "passing", "failing"),
    [
        ("mass in range", CLEAR, "recoil_mass_squared", (8.999, 9.001), (9.001, 80.0)),
        ("across", ACROSS, "recoil_transverse_momentum", 1.2 * 0.999, 1.2 * 1.001),
        ("barrel", BACKWARD, "recoil_polar_range", (33.0, ANGLE + 0.1), (33.0, ANGLE - 0.1)),
        ("both muons", CLEAR, "muon_transverse_momentum", SOFTER - 0.01, SOFTER + 0.01),
        ("both muons", CLEAR[:, ::-1], "muon_transverse_momentum", SOFTER - 0.01, SOFTER + 0.01),
    ],
)
def test_preselection_cuts_where_it_says(step, muons, cut, passing, failing):
    assert all(mask[0] for _, mask in simulated.preselection(momenta(CLEAR), DETECTOR))
    for value, expected in ((passing, True), (failing, False)):
        detector = replace(DETECTOR, preselection=Preselection(**{cut: value}))
        masks = simulated.preselection(momenta(muons), detector)
        (mask,) = (mask for name, mask in masks if step in name)
        assert mask[0] == expected
