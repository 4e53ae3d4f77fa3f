"""The second search of the documentation: windows in the dimuon mass, other features."""

import json
import re
import shutil

import numpy as np
import polars as pl
import pytest
import uproot
import yaml
from commands import run_here
from outputs import draft
from pages import ROOT
from small_data import make_events, make_signal, write_ntuple

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.saved_network import load_network
from punzinet.analysis.windows import Windows
from punzinet.plots import style

EXAMPLE = ROOT / "docs" / "examples" / "dimuon_resonance.yaml"
STAGES = ("features", "train", "select", "limits", "plot", "report")
MASSES = np.arange(2.0, 6.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The current folder: the example has run, on resonances and backgrounds made for it."""
    folder = tmp_path_factory.mktemp("resonance")
    shutil.copy(EXAMPLE, folder / "data_manifest.yaml")
    write_ntuple(folder / "resonance.root", make_signal(1, 1000, MASSES, of_pair=True))
    write_ntuple(folder / "continuum.root", make_events(2, 10_000))
    write_ntuple(folder / "taupair.root", make_events(3, 5000))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(style, "save", draft)
        for stage in STAGES:
            run_here(stage)
        yield folder


def test_windows_lie_around_the_mass_itself(folder):
    windows = Windows.read(OutputFolder(folder / "output").windows)
    np.testing.assert_allclose(windows.mass, MASSES)
    np.testing.assert_allclose(windows.low + windows.high, 2 * MASSES)
    assert windows.fitted.all()
    # Two muons with 0.4 % each on their momentum make the mass of the pair as sharp as 0.28 %.
    np.testing.assert_allclose(windows.sigma, 0.0028 * MASSES, rtol=0.1)


def test_tensors_hold_the_features_and_the_mass_of_the_pair(folder):
    features = yaml.safe_load(EXAMPLE.read_text())["search"]["features"]
    windows = Windows.read(OutputFolder(folder / "output").windows)
    table = pl.read_parquet(folder / "output" / "tensors" / "*" / "*.parquet")
    assert [n for n, kind in table.schema.items() if kind == pl.Float32] == features
    assert "m_mumu" in table.columns
    signal = table.filter(pl.col("process") == "signal")
    distance = (signal["m_mumu"] - signal["mass"]).abs().to_numpy()
    assert (distance < 2 * windows.sigma[windows.index_of(signal["mass"].to_numpy())]).all()
    # The resonance recoils against a photon.
    background = table.filter(pl.col("process") != "signal")
    assert abs(signal["m2_recoil"].median()) < 0.2 < background["m2_recoil"].median()


def test_the_network_finds_the_resonance(folder):
    output = OutputFolder(folder / "output")
    network = load_network(output.network("punzi-00"))
    assert network.network.features == network.windows.search.feature_names
    rows = json.loads(output.selection_cutflow.read_text())["hypotheses"]
    signal, *backgrounds = (
        np.mean([row["after"][process] / row["before"][process] for row in rows])
        for process in ("signal", "continuum", "tautau")
    )
    assert signal > 3 * max(backgrounds)


def test_figures_tables_and_histograms_name_the_variable(folder):
    output = folder / "output"
    said = {path.stem: path.read_text() for path in (output / "plots").glob("*.txt")}
    assert {"limit_cross_section", "features"} <= set(said)
    assert "Z'" not in "".join(said.values())
    for name, text in {
        "dimuon_mass": r"$m(\mu\mu)$ [GeV]",
        "output_vs_mass": r"$m(\mu\mu)$ [GeV]",
        "window_widths": r"$\sigma(m(\mu\mu))$ [GeV]",
        "signal_peaks": r"$(m(\mu\mu) - m_{X})",
        "limit_cross_section": r"e^+e^-\to\gamma X",
    }.items():
        assert text in said[name]
    # The recoil mass is there only as the feature that it is here.
    assert [name for name, text in said.items() if "rec" in text] == ["features"]
    with uproot.open(output / "selection" / "histograms.root") as file:
        names = set(file.keys(cycle=False, filter_classname="TH1D"))
    assert "after/m_mumu/signal/3" in names
    assert not [name for name in names if "recoil" in name]
    assert "dropped: dimuon mass in no window" in (output / "features/cutflow.json").read_text()
    submission = (output / "limits/hepdata/submission.yaml").read_text()
    assert "E+ E- --> GAMMA X" in submission


def test_the_report_names_the_variable(folder):
    page = (folder / "output" / "report.html").read_text()
    body = page[page.index("<body") :]
    for text in (
        "Search for e⁺e⁻ → γX with X → μ⁺μ⁻ at masses of 2 to 6 GeV",
        "Dimuon mass of all backgrounds",
        "Windows in the dimuon mass and the fits they come from, in GeV",
    ):
        assert text in body
    assert not re.search("[Rr]ecoil mass|Z′", body)


def test_prediction_and_export_take_the_features_of_the_network(folder):
    run_here("predict", "continuum.root", "--to", "friend.root")
    with uproot.open(folder / "friend.root") as file:
        branches = file["punzinet"].keys()
    features = ["m2_recoil", "pt_mumu", "cos_helicity", "energy_asymmetry"]
    assert branches[2:] == [*features, "m_mumu"]
    pytest.importorskip("onnx")
    run_here("export", "network.onnx")
    assert ",".join(features).encode() in (folder / "network.onnx").read_bytes()
