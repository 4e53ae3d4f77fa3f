"""The whole chain as a user runs it, on a sample small enough for tests."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import uproot
import yaml
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from punzinet.stages import CHAIN
from punzinet.stages.run import lock

# Where nothing is compiled yet, the first run of the whole chain takes minutes.
pytestmark = pytest.mark.timeout(900)

PUNZINET = (sys.executable, "-m", "punzinet")

#: A small version of the default manifest: the same processes, fewer masses and events.
SMALL: dict[str, Any] = {
    "luminosity": 50,
    "corrections": {"trigger_efficiency": 0.9},
    "hypotheses": {"masses": {"start": 1.0, "stop": 7.0, "step": 1.0}},
    "datasets": {
        name: {"process": name, "simulate": name}
        for name in ("signal", "mumugamma", "tautau", "eemumu")
    },
    "simulation": {"scales": {"default": {"luminosity": 2.0, "signal_events": 2000}}},
    "training": {"pretraining": {"epochs": 15}, "punzi": {"epochs": 20}},
}

#: What is there as soon as a stage is in the middle of its work.
BEGUN = {
    "simulate": ".ledger/simulate/events/*/*.safetensors",
    "features": ".ledger/features/features/*/*.safetensors",
    "train": "networks/checkpoint.safetensors",
}


def punzinet(
    *arguments: str | Path, folder: Path, before: Sequence[str] = PUNZINET, code: int = 0
) -> str:
    """What a command says in a folder that holds `data_manifest.yaml`, as one line.

    It has to end with an exit code; with 1 what it says is the sentence that explains it.
    """
    done = subprocess.run(
        [*before, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False,
        timeout=280,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return " ".join((done.stderr if code else done.stdout).split())


def run_chain(folder: Path, stages: Sequence[str] = CHAIN) -> str:
    """Run stages one after the other and return what they said."""
    return " ".join(punzinet(stage, folder=folder) for stage in stages)


def with_manifest(folder: Path, **sections: Any) -> Path:
    """The folder, with some sections of the small manifest changed."""
    (folder / "data_manifest.yaml").write_text(yaml.safe_dump({**SMALL, **sections}))
    return folder


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole chain has run once."""
    folder = with_manifest(tmp_path_factory.mktemp("chain"))
    run_chain(folder)
    return folder


