"""A training in a process of its own, from the tensors to the network: its memory, and what the
first one compiles.

`run` starts this file as that process: TENSORS OUTPUT.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stage import Figures
from synthetic import synthetic_windows, write_tensors

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.data import open_sample
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.train import train_networks

EVENTS = 2_500_000


def run() -> Figures:
    """Peak memory beyond 500 MiB, and what a first training takes longer than a second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def train_once(tensors: str, **environment: str) -> list[float]:
            """Training events, peak memory in bytes, seconds after importing."""
            done = subprocess.run(
                [sys.executable, __file__, folder / tensors, folder],
                env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            return [float(value) for value in done.stdout.split()]

        write_tensors(folder / "many", EVENTS)
        events, peak, _ = train_once("many")
        write_tensors(folder / "few", 20_000)
        cache = {"NUMBA_CACHE_DIR": str(folder / "cache")}
        first, second = (train_once("few", **cache)[2] for _ in range(2))
    return {
        "train.peak_memory_bytes_per_event": ((peak - 500 * 2**20) / events, "B", "<= 150"),
        "train.compilation_s": (first - second, "s", "<= 20"),
    }


def main(tensors: Path, output: Path) -> None:
    begin = time.perf_counter()
    sample = open_sample(tensors, synthetic_windows(), 4)
    once = {"pretraining": {"epochs": 1}, "punzi": {"epochs": 1}}
    settings = TrainingSettings.model_validate(once)
    train_networks(sample, FigureOfMerit(), 50.0, settings, OutputFolder(output))
    # ru_maxrss would count the process that started this one, too.
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(re.findall(r"VmHWM:\s+(\d+)", status)[0])
    print(len(sample.training), peak, time.perf_counter() - begin)  # noqa: T201 - its result


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
