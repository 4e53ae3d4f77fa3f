"""Published curves of σ_min have one free factor, whoever's networks they are compared with."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.paper.claims import PUBLISHED
from punzinet.analysis.paper.judgement import Judgement
from punzinet.analysis.paper.published_curves import curve_rows
from punzinet.analysis.paper.studies import MAIN
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection, Sensitivity

MASS, BCE, PUNZI = np.array(PUBLISHED).T


def selection(sigma: np.ndarray) -> Selection:
    return Selection(sigma, sigma, sigma, sigma, 0.1 * sigma)


def write_sensitivity(output: OutputFolder, *networks: str) -> None:
    """Networks that follow the published curves."""
    curves = {
        name: NetworkSensitivity(
            optimal=selection(9 * sigma),
            optimal_in_training=selection(sigma / 1.7),
            single=selection(sigma / 1.7),
            half=selection(9 * sigma),
        )
        for name, sigma in (("bce-00", BCE), ("punzi-00", PUNZI))
        if name in networks
    }
    found = Sensitivity(MASS, np.full(len(MASS), True), FigureOfMerit(), 50.0, curves)
    found.write(output.sensitivity, {})


def test_one_factor_scales_all_sigma_min(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    assert curve_rows(output) == []
    write_sensitivity(output, "bce-00", "punzi-00")
    rows = curve_rows(output)
    assert len(rows) == 2 * len(PUBLISHED)
    for _, _, published, ours, error, _ in rows:
        assert ours == pytest.approx(published)
        assert error == pytest.approx(0.1 * published)


def test_one_kind_of_networks_has_nothing_to_share_a_factor_with(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    write_sensitivity(output, "punzi-00")
    assert curve_rows(output) == []


def test_an_ensemble_is_preferred_and_averaged_in_the_figure_of_merit(
    tmp_path: Path, make_judgement: Callable[..., Judgement]
) -> None:
    output = OutputFolder(tmp_path)
    write_sensitivity(output, "bce-00", "punzi-00")
    judgement = make_judgement(networks=2)
    at = [int(np.argmin(np.abs(judgement.mass - mass))) for mass in MASS]
    for key, values in (("bce/best", BCE), ("punzi/single", PUNZI)):
        sigma = judgement.arrays[f"{key}/sigma"]
        # Two networks whose figures of merit are 0.5 and 1.5 times the published ones.
        sigma[:, at] = values / np.array([[0.5], [1.5]]) / 1.7
    judgement.write(output.study(MAIN).judgement)
    for _, _, published, ours, error, note in curve_rows(output):
        assert ours == pytest.approx(published)
        # of the jackknife alone: half the difference of the networks, at least
        assert error >= 0.5 * published
        assert "mean of 2 networks" in note
