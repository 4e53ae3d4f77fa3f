"""A stage of the chain in a process of its own, timed."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

WORKERS = min(2, os.cpu_count() or 1)


def measure(folder: Path, stage: str, *options: str) -> tuple[float, float]:
    """Run a stage on two cores.

    Args:
        folder: Holds the manifest, and the output folder.
        stage: The command.
        options: More of its options.

    Returns:
        Its seconds, and the peak memory of all its processes together in MiB.
    """
    command = [sys.executable, "-m", "processors.cli", stage, *options]
    command += ["--executor", "futures", "--workers", str(WORKERS), "--force"]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, tree_memory(process.pid))
        time.sleep(0.2)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    return time.perf_counter() - start, peak


def tree_memory(root: int) -> float:
    """Resident memory in MiB of a process and all its descendants (Linux), shared pages once."""
    family = [root]
    for pid in family:  # grows while it is read
        with suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            family += [int(child) for child in children.split()]
    memory = 0.0
    for pid in family:
        with suppress(OSError):  # it may have ended meanwhile
            usage = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            memory += sum(float(line.split()[1]) for line in usage if line.startswith("Pss:"))
    return memory / 1024
