"""Files that a stage leaves in an output folder."""

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text


def results_in(folder: Path) -> list[Path]:
    """All files of an output folder that are results, the ledger left out."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in files if not path.relative_to(folder).parts[0].startswith("."))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in results_in(folder)}


def times(folder: Path) -> dict[Path, int]:
    """When each file was written."""
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def datasets_of(path: Path) -> dict[str, Any]:
    """What a result says of each dataset."""
    found: dict[str, Any] = json.loads(path.read_text())["datasets"]
    return found


def settings_of(path: Path) -> dict[str, Any]:
    """The settings that a result was made with."""
    found: dict[str, Any] = json.loads(path.read_text())["provenance"]["settings"]
    return found


def entries_of(cutflow: list[dict[str, Any]]) -> dict[str, int]:
    """Entries by line of a cutflow."""
    return {line["step"]: line["entries"] for line in cutflow}


def draft(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Instead of `style.save`, where not the rendering matters but what a figure says."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.txt"
    path.write_text("\n".join(text.get_text() for text in figure.findobj(Text)))
    return [path]
