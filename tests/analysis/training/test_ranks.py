"""Processes that share the events train the networks that one process trains alone."""

import json
import runpy
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_python
from safetensors.numpy import load_file

from punzinet.analysis.training.ranks import Ranks

PROGRAM = Path(__file__).parent / "train_ranks.py"

#: Two networks and both losses; batches of a few runs, of which a rank may have none.
RECIPE = {
    "networks": 2,
    "pretraining": {"epochs": 2, "batch_size": 200},
    "punzi": {"epochs": 3, "batch_size": 3000, "learning_rate": 2e-3},
}
CASES: dict[str, dict[str, Any]] = {
    "fused": RECIPE,
    "stratified": RECIPE | {"punzi": RECIPE["punzi"] | {"batches": "stratified"}},
    "whole": RECIPE | {"punzi": RECIPE["punzi"] | {"batch_size": None}, "storage": "disk"},
    "autograd": RECIPE | {"device": "cpu:0"},
}


def launch(folder: Path, cases: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.json").write_text(json.dumps(cases))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    return run_python(*launcher, PROGRAM, folder, folder=folder, env={"NUMBA_NUM_THREADS": "2"})


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    done = launch(folder, CASES | {"interrupted": RECIPE})
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    runpy.run_path(str(PROGRAM))["train"](folder, CASES, Ranks())
    return folder


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_the_networks_of_one(together, alone, case):
    """And stay the same to the last bit."""
    one, two = (load_file(folder / case / "rank0.safetensors") for folder in (alone, together))
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=2e-5)
    np.testing.assert_allclose(two["parameters"], one["parameters"], atol=2e-5)
    assert len(np.unique(one["parameters"], axis=0)) == 4
    second = load_file(together / case / "rank1.safetensors")
    assert all((two[name] == second[name]).all() for name in two)


def test_histories_are_written_once_for_every_network(together):
    found = sorted(p.parent.name for p in (together / "fused").rglob("history.parquet"))
    assert found == ["bce-00", "bce-01", "punzi-00", "punzi-01"]
    assert not list(together.rglob("checkpoint.safetensors"))


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("killed", "Another process of this training has ended"),
        ("wrong", "InputError: Nothing to train on"),
    ],
)
def test_what_ends_the_training_is_said_once(tmp_path, case, said):
    done = launch(tmp_path, {case: RECIPE})
    assert done.returncode != 0
    assert done.stderr.count(said) == 1
    assert case == "killed" or "Another process" not in done.stderr


def test_signal_to_one_process_interrupts_all_and_resuming_is_bit_identical(together):
    cases = (load_file(together / case / "rank0.safetensors") for case in ("interrupted", "fused"))
    np.testing.assert_array_equal(*(case["parameters"] for case in cases))
