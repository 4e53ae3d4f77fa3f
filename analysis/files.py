"""Files that are either whole or absent.

Everything the workflow writes goes to a temporary name in the same folder first and is
renamed when complete, so that a killed run never leaves a half-written output behind
(the habit of b2luigi).
"""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from analysis.errors import InputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and rename it to `path` if nothing was raised.

    Args:
        path: Where the finished file shall be; missing parent folders are made.

    Yields:
        A path in the same folder, with the same suffix, that does not exist yet.

    Raises:
        InputError: If the folder cannot be made or written to.
    """
    unique = f"{os.getpid()}-{secrets.token_hex(4)}"
    partial = path.with_name(f".{path.stem}.{unique}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"Cannot write {path}: {error.strerror}. Make the folder writable, or choose another "
            "with --output (OUTPUT= for make)."
        ) from error
    finally:
        with suppress(NotADirectoryError):
            partial.unlink(missing_ok=True)


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
        InputError: If the file is absent, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is not there; run `{made_by}` first.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} cannot be read as JSON ({error}); delete it and run `{made_by}` again."
        ) from error
