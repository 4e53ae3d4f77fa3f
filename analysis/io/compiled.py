"""Numba, with a cache that follows the sources.

Numba compiles a function anew if its own file has changed, but not if a function or a constant
that it takes from another file has: after an update, old machine code would run. So every state
of the sources has a cache folder of its own. Compiled functions import `njit` from here.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import numba
from numba import njit

__all__ = ["njit"]

_VANISHING: list[TemporaryDirectory[str]] = []


def cache_folder(package: Path, given: str) -> Path:
    """Where Numba keeps what it compiles from the sources in a package: the first to be written to.

    It is below the given folder (none if empty), the package's cache, or home, all of which a
    container may not have; otherwise it vanishes with this process.
    """
    folders = package / "analysis", package / "processors"
    sources = sorted(path for folder in folders for path in folder.rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    name = f"numba-{digest.hexdigest()[:16]}"
    usual = (package / "__pycache__", Path("~/.cache/punzinet"))
    for parent in (Path(given), *usual) if given else usual:
        # A process that started this one may have given it its own.
        folder = parent if parent.name == name else parent / name
        with suppress(OSError, RuntimeError):  # the latter where home is unknown
            folder = folder.expanduser()
            folder.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=folder).close()
            return folder
    _VANISHING.append(TemporaryDirectory(prefix="punzinet-"))
    return Path(_VANISHING[0].name, name)


# In the environment, too: worker processes read it when they import numba.
_FOLDER = cache_folder(Path(__file__).parents[2], os.environ.get("NUMBA_CACHE_DIR", ""))
config: Any = numba.config
config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"] = str(_FOLDER)
