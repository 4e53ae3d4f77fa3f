"""Runs `punzinet` under watch: every change of a file is written down, and can be its last.

Usage: watched.py LOG NUMBER COMMAND…; it is killed when it is about to make the change of that
number, counted from 0 and in the folder ``output`` only; no number, here -1, lets it live.
"""

import os
import signal
import sys
from pathlib import Path

#: Which of its arguments is what changes; of two names it is the one that appears.
CHANGES = {
    "open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.link": 1,
    "os.symlink": 1, "os.truncate": 0,
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR


def main():
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    kill_at, number = int(sys.argv[2]), 0
    output, lead = str(Path("output").absolute()), os.getpid()

    def watch(event, arguments):
        nonlocal number
        if event not in CHANGES or os.getpid() != lead:  # forked ones count for themselves
            return
        path = arguments[CHANGES[event]]
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a file that is open already
        if event not in {"open", "os.truncate"} and arguments[-1] != -1:
            return  # inside a folder that is open, and whose own removal follows
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        where = str(Path(os.fsdecode(path)).absolute())
        if event in {"os.remove", "os.rmdir"} and arguments[1] != -1:  # relative to a folder
            where = str(Path(f"/proc/self/fd/{arguments[1]}").resolve() / os.fsdecode(path))
        os.write(log, f"{event} {where}\n".encode(errors="replace"))
        if where.startswith(output):
            if number == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            number += 1

    sys.addaudithook(watch)
    sys.argv = ["punzinet", *sys.argv[3:]]
    from punzinet.cli import main as punzinet  # noqa: PLC0415 - under watch from the beginning

    punzinet()


if __name__ == "__main__":
    main()
