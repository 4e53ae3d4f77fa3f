"""The code that README and documentation print runs, and gives what the commands give."""

import json
import shutil

import loky
import numpy as np
import polars as pl
import pytest
import torch
from outputs import datasets_of
from pages import ROOT, blocks
from small_data import make_manifest, windows_of
from small_runs import make_features, save_network
from synthetic import synthetic_sample

from punzinet.analysis.io.histograms import read_spectrum
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.search import RECOIL
from punzinet.analysis.windows import Windows
from punzinet.processors.executors import Execution
from punzinet.processors.runs.selection import run_selection


def execute(page, word, names, *replace):
    """Run the Python of a page in which a word occurs."""
    code = "".join(block for block in blocks("python", ROOT / page) if word in block)
    assert code
    exec(code.replace(*replace) if replace else code, names)  # noqa: S102 - our own page


@pytest.fixture
def names():
    """What a training loop has: a network, its features and the columns of each event."""
    sample = synthetic_sample(2000, hypotheses=3)
    events, mass = sample.training, sample.mass
    arrays = {name: getattr(events, name) for name in ("weight", "process", "start", "stop")}
    arrays |= {"mass": mass, "x": events.features.T, "features": events.features.T}
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Sigmoid())
    return {**tensors, "network": network, "batches": torch.randperm(len(events)).split(700)}


def test_the_lines_find_the_windows_of_an_event():
    windows, value = windows_of([1.0, 2.0, 3.0], [0.4] * 3), np.linspace(-1, 11, 1000)
    found = {"lower": windows.low, "upper": windows.high, "variable": value, "np": np}
    execute("docs/loss.md", "searchsorted", found)
    np.testing.assert_array_equal((found["start"], found["stop"]), windows.assign(value))


@pytest.mark.parametrize("page", ["README.md", "docs/loss.md"])
def test_the_lines_train_somebody_elses_network(page, names):
    execute(page, "PunziLoss.of_sample", names)
    assert isinstance(names["value"], torch.Tensor)
    assert names["value"].shape == ()
    gradients = [parameter.grad for parameter in names["network"].parameters()]
    assert all(g is not None and torch.isfinite(g).all() and (g != 0).any() for g in gradients)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, ntuples):
    """Ntuples, and what the commands make of them, with a network that nobody has trained."""
    folder = tmp_path_factory.mktemp("notebook")
    files = {name: shutil.copy(ntuples[name], folder) for name in ("signal", "tautau")}
    manifest = make_manifest(files, corrections={}, features={"chunk_size": 500_000})
    output = make_features(manifest, folder / "output")
    save_network(output, "punzi-00", 0.0)
    run_selection(manifest, output, Execution(), "punzi-00")
    return folder


@pytest.mark.parametrize("executor", ["IterativeExecutor()", "FuturesExecutor(pool=workers)"])
def test_the_notebook_gives_what_the_commands_give(executor, folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {"workers": loky.get_reusable_executor(2)}  # started once
    execute("docs/processors.md", "", names, "IterativeExecutor()", executor)
    output = OutputFolder(folder / "output")
    np.testing.assert_array_equal(names["windows"].sigma, Windows.read(output.windows).sigma)
    table = pl.read_parquet(output.tensors / "tautau" / "*.parquet").to_pandas()
    for name in table.columns:
        np.testing.assert_array_equal(names["table"][name], table[name])
    assert names["cutflow"] == datasets_of(output.features_cutflow)["tautau"]["cutflow"]
    assert len(names["in_windows"]) == names["cutflow"][-1]["entries"] < len(names["table"])
    spectra, _ = read_spectrum(output.histograms, "after", RECOIL.variable.mass)
    np.testing.assert_array_equal(names["background"].values(), spectra["tautau", :].values())
    rows = json.loads(output.selection_cutflow.read_text())["hypotheses"]
    assert names["efficiency"].tolist() == [row["after"]["signal"] for row in rows]
