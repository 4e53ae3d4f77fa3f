"""What is shown while a training runs."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
from rich.console import Console

from punzinet.analysis.training.progress import ProgressBar
from punzinet.analysis.training.state import TrainingState


def test_progress_shows_losses_rate_and_speed() -> None:
    state = TrainingState.start(np.zeros((2, 5)), 0.25, 3)
    state.begin(np.array([9.0, 11.0]))
    state.advance(np.array([7.0, 8.0]), np.array([8.5, 9.5]), patience=10)
    phase: Any = SimpleNamespace(
        name="punzi",
        settings=SimpleNamespace(epochs=40),
        engine=SimpleNamespace(events=SimpleNamespace(count=1_000_000)),
    )
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    with ProgressBar(console) as progress:
        progress.epoch(phase, state)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for part in ("punzi", "1/40", "loss 7.5", "validation 9 ", "best 9", "0.25", "M events/s"):
        assert part in shown
