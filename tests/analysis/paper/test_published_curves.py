"""Published curves of σ_min have one free factor, whoever's networks they are compared with."""

import numpy as np
import pytest

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.paper.claims import PUBLISHED, common_scale, curve_rows
from punzinet.analysis.paper.studies import MAIN
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection, Sensitivity

MASS, BCE, PUNZI = np.array(PUBLISHED).T


def selection(sigma: np.ndarray) -> Selection:
    return Selection(sigma, sigma, sigma, sigma, 0.1 * sigma)


@pytest.fixture
def output(tmp_path):
    return OutputFolder(tmp_path)


def write_sensitivity(output: OutputFolder, **sigma: np.ndarray) -> None:
    """A network of each kind, with σ_min in the published unit at the published masses."""
    curves = {}
    for kind, values in sigma.items():
        best, other = selection(values / 1.7), selection(9 * values)
        curves[f"{kind}-00"] = NetworkSensitivity(other, best, best, other)
    Sensitivity(MASS, np.full(4, True), FigureOfMerit(), 50.0, curves).write(output.sensitivity, {})


def test_one_factor_scales_all_sigma_min(output):
    assert curve_rows(output) == []
    write_sensitivity(output, punzi=PUNZI)  # one kind has nothing to share a factor with
    assert curve_rows(output) == []
    write_sensitivity(output, bce=BCE, punzi=PUNZI)
    rows = curve_rows(output)
    assert len(rows) == 2 * len(PUBLISHED)
    for _, _, published, ours, error, _ in rows:
        assert ours == pytest.approx(published)
        assert error == pytest.approx(0.1 * published)


def test_without_a_published_mass_there_is_no_factor():
    assert common_scale(MASS, 2.5 * BCE, 2.5 * PUNZI) == pytest.approx(2.5)
    assert np.isnan(common_scale(*3 * [np.array([0.1, 0.2])]))


def test_an_ensemble_is_preferred_and_averaged_in_the_figure_of_merit(output, make_judgement):
    write_sensitivity(output, bce=BCE, punzi=PUNZI)
    judgement = make_judgement(networks=2)
    at = [int(np.argmin(np.abs(judgement.mass - mass))) for mass in MASS]
    for key, values in (("bce/best", BCE), ("punzi/single", PUNZI)):
        # Two networks whose figures of merit are 0.5 and 1.5 times the published ones.
        judgement.arrays[f"{key}/sigma"][:, at] = values / np.array([[0.5], [1.5]]) / 1.7
    judgement.write(output.study(MAIN).judgement)
    for _, _, published, ours, error, note in curve_rows(output):
        assert ours == pytest.approx(published)
        # of the jackknife alone: half the difference of the networks, at least
        assert error >= 0.5 * published
        assert "mean of 2 networks" in note
