"""Files that a stage leaves in an output folder."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.text import Text


def results_in(folder: Path) -> list[Path]:
    """All files of an output folder that are results, the ledger left out."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in files if not path.relative_to(folder).parts[0].startswith("."))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in results_in(folder)}


def draft(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Instead of `style.save`, where not the rendering matters but what a figure says."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.txt"
    path.write_text("\n".join(text.get_text() for text in figure.findobj(Text)))
    return [path]
