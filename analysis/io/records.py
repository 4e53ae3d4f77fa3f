"""Records: what is known of a finished piece of work, as one small file that is whole or absent.

A record is a safetensors file: arrays, and JSON in its header, so that nothing in it can be
executed. A digest tells a damaged record from a good one.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from punzinet.analysis.io.files import atomic_path

Arrays = dict[str, NDArray[Any]]


class Record(NamedTuple):
    """Content of a record: what JSON can express, and arrays of numbers by name."""

    content: dict[str, Any]
    arrays: Arrays


def write_record(path: Path, record: Record) -> None:
    """Write a record; it appears under its name when complete."""
    arrays = {name: np.asarray(values, order="C") for name, values in record.arrays.items()}
    text = json.dumps(record.content)
    data = save(arrays, metadata={"content": text, "digest": _digest(text, arrays)})
    with atomic_path(path) as partial:
        partial.write_bytes(data)


def read_record(path: Path) -> Record | None:
    """Read a record; None if it is absent or damaged: the work has to be done again then."""
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        text = about["content"]
        if about["digest"] != _digest(text, arrays):
            return None
        return Record(json.loads(text), arrays)
    except (OSError, RecursionError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def read_content(path: Path) -> dict[str, Any] | None:
    """Read the JSON of a record alone, without its arrays; None if there is none."""
    try:
        with safe_open(path, framework="numpy") as file:
            content = json.loads(file.metadata()["content"])
        return content if isinstance(content, dict) else None
    except (OSError, RecursionError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Digest of everything in a record."""
    state = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(arrays):
        values = arrays[name]
        state.update(f"{name} {values.dtype.str} {values.shape}".encode())
        state.update(values.tobytes())
    return state.hexdigest()
