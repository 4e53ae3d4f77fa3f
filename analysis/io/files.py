"""Files that are either whole or absent, and results as JSON.

Everything the workflow writes goes to a temporary name in the same folder first and is renamed
when complete: a killed run leaves no half-written output behind (the habit of b2luigi).

Results are dataclasses that pydantic writes and reads. Their arrays become lists, in which null
stands for what JSON does not know: `Column` and `OrInfinite` read it as infinity, `OrNaN` as NaN.
"""

import errno
import hashlib
import json
import math
import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, GetPydanticSchema, PlainSerializer, ValidationError
from pydantic_core import core_schema

from punzinet.analysis.io.errors import InputError, OutputError
from punzinet.analysis.types import FloatArray

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

    Missing parent folders are made; the temporary path has the same folder and suffix.

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
    """Remove what killed processes left under a folder; nothing else may be writing there."""
    for path in folder.rglob(".*.partial*"):
        with suppress(OSError):
            path.unlink()


def is_full_or_read_only(error: OSError) -> bool:
    """Whether something failed because a disk is full or read-only."""
    return error.errno in _NO_SPACE | {errno.EROFS}


def cannot_write(path: Path, error: OSError) -> str:
    """The sentence that says why something cannot be written, and what to do."""
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
    """Read a JSON file that the command `made_by` wrote, e.g. ``punzinet features``.

    InputError if it is absent, not JSON, or holds infinities or NaN, which are never written.
    """
    try:
        return json.loads(
            path.read_text(encoding="utf-8"),
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_integer,
        )
    except FileNotFoundError:
        raise InputError(f"{path} is not there; run `{made_by}` first.") from None
    except (OSError, RecursionError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as JSON ({error}); delete it and run `{made_by}` again."
        ) from error


def _integer(text: str) -> int:
    """An integer of a JSON file that is no larger than any float."""
    _finite(text)
    return int(text)


def _finite(text: str) -> float:
    """A number of a JSON file; raises ValueError if it is NaN or larger than any float."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no number to work with")
    return value


@contextmanager
def read_result(path: Path, content: str, made_by: str) -> Iterator[Any]:
    """Read a JSON file, and refuse it if pydantic or a look-up in the body of the `with` fails.

    The error says what it should hold (``windows``) and which command makes it.
    """
    result = read_json(path, made_by)
    try:
        yield result
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} does not hold the {content} of this software ({reason(error)}); delete it and "
            f"run `{made_by}` again."
        ) from error


def reason(error: Exception) -> str:
    """What is wrong, in a few words: of pydantic's errors the first, with its key."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return repr(error)


def _or_null(value: float) -> float | None:
    """A number as JSON can express it."""
    return float(value) if math.isfinite(value) else None


def _column_schema(_source: Any, handler: Any) -> core_schema.CoreSchema:
    """How pydantic reads and writes a `Column`."""
    row = list[float | None]

    def read(column: Any) -> FloatArray:
        """Numbers from lists, None as infinity."""
        numbers = np.array(column, dtype=np.float64)
        return np.where(np.isnan(numbers), np.inf, numbers)

    def write(column: FloatArray) -> Any:
        """Lists from numbers, None for what is not finite."""
        cells = column.astype(object)
        cells[~np.isfinite(column)] = None
        return cells.tolist()

    return core_schema.no_info_after_validator_function(
        read,
        handler.generate_schema(row | list[row]),
        serialization=core_schema.plain_serializer_function_ser_schema(write),
    )


Column = Annotated[FloatArray, GetPydanticSchema(_column_schema)]
"""(n,) or (n, k) numbers; null in JSON where one is infinite."""
OrInfinite = Annotated[
    float, BeforeValidator(lambda v: math.inf if v is None else v), PlainSerializer(_or_null)
]
"""A number; null in JSON if it is infinite."""
OrNaN = Annotated[
    float, BeforeValidator(lambda v: math.nan if v is None else v), PlainSerializer(_or_null)
]
"""A number; null in JSON if it is none."""


def checksum(path: Path, kind: str) -> str:
    """Checksum of a file, as catalogues of the grid write it: ``adler32:0a1b2c3d``.

    The kinds are ``adler32``, ``md5`` and ``sha256``.
    """
    with path.open("rb") as file:
        if kind != "adler32":
            return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"
        value = 1
        while part := file.read(_PART):
            value = zlib.adler32(part, value)
    return f"{kind}:{value:08x}"
