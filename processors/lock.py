"""One run at a time in an output folder."""

import errno
import fcntl
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from punzinet.analysis.io.errors import InputError, OutputError
from punzinet.analysis.io.files import cannot_write

_UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


def lock_path(folder: Path) -> Path:
    """The file whose lock says that a run is at work in an output folder."""
    return folder / ".lock"


@contextmanager
def lock(folder: Path, stage: str) -> Iterator[None]:
    """Keep other runs out of an output folder.

    The operating system holds the lock and lets it go when the process ends, however it ends:
    what a killed run leaves in the file is of no consequence.

    Args:
        folder: The output folder; made if it is not there.
        stage: What is run, for whoever is kept out.

    Raises:
        InputError: If another run is at work there, or the folder cannot be written to.
    """
    if int(os.environ.get("RANK") or 0) > 0:
        # One of several processes that torchrun started: the first one holds the lock for all.
        yield
        return
    path = lock_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(cannot_write(folder, error)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(_busy(path)) from None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            logging.getLogger(__name__).warning(
                "The file system of %s has no locks: nothing keeps a second run out.", folder
            )
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "stage": stage}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OutputError(cannot_write(path, error)) from error
    finally:
        os.close(descriptor)


def holder_of(folder: Path) -> dict[str, Any] | None:
    """Who is at work in an output folder: its process number, host and stage.

    Args:
        folder: The output folder.

    Returns:
        None if nobody is.
    """
    path = lock_path(folder)
    try:
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = json.loads(file.read())
                return holder if isinstance(holder, dict) else {}
    except (OSError, ValueError):
        return None
    return None


def _busy(path: Path) -> str:
    """Say who is at work in an output folder."""
    who = "another run"
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        who = f"`punzinet {holder['stage']}` (process {holder['pid']} on {holder['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return (
        f"{who} is at work in {path.parent}; wait until it has ended, or choose another folder "
        "with --output (OUTPUT= for make)."
    )
