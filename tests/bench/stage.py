"""A stage of the chain in a process of its own, timed."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

Figures = dict[str, tuple[float, str] | tuple[float, str, str]]
"""Value, unit and bound, such as ">= 1e6", of measured numbers by name: dotted, stage first."""
WORKERS = min(2, os.cpu_count() or 1)
STEPS = {"features": "features", "select": "selection"}
"""The step of each columnar stage that goes through all events."""


class Measured(NamedTuple):
    """Time of a stage, and peak memory in MiB: of all its processes, of the largest it started."""

    seconds: float
    memory: float
    worker_memory: float


def measure(folder: Path, stage: str, *options: str, workers: int = WORKERS) -> Measured:
    """Run a stage, with more options, in a folder that holds manifest and output folder."""
    command = [sys.executable, "-m", "punzinet", stage, *options]
    command += ["--executor", "futures", "--workers", str(workers), "--force"]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    peak = largest = 0.0
    while process.poll() is None:
        own, *started = family_memory(process.pid)
        peak = max(peak, own + sum(started))
        largest = max([largest, *started])
        time.sleep(0.2)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    return Measured(time.perf_counter() - start, peak, largest)


def family_memory(root: int) -> list[float]:
    """Resident memory in MiB of a process and of each of its descendants (Linux).

    Pages that several share count in parts, so that the sum has them once.
    """
    family = [root]
    for pid in family:  # grows while it is read
        with suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            family += [int(child) for child in children.split()]
    memory = [0.0] * len(family)
    for i, pid in enumerate(family):
        with suppress(OSError):  # it may have ended meanwhile
            usage = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            pages = sum(float(line.split()[1]) for line in usage if line.startswith("Pss:"))
            memory[i] = pages / 1024
    return memory


def steady_rate(folder: Path, step: str, dataset: str) -> float:
    """Events a second over the later half of the chunks, from the times of the records.

    Starts of processes, imports and fits are not in it, nor what comes after the last chunk. A
    step is called as in the ledger: ``features/features``.
    """
    records = (folder / "output" / ".ledger" / step / dataset).glob("*.safetensors")
    finished = []
    for path in records:
        _, first, last = path.stem.rsplit("-", 2)
        finished.append((path.stat().st_mtime_ns, int(last) - int(first)))
    finished.sort()
    half = len(finished) // 2
    later = finished[half:]
    seconds = (later[-1][0] - finished[half - 1][0]) / 1e9
    return sum(events for _, events in later) / seconds
