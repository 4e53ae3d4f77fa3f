"""The whole chain as a user runs it, on a sample small enough for tests."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import uproot
import yaml
from commands import PUNZINET, run, run_here, wait_for
from outputs import datasets_of, read_tensors, times
from pages import ROOT
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select
from small_data import simulated

from punzinet.analysis.io.files import InputError
from punzinet.stages import CHAIN

# Where nothing is compiled yet, the first run of the whole chain takes minutes.
pytestmark = pytest.mark.timeout(900)

HOSTILE = "<script>alert(1)</script>"
SMALL = simulated(epochs=20)
SMALL["processes"] = {**{name: name for name in SMALL["datasets"]}, "tautau": HOSTILE}

#: What is there as soon as a stage is in the middle of its work, and what it makes.
BEGUN = {
    "simulate": (".ledger/simulate/events/*/*.safetensors", "ntuples/*.root"),
    "features": (".ledger/features/features/*/*.safetensors", "tensors/*/*.parquet"),
    "train": ("networks/checkpoint.safetensors", None),
}


def punzinet(*arguments, folder, before=PUNZINET, code=0):
    """What a command says in a folder that holds `data_manifest.yaml`, as one line.

    It has to end with an exit code; with 1 what it says is the sentence that explains it.
    """
    done = run(*before, *arguments, folder=folder)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return " ".join((done.stderr if code else done.stdout).split())


def said_in(folder, *command):
    """What a command says that works in this process, as one line."""
    with contextlib.chdir(folder):
        return " ".join(run_here(*command).split())


def with_manifest(folder, **sections):
    """The folder, with some sections of the small manifest changed."""
    (folder / "data_manifest.yaml").write_text(yaml.safe_dump({**SMALL, **sections}))
    return folder


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A folder in which the whole chain has run once."""
    folder = with_manifest(tmp_path_factory.mktemp("chain"))
    punzinet("simulate", "--executor", "iterative", folder=folder)  # what it compiles is kept
    for stage in CHAIN[1:]:
        punzinet(stage, folder=folder)
    return folder


@pytest.fixture
def copy(chain, tmp_path):
    return Path(shutil.copytree(chain, tmp_path / "copy"))


def test_every_contract_file_is_there_and_no_event_is_lost(chain):
    output = chain / "output"
    cutflow, complete = (output / "features" / f"{n}.json" for n in ("cutflow", "completeness"))
    others = ("windows.json", "sensitivity.json", "selection/cutflow.json")
    for path in (cutflow, complete, *(output / name for name in others)):
        provenance = json.loads(path.read_text())["provenance"]
        assert {"versions", "manifest", "settings"} <= set(provenance), path
    for name in SMALL["datasets"]:
        with uproot.open(output / "ntuples" / f"{name}.root") as file:
            entries = file["variables"].num_entries
        counts = datasets_of(complete)[name]
        assert counts["read"] == counts["present"] == entries > 0
        kept = datasets_of(cutflow)[name]["cutflow"][-1]["entries"]
        assert len(read_tensors(output / "tensors", name)) == kept
    assert list((output / "networks").glob("punzi*/network.safetensors"))
    assert (output / "selection" / "histograms.root").is_file()
    pdf, png = ({p.stem for p in (output / "plots").glob(f"*.{kind}")} for kind in ("pdf", "png"))
    assert pdf == png
    assert len(pdf) >= 6
    assert not [path for path in output.rglob("*") if "partial" in path.name]


def test_a_second_run_does_nothing(chain):
    before = times(chain / "output")
    assert all("up to date" in said_in(chain, stage) for stage in CHAIN)
    assert times(chain / "output") == before


def test_status_tells_how_far_everything_is(copy, tmp_path):
    said = said_in(copy, "status")
    assert said.count("finished") == len(CHAIN)
    assert "eemumu" in said
    next((copy / "output" / ".ledger" / "select").rglob("*.safetensors")).unlink()
    (copy / "output" / ".stages" / "select.json").unlink()
    assert "cut off" in said_in(copy, "status")
    assert said_in(tmp_path, "status").count("not run") == len(CHAIN)


def test_status_says_what_is_damaged_and_shows_everything_else(copy):
    damaged = {
        "features/completeness.json": "features",
        "selection/cutflow.json": "select",
        ".ledger/features/features.json": "features",
    }
    for name in damaged:
        path = copy / "output" / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    said = said_in(copy, "status")
    assert "eemumu" in said
    for name, stage in damaged.items():
        assert said.count(f"output/{name} cannot be read as JSON") == 1
        assert f"delete it and run `punzinet {stage}` again." in said


