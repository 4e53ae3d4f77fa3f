"""Memory of the training, from the tensors to the trained network."""

import tempfile
from pathlib import Path

from synthetic import write_tensors
from training_process import train_once

EVENTS = 2_500_000


def run() -> dict[str, dict[str, float | str]]:
    """Peak memory from reading the tensors to the trained network, beyond 500 MiB."""
    with tempfile.TemporaryDirectory() as folder:
        tensors = Path(folder) / "tensors"
        write_tensors(tensors, EVENTS)
        events, peak, _ = train_once(tensors, Path(folder))
    value = (peak - 500 * 2**20) / events
    return {"train.peak_memory_bytes_per_event": {"value": value, "unit": "B", "bound": "<= 150"}}
