"""What a training shows while it runs."""

import time
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as TimeRemaining

from punzinet.analysis.training.loop import Phase
from punzinet.analysis.training.state import TrainingState


class Reporter(Protocol):
    """Is told of every epoch."""

    def epoch(self, phase: Phase, state: TrainingState) -> None:
        """Take notice."""


class ProgressBar:
    """Shows a line for each phase: losses, learning rate, events per second."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        """Show it on a console; on standard error if not given; nowhere if quiet."""
        self._progress = Progress(
            TextColumn("{task.description:>5}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.5g}"),
            TextColumn("validation {task.fields[validation]:.5g} (best {task.fields[best]:.5g})"),
            TextColumn("rate {task.fields[rate]:.2g}"),
            TextColumn("{task.fields[speed]:.3g} M events/s"),
            TimeRemaining(),
            console=console or Console(stderr=True),
            disable=quiet,
        )
        self._tasks: dict[str, TaskID] = {}
        self._clock = time.perf_counter()

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()

    def epoch(self, phase: Phase, state: TrainingState) -> None:
        """See `Reporter`; of an ensemble, means over the networks still in training."""
        running = ~state.stopped if not state.stopped.all() else state.stopped
        before, self._clock = self._clock, time.perf_counter()
        seen = phase.engine.events.count * int(running.sum())
        values: dict[str, Any] = {
            "loss": float(np.mean(state.loss[-1, running])),
            "validation": float(np.mean(state.validation_loss[-1, running])),
            "best": float(np.mean(state.best_loss[running])),
            "rate": float(np.mean(state.rate[running])),
            "speed": seen / max(self._clock - before, 1e-9) / 1e6,
        }
        if phase.name not in self._tasks:
            total = phase.settings.epochs
            self._tasks[phase.name] = self._progress.add_task(phase.name, total=total, **values)
        self._progress.update(self._tasks[phase.name], completed=state.epoch, **values)
