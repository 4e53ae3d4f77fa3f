"""Figures inside of the report."""

import base64
from dataclasses import replace

import numpy as np
import pytest

from punzinet.analysis.io.files import InputError, write_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.search import RECOIL
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.plots.report import page
from punzinet.plots.report.other_run import compare_runs
from punzinet.plots.report.page import read_captions, read_pictures

MASS = np.arange(5.0)
GRAPHIC = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def test_figures_are_images_in_the_order_of_the_captions(tmp_path):
    captions = read_captions(RECOIL.variable.mass)["run"]
    own = [tmp_path / "pixels.png"]
    for name in ("features", "sigma_min", "another_one", "recoil_mass"):
        own += [tmp_path / f"{name}.svg", tmp_path / f"{name}.png"]
        (tmp_path / f"{name}.svg").write_text(GRAPHIC)
        (tmp_path / f"{name}.png").write_bytes(b"pixels")
    (tmp_path / "pixels.png").write_bytes(b"pixels")
    (tmp_path / "somebodys.svg").write_text(GRAPHIC)
    pictures = read_pictures(tmp_path, captions, own)
    names = ["recoil_mass", "sigma_min", "features", "another_one", "pixels"]
    assert [picture.name for picture in pictures] == names
    assert pictures[0].title == "Recoil mass before and after the single cut"
    assert (pictures[3].title, pictures[3].caption) == ("Another one", "")
    # As an image, nothing in a graphic runs or is loaded.
    assert [picture.data.partition(",")[0] for picture in pictures] == [
        *["data:image/svg+xml;base64"] * 4, "data:image/png;base64",
    ]  # fmt: skip
    assert base64.b64decode(pictures[0].data.partition(",")[2]).decode() == GRAPHIC


def test_masses_at_which_cross_entropy_finds_nothing_are_in_no_average(make):
    made = make.sensitivity(np.random.default_rng(1), MASS, ("bce-00", "punzi-00"))
    bce, punzi = made.networks["bce-00"].optimal, made.networks["punzi-00"].single
    assert (page.averages(made)["lost"], page.averages(made)["averaged"]) == ("", 3)
    bce.sigma_min[2] = np.inf
    said = page.averages(made)
    assert (said["lost"], said["averaged"], said["unseen"]) == ("2", 2, 0)
    ends, average = [0, 4], made.figure_of_merit.averaged
    ratio = average(bce.sigma_min[ends]) / average(punzi.sigma_min[ends])
    assert float(said["ratio"]) == pytest.approx(ratio, rel=5e-3)


def test_two_runs_are_compared_at_the_masses_that_both_have(tmp_path, make):
    runs = [OutputFolder(tmp_path / name) for name in ("one", "other")]
    for run, masses, epochs in zip(runs, (MASS[:4], MASS[1:]), (100, 200), strict=True):
        run.root.mkdir()
        names = ("punzi-00",)
        made = make.sensitivity(np.random.default_rng(1), masses, names)
        made.networks["punzi-00"].single.effective[:] = np.where(masses == epochs / 100 + 1, 0, 9)
        made.write(run.sensitivity, {})
        settings = {"training": {"epochs": epochs}, "luminosity": 50.0}
        write_json(run.stages / "train.json", {"inputs": {"settings": settings}})
        write_json(run.stages / "networks.json", {"asked": epochs, "manifest": 1})
    settings, sigma = compare_runs(*runs, "punzi-00", "m").tables
    said = [[cell.text for cell in row] for row in settings.rows]
    assert said == [["`training.epochs` changed from 200 to 100"]]
    assert [row[0].text for row in sigma.rows] == ["1", "2", "3"]
    one, other, ratio = (float(cell.text) for cell in sigma.rows[0][1:])
    assert ratio == pytest.approx(other / one, rel=1e-3)
    # Where no background passes in this run, and in the other one.
    marks = [[cell.text[:2] for cell in row[1:] if cell.text[0] in "<>"] for row in sigma.rows]
    assert marks == [[], ["< ", "> "], ["< ", "< "]]
    assert len(list((runs[0].root / "compared").glob("sigma_min.*"))) == 3
    # One label cannot say the luminosity of both if there are two.
    replace(Sensitivity.read(runs[1].sensitivity), luminosity=20.0).write(runs[1].sensitivity, {})
    _, sigma = compare_runs(*runs, "punzi-00", "m").tables
    assert [*sigma.header[1:3]] == ["this run, 50 fb⁻¹", "other run, 20 fb⁻¹"]
    for network, other in (("punzi-01", runs[1]), ("punzi-00", OutputFolder(tmp_path))):
        with pytest.raises(InputError, match=r"(has no network punzi-01|run `punzinet train`)"):
            compare_runs(runs[0], other, network, "m")
