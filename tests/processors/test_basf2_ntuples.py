"""The page on basf2 ntuples, followed literally on files as basf2 would write them."""

import re
import sys
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import pytest
import yaml
from commands import run_here
from outputs import datasets_of, entries_of, read_tensors
from pages import ROOT, blocks
from small_data import make_events, make_signal, with_beams, write_ntuple

from punzinet.analysis.folds import IDENTITY
from punzinet.analysis.manifest.datasets import BRANCHES, Dataset
from punzinet.analysis.manifest.manifest import Manifest

README, PAGE = ROOT / "README.md", ROOT / "docs" / "ntuples.md"
#: What basf2 writes in place of characters that a branch name must not hold.
ESCAPES = str.maketrans({" ": "__sp", ",": "__cm", "(": "__bo", ")": "__bc"})


def steer(monkeypatch):
    """Branches and options of `variablesToNtuple` in the steering file, to a basf2 that listens."""
    listener = MagicMock()
    modules = {name: ModuleType(name) for name in ("basf2", "modularAnalysis", "variables")}
    for name, module in modules.items():
        module.__getattr__ = getattr(listener, name).__getattr__
        monkeypatch.setitem(sys.modules, name, module)
    exec(compile(blocks("python", PAGE)[0], str(PAGE), "exec"), {})  # noqa: S102 - our own page
    (call,) = listener.modularAnalysis.variablesToNtuple.call_args_list
    assert call.args[0] == "vpho:mumu"
    return [variable.translate(ESCAPES) for variable in call.args[1]], call.kwargs


def write(path, tree, events, branches, aliases=None):
    """Write rows as basf2 does: in double precision, in baskets of 200 of them."""
    count = len(events["event"])
    events = with_beams(events) | {"charge1": np.ones(count), "charge2": -np.ones(count)}
    named = {BRANCHES[column]: values for column, values in events.items()}
    columns = {BRANCHES[name]: events[name] for name in IDENTITY}
    columns |= {name: np.asarray(named[name], dtype=np.float64) for name in branches}
    columns |= {"__candidate__": np.zeros(count, np.int32), "__ncandidates__": np.ones(count)}
    write_ntuple(path, columns, tree, aliases, basket=200)


def test_what_the_page_says_of_periods_is_a_manifest_with_nothing_to_remark():
    manifest = Manifest.model_validate(yaml.safe_load(blocks("yaml", PAGE)[1]))
    assert manifest.luminosity_of("zprime_2019") == 8.5
    assert manifest.remarks == []


def test_what_the_page_says_of_whole_files_is_a_dataset():
    (content,) = yaml.safe_load(blocks("yaml", PAGE)[2]).values()
    assert Dataset.model_validate(content).expected_files == ["taupair_01.root", "taupair_02.root"]


def test_the_page_can_be_followed_literally(tmp_path, monkeypatch):
    branches, options = steer(monkeypatch)
    assert options["filename"] == "zprime.root"
    assert BRANCHES["px1"] in branches
    assert BRANCHES["px1"] in PAGE.read_text()
    signal = make_signal(1, 2000, np.arange(1.0, 7.0))
    write(tmp_path / "zprime.root", options["treename"], signal, branches)
    background = [name for name in branches if name != "generatedMass"]
    for number, name in enumerate(("taupair", "twophoton"), 2):
        events = make_events(number, 1000)
        events["event"][1::10] = events["event"][::10]  # a second candidate in each tenth row
        write(tmp_path / f"{name}.root", options["treename"], events, background)
    (tmp_path / "mine.yaml").write_text(blocks("yaml", PAGE)[0])
    program, *command = blocks("sh", PAGE)[0].split()
    assert program == "punzinet"
    monkeypatch.chdir(tmp_path)
    run_here(*command)
    record = datasets_of(tmp_path / "output/features/cutflow.json")
    assert {row["usable"] for row in record["zprime"]["hypotheses"]} == {2000}
    for name in ("taupair", "twophoton"):
        lines = entries_of(record[name]["cutflow"])
        assert lines["entries read"] == 1000
        assert lines["dropped: not the first candidate of its event"] == 100
        tensor = read_tensors(tmp_path / "output/tensors", name)
        assert lines["kept"] == len(tensor) > 0
        assert tensor["event"].is_unique().all()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_readme_can_be_followed_literally(tmp_path, monkeypatch):
    section = README.read_text().split("## Your own ntuples")[1].split("\n## ")[0]
    (manifest,) = blocks("yaml", section)
    (targets,) = re.findall(r"`make ([a-z ]+) MANIFEST=mine\.yaml`", section)
    # Only the folder differs: nobody's tests may write into /data.
    (tmp_path / "mine.yaml").write_text(manifest.replace("/data/", f"{tmp_path}/data/"))
    own = [f"daughter({i}, {name})" for i in (0, 1) for name in ("px", "py", "pz", "charge")]
    branches = [name.translate(ESCAPES) for name in [*own, "beamE", "beamPx", "beamPy", "beamPz"]]
    renamed = {BRANCHES["px1"]: "mu0_px", "generatedMass": "mcMass"}
    masses = np.arange(0.5, 8.1, 0.5)
    for i, some in enumerate((masses[::2], masses[1::2])):
        events = make_signal(i + 1, 800, some)
        path = tmp_path / "data" / f"zprime_{i}.root"
        write(path, "variables", events, [*branches, "generatedMass"], renamed)
    # Background that can be told from signal: its pairs are along the beams.
    events = make_events(9, 40_000)
    forward = np.hypot(events["px1"] + events["px2"], events["py1"] + events["py2"]) < 1
    for i, name in enumerate(("taupair", "uubar")):
        some = {column: values[forward][i::2] for column, values in events.items()}
        write(tmp_path / "data" / name / "1.root", "variables", some, branches)
    monkeypatch.chdir(tmp_path)
    for target in targets.split():
        run_here("plot" if target == "plots" else target, "--manifest", "mine.yaml")
    output = tmp_path / "output"
    record = datasets_of(output / "features" / "cutflow.json")
    assert [row["usable"] for row in record["zprime"]["hypotheses"]] == [800] * len(masses)
    for made in ("sensitivity.json", "selection/histograms.root", "plots/recoil_mass.pdf"):
        assert (output / made).is_file()
