"""The preselection, on hand-made pairs of muons."""

import numpy as np
import pytest

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.manifest.beams import Beams
from punzinet.analysis.simulation.detector import Detector, polar_angle, transform
from punzinet.analysis.simulation.lorentz import from_rest_frame, mass2, on_shell
from punzinet.analysis.simulation.preselection import preselection
from punzinet.analysis.simulation.settings import DetectorSettings, PreselectionSettings

BEAMS = Beams()


def pair_against(mass: float, energy: float, cosine: float) -> np.ndarray:
    """Laboratory momenta (1, 2, 4) of muons that leave a recoil of these properties in the CMS."""
    p = np.sqrt(energy**2 - mass**2)
    sine = np.sqrt(1 - cosine**2)
    dimuon = np.array([BEAMS.sqrt_s - energy, -p * sine, 0.0, -p * cosine])
    half = np.sqrt(mass2(dimuon) / 4 - MUON_MASS**2)
    muons = on_shell(np.array([[0.0, half, 0.0], [0.0, -half, 0.0]]), MUON_MASS)
    cms = from_rest_frame(muons, np.tile(dimuon, (2, 1)))
    return transform(cms, Detector(DetectorSettings(), BEAMS).to_laboratory)[np.newaxis]


def passed(muons: np.ndarray, **cuts: object) -> dict[str, bool]:
    settings = DetectorSettings(preselection=PreselectionSettings(**cuts))
    return {step: bool(mask[0]) for step, mask in preselection(muons, Detector(settings, BEAMS))}


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
    angle = float(np.degrees(polar_angle(BEAMS.total - muons.sum(axis=1)))[0])
    step = passed(muons, recoil_polar_range=(33.0, angle + shift))
    assert step["recoil points to the calorimeter barrel"] == (shift > 0)


def test_either_muon_can_be_too_soft() -> None:
    muons = pair_against(3.0, 4.5, 0.2)
    lowest = np.hypot(muons[..., 1], muons[..., 2]).min()
    for pair in (muons, muons[:, ::-1]):
        for cut, expected in ((lowest - 0.01, True), (lowest + 0.01, False)):
            step = passed(pair, muon_transverse_momentum=cut)
            assert step["both muons of sufficient transverse momentum"] == expected
