"""The wheel, installed with its dependencies into a fresh environment, works from any folder."""

import os
import re
import sys
import zipfile
from pathlib import Path

import commands
import pytest
from pages import ROOT
from small_data import make_manifest, write_manifest


def run(*command, folder):
    """What a command says without a trace of this checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = commands.run(*command, folder=folder, env=environment, timeout=3600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT, folder=ROOT)
    (wheel,) = folder.glob("punzinet-*.whl")
    return wheel


@pytest.mark.slow
def test_the_wheel_holds_everything(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"punzinet"}
    assert "punzinet/py.typed" in names
    for package in ("", "analysis", "plots", "processors"):
        paths = [path for path in (ROOT / "punzinet" / package).rglob("*") if path.is_file()]
        data = {str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts}
        assert data
        assert data <= names


@pytest.mark.slow
@pytest.mark.timeout(3600)  # two gigabytes are fetched, and everything is compiled anew
def test_the_wheel_works_in_a_fresh_environment(wheel, tmp_path, ntuples):
    run(sys.executable, "-m", "venv", tmp_path / "venv", folder=tmp_path)
    python, punzinet = (tmp_path / "venv" / "bin" / name for name in ("python", "punzinet"))
    lock = ROOT / "requirements.lock"
    torch = re.search(r"^torch==\S+", lock.read_text(), re.MULTILINE)[0]
    for what in (["--no-deps", torch], ["--no-deps", "--require-hashes", "-r", lock], [wheel]):
        run(python, "-m", "pip", "install", "-q", *what, folder=tmp_path)
    run(python, "-m", "pip", "check", folder=tmp_path)

    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "analysis").mkdir(parents=True)  # somebody's own
    (elsewhere / "analysis" / "__init__.py").write_text("raise ImportError\n")
    where = run(python, "-c", "import punzinet; print(punzinet.__file__)", folder=elsewhere)
    assert Path(where.strip()).is_relative_to(tmp_path / "venv")
    assert run(punzinet, "--version", folder=elsewhere).startswith("punzinet ")
    assert "features" in run(punzinet, "--help", folder=elsewhere)

    training = {"pretraining": {"epochs": 15}, "punzi": {"epochs": 20}}
    write_manifest(elsewhere / "mine.yaml", make_manifest(dict(ntuples), training=training))
    for stage in ("features", "train", "select", "limits", "plot", "report"):
        run(punzinet, stage, "--manifest", "mine.yaml", folder=elsewhere)
    run(punzinet, "predict", "--manifest", "mine.yaml", ntuples["tautau"], folder=elsewhere)
    output = elsewhere / "output"
    for made in ("sensitivity.json", "selection/histograms.root", "limits/limits.json",
                 "plots/recoil_mass.pdf", "report.html"):  # fmt: skip
        assert (output / made).is_file(), made
    assert (elsewhere / "tautau.punzinet.root").is_file()
