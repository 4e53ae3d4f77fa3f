"""One run at a time in an output folder."""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from punzinet.analysis.io.errors import InputError, OutputError
from punzinet.analysis.io.files import cannot_write, read_json, write_json

_UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


def _holder_path(folder: Path) -> Path:
    """The file that says who holds the lock; of no consequence where nobody does."""
    return folder / ".running.json"


@contextmanager
def lock(folder: Path, stage: str) -> Iterator[None]:
    """Keep other runs out of an output folder, which is made if it is not there.

    The operating system lets the lock go when the process ends, however it ends. Of several
    processes that torchrun started the first one holds it for all.

    Args:
        folder: The output folder.
        stage: What is run, for whoever is kept out.

    Raises:
        InputError: If another run is at work there, or the folder cannot be written to.
    """
    if int(os.environ.get("RANK") or 0) > 0:
        yield
        return
    held = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except Timeout:
        raise InputError(_busy(folder)) from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise OutputError(cannot_write(folder, error)) from error
        logging.getLogger(__name__).warning(
            "The file system of %s has no locks: nothing keeps a second run out.", folder
        )
    try:
        who = {"pid": os.getpid(), "host": socket.gethostname(), "stage": stage}
        write_json(_holder_path(folder), who)
        yield
    finally:
        _holder_path(folder).unlink(missing_ok=True)
        held.release()


def holder_of(folder: Path) -> dict[str, Any] | None:
    """Who is at work in an output folder (process number, host, stage); None if nobody is."""
    path = folder / ".lock"
    try:
        if path.exists():
            with FileLock(path, timeout=0):
                pass
    except Timeout:
        try:
            holder = read_json(_holder_path(folder), "the same command")
        except InputError:
            return {}
        return holder if isinstance(holder, dict) else {}
    except OSError:
        return None
    return None


def _busy(folder: Path) -> str:
    """Say who is at work in an output folder."""
    holder = holder_of(folder) or {}
    who = "another run"
    if holder.keys() >= {"stage", "pid", "host"}:
        who = f"`punzinet {holder['stage']}` (process {holder['pid']} on {holder['host']})"
    return (
        f"{who} is at work in {folder}; wait until it has ended, or choose another folder "
        "with --output (OUTPUT= for make)."
    )
