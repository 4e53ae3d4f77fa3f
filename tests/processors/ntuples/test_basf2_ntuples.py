"""The page on basf2 ntuples, followed literally on files as basf2 would write them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import polars as pl
import pytest
import uproot
import yaml
from small_data import make_events

from punzinet.analysis.manifest.datasets import BRANCHES, Dataset
from punzinet.analysis.manifest.sections import Beams

Columns = dict[str, np.ndarray]
README = Path(__file__).parents[3] / "README.md"
PAGE = Path(__file__).parents[3] / "docs" / "ntuples.md"
#: What basf2 writes in place of characters that a branch name must not hold.
ESCAPES = {" ": "__sp", ",": "__cm", "(": "__bo", ")": "__bc"}


def block(language: str) -> str:
    """The first block of a language on the page."""
    return blocks(language)[0]


def blocks(language: str) -> list[str]:
    """All blocks of a language on the page."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def escape(variable: str) -> str:
    return "".join(ESCAPES.get(character, character) for character in variable)


def steer(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], dict[str, Any]]:
    """Run the steering file with a basf2 that only listens.

    Returns:
        The branches that would be written, and the options of `variablesToNtuple`.
    """
    listener = MagicMock()
    modules = {name: ModuleType(name) for name in ("basf2", "modularAnalysis", "variables")}
    for name, module in modules.items():
        module.__getattr__ = getattr(listener, name).__getattr__  # type: ignore[method-assign]
        monkeypatch.setitem(sys.modules, name, module)
    exec(compile(block("python"), str(PAGE), "exec"), {})  # noqa: S102 - our own page
    (call,) = listener.modularAnalysis.variablesToNtuple.call_args_list
    assert call.args[0] == "vpho:mumu"
    return [escape(variable) for variable in call.args[1]], call.kwargs


def write(
    path: Path,
    tree: str,
    events: Columns,
    branches: list[str],
    aliases: dict[str, str] | None = None,
) -> None:
    """Write rows as basf2 does: in double precision, in baskets of 200 of them."""
    names = {branch: column for column, branch in BRANCHES.items()}
    count = len(events["event"])
    beams = dict(zip(("beam_E", "beam_px", "beam_py", "beam_pz"), Beams().total, strict=True))
    events = events | {"charge1": np.ones(count), "charge2": -np.ones(count)}
    events |= {name: np.full(count, value) for name, value in beams.items()}
    own = [BRANCHES[name] for name in ("experiment", "run", "event", "production")]
    columns = {name: events[names[name]] for name in own}
    columns |= {name: np.asarray(events[names[name]], dtype=np.float64) for name in branches}
    columns |= {"__candidate__": np.zeros(count, np.int32), "__ncandidates__": np.ones(count)}
    columns = {(aliases or {}).get(name, name): values for name, values in columns.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        target = file.mktree(tree, {name: values.dtype for name, values in columns.items()})
        for start in range(0, count, 200):
            target.extend({name: values[start : start + 200] for name, values in columns.items()})


def test_what_the_page_says_of_whole_files_is_a_dataset() -> None:
    (content,) = yaml.safe_load(blocks("yaml")[1]).values()
    assert Dataset.model_validate(content).expected_files == ["taupair_01.root", "taupair_02.root"]


def test_the_page_can_be_followed_literally(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    branches, options = steer(monkeypatch)
    assert options["filename"] == "zprime.root"
    write(
        tmp_path / "zprime.root",
        options["treename"],
        make_events(1, 12_000, np.repeat(np.arange(1.0, 7.0), 2000)),
        branches,
    )
    background = [name for name in branches if name != "generatedMass"]
    for number, name in enumerate(("taupair", "twophoton"), 2):
        events = make_events(number, 1000)
        events["event"][1::10] = events["event"][::10]  # a second candidate in each tenth row
        write(tmp_path / f"{name}.root", options["treename"], events, background)
    (tmp_path / "mine.yaml").write_text(block("yaml"))
    command = block("sh").split()
    assert command[0] == "punzinet"
    subprocess.run(
        [sys.executable, "-m", "punzinet", *command[1:], "--executor", "iterative"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    record = json.loads((tmp_path / "output/features/cutflow.json").read_text())["datasets"]
    assert {row["usable"] for row in record["zprime"]["hypotheses"]} == {2000}
    for name in ("taupair", "twophoton"):
        lines = {line["step"]: line["entries"] for line in record[name]["cutflow"]}
        assert lines["entries read"] == 1000
        assert lines["dropped: not the first candidate of its event"] == 100
        tensor = pl.read_parquet(tmp_path / f"output/tensors/{name}/*.parquet")
        assert lines["kept"] == len(tensor) > 0
        assert tensor["event"].is_unique().all()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_readme_can_be_followed_literally(tmp_path: Path) -> None:
    section = README.read_text().split("## Your own ntuples")[1].split("\n## ")[0]
    (manifest,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (targets,) = re.findall(r"`make ([a-z ]+) MANIFEST=mine\.yaml`", section)
    # Only the folder differs: nobody's tests may write into /data.
    (tmp_path / "mine.yaml").write_text(manifest.replace("/data/", f"{tmp_path}/data/"))
    own = [f"daughter({i}, {name})" for i in (0, 1) for name in ("px", "py", "pz", "charge")]
    branches = [escape(name) for name in [*own, "beamE", "beamPx", "beamPy", "beamPz"]]
    renamed = {BRANCHES["px1"]: "mu0_px", "generatedMass": "mcMass"}
    masses = np.arange(0.5, 8.1, 0.5)
    for i, some in enumerate((masses[::2], masses[1::2])):
        events = make_events(i + 1, 800 * len(some), np.repeat(some, 800))
        path = tmp_path / "data" / f"zprime_{i}.root"
        write(path, "variables", events, [*branches, "generatedMass"], renamed)
    # Background that can be told from signal: its pairs are along the beams.
    events = make_events(9, 40_000)
    forward = np.hypot(events["px1"] + events["px2"], events["py1"] + events["py2"]) < 1
    events = {name: values[forward] for name, values in events.items()}
    write(tmp_path / "data" / "taupair" / "1.root", "variables", events, branches)
    for target in targets.split():
        command = "plot" if target == "plots" else target
        done = subprocess.run(
            [sys.executable, "-m", "punzinet", command, "--manifest", "mine.yaml"],
            cwd=tmp_path, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    output = tmp_path / "output"
    cutflow = json.loads((output / "features" / "cutflow.json").read_text())["datasets"]
    assert [row["usable"] for row in cutflow["zprime"]["hypotheses"]] == [800] * len(masses)
    for made in ("sensitivity.json", "selection/histograms.root", "plots/recoil_mass.pdf"):
        assert (output / made).is_file()


def test_the_page_names_every_setting_as_it_is() -> None:
    words = PAGE.read_text()
    assert "daughter__bo0__cm__sppx__bc" in words
    assert escape("daughter(0, px)") == BRANCHES["px1"]
