"""A training in a process of its own, from the tensors to the network: its memory, and what the
first one compiles.
"""

import os
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

from stage import Figures
from synthetic import synthetic_windows, write_tensors

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.folds import Folds
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training.data import open_sample
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.train import train_networks

EVENTS = 2_500_000


def run() -> Figures:
    """Peak memory beyond 500 MiB, and what a first training takes longer than a second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tensors(folder / "many", EVENTS)
        write_tensors(folder / "few", 20_000)
        events, peak, _ = in_new_process(folder / "many")
        with mock.patch.dict(os.environ, NUMBA_CACHE_DIR=str(folder / "cache")):
            first, second = (in_new_process(folder / "few")[2] for _ in range(2))
    return {
        "train.peak_memory_bytes_per_event": ((peak - 500 * 2**20) / events, "B", "<= 150"),
        "train.compilation_s": (first - second, "s", "<= 20"),
    }


def in_new_process(tensors):
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(train_once, tensors).result()


def train_once(tensors):
    """Training events, peak memory in bytes, seconds after importing."""
    begin = time.perf_counter()
    sample = open_sample(tensors, synthetic_windows(), Folds(4, 3))
    once = {"pretraining": {"epochs": 1}, "punzi": {"epochs": 1}}
    settings, output = TrainingSettings.model_validate(once), OutputFolder(tensors.parent)
    train_networks(sample, FigureOfMerit(), 50.0, settings, output)
    # ru_maxrss would count the process that started this one, too.
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(re.findall(r"VmHWM:\s+(\d+)", status)[0])
    return len(sample.training), peak, time.perf_counter() - begin
