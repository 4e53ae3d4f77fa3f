"""Files that are either whole or absent, and the errors whose messages a user is meant to read.

Everything the workflow writes goes to a temporary name in the same folder first and is renamed
when complete: a killed run leaves no half-written output behind (the habit of b2luigi).

Results are dataclasses that pydantic writes and reads. Their arrays become lists, in which null
stands for what JSON does not know: `Column` and `OrInfinite` read it as infinity, `OrNaN` as NaN.

A record is what is known of a finished piece of work: a safetensors file of arrays with JSON in
its header, so that nothing in it can be executed. A digest tells a damaged record from a good one.
"""

import difflib
import errno
import hashlib
import itertools
import json
import math
import os
import re
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import safetensors.numpy
import xxhash
import yaml
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, GetPydanticSchema, PlainSerializer
from pydantic_core import ValidationError
from safetensors import SafetensorError, safe_open

from punzinet.analysis.types import FloatArray

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # a full disk, a quota, a limit on size
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
MOST_VALUES = 1_000_000
"""Values that a file may stand for: aliases let a few lines stand for more than any memory."""
_PART = 2**20  # bytes of a file that are read at once
_PARTIAL = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.partial(\.[^.]*)?")  # as `atomic_path` makes them


class InputError(Exception):
    """Something outside this software is not as it must be.

    One sentence for the person at the keyboard: which file, tree, branch or setting, what was
    expected there, and what to do. The command line prints it without a traceback.
    """


class OutputError(InputError):
    """Something cannot be written: no input is to blame, so nothing may be done without it."""


class Interrupted(Exception):
    """Ctrl-C or a termination request; says how to go on."""


def did_you_mean(name: str, known: list[str], otherwise: str) -> str:
    """What was probably meant by a name, or everything there is (``known are``), in brackets."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"(did you mean {' or '.join(near)}?)" if near else f"({otherwise} {', '.join(known)})"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and rename it to `path` if nothing was raised.

    Missing parent folders are made; the temporary path has the same folder and suffix. OutputError
    if the folder cannot be made or written to.
    """
    unique = f"{os.getpid()}-{secrets.token_hex(4)}"
    partial = path.with_name(f".{path.stem}.{unique}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        gone = error.filename == str(partial)  # with its folder
        if not gone and error.errno not in _NO_SPACE | _NO_ACCESS | _IN_THE_WAY:
            raise
        raise OutputError(cannot_write(path, error)) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def remove_partial_files(folder: Path) -> None:
    """Remove what killed processes left under a folder; nothing else may be writing there."""
    for parent, _, names in os.walk(folder):  # which follows no links
        for name in filter(_PARTIAL.fullmatch, names):
            with suppress(OSError):
                Path(parent, name).unlink()


def refuse_links(root: Path, names: Iterable[str]) -> None:
    """InputError if a result below a folder, or a folder it lies in, is a link to elsewhere."""
    for place in dict.fromkeys(p for name in names for p in (Path(name), *Path(name).parents)):
        if place.name and (root / place).is_symlink():
            raise InputError(
                f"{root / place} is a link, and nothing behind a link is replaced or removed; "
                "take it away, or choose a folder on another disk with --output (OUTPUT= for make)."
            )


def is_full_or_read_only(error: OSError) -> bool:
    """Whether something failed because a disk is full or read-only."""
    return error.errno in _NO_SPACE | {errno.EROFS}


def cannot_write(path: Path, error: OSError) -> str:
    """The sentence that says why something cannot be written, and what to do."""
    why = os.strerror(error.errno) if error.errno else str(error)
    what = "Make the folder writable, or choose another with --output (OUTPUT= for make)."
    if error.errno in _NO_SPACE:
        what = "Make room there, and run the same command again."
    return f"Cannot write {path}: {why}. {what}"


def is_file(path: str | Path) -> bool:
    """Whether a path leads to a file; one that no file system takes leads to none."""
    try:
        return Path(path).is_file()
    except OSError:  # too long, or nobody may look
        return False


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a text or bytes, see `atomic_path`; the path."""
    with atomic_path(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_json(path: Path, content: Any) -> Path:
    """Write `content` as indented JSON, atomically; NaN and infinity are refused."""
    return write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: Path, made_by: str) -> Any:
    """Read a JSON file that the command `made_by` wrote, e.g. ``punzinet features``.

    InputError if it is absent, not JSON, or holds infinities or NaN, which are never written.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_finite)
    except FileNotFoundError:
        raise InputError(f"{path} is not there; run `{made_by}` first.") from None
    except (OSError, RecursionError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as JSON ({error}); delete it and run `{made_by}` again."
        ) from error


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no number to work with")
    return int(text) if text.lstrip("-").isdecimal() else value


