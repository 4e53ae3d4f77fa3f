"""Files that are either whole or absent.

Everything the workflow writes goes to a temporary name in the same folder first and is
renamed when complete, so that a killed run never leaves a half-written output behind
(the habit of b2luigi).
"""

import errno
import hashlib
import json
import math
import os
import secrets
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from punzinet.analysis.io.errors import InputError, OutputError

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""A full disk, a quota, a limit on the size of files."""
_NOT_WRITABLE = _NO_SPACE | {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EIO,
}
_PART = 2**20
"""Bytes of a file that are read at once."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and rename it to `path` if nothing was raised.

    Args:
        path: Where the finished file shall be; missing parent folders are made.

    Yields:
        A path in the same folder, with the same suffix, that does not exist yet.

    Raises:
        OutputError: If the folder cannot be made or written to.
    """
    unique = f"{os.getpid()}-{secrets.token_hex(4)}"
    partial = path.with_name(f".{path.stem}.{unique}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
        raise OutputError(cannot_write(path, error)) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def remove_partial_files(folder: Path) -> None:
    """Remove what killed processes left of files that `atomic_path` never gave their name.

    Args:
        folder: Where to look, sub-folders included; nothing else may be writing there.
    """
    for path in folder.rglob(".*.partial*"):
        with suppress(OSError):
            path.unlink()


def is_full_or_read_only(error: OSError) -> bool:
    """Whether something failed because a disk is full or read-only."""
    return error.errno in _NO_SPACE | {errno.EROFS}


def cannot_write(path: Path, error: OSError) -> str:
    """The sentence that says why something cannot be written, and what to do.

    Args:
        path: What could not be written.
        error: Why.
    """
    why = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _NO_SPACE:
        return f"Cannot write {path}: {why}. Make room there, and run the same command again."
    return (
        f"Cannot write {path}: {why}. Make the folder writable, or choose another with --output "
        "(OUTPUT= for make)."
    )


def is_file(path: str | Path) -> bool:
    """Whether a path leads to a file; one that no file system takes leads to none."""
    try:
        return Path(path).is_file()
    except OSError:  # too long, or nobody may look
        return False


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically; NaN and infinity are refused."""
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, made_by: str) -> Any:
    """Read a JSON file that another stage wrote.

    Args:
        path: The file.
        made_by: The command that makes it, named in the error, e.g. ``punzinet features``.

    Raises:
        InputError: If the file is absent, unreadable or not JSON, or holds a number that is none:
            infinities and NaN are never written.
    """
    try:
        return json.loads(
            path.read_text(encoding="utf-8"),
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_whole,
        )
    except FileNotFoundError:
        raise InputError(f"{path} is not there; run `{made_by}` first.") from None
    except (OSError, RecursionError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as JSON ({error}); delete it and run `{made_by}` again."
        ) from error


def _finite(text: str) -> float:
    """A number of a JSON file.

    Raises:
        ValueError: If it is infinite, larger than any, or NaN.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number to work with")
    return value


def _whole(text: str) -> int:
    """A whole number of a JSON file.

    Raises:
        ValueError: If it is larger than any floating-point number.
    """
    value = int(text)
    if abs(value) > sys.float_info.max:
        raise ValueError(f"{text[:20]}… is no number to work with")
    return value


def checksum(path: Path, kind: str) -> str:
    """Checksum of a file, as catalogues of the grid write it: ``adler32:0a1b2c3d``.

    Args:
        path: The file.
        kind: ``adler32``, ``md5`` or ``sha256``.
    """
    with path.open("rb") as file:
        if kind != "adler32":
            return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"
        value = 1
        while part := file.read(_PART):
            value = zlib.adler32(part, value)
    return f"{kind}:{value:08x}"
