"""What is measured of two muons: resolutions, and the preselection on hand-made pairs."""

from dataclasses import replace

import numpy as np
import pytest
from four_vectors import boosted, mass2, on_shell

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.simulation.detector import Detector, Preselection, Tracking, transform
from punzinet.analysis.simulation.events import GeneratedEvents
from punzinet.analysis.simulation.lorentz import momenta
from punzinet.analysis.simulation.measurement import (
    lever_arm,
    measure,
    momentum_resolution,
    preselection,
    smear,
)

BEAMS = Beams()


def test_lever_arm_is_full_through_the_outer_cylinder_and_falls_towards_the_ends() -> None:
    angle = np.radians([17.0, 25, 35.5, 60, 90, 120, 126.2, 140, 150])
    arm = lever_arm(angle, Tracking())
    np.testing.assert_array_equal(arm[2:7], 1.0)
    assert np.all(np.diff(arm[:3]) > 0)
    assert np.all(np.diff(arm[6:]) < 0)
    # a straight line from the interaction point to the corner of the drift chamber
    corner = np.arctan2(1.13, 1.59)
    assert lever_arm(np.array(corner / 2), Tracking()) == pytest.approx(
        np.tan(corner / 2) / np.tan(corner)
    )


def test_resolution_is_the_quoted_one_for_central_tracks() -> None:
    settings = Tracking(curvature_resolution=0.001, scattering_resolution=0.003)
    pt = np.array([1.0, 3.0, 5.0])
    muons = momenta(on_shell(pt[:, np.newaxis] * [1, 0, 0], MUON_MASS))
    beta = pt / np.hypot(pt, MUON_MASS)
    for worse, scale in ((False, 1.0), (True, settings.tail_scale)):
        found = momentum_resolution(muons, np.full(3, worse), settings)
        np.testing.assert_allclose(found, np.hypot(0.001 * scale * pt, 0.003 / beta))


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_smeared_curvature_and_angles_have_the_stated_widths(scale: float) -> None:
    settings = Tracking(tail_fraction=0.0)
    n = 200_000
    true = momenta(on_shell(np.tile([2.0, 2.0, 1.0], (n, 1)), MUON_MASS))
    seen = smear(np.random.default_rng(3), true, settings, scale)
    np.testing.assert_allclose(seen.mass2, MUON_MASS**2, atol=1e-12)
    ratio = true.pt / seen.pt - 1
    expected = scale * momentum_resolution(true, np.zeros(n, dtype=bool), settings)[0]
    assert ratio.mean() == pytest.approx(0, abs=5 * expected / np.sqrt(n))
    assert ratio.std() == pytest.approx(expected, rel=0.01)
    angular = np.hypot(0.0005, 0.001 / 3.0 * np.hypot(3, MUON_MASS) / 3)
    assert seen.theta.std() == pytest.approx(angular, rel=0.01)
    assert seen.phi.std() == pytest.approx(angular / np.sin(true.theta[0]), rel=0.01)


def test_tails_are_as_frequent_as_stated() -> None:
    settings = Tracking(scattering_resolution=0.0, tail_fraction=0.2, tail_scale=4.0)
    true = momenta(on_shell(np.tile([3.0, 0.0, 0.0], (200_000, 1)), MUON_MASS))
    seen = smear(np.random.default_rng(4), true, settings)
    pull = (3 / seen.pt - 1) / 0.003
    assert pull.var() == pytest.approx(0.8 + 0.2 * 16, rel=0.03)
    assert np.mean(np.abs(pull) > 4) == pytest.approx(0.2 * 0.3173, rel=0.05)


def test_measurement_is_of_the_laboratory_momenta() -> None:
    exact = Tracking(
        curvature_resolution=0.0,
        scattering_resolution=0.0,
        angle_resolution=0.0,
        angle_scattering=0.0,
    )
    detector = Detector(BEAMS, tracking=exact)
    lab = on_shell(np.array([[[0.0, 3.0, 2.0]], [[1.0, 0.0, -2.0]]]), MUON_MASS)
    plus, minus = transform(lab, detector.from_laboratory)
    events = replace(GeneratedEvents.zeros(np.ones(1)), mu_plus=plus, mu_minus=minus)
    measured = measure(np.random.default_rng(5), events, detector)
    expected = momenta(lab)
    np.testing.assert_allclose(measured.p[0], expected.p[:, 0])
    np.testing.assert_allclose(measured.theta[0], expected.theta[:, 0])
    np.testing.assert_allclose(measured.phi[0], expected.phi[:, 0], atol=1e-12)


def pair_against(mass: float, energy: float, cosine: float) -> np.ndarray:
    """Laboratory momenta (1, 2, 4) of muons that leave a recoil of these properties in the CMS."""
    p = np.sqrt(energy**2 - mass**2)
    sine = np.sqrt(1 - cosine**2)
    dimuon = np.array([BEAMS.sqrt_s - energy, -p * sine, 0.0, -p * cosine])
    half = np.sqrt(mass2(dimuon) / 4 - MUON_MASS**2)
    muons = on_shell(np.array([[0.0, half, 0.0], [0.0, -half, 0.0]]), MUON_MASS)
    return transform(boosted(muons, dimuon), Detector(BEAMS).to_laboratory)[np.newaxis]


def passed(muons: np.ndarray, **cuts: object) -> dict[str, bool]:
    detector = Detector(BEAMS, preselection=Preselection(**cuts))
    return {step: bool(mask[0]) for step, mask in preselection(momenta(muons), detector)}


def test_a_clear_recoil_passes_everything() -> None:
    assert all(passed(pair_against(3.0, 4.5, 0.2)).values())


def test_recoil_mass_is_that_of_what_is_missing() -> None:
    muons = pair_against(3.0, 4.5, 0.2)
    assert passed(muons, recoil_mass_squared=(8.999, 9.001))["recoil mass in range"]
    assert not passed(muons, recoil_mass_squared=(9.001, 80.0))["recoil mass in range"]


@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_recoil_across_the_beams_is_taken_in_the_cms(factor: float) -> None:
    muons = pair_against(3.0, np.hypot(3.0, 1.5), 0.6)  # 1.5 GeV, 1.2 of them across
    step = passed(muons, recoil_transverse_momentum=1.2 * factor)
    assert step["recoil across the beams"] == (factor < 1)


@pytest.mark.parametrize("shift", [-0.1, 0.1])
def test_recoil_direction_is_taken_in_the_laboratory(shift: float) -> None:
    muons = pair_against(2.0, 4.0, -0.5)
    angle = float(np.degrees(momenta(BEAMS.total - muons.sum(axis=1)).theta[0]))
    step = passed(muons, recoil_polar_range=(33.0, angle + shift))
    assert step["recoil points to the calorimeter barrel"] == (shift > 0)


def test_either_muon_can_be_too_soft() -> None:
    muons = pair_against(3.0, 4.5, 0.2)
    lowest = np.hypot(muons[..., 1], muons[..., 2]).min()
    for pair in (muons, muons[:, ::-1]):
        for cut, expected in ((lowest - 0.01, True), (lowest + 0.01, False)):
            step = passed(pair, muon_transverse_momentum=cut)
            assert step["both muons of sufficient transverse momentum"] == expected
