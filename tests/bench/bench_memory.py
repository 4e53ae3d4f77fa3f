"""A training from the tensors to the network: its memory, and what the first one compiles."""

import tempfile
from pathlib import Path

from stage import Figures
from synthetic import write_tensors
from training_process import train_once

EVENTS = 2_500_000


def run() -> Figures:
    """Peak memory beyond 500 MiB, and what a first training takes longer than a second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tensors(folder / "many", EVENTS)
        events, peak, _ = train_once(folder / "many", folder)
        write_tensors(folder / "few", 20_000)
        cache = {"NUMBA_CACHE_DIR": str(folder / "cache")}
        first, second = (train_once(folder / "few", folder, **cache)[2] for _ in range(2))
    return {
        "train.peak_memory_bytes_per_event": ((peak - 500 * 2**20) / events, "B", "<= 150"),
        "train.compilation_s": (first - second, "s", "<= 20"),
    }
