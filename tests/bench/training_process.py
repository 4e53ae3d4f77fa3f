"""A training in a process of its own, on synthetic tensors: its memory and its time."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from synthetic import synthetic_windows

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.data import open_sample
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.train import train_networks


def train_once(tensors: Path, output: Path, **environment: str) -> tuple[int, float, float]:
    """Train for an epoch each: training events, peak memory in bytes, seconds after importing."""
    done = subprocess.run(
        [sys.executable, __file__, tensors, output],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    events, peak, seconds = done.stdout.split()
    return int(events), float(peak), float(seconds)


def main() -> None:
    """Be that process."""
    begin = time.perf_counter()
    sample = open_sample(Path(sys.argv[1]), synthetic_windows(), 4)
    once = {"pretraining": {"epochs": 1}, "punzi": {"epochs": 1}}
    settings = TrainingSettings.model_validate(once)
    train_networks(sample, FigureOfMerit(), 50.0, settings, OutputFolder(Path(sys.argv[2])))
    # ru_maxrss would count the process that started this one, too.
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(re.findall(r"VmHWM:\s+(\d+)", status)[0])
    print(len(sample.training), peak, time.perf_counter() - begin)  # noqa: T201 - its result


if __name__ == "__main__":
    main()
