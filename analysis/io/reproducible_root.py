"""ROOT files that are the same to the last byte whenever their contents are.

A ROOT file holds its own name, a UUID and the time of every record. Here the name is left out, the
UUID follows from a text, and the time is always the same, for which uproot has no option.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from unittest import mock

import uproot

from punzinet.analysis.io.files import atomic_path

_TIME: Final = int(uproot._util.datetime_to_code(datetime(2010, 1, 1)))
_NAMESPACE: Final = uuid.UUID("6f1d5c0e-2b0b-5d3e-9a57-0c6a52f4b0a1")


@contextmanager
def create_root_file(path: Path, identity: str) -> Iterator[Any]:
    """An open `uproot.WritableDirectory`, whose file appears under its name when complete.

    The UUID is made from the text `identity`; files with other content should have another.
    """
    same = uuid.uuid5(_NAMESPACE, identity)
    with (
        atomic_path(path) as partial,
        mock.patch.object(uproot._util, "datetime_to_code", _same_time),
        # A file object, because uproot writes the name of a path into the file.
        partial.open("w+b") as sink,
        uproot.recreate(sink, compression=uproot.ZSTD(1), uuid_function=lambda: same) as file,
    ):
        yield file


def _same_time(_now: datetime) -> int:
    return _TIME
