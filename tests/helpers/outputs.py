"""Files that a stage leaves in an output folder."""

import json
import re
from pathlib import Path

import polars as pl
from matplotlib.text import Text


def results_in(folder):
    """All files of an output folder that are results, the ledger left out."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in files if not path.relative_to(folder).parts[0].startswith("."))


def contents(folder):
    """The bytes of each result; of the report but for the times of stages."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in results_in(folder)}
    if page := found.get("report.html"):
        found["report.html"] = re.sub(rb"(?s)<caption>Stages.*?in all;", b"", page)
    return found


def times(folder):
    """When each file was written."""
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def read_tensors(*place):
    """Rows of the tensors in a folder, or of a dataset there, that lie in a window."""
    table = pl.read_parquet(Path(*place) / ("*.parquet" if len(place) > 1 else "*/*.parquet"))
    return table.filter(pl.col("window_start") < pl.col("window_stop"))


def datasets_of(path):
    """What a result says of each dataset."""
    return json.loads(path.read_text())["datasets"]


def settings_of(path):
    """The settings that a result was made with."""
    return json.loads(path.read_text())["provenance"]["settings"]


def entries_of(cutflow):
    """Entries by line of a cutflow."""
    return {line["step"]: line["entries"] for line in cutflow}


def draft(figure, folder, name):
    """Instead of `style.save`, where not the rendering matters but what a figure says."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.txt"
    path.write_text("\n".join(text.get_text() for text in figure.findobj(Text)))
    return [path]
