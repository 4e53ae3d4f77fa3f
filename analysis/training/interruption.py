"""Ctrl-C and SIGTERM end a training between two epochs, with a checkpoint."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Notes signals instead of dying of them, while it is entered.

    A second signal is not waited for: it raises KeyboardInterrupt at once. Outside the main
    thread, where Python delivers no signals, nothing is changed.

    Attributes:
        requested: Whether a signal has come.
    """

    def __init__(self) -> None:
        self.requested = False
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
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
