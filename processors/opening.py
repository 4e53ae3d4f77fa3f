"""Opening ROOT files: on disks that are there, and on servers that may not always be."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import uproot

from punzinet.analysis.io.files import InputError, is_file

ATTEMPTS: Final = 4  # for a file on a server
BACK_OFF_SECONDS: Final = 1.0  # after the first failure; twice as long after each further one
ANSWER_SECONDS: Final = 30  # that a server may be silent; XRootD takes whole seconds only
#: Patience of XRootD's client, s, where the user has not settled it: by itself, it connects to a
#: server that was away only minutes later, which no attempt here would live to see.
_XROOTD: Final = {"CONNECTIONWINDOW": "10", "STREAMERRORWINDOW": "10", "TIMEOUTRESOLUTION": "1"}
_XROOTD_NOT_FOUND: Final = "[3011]"  # how an XRootD server says that there is no such file

T = TypeVar("T")


class Unreadable(InputError):
    """A file could not be opened or read: on a server, a second attempt may succeed."""


def is_remote(path: str) -> bool:
    """Whether a path is a URL that leads to a server."""
    return "://" in path and not path.startswith("file://")


def state_of(path: str) -> tuple[int, int]:
    """Size in bytes and time of change in ns of a local file; (-1, -1) for a URL or no file."""
    path = path.removeprefix("file://")
    if is_remote(path) or not is_file(path):
        return -1, -1
    status = Path(path).stat()
    return status.st_size, status.st_mtime_ns


@contextmanager
def reading(what: str, advice: str = "") -> Iterator[None]:
    """Turn whatever goes wrong in reading into Unreadable, with the reason and advice."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise Unreadable(f"{what} ({reason(error)}){advice}.") from error


@contextmanager
def open_file(path: str, dataset: str) -> Iterator[Any]:
    """Open a ROOT file of a dataset by its path or URL, as uproot does.

    Unreadable if it cannot be opened; InputError if it is not there, empty, truncated or other.
    """
    name = f"Dataset {dataset}: {path}"
    if state_of(path)[0] == 0:
        raise InputError(f"{name} is empty (0 bytes); make or fetch it again.")
    with reading(f"{name} cannot be opened: it is truncated, damaged or out of reach"):
        try:
            # A file that holds a colon in its name is no file with an object behind the colon.
            file = uproot.open({path.removeprefix("file://"): None}, **reading_options(path))
        except Exception as error:
            if isinstance(error, FileNotFoundError) or _XROOTD_NOT_FOUND in str(error):
                found = "is not there"
            elif "not a ROOT file" in str(error):
                found = "is not a ROOT file"
            else:
                raise
            raise InputError(f"{name} {found}; check `files` in the manifest.") from None
    with file:
        size = file.file.source.num_bytes
        if size is not None and file.file.fEND > size:
            has = f"{size} bytes of {file.file.fEND}"
            raise InputError(f"{name} is truncated: it has {has}; make or fetch it again.")
        yield file


def reading_options(path: str) -> dict[str, Any]:
    """Options with which uproot opens a path: how to read it, how long to wait for a server."""
    options: dict[str, Any] = {"array_cache": None, "object_cache": 1}
    if not is_remote(path):
        # Without a thread that every request is handed to, reading takes two thirds of the time.
        source = uproot.source.file.MultithreadedFileSource
        options |= {"handler": source, "num_workers": 1, "use_threads": False}
    elif path.startswith("root://"):
        prepare_xrootd()
        options["timeout"] = ANSWER_SECONDS
    elif path.startswith(("http://", "https://")):
        import aiohttp  # noqa: PLC0415 - slow to import, and only needed here

        wait = {"sock_connect": ANSWER_SECONDS, "sock_read": ANSWER_SECONDS}
        options["client_kwargs"] = {"timeout": aiohttp.ClientTimeout(total=None, **wait)}
    return options


def patiently(path: str, attempt: Callable[[], T], number: int = 1) -> T:
    """Do something with a file, again if its server fails; InputError of the last attempt."""
    try:
        return attempt()
    except Unreadable as error:
        if not is_remote(path):
            raise
        if number == ATTEMPTS:
            _forget(path)
            raise InputError(f"{str(error).rstrip('.')}; tried {ATTEMPTS} times.") from error
    back_off(path, number)
    return patiently(path, attempt, number + 1)


def prepare_xrootd() -> None:
    """Set the patience of XRootD's client in this process, and in those that it starts."""
    for setting, seconds in _XROOTD.items():
        os.environ.setdefault(f"XRD_{setting}", seconds)


def back_off(path: str, number: int) -> None:
    """Wait after an attempt to read from a server, the first of which has number 1."""
    _forget(path)
    time.sleep(BACK_OFF_SECONDS * 2 ** (number - 1))


def _forget(path: str) -> None:
    """Close what a failing XRootD server left open, which the next attempt would use again."""
    if path.startswith("root://"):
        import fsspec  # noqa: PLC0415 - slow to import, and only needed here

        with suppress(OSError, ImportError):  # nothing is open without the library
            system, name = fsspec.core.url_to_fs(path, timeout=ANSWER_SECONDS)
            system.invalidate_cache(name)


def reason(error: BaseException) -> str:
    """What went wrong, without the details of where in the code."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
