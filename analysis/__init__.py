"""Physics, statistics and learning: everything that is true without coffea or matplotlib."""

import hashlib
import os
import sys
from pathlib import Path


def _keep_compiled_code_apart() -> None:
    """Give Numba a cache of its own for every state of the source code.

    Numba compiles a function anew if its own file has changed, but not if a function or a
    constant that it takes from another file has: after an update, old machine code would run.
    """
    here = Path(__file__).parent
    source = hashlib.sha256()
    for path in sorted(here.rglob("*.py")):
        source.update(path.read_bytes())
    parent = here / "__pycache__"
    if not os.access(parent if parent.exists() else here, os.W_OK):
        parent = Path.home() / ".cache" / "punzinet"
    folder = str(parent / f"numba-{source.hexdigest()[:16]}")
    os.environ.setdefault("NUMBA_CACHE_DIR", folder)
    if "numba" in sys.modules:  # which has read its environment already
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]


_keep_compiled_code_apart()
