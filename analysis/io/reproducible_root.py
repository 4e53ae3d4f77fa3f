"""ROOT files that are the same to the last byte whenever their contents are.

A ROOT file holds its own name, a UUID and the time of every record. Here the name is left
out, the UUID follows from a text, and the clock stands still.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import uproot

from punzinet.analysis.io.files import atomic_path

_CLOCK: Final = datetime(2010, 1, 1)
"""The time in all records."""
_NAMESPACE: Final = uuid.UUID("6f1d5c0e-2b0b-5d3e-9a57-0c6a52f4b0a1")


@contextmanager
def create_root_file(path: Path, identity: str) -> Iterator[Any]:
    """Write a ROOT file that appears under its name when complete.

    The UUID is made from the text `identity`; files with other content should have another.

    Yields:
        The open file, an `uproot.WritableDirectory`.
    """
    same = uuid.uuid5(_NAMESPACE, identity)
    with (
        atomic_path(path) as partial,
        _standing_clock(),
        # A file object, because uproot writes the name of a path into the file.
        partial.open("w+b") as sink,
        uproot.recreate(sink, compression=uproot.ZSTD(1), uuid_function=lambda: same) as file,
    ):
        yield file


@contextmanager
def _standing_clock() -> Iterator[None]:
    """Let uproot write the same time into every record while this context lasts.

    uproot has no option for it; all its times pass through one function. Times cannot be set
    afterwards either: those of records that were moved stay in the gaps of the file.
    """
    original = uproot._util.datetime_to_code
    uproot._util.datetime_to_code = lambda _: original(_CLOCK)
    try:
        yield
    finally:
        uproot._util.datetime_to_code = original
