"""Processes beside others: how long workers live, which signals are heard, who torchrun started."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Seconds in which a signal repeats the one before: torchrun passes on what its processes had from
#: the terminal already, and people press Ctrl-C twice.
REPEATS = 2.0
#: Seconds in which a command ends after Ctrl-C, or is ended.
PATIENCE = 15.0
#: What torchrun tells its processes. Other launchers set some of it, which means nothing here.
_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
             "TORCHELASTIC_RUN_ID")  # fmt: skip


def end_with(parent: int) -> None:
    """Let this worker end soon after its parent, not wait for ever, and leave Ctrl-C to that."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()


def heard_once(act: Callable[[], None]) -> Callable[[int, FrameType | None], None]:
    """A handler of signals that acts on the first, and not on what repeats it within `REPEATS`.

    A later one is not waited for: it raises KeyboardInterrupt.
    """
    first: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        now = time.monotonic()
        if not first:
            first.append(now)
            act()
        elif now - first[0] >= REPEATS:
            raise KeyboardInterrupt

    return handle


@contextmanager
def handled(handler: Any, *numbers: int) -> Iterator[None]:
    """Have some signals handled otherwise; not outside the main thread, where none come."""
    in_main = threading.current_thread() is threading.main_thread()
    usual = {number: signal.signal(number, handler) for number in numbers if in_main}
    try:
        yield
    finally:
        for number, before in usual.items():
            signal.signal(number, before)


def interrupt() -> None:
    """Raise KeyboardInterrupt; what has not ended within `PATIENCE` is ended.

    It may strike where locks of the futures of a pool are held. They then stay so, and the pool
    would wait for them for ever when it is shut down.
    """
    timer = threading.Timer(PATIENCE, end_interrupted)
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def end_interrupted(*_: object) -> None:
    """Say that this process was interrupted, and end it at once, as a handler of signals may."""
    sys.stderr.write("punzinet: interrupted; the same command goes on.\n")
    sys.stderr.flush()
    os._exit(130)


def rank_and_count() -> tuple[int, int]:
    """Number of this process among those that torchrun started, and theirs; (0, 1) without it."""
    told = [os.environ.get(name, "") for name in _TORCHRUN]
    if all(told) and all(one.isdecimal() for one in told[:4]):
        rank, count, local_rank, local_count = map(int, told[:4])
        if rank < count and local_rank < local_count:
            return rank, count
    return 0, 1