@pytest.fixture
def browser(tmp_path):
    """A real browser without a screen."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("there is no Chromium with its chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    flags = "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-sync"
    more = "disable-background-networking disable-component-update"
    for flag in (*flags.split(), *more.split(), f"user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as opened:
        yield opened


def test_the_report_works_in_a_browser(copy, browser):
    said_in(copy, "report")
    check = (ROOT / "tests" / "helpers" / "accessibility.js").read_text()
    for width in (2000, 1300, 390):
        screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        browser.get((copy / "output" / "report.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.execute_script(check) == []
    assert browser.get_log("browser") == []
    pictures = browser.find_elements(By.CSS_SELECTOR, "figure svg, figure img")
    assert len(pictures) > 8
    assert all(picture.size["width"] > 100 for picture in pictures)
    chooser, yields = Select(browser.find_element(By.ID, "mass")), "#yields tbody"
    said = set()
    for option in range(len(chooser.options)):
        chooser.select_by_index(option)
        said.add(browser.find_element(By.CSS_SELECTOR, yields).text)
    assert len(said) == len(chooser.options) == 5
    assert HOSTILE in browser.find_element(By.CSS_SELECTOR, yields).text
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_default_data_is_validated_on_a_machine_without_pythia(copy, tmp_path, monkeypatch):
    """A small sample of it is the default data but for its statistics."""
    monkeypatch.setattr("punzinet.stages.validate.find_spec", lambda _name: None)
    with pytest.raises(InputError, match="`punzinet simulate` has not run in output"):
        said_in(with_manifest(tmp_path), "validate-simulation")
    shutil.rmtree(copy / "output" / "networks")  # as before any training
    for name in (".stages/train.json", "sensitivity.json"):
        (copy / "output" / name).unlink()
    said = said_in(copy, "validate-simulation")
    assert "--group dev" in said
    assert "No published sigma_min is compared" in said
    results = copy / "output" / "simulation"
    content = json.loads((results / "validation.json").read_text())
    assert {"versions", "manifest", "settings"} <= set(content["provenance"])
    assert "pythia8mc" in json.loads((results / "spectra.json").read_text())["missing"]
    assert content["weighted_sigma_0.9_GeV2"]["met"]
    assert content["cross_section_tautau_nb"]["met"]
    assert content["background_tautau"]["ours"] > 0
    for suffix in ("pdf", "png"):
        assert (results / f"validation_ratios.{suffix}").exists()
    assert "up to date" in said_in(copy, "validate-simulation")


@pytest.mark.parametrize("stage", BEGUN)
def test_an_interrupted_stage_leaves_no_result_and_the_next_run_completes(chain, tmp_path, stage):
    """Ctrl-C, or the end of a batch job, in the middle; the next run gives the same files."""
    output, (begun, made) = tmp_path / "output", BEGUN[stage]
    if stage != "simulate":
        shutil.copytree(chain / "output", output)
        shutil.rmtree(output / ".ledger")  # its records would say that it has begun
    endless = {"pretraining": {"epochs": 15}, "punzi": {"epochs": 10**6, "learning_rate": 1e-6}}
    with_manifest(tmp_path, **({"training": endless} if stage == "train" else {}))
    process = subprocess.Popen(
        [*PUNZINET, stage, "--force"], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: any(output.glob(begun)))
    if stage == "train":
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    if stage == "train":
        assert not (output / ".stages" / "train.json").exists()  # so nobody uses what is left
        assert list(output.glob(begun))
        assert "the same command continues it" in errors
    else:
        punzinet(stage, folder=tmp_path)
        for path in (chain / "output").glob(made):
            assert (tmp_path / path.relative_to(chain)).read_bytes() == path.read_bytes()


def test_two_processes_train_an_ensemble_that_stays_one(copy):
    few = {"finish": 2, "pretraining": {"epochs": 2}, "punzi": {"epochs": 2}}
    with_manifest(copy, training=few)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    before = (sys.executable, *launcher, *PUNZINET[1:])
    together = punzinet("train", "--networks", "2", folder=copy, before=before)
    assert together.count("train: networks in") == 1
    again = said_in(copy, "train")
    assert "train: 2 networks, as the last time" in again
    assert "train: up to date" in again
