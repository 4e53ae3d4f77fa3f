"""Physics, statistics and learning: everything that is true without coffea or matplotlib."""

import hashlib
import os
import re
import sys
from pathlib import Path

_IMPORT = re.compile(rb"^\s*from ([\w.]+) import (\([^)]*\)|.*)$", re.MULTILINE)


def _compiled_sources(here: Path) -> list[Path]:
    """Files that Numba compiles, and those of this package that they import, at any remove.

    Args:
        here: Folder of the package.
    """
    sources = {path: path.read_bytes() for path in here.rglob("*.py")}
    modules = {
        ".".join(path.relative_to(here.parent).with_suffix("").parts).encode(): path
        for path in sources
    }
    found = [path for path, source in sources.items() if b"numba" in source]
    for path in found:  # grows while it is read
        for module, names in _IMPORT.findall(sources[path]):
            for name in (module, *(module + b"." + name for name in re.findall(rb"\w+", names))):
                if name in modules and modules[name] not in found:
                    found.append(modules[name])
    return sorted(found)


def _keep_compiled_code_apart() -> None:
    """Give Numba a cache of its own for every state of the code that it compiles.

    Numba compiles a function anew if its own file has changed, but not if a function or a
    constant that it takes from another file has: after an update, old machine code would run.
    """
    here = Path(__file__).parent
    source = hashlib.sha256()
    for path in _compiled_sources(here):
        source.update(path.read_bytes())
    parent = here / "__pycache__"
    if not os.access(parent if parent.exists() else here, os.W_OK):
        parent = Path.home() / ".cache" / "punzinet"
    folder = str(parent / f"numba-{source.hexdigest()[:16]}")
    os.environ.setdefault("NUMBA_CACHE_DIR", folder)
    if "numba" in sys.modules:  # which has read its environment already
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]


_keep_compiled_code_apart()
