"""What a training shows while it runs, and what remains of it as history."""

from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as TimeRemaining

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import atomic_path
from punzinet.analysis.training.state import StageState


class Reporter(Protocol):
    """Is told of every epoch."""

    def epoch(self, stage: str, state: StageState, epochs: int, events: int) -> None:
        """Take notice.

        Args:
            stage: Name of the stage.
            state: Where it stands after the epoch.
            epochs: Epochs it has in all.
            events: Training events of an epoch.
        """


class ProgressBar:
    """Shows a line for each stage: losses, learning rate, events per second."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        """Make a progress display.

        Args:
            console: Where to show it; standard error if not given.
            quiet: Show nothing.
        """
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

    def epoch(self, stage: str, state: StageState, epochs: int, events: int) -> None:
        """See `Reporter`; of an ensemble, means over the networks still in training."""
        running = ~state.stopped if not state.stopped.all() else state.stopped
        history = state.history
        seconds = history.seconds[-1]
        values: dict[str, Any] = {
            "loss": float(np.mean(history.loss[-1][running])),
            "validation": float(np.mean(history.validation_loss[-1][running])),
            "best": float(np.mean(state.best_loss[running])),
            "rate": float(np.mean(state.rate[running])),
            "speed": events * int(running.sum()) / seconds / 1e6 if seconds > 0 else 0.0,
        }
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=epochs, **values)
        self._progress.update(self._tasks[stage], completed=state.epoch, **values)


def write_history(path: Path, state: StageState, network: int) -> None:
    """Write the history of one network as Parquet.

    Args:
        path: The file.
        state: State of the stage.
        network: Which of its networks.

    Raises:
        InputError: If the folder cannot be written to.
    """
    with atomic_path(path) as partial:
        table = pa.table(state.history.columns(network))
        pq.write_table(table, partial, write_page_checksum=True)


class TensorBoard:
    """Writes every epoch as TensorBoard events, one folder a network and stage."""

    def __init__(self, folder: Path) -> None:
        """Prepare to write.

        Args:
            folder: Where to make the folders ``<stage>-<network>``.

        Raises:
            InputError: If the package tensorboard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional package
        except ImportError:
            raise InputError(
                "`training.tensorboard` needs the package tensorboard; install it with "
                "`pip install tensorboard`, or set it to false."
            ) from None
        self._open = SummaryWriter
        self._folder = folder
        self._writers: dict[tuple[str, int], Any] = {}

    def __enter__(self) -> Self:
        """Files are opened when there is something to write."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all files."""
        for writer in self._writers.values():
            writer.close()

    def epoch(self, stage: str, state: StageState, epochs: int, events: int) -> None:
        """See `Reporter`. Of a training that is resumed, what came after is overwritten."""
        del epochs, events
        for network in range(len(state.rate)):
            key = stage, network
            if key not in self._writers:
                folder = self._folder / f"{stage}-{network:02d}"
                self._writers[key] = self._open(log_dir=str(folder), purge_step=state.epoch)
            for name, column in state.history.columns(network).items():
                if name != "epoch" and np.isfinite(column[-1]):
                    self._writers[key].add_scalar(name, column[-1], state.epoch)
