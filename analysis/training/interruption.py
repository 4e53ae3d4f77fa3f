"""Ctrl-C and SIGTERM end a training between two epochs, with a checkpoint."""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Notes signals instead of dying of them, while it is entered.

    A second signal is not waited for: it raises KeyboardInterrupt at once, unless it is the
    first one repeated by a launcher. Outside the main thread, where Python delivers no signals,
    nothing is changed.

    Attributes:
        requested: Whether a signal has come.
    """

    def __init__(self, repeats: float = 0.0) -> None:
        """Prepare to note signals.

        Args:
            repeats: Seconds after the first signal in which others are taken for the same.
        """
        self.requested = False
        self._repeats = repeats
        self._since = 0.0
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take over SIGINT and SIGTERM."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Remember a first signal.

        Raises:
            KeyboardInterrupt: At the second.
        """
        del number, frame
        if not self.requested:
            self.requested, self._since = True, time.monotonic()
        elif time.monotonic() - self._since >= self._repeats:
            raise KeyboardInterrupt
