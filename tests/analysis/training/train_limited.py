"""Trains from tensors with little memory: `train_limited.py FOLDER STORAGE MEBIBYTES`."""

import re
import resource
import sys
import tempfile
import threading
from pathlib import Path

from synthetic import synthetic_windows, write_tensors

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.data import open_sample
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.train import parameters_of, train_networks


def train(tensors: Path, output: Path, storage: str) -> str:
    """Train for an epoch each; losses, and all parameters to the last bit."""
    recipe = {"storage": storage, "pretraining": {"epochs": 1}, "punzi": {"epochs": 1}}
    sample = open_sample(tensors, synthetic_windows(), 4)
    settings = TrainingSettings.model_validate(recipe)
    result = train_networks(sample, FigureOfMerit(), 50.0, settings, OutputFolder(output))
    parameters = parameters_of([trained.network for trained in result.networks])
    return f"{[trained.loss for trained in result.networks]} {parameters.tobytes().hex()}"


if __name__ == "__main__":
    folder, storage, mebibytes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    threading.stack_size(2**20)  # of 8 MiB, those of many cores would be more than the sample
    with tempfile.TemporaryDirectory() as scratch:
        # What code and threads take does not count, nor what is a file's.
        write_tensors(Path(scratch) / "tensors", 20_000)
        train(Path(scratch) / "tensors", Path(scratch), storage)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    limit = 1024 * int(re.findall(r"VmData:\s+(\d+)", status)[0]) + mebibytes * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    sys.stdout.write(train(folder / "tensors", folder / storage, storage))
