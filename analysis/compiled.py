"""Numba, with a cache that follows the sources.

Numba compiles a function anew if its own file has changed, but not if a function or a constant
that it takes from another file has: after an update, old machine code would run. So every state
of the compiled sources has a cache folder of its own. Compiled functions import `njit` from here.
"""

import hashlib
import os
import re
from itertools import chain
from pathlib import Path
from typing import Any

import numba
from numba import njit

__all__ = ["njit"]

_IMPORTED = re.compile(r"^\s*(?:from|import) (punzinet[\w.]+) (?:import|as) ", re.MULTILINE)


def compiled_sources(package: Path) -> dict[str, str]:
    """Modules below a folder `punzinet` with compiled functions, and all that they import from."""
    sources = {}
    for path in chain((package / "analysis").rglob("*.py"), (package / "processors").rglob("*.py")):
        name = ".".join(("punzinet", *path.relative_to(package).with_suffix("").parts))
        sources[name] = path.read_text(encoding="utf-8")
    found = [name for name, source in sources.items() if "njit" in source]
    for name in found:  # grows while it is read
        for module in _IMPORTED.findall(sources[name]):  # of a package, all modules
            more = (one for one in sources if f"{one}.".startswith(f"{module}."))
            found += [one for one in more if one not in found]
    return {name: sources[name] for name in sorted(found)}


def _cache_folder(package: Path) -> Path:
    """Where Numba keeps what it compiles from the present sources."""
    digest = hashlib.sha256("".join(compiled_sources(package).values()).encode())
    parent = package / "__pycache__"
    if not os.access(parent if parent.exists() else package, os.W_OK):
        parent = Path.home() / ".cache" / "punzinet"
    return parent / f"numba-{digest.hexdigest()[:16]}"


if "NUMBA_CACHE_DIR" not in os.environ:
    # In the environment, too: worker processes read it when they import numba.
    os.environ["NUMBA_CACHE_DIR"] = str(_cache_folder(Path(__file__).parents[1]))
    config: Any = numba.config
    config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