def read_yaml(path: Path) -> Any:
    """Read YAML, which says what a person means by it; InputError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        # A subclass of SafeLoader: it builds plain values only, and executes nothing.
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506
        size = sum(1 for _ in itertools.islice(leaves(content), MOST_VALUES))
    except FileNotFoundError:
        raise InputError(
            f"{path} is not there; name your manifest with --manifest (MANIFEST= for make)."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line}: {error.problem}; correct the YAML.") from error
    # RecursionError of a list in itself, the others of a tag such as !!bool for what is none.
    except (yaml.YAMLError, RecursionError, ArithmeticError, AttributeError, LookupError,
            ValueError) as error:  # fmt: skip
        raise InputError(f"{path} is not valid YAML: {error}.") from error
    if size == MOST_VALUES:
        why = "by its aliases (*); write out what they stand for"
        raise InputError(f"{path} stands for {MOST_VALUES} values or more, {why}.")
    return content


def leaves(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """All values of nested mappings and lists, or empty ones, with their dotted keys."""
    if not isinstance(content, dict | list | tuple) or not content:
        yield key, content
        return
    for name, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield from leaves(value, f"{key}.{name}" if key else str(name))


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses what reads as something else than a person means.

    These are a key that is given twice, of which plain YAML keeps the last, and numbers to base 8
    and 60, by a leading zero and by colons, as YAML 1.1 has them.
    """

    def construct_number(self, node: yaml.ScalarNode) -> float:
        """Construct a number."""
        of = self.construct_yaml_int if node.tag.endswith(":int") else self.construct_yaml_float
        number = of(node)
        if re.match(r"[-+]?(0[0-7_]+$|.*:)", node.value):
            problem = f"`{node.value}` is read as {number} (a leading zero is base 8, a colon 60)"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return number

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set[Any]()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # << gives way to keys beside it
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float):
                if {key, str(key)} & seen:
                    problem = f"`{key}` is given twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
                seen |= {key, str(key)}  # whoever takes numbers takes 2 and '2' for the same
        return super().construct_mapping(node, deep)


for _kind in ("int", "float"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _StrictLoader.construct_number)


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


def _to_array(cells: Any) -> FloatArray:
    numbers = np.array(cells, dtype=np.float64)
    return np.where(np.isnan(numbers), np.inf, numbers)


def to_cells(column: FloatArray) -> Any:
    """Write a column as lists for JSON, with null where it is infinite or NaN."""
    cells = column.astype(object)
    cells[~np.isfinite(column)] = None
    return cells.tolist()


def rows_of(columns: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Rows of a table for JSON, by its columns."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def cells(lists: Any, to_array: Callable[[Any], Any] = np.array) -> GetPydanticSchema:
    """Annotation of a field that is an array, and such lists in JSON."""
    written = Annotated[lists, AfterValidator(to_array), PlainSerializer(to_cells)]
    return GetPydanticSchema(lambda _, handler: handler(written))


_OR_NULL = PlainSerializer(lambda v: float(v) if math.isfinite(v) else None)
_Row = list[float | None]
Column = Annotated[FloatArray, cells(_Row | list[_Row], _to_array)]
"""(n,) or (n, k) numbers; null in JSON where one is infinite."""
OrInfinite = Annotated[float, BeforeValidator(lambda v: math.inf if v is None else v), _OR_NULL]
"""A number; null in JSON if it is infinite."""
OrNaN = Annotated[float, BeforeValidator(lambda v: math.nan if v is None else v), _OR_NULL]
"""A number; null in JSON if it is none."""

Arrays = dict[str, NDArray[Any]]


class Record(NamedTuple):
    """Content of a record: what JSON can express, and arrays of numbers by name."""

    content: dict[str, Any]
    arrays: Arrays


def write_record(path: Path, record: Record) -> None:
    """Write a record; it appears under its name when complete."""
    arrays = {name: np.asarray(values, order="C") for name, values in record.arrays.items()}
    text = json.dumps(record.content)
    about = {"content": text, "digest": _digest(text, arrays)}
    write_whole(path, safetensors.numpy.save(arrays, metadata=about))


def read_record(path: Path) -> Record | None:
    """Read a record; None if it is absent or damaged: the work has to be done again then."""
    with suppress(*_NO_RECORD), safe_open(path, framework="numpy") as file:
        about = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if about["digest"] == _digest(about["content"], arrays):
            return Record(json.loads(about["content"]), arrays)
    return None


def read_content(path: Path) -> dict[str, Any] | None:
    """Read the JSON of a record alone, without its arrays; None if there is none."""
    with suppress(*_NO_RECORD), safe_open(path, framework="numpy") as file:
        content = json.loads(file.metadata()["content"])
        return content if isinstance(content, dict) else None
    return None


_NO_RECORD = (OSError, RecursionError, SafetensorError, KeyError, TypeError, ValueError)
"""What reading something else, or half of a record, raises."""


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    state = hashlib.blake2b(text.encode(), digest_size=16)
    for name, values in sorted(arrays.items()):
        state.update(f"{name} {values.dtype.str} {values.shape}".encode())
        state.update(values.tobytes())
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """XXH3 of a file, which tells any change by accident; empty if there is none to be read."""
    with suppress(OSError):
        if path.is_file():
            status = path.stat()
            return _file_digest(path, status.st_ino, status.st_size, status.st_ctime_ns)
    return ""


@cache
def _file_digest(path: Path, *_state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()


def checksum(path: Path, kind: str) -> str:
    """The adler32, md5 or sha256 of a file, as grid catalogues write it: ``adler32:0a1b2c3d``."""
    with path.open("rb") as file:
        if kind != "adler32":
            return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"
        value = 1
        while part := file.read(_PART):
            value = zlib.adler32(part, value)
    return f"{kind}:{value:08x}"
