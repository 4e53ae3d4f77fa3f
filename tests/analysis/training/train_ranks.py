"""Trains a small sample in one of several processes: `torchrun train_ranks.py FOLDER`."""

import json
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from synthetic import synthetic_sample

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import InputError, Interrupted
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.checkpoint import TrainingState
from punzinet.analysis.training.loop import Phase
from punzinet.analysis.training.ranks import Ranks, open_ranks
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.train import parameters_of, train_networks


def send(number: signal.Signals, phase: Phase, state: TrainingState) -> None:
    """Send this process a signal after the first epoch of the Punzi-loss."""
    if phase.name == "punzi" and state.epoch == 1:
        os.kill(os.getpid(), number)


def train(folder: Path, cases: dict[str, Any], ranks: Ranks) -> None:
    sample = synthetic_sample(8000, hypotheses=5)
    for name, recipe in cases.items():
        if name == "wrong" and ranks.number == 1:
            raise InputError("Nothing to train on.")
        output, settings = OutputFolder(folder / name), TrainingSettings.model_validate(recipe)
        about = sample, FigureOfMerit(), 50.0, settings, output
        run = partial(train_networks, *about, resume=True, ranks=ranks)
        if name == "interrupted":
            with suppress(Interrupted):
                run(reporters=[partial(send, signal.SIGTERM)])
            assert output.network("checkpoint.safetensors").exists()
        result = run(reporters=[partial(send, signal.SIGKILL)] if name == "killed" else [])
        found = {
            "parameters": parameters_of([trained.network for trained in result.networks]),
            "loss": np.array([trained.loss for trained in result.networks]),
        }
        output.root.mkdir(exist_ok=True)
        save_file(found, output.root / f"rank{ranks.number}.safetensors")


if __name__ == "__main__":
    with open_ranks() as opened:
        target = Path(sys.argv[1])
        train(target, json.loads((target / "cases.json").read_text()), opened)
