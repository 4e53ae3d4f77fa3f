"""Numba, with a cache that follows the sources.

Numba compiles a function anew if its own file has changed, but not if a function or a constant
that it takes from another file has: after an update, old machine code would run. So every state
of the compiled sources has a cache folder of its own. Compiled functions import `njit` from here.
"""

import hashlib
import os
import re
from contextlib import suppress
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import numba
from numba import njit

__all__ = ["njit"]

_VANISHING: list[TemporaryDirectory[str]] = []
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


def cache_folder(package: Path, given: str) -> Path:
    """Where Numba keeps what it compiles from the present sources: the first that can be written.

    It is below the given folder (none if empty), the package's cache, or home, all of which a
    container may not have; otherwise it vanishes with this process.
    """
    digest = hashlib.sha256("".join(compiled_sources(package).values()).encode())
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
