"""What is timed: calls, and stages of the chain in processes of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

Figures = dict[str, tuple[float, str] | tuple[float, str, str]]
"""Value, unit and bound, such as ">= 1e6", of measured numbers by name: dotted, stage first."""
WORKERS = min(2, os.cpu_count() or 1)
STEPS = {"features": "features", "select": "selection"}
"""The step of each columnar stage that goes through all events."""


class Measured(NamedTuple):
    """Time of a stage, and peak memory in MiB."""

    seconds: float
    memory: float  # of all its processes
    worker_memory: float  # of the largest that it started


def fastest(*calls: Callable[[], object], repeats: int = 3) -> list[float]:
    """Shortest duration of each call in seconds; taken in turn, so that all share the noise."""
    durations: list[list[float]] = [[] for _ in calls]
    for _ in range(1 + repeats):  # the first one compiles, and warms caches up
        for call, row in zip(calls, durations, strict=True):
            begin = time.perf_counter()
            call()
            row.append(time.perf_counter() - begin)
    return [min(row[1:]) for row in durations]


def measure(folder: Path, stage: str, *options: str, workers: int = WORKERS) -> Measured:
    command = [sys.executable, "-m", "punzinet", stage, *options]
    command += ["--executor", "futures", "--workers", str(workers), "--force"]
    start = time.perf_counter()
    process = psutil.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    peak = largest = 0.0
    while process.poll() is None:
        own, *started = family_memory(process)
        peak = max(peak, own + sum(started))
        largest = max([largest, *started])
        time.sleep(0.2)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    return Measured(time.perf_counter() - start, peak, largest)


def family_memory(root: psutil.Process) -> list[float]:
    """Resident memory in MiB of a process and of its descendants, shared pages counted in parts."""
    memory = []
    with suppress(psutil.NoSuchProcess):  # it may have ended meanwhile
        for one in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                memory.append(one.memory_full_info().pss / 2**20)
    return memory or [0.0]


def steady_rate(folder: Path, step: str) -> float:
    """Events of the background a second over the later half of the chunks, by their records.

    Starts of processes, imports and fits are not in it, nor what comes after the last chunk. A
    step is called as in the ledger: ``features/features``.
    """
    records = (folder / "output" / ".ledger" / step / "background").glob("*.safetensors")
    found = sorted((path.stat().st_mtime, *map(int, path.stem.split("-")[-2:])) for path in records)
    if (half := len(found) // 2) == 0:
        return float("nan")
    events = sum(last - first for _, first, last in found[half:])
    return events / (found[-1][0] - found[half - 1][0])
