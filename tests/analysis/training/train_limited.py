"""Trains from tensors with little memory: `train_limited.py FOLDER STORAGE MEBIBYTES`."""

import re
import resource
import sys
import tempfile
import threading
from pathlib import Path

from synthetic import synthetic_windows, write_tensors
from torch.nn.utils import parameters_to_vector

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.data import open_sample
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.train import TrainingResult, train_networks


def train(tensors: Path, output: Path, storage: str) -> TrainingResult:
    """Train for an epoch each."""
    recipe = {"storage": storage, "pretraining": {"epochs": 1}, "punzi": {"epochs": 1}}
    return train_networks(
        open_sample(tensors, synthetic_windows(), 4),
        FigureOfMerit(),
        50.0,
        TrainingSettings.model_validate(recipe),
        OutputFolder(output),
    )


def describe(result: TrainingResult) -> str:
    """All parameters, to the last bit, and losses."""
    lines = []
    for trained in result.networks:
        vector = parameters_to_vector(trained.network.parameters()).detach().numpy()
        lines.append(f"{trained.loss!r} {vector.tobytes().hex()}\n")
    return "".join(lines)


def data_bytes() -> int:
    """Memory of this process that is not a file's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(re.findall(r"VmData:\s+(\d+)", status)[0])


if __name__ == "__main__":
    folder, mebibytes = Path(sys.argv[1]), int(sys.argv[3])
    threading.stack_size(2**20)  # of 8 MiB, those of many cores would be more than the sample
    with tempfile.TemporaryDirectory() as scratch:
        # What code and threads take does not count.
        write_tensors(Path(scratch) / "tensors", 20_000)
        train(Path(scratch) / "tensors", Path(scratch), sys.argv[2])
    limit = data_bytes() + mebibytes * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    result = train(folder / "tensors", folder / sys.argv[2], sys.argv[2])
    sys.stdout.write(describe(result))
