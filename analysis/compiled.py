"""Numba, with a cache that follows the sources.

Numba compiles a function anew if its own file has changed, but not if a function or a constant
that it takes from another file has: after an update, old machine code would run. So every state
of the compiled sources has a cache folder of its own. Compiled functions import `njit` from here.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import numba
from numba import njit

__all__ = ["njit"]

_IMPORT = re.compile(rb"^\s*from punzinet\.([\w.]+) import (\([^)]*\)|.*)$", re.MULTILINE)


def compiled_sources(package: Path) -> list[Path]:
    """Modules that hold compiled functions, and all that they import at any remove.

    Args:
        package: Folder of `punzinet`.
    """
    sources = {
        ".".join(path.relative_to(package).with_suffix("").parts).encode(): path.read_bytes()
        for folder in ("analysis", "processors")
        for path in (package / folder).rglob("*.py")
    }
    found = [name for name, source in sources.items() if b"njit" in source]
    for name in found:  # grows while it is read
        for module, names in _IMPORT.findall(sources[name]):
            for one in (module, *(module + b"." + part for part in re.findall(rb"\w+", names))):
                if one in sources and one not in found:
                    found.append(one)
    return sorted(package.joinpath(*name.decode().split(".")).with_suffix(".py") for name in found)


def _cache_folder(package: Path) -> Path:
    """Where Numba keeps what it compiles from the present sources."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in compiled_sources(package)))
    parent = package / "__pycache__"
    if not os.access(parent if parent.exists() else package, os.W_OK):
        parent = Path.home() / ".cache" / "punzinet"
    return parent / f"numba-{digest.hexdigest()[:16]}"


if "NUMBA_CACHE_DIR" not in os.environ:
    # In the environment, too: worker processes read it when they import numba.
    os.environ["NUMBA_CACHE_DIR"] = str(_cache_folder(Path(__file__).parents[1]))
    config: Any = numba.config
    config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
