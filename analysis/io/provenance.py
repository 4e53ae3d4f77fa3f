"""Where a result comes from: versions, manifest, settings, seeds and commit."""

import hashlib
import json
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from punzinet.analysis.io.files import checksum

LIBRARIES = (
    *("awkward", "coffea", "hist", "iminuit", "numba", "numpy", "pyarrow", "torch"),
    *("uproot", "vector"),
)
"""Libraries whose version can change a number."""


def digest(content: Any) -> str:
    """SHA-256 of anything that JSON can express; equal content gives equal digests."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_files(folder: Path) -> str:
    """SHA-256 of all files in a folder, names included; equal folders give equal digests."""
    files = (path for path in folder.iterdir() if path.is_file())
    return digest({path.name: checksum(path, "sha256") for path in files})


@cache
def git_commit() -> str | None:
    """Commit of the checkout this package runs from, with ``-dirty`` if it was changed.

    None outside a git checkout (an installed wheel).
    """
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(  # noqa: S603 - the arguments are the two calls below
            command, cwd=here.parent, capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        # An installed copy may lie inside somebody else's checkout: not this file's commit.
        git("ls-files", "--error-unmatch", here.name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--match=")
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def versions() -> dict[str, str]:
    """Versions of Python, this package and every library that can change a number."""
    return {
        "python": platform.python_version(),
        "punzinet": metadata.version("punzinet"),
        **{name: metadata.version(name) for name in LIBRARIES},
    }


def provenance(manifest_digest: str, **settings: Any) -> dict[str, Any]:
    """What is written into every JSON and every network.

    It holds no time and no host name, so that equal inputs give equal bytes. The settings and
    seeds are those that the stage used, as JSON can express them.
    """
    return {
        "git_commit": git_commit(),
        "manifest": manifest_digest,
        "settings": settings,
        "versions": versions(),
    }
