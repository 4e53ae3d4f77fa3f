"""What a first training compiles, and keeps for all others."""

import tempfile
from pathlib import Path

from synthetic import write_tensors
from training_process import train_once


def run() -> dict[str, dict[str, float | str]]:
    """What a first training takes longer than a second."""
    with tempfile.TemporaryDirectory() as folder:
        tensors = Path(folder) / "tensors"
        write_tensors(tensors, 20_000)
        cache = {"NUMBA_CACHE_DIR": str(Path(folder) / "cache")}
        first, second = (train_once(tensors, Path(folder), **cache)[2] for _ in range(2))
    value = first - second
    return {"train.compilation_s": {"value": value, "unit": "s", "bound": "<= 20"}}
