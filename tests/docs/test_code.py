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

from punzinet.analysis.io.histograms import read_spectrum
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.search import RECOIL
from punzinet.analysis.windows import Windows
from punzinet.processors.executors import Execution
from punzinet.processors.runs.selection import run_selection

MASSES = np.array([1.0, 2.0, 3.0])


def execute(page, word, names, *replace):
    """Run the Python of a page in which a word occurs."""
    code = "".join(block for block in blocks("python", ROOT / page) if word in block)
    assert code
    exec(code.replace(*replace) if replace else code, names)  # noqa: S102 - our own page


@pytest.fixture
def names():
    """What a training loop has: a network, its features and the columns of each event."""
    rng = np.random.default_rng(4)
    windows = windows_of(MASSES, np.full(3, 0.4))
    own = np.append(np.repeat(np.arange(3), 200), np.full(400, -1))
    signal = own >= 0
    value = np.where(signal, MASSES[own] ** 2 + rng.normal(0, 0.3, 1000), rng.uniform(0, 10, 1000))
    found = {"lower": windows.low, "upper": windows.high, "variable": value, "np": np}
    execute("docs/loss.md", "searchsorted", found)
    np.testing.assert_array_equal((found["start"], found["stop"]), windows.assign(value))
    inside = (found["start"] <= own) & (own < found["stop"])
    columns = {
        "mass": MASSES,
        "weight": np.where(signal, 1 / 200, 2.0),
        "process": np.where(signal, SIGNAL, 0),
        "start": np.where(signal, own, found["start"]),
        "stop": np.where(signal, own + inside, found["stop"]),
    }
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Sigmoid())
    features = torch.rand(1000, 4)
    parts = torch.arange(1000).split(250)
    batches = [torch.cat(parts[i::2]) for i in range(2)]
    tensors = {name: torch.from_numpy(column) for name, column in columns.items()}
    return {**tensors, "network": network, "features": features, "x": features, "batches": batches}


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
    spectra, _ = read_spectrum(output.histograms, "after", RECOIL.variable.mass)
    np.testing.assert_array_equal(names["background"].values(), spectra["tautau", :].values())
    rows = json.loads(output.selection_cutflow.read_text())["hypotheses"]
    assert names["efficiency"].tolist() == [row["after"]["signal"] for row in rows]
