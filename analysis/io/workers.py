"""Processes beside others: how long workers live, which signals are heard, who torchrun started."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

#: Seconds in which a signal repeats the one before: torchrun passes on what its processes had from
#: the terminal already, and people press Ctrl-C twice.
REPEATS = 2.0
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


def rank_and_count() -> tuple[int, int]:
    """Number of this process among those that torchrun started, and theirs; (0, 1) without it."""
    told = [os.environ.get(name, "") for name in _TORCHRUN]
    if all(told) and all(one.isdecimal() for one in told[:4]):
        rank, count, local_rank, local_count = map(int, told[:4])
        if rank < count and local_rank < local_count:
            return rank, count
    return 0, 1
