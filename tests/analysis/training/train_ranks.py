"""Trains a small sample in one of several processes: `torchrun train_ranks.py SYNTHETIC FOLDER`."""

import json
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from torch.nn.utils import parameters_to_vector

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.errors import InputError, Interrupted
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.checkpoint import TrainingState
from punzinet.analysis.training.loop import Phase
from punzinet.analysis.training.ranks import Ranks, open_ranks
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.train import train_networks


class At:
    """Sends this process a signal after the first epoch of the Punzi-loss."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __call__(self, phase: Phase, state: TrainingState) -> None:
        if phase.name == "punzi" and state.epoch == 1:
            os.kill(os.getpid(), self.number)


def train(synthetic: Path, folder: Path, cases: dict[str, Any], ranks: Ranks) -> None:
    """Train all cases; every rank writes its networks."""
    sample = runpy.run_path(str(synthetic))["synthetic_sample"](8000, hypotheses=5)
    for name, recipe in cases.items():
        if name == "wrong" and ranks.number == 1:
            raise InputError("Nothing to train on.")
        output = OutputFolder(folder / name)

        def run(sabotage: list[At], output: OutputFolder = output, recipe: Any = recipe) -> Any:
            settings = TrainingSettings.model_validate(recipe)
            return train_networks(
                sample,
                FigureOfMerit(),
                50.0,
                settings,
                output,
                resume=True,
                reporters=sabotage,
                ranks=ranks,
            )

        if name == "interrupted":
            try:
                run([At(signal.SIGTERM)])
            except Interrupted:
                assert output.network("checkpoint.safetensors").exists()
        result = run([At(signal.SIGKILL)] if name == "killed" else [])
        networks = [trained.network for trained in result.networks]
        vectors = [parameters_to_vector(n.parameters()).detach().numpy() for n in networks]
        arrays = {
            "parameters": np.stack(vectors),
            "loss": np.array([trained.loss for trained in result.networks]),
        }
        output.root.mkdir(exist_ok=True)
        save_file(arrays, output.root / f"rank{ranks.number}.safetensors")


if __name__ == "__main__":
    with open_ranks() as opened:
        target = Path(sys.argv[2])
        train(Path(sys.argv[1]), target, json.loads((target / "cases.json").read_text()), opened)
