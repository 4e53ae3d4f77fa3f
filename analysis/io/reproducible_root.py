"""ROOT files that are the same to the last byte whenever their contents are.

A ROOT file holds its own name, a UUID, the time of every record, and in the gaps between records
what was there before. Here the name is left out and the UUID follows from a text. uproot has no
option for times, so they are set when the file is complete.
"""

import mmap
import struct
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import uproot

from punzinet.analysis.io.files import atomic_path

#: The time of all records, 2010-01-01 00:00, as ROOT's TDatime packs it.
_TIME: Final = struct.pack(">I", (2010 - 1995) << 26 | 1 << 22 | 1 << 17)
_NAMESPACE: Final = uuid.UUID("6f1d5c0e-2b0b-5d3e-9a57-0c6a52f4b0a1")
#: From this version of a file on, and of a record, positions have eight bytes.
_BIG_FILE, _BIG_RECORD = 1_000_000, 1_000
_KEY = 26  # bytes that the key of a record has at least


@contextmanager
def create_root_file(path: Path, identity: str) -> Iterator[Any]:
    """An open `uproot.WritableDirectory`, whose file appears under its name when complete.

    The UUID is made from the text `identity`; files with other content should have another.
    """
    same = uuid.uuid5(_NAMESPACE, identity)
    with atomic_path(path) as partial:
        with (
            # A file object, because uproot writes the name of a path into the file.
            partial.open("w+b") as sink,
            uproot.recreate(sink, compression=uproot.ZSTD(1), uuid_function=lambda: same) as file,
        ):
            yield file
        with partial.open("r+b") as sink, mmap.mmap(sink.fileno(), 0) as content:
            _set_times(content)


def _set_times(content: mmap.mmap) -> None:
    """Set the time in all of ROOT's TFile, TKey, TDirectory and TFree records, and clear gaps."""
    version, begin = struct.unpack_from(">ii", content, 4)
    positions = struct.Struct(">qq" if version >= _BIG_FILE else ">ii")
    end, free = positions.unpack_from(content, 12)
    (root,) = struct.unpack_from(">i", content, 12 + positions.size + 8)
    gaps = dict(_gaps(content, free))
    position = begin
    while position < end:
        if position in gaps:
            after = gaps[position] + 1
            content[position:after] = bytes(after - position)
        elif position + _KEY <= end and _record(content, position) == position:
            _set_key(content, position)
            after = position + struct.unpack_from(">i", content, position)[0]
        else:  # a list of gaps that became shorter left its end behind
            content[position] = 0
            after = position + 1
        position = after
    _set_directory(content, begin + root)


def _gaps(content: mmap.mmap, position: int) -> Iterator[tuple[int, int]]:
    """First and last byte of every gap, from the record that lists them."""
    end = position + struct.unpack_from(">i", content, position)[0]
    position += struct.unpack_from(">h", content, position + 14)[0]
    while position < end:
        segment = struct.Struct(">qq" if _is_big(content, position) else ">ii")
        yield segment.unpack_from(content, position + 2)
        position += 2 + segment.size


def _set_key(content: mmap.mmap, position: int) -> int:
    """Set the time in a key; gives where the key ends."""
    content[position + 10 : position + 14] = _TIME
    return position + int(struct.unpack_from(">h", content, position + 14)[0])


def _is_big(content: mmap.mmap, position: int) -> bool:
    """Whether a record, by the version that stands there, has positions of eight bytes."""
    return bool(struct.unpack_from(">h", content, position)[0] > _BIG_RECORD)


def _record(content: mmap.mmap, position: int) -> int:
    """Where a record is, as its key says."""
    kind = ">q" if _is_big(content, position + 4) else ">i"
    return int(struct.unpack_from(kind, content, position + 18)[0])


def _set_directory(content: mmap.mmap, position: int) -> None:
    """Set both times of a directory and those in its list of keys, and so for all below it.

    Keys of which there were more before have left something behind the list.
    """
    content[position + 2 : position + 10] = 2 * _TIME
    kind = ">qqq" if _is_big(content, position) else ">iii"
    _, _, keys = struct.unpack_from(kind, content, position + 18)
    end = keys + struct.unpack_from(">i", content, keys)[0]
    position = _set_key(content, keys)
    (count,) = struct.unpack_from(">i", content, position)
    position += 4
    for _ in range(count):
        name = position + (34 if _is_big(content, position + 4) else _KEY)
        if content[name + 1 : name + 1 + content[name]] == b"TDirectory":
            _set_directory(content, _set_key(content, _record(content, position)))
        position = _set_key(content, position)
    content[position:end] = bytes(end - position)
