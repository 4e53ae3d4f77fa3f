"""The notebook of the page on processors gives what the commands give."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import loky
import numpy as np
import polars as pl
import pytest

from punzinet.analysis.io.histograms import read_spectrum
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.network import PunziNet
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.search import RECOIL
from punzinet.analysis.windows import Windows
from punzinet.processors.executors import Execution
from punzinet.processors.runs.features import run_features
from punzinet.processors.runs.selection import run_selection

PAGE = Path(__file__).parents[2] / "docs" / "processors.md"


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    ntuples: dict[str, Path],
    make_manifest: Callable[..., Any],
) -> Path:
    """Ntuples, and what the commands make of them, with a network that nobody has trained."""
    folder = tmp_path_factory.mktemp("notebook")
    for name in ("signal", "tautau"):
        shutil.copy(ntuples[name], folder)
    files = {name: folder / f"{name}.root" for name in ("signal", "tautau")}
    manifest = make_manifest(files, corrections={}, features={"chunk_size": 500_000})
    output = OutputFolder(folder / "output")
    run_features(manifest, output, Execution())
    network = PunziNet(FEATURES, [0.0] * 4, [5.0] * 4, rng=np.random.default_rng(3))
    network.save(output.network("punzi-00"), Windows.read(output.windows), {}, {}, cut=0.0)
    run_selection(manifest, output, Execution(), "punzi-00")
    return folder


@pytest.mark.parametrize("executor", ["IterativeExecutor()", "FuturesExecutor(pool=workers)"])
def test_the_notebook_gives_what_the_commands_give(
    executor: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"workers": loky.get_reusable_executor(2)}  # started once
    for block in blocks:
        exec(block.replace("IterativeExecutor()", executor), names)  # noqa: S102 - our own page
    output = OutputFolder(folder / "output")
    np.testing.assert_array_equal(names["windows"].sigma, Windows.read(output.windows).sigma)
    table = pl.read_parquet(output.tensors / "tautau" / "*.parquet").to_pandas()
    for name in table.columns:
        np.testing.assert_array_equal(names["table"][name], table[name])
    counts = json.loads(output.features_cutflow.read_text())["datasets"]["tautau"]
    assert names["cutflow"] == counts["cutflow"]
    spectra, _ = read_spectrum(output.histograms, "after", RECOIL.variable.mass)
    np.testing.assert_array_equal(names["background"].values(), spectra["tautau", :].values())
    rows = json.loads(output.selection_cutflow.read_text())["hypotheses"]
    assert names["efficiency"].tolist() == [row["after"]["signal"] for row in rows]
