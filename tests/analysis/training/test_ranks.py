"""Processes that share the events train the networks that one process trains alone."""

import os
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from commands import run_python
from safetensors.numpy import load_file, save_file
from synthetic import synthetic_sample

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import InputError, Interrupted
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.batches import Ranks, open_ranks
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.train import parameters_of, train_networks

#: Two networks and both losses; batches of a few runs, of which a rank may have none.
PUNZI = {"epochs": 3, "batch_size": 3000, "learning_rate": 2e-3}
RECIPE = {"pretraining": {"epochs": 2, "batch_size": 200}, "punzi": PUNZI}
RECIPE |= {"networks": 2, "finish": 0}
CASES = {
    "fused": RECIPE,
    "whole": RECIPE | {"punzi": PUNZI | {"batch_size": None}, "storage": "disk"},
    "autograd": RECIPE | {"device": "cpu:0"},
    "finish": RECIPE | {"finish": 2},
}


def send(number, phase, state):
    """Send this process a signal after the first epoch of the Punzi-loss."""
    if phase.name == "punzi" and state.epoch == 1:
        os.kill(os.getpid(), number)


def train(folder, cases, ranks):
    """Train in one of several processes; what is not among `CASES` is something that happens."""
    sample = synthetic_sample(8000, hypotheses=5)
    for name in cases:
        if name == "wrong" and ranks.number == 1:
            raise InputError("Nothing to train on.")
        output = OutputFolder(folder / name)
        settings = TrainingSettings.model_validate(CASES.get(name, RECIPE))
        about = sample, FigureOfMerit(), 50.0, settings, output
        run = partial(train_networks, *about, resume=True, ranks=ranks)
        if name == "interrupted":
            with suppress(Interrupted):
                run(reporters=[partial(send, signal.SIGTERM)])
            assert output.network("checkpoint.safetensors").exists()
        result = run(reporters=[partial(send, signal.SIGKILL)] if name == "killed" else [])
        parameters = parameters_of([trained.network for trained in result.networks])
        loss = np.array([trained.loss for trained in result.networks])
        output.root.mkdir(exist_ok=True)
        found = {"parameters": parameters, "loss": loss}
        save_file(found, output.root / f"rank{ranks.number}.safetensors")


def launch(folder, *cases):
    """Train in two processes, each of which runs this file."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    threads = {"NUMBA_NUM_THREADS": "2"}
    return run_python(*launcher, __file__, folder, *cases, folder=folder, env=threads)


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """The folder in which two processes trained all cases, one of which is wrong in the end."""
    folder = tmp_path_factory.mktemp("two")
    return folder, launch(folder, *CASES, "interrupted", "wrong")


@pytest.fixture(scope="module")
def together(launched):
    return launched[0]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    train(folder, CASES, Ranks())
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


def test_autograd_trains_the_networks_of_the_kernels(alone):
    both = (load_file(alone / case / "rank0.safetensors") for case in ("autograd", "fused"))
    np.testing.assert_allclose(*(one["parameters"] for one in both), atol=2e-5)


def test_histories_are_written_once_for_every_network(together):
    found = sorted(p.parent.name for p in (together / "fused").rglob("history.parquet"))
    assert found == ["bce-00", "bce-01", "punzi-00", "punzi-01"]
    assert not list(together.rglob("checkpoint.safetensors"))


def test_what_ends_the_training_is_said_once(launched, tmp_path):
    for done, said in (
        (launched[1], "InputError: Nothing to train on"),
        (launch(tmp_path, "killed"), "Another process of this training has ended"),
    ):
        assert done.returncode != 0
        assert done.stderr.count(said) == 1
    assert "Another process" not in launched[1].stderr


def test_signal_to_one_process_interrupts_all_and_resuming_is_bit_identical(together):
    cases = (load_file(together / case / "rank0.safetensors") for case in ("interrupted", "fused"))
    np.testing.assert_array_equal(*(case["parameters"] for case in cases))


if __name__ == "__main__":
    with open_ranks() as opened:
        train(Path(sys.argv[1]), sys.argv[2:], opened)