@pytest.fixture
def copy(chain: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be changed."""
    return Path(shutil.copytree(chain, tmp_path / "copy"))


def test_every_contract_file_is_there(chain: Path) -> None:
    output = chain / "output"
    for name in SMALL["datasets"]:
        with uproot.open(output / "ntuples" / f"{name}.root") as file:
            assert file["variables"].num_entries > 0
    for name in (
        "windows.json", "features/cutflow.json", "features/completeness.json", "sensitivity.json",
        "selection/cutflow.json",
    ):  # fmt: skip
        content = json.loads((output / name).read_text())
        assert {"versions", "manifest", "settings"} <= set(content["provenance"]), name
    assert list((output / "networks").glob("punzi*/network.safetensors"))
    assert (output / "selection" / "histograms.root").is_file()
    pdf, png = ({p.stem for p in (output / "plots").glob(f"*.{kind}")} for kind in ("pdf", "png"))
    assert pdf == png
    assert len(pdf) >= 6
    assert not [path for path in output.rglob("*") if "partial" in path.name]


def test_no_event_is_lost_between_the_stages(chain: Path) -> None:
    complete, steps = (
        json.loads((chain / "output" / "features" / name).read_text())["datasets"]
        for name in ("completeness.json", "cutflow.json")
    )
    for name, record in complete.items():
        assert record["read"] == record["present"]
        rows = pq.read_table(chain / "output" / "tensors" / name).num_rows
        assert rows == steps[name]["cutflow"][-1]["entries"]


def test_a_second_run_does_nothing(chain: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (chain / "output").rglob("*") if p.is_file()}
    assert run_chain(chain).count("up to date") == len(CHAIN)
    assert before == {p: p.stat().st_mtime_ns for p in (chain / "output").rglob("*") if p.is_file()}


def test_status_tells_how_far_everything_is(chain: Path, tmp_path: Path) -> None:
    said = punzinet("status", folder=chain)
    assert said.count("finished") == len(CHAIN)
    assert "eemumu" in said
    (record, *_) = (chain / "output" / ".ledger" / "select").rglob("*.safetensors")
    moved = record.rename(tmp_path / "record")
    shutil.move(chain / "output" / ".stages" / "select.json", tmp_path)
    assert "cut off" in punzinet("status", folder=chain)
    moved.rename(record)
    shutil.move(tmp_path / "select.json", chain / "output" / ".stages")
    assert punzinet("status", folder=tmp_path).count("not run") == len(CHAIN)


@pytest.mark.parametrize(
    "damaged",
    ["features/completeness.json", "selection/cutflow.json", ".ledger/features/features.json"],
)
def test_status_says_what_is_damaged_and_shows_everything_else(chain: Path, damaged: str) -> None:
    path = chain / "output" / damaged
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    said = punzinet("status", folder=chain)
    path.write_bytes(good)
    assert "eemumu" in said
    stage = "select" if "selection" in damaged else "features"
    assert f"output/{damaged} cannot be read as JSON" in said
    assert said.count(f"delete it and run `punzinet {stage}` again.") == 1


def test_a_second_run_in_the_same_folder_is_refused(chain: Path) -> None:
    with lock(chain / "output", "train"):
        said = punzinet("select", "--force", folder=chain, code=1)
    assert f"`punzinet train` (process {os.getpid()} on " in said
    assert "is at work" in said


HOSTILE = "<script>alert(1)</script>"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """A real browser without a screen."""
    if BROWSER is None or DRIVER is None:
        pytest.skip("there is no Chromium with its chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
        "disable-background-networking", "disable-component-update", "disable-sync",
        f"user-data-dir={tmp_path / 'profile'}",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def test_the_report_works_in_a_browser(copy: Path, browser: webdriver.Chrome) -> None:
    with_manifest(copy, processes={**{n: n for n in SMALL["datasets"]}, "tautau": HOSTILE})
    punzinet("report", "--upstream", folder=copy)
    for width in (1280, 375):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        browser.get((copy / "output" / "report.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    pictures = browser.find_elements(By.CSS_SELECTOR, "figure svg, figure img")
    assert len(pictures) > 8
    assert all(picture.size["width"] > 100 for picture in pictures)
    chooser, yields = Select(browser.find_element(By.ID, "mass")), "#yields tbody"
    said = set()
    for option in range(len(chooser.options)):
        chooser.select_by_index(option)
        said.add(browser.find_element(By.CSS_SELECTOR, yields).text)
    assert len(said) == len(chooser.options) == 7
    assert HOSTILE in browser.find_element(By.CSS_SELECTOR, yields).text
    loaded = browser.execute_script("return performance.getEntriesByType('resource').length")
    assert loaded == 0


def test_a_report_of_two_settings_is_refused(copy: Path) -> None:
    with_manifest(copy, luminosity=40)
    for stage in ("train", "select", "limits", "plot", "report"):
        said = punzinet(stage, "--force", folder=copy, code=1)
        assert "`luminosity` changed from 50.0 to 40.0. Run `punzinet features`" in said
        assert f"or `punzinet {stage} --upstream`." in said
    states = punzinet("status", folder=copy)
    assert states.count("out of date: `punzinet features` is out of date") == len(CHAIN) - 2
    punzinet("report", "--upstream", folder=copy)
    assert punzinet("status", folder=copy).count("finished") == len(CHAIN) + 1
    judged = json.loads((copy / "output" / "sensitivity.json").read_text())
    assert judged["provenance"]["settings"]["luminosity"] == 40


@pytest.mark.slow
def test_data_is_drawn_and_trains_nothing_again(copy: Path) -> None:
    # Not measured, and its own simulation: enough to be drawn.
    data = {"process": "data", "files": ["output/ntuples/eemumu.root"], "luminosity": 2.0}
    said = run_chain(with_manifest(copy, datasets={**SMALL["datasets"], "runs": data}))
    for stage in ("simulate", "features", "train", "limits"):
        assert f"{stage}: up to date" in said
    assert said.count("Blinded: only 10 % of the data is seen") == 2
    figures = {path.name for path in (copy / "output" / "plots").glob("data_*")}
    for name in ("data_recoil_mass", "data_features_before", "data_features_after"):
        assert {f"{name}.{suffix}" for suffix in ("pdf", "png", "svg")} <= figures
    assert run_chain(copy).count("up to date") == len(CHAIN) + 1
    punzinet("report", folder=copy)
    page = (copy / "output" / "report.html").read_text()
    assert "Data and simulation: recoil mass" in page
    assert "blinded: not to be seen before --unblind" in page
    assert "Data: entries read, present and expected" in page


def test_own_ntuples_with_other_names(chain: Path, tmp_path: Path) -> None:
    """The same events under other tree and branch names give the same tensors."""
    names = {"px1": "mu0_px", "event": "evtNum", "weight": "w"}
    old = {"px1": "daughter__bo0__cm__sppx__bc", "event": "__event__", "weight": "__weight__"}
    datasets = {}
    for name in SMALL["datasets"]:
        with uproot.open(chain / "output" / "ntuples" / f"{name}.root") as file:
            columns = file["variables"].arrays(library="np")
        for key, branch in old.items():
            columns[names[key]] = columns.pop(branch)
        with uproot.recreate(tmp_path / f"{name}.root") as file:
            tree = file.mktree("mine", {k: v.dtype for k, v in columns.items()})
            tree.extend(columns)
        size = {"generated": 2000} if name == "signal" else {"luminosity": 2.0}
        datasets[name] = {
            "process": name, "files": [f"{name}.root"], "tree": "mine", "branches": names, **size
        }  # fmt: skip
    run_chain(with_manifest(tmp_path, datasets=datasets), ["simulate", "features"])
    for name in SMALL["datasets"]:
        mine = pq.read_table(tmp_path / "output" / "tensors" / name)
        assert mine.equals(pq.read_table(chain / "output" / "tensors" / name))


@pytest.mark.parametrize("stage", BEGUN)
def test_an_interrupted_stage_leaves_no_result_and_the_next_run_completes(
    chain: Path, tmp_path: Path, stage: str
) -> None:
    """Ctrl-C in the middle; the next run gives the same files as an undisturbed one."""
    endless = {"epochs": 1_000_000, "learning_rate": 1e-6}
    slow = {"pretraining": {"epochs": 15}, "punzi": endless}
    output = tmp_path / "output"
    if stage != "simulate":
        shutil.copytree(chain / "output", output)
        shutil.rmtree(output / ".ledger")  # its records would say that it has begun
    with_manifest(tmp_path, **({"training": slow} if stage == "train" else {}))
    process = subprocess.Popen(
        [*PUNZINET, stage, "--force"], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(output.glob(BEGUN[stage])) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    if stage == "train":
        assert not (output / "sensitivity.json").exists()
        assert list(output.glob(BEGUN[stage]))
        assert "the same command continues it" in errors
        return
    run_chain(tmp_path, ["simulate", "features"])
    for path in (chain / "output" / "tensors").rglob("*.parquet"):
        twin = tmp_path / path.relative_to(chain)
        assert pq.read_table(twin).equals(pq.read_table(path))


def test_an_unwritable_output_is_one_sentence(chain: Path, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file, not a folder")
    blocked = tmp_path / "blocked" / "output"
    assert "--output" in punzinet("simulate", "--output", blocked, folder=chain, code=1)


def test_two_processes_train_an_ensemble_that_stays_one(copy: Path) -> None:
    with_manifest(copy, training={"pretraining": {"epochs": 2}, "punzi": {"epochs": 2}})
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    before = (sys.executable, *launcher, *PUNZINET[1:])
    together = punzinet("train", "--networks", "2", folder=copy, before=before)
    assert together.count("train: networks in") == 1
    again = punzinet("train", folder=copy)
    assert "train: 2 networks, as the last time" in again
    assert "train: up to date" in again
