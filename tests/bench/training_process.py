"""A training in a process of its own, on synthetic tensors: its memory and its time."""

import os
import subprocess
import sys
from pathlib import Path

TRAIN = """
import re, sys, time
from pathlib import Path
sys.path.insert(0, {bench!r})
from synthetic import synthetic_windows
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.data import open_sample
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.train import train_networks
begin = time.perf_counter()
sample = open_sample(Path({tensors!r}), synthetic_windows(), 4)
settings = TrainingSettings.model_validate(
    {{"pretraining": {{"epochs": 1}}, "punzi": {{"epochs": 1}}}}
)
train_networks(sample, FigureOfMerit(), 50.0, settings, OutputFolder(Path({output!r})))
# ru_maxrss would count the process that started this one, too.
peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(len(sample.training), peak, time.perf_counter() - begin)
"""


def train_once(tensors: Path, output: Path, **environment: str) -> tuple[int, float, float]:
    """Train for an epoch each in a process of its own.

    Returns:
        Training events, peak memory in bytes, and seconds after importing.
    """
    program = TRAIN.format(
        bench=str(Path(__file__).parent), tensors=str(tensors), output=str(output)
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    events, peak, seconds = done.stdout.split()
    return int(events), float(peak), float(seconds)
