"""Tables for a note: as CSV with all digits, and as LaTeX (package booktabs) to be read."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from punzinet.analysis.io.files import write_whole

#: What LaTeX takes for something else than the character, and how to write it.
_SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)


def write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> Path:
    """Write rows, of which the first is the header; a number that is not finite becomes empty."""
    text = StringIO()
    for row in rows:
        known = [None if isinstance(cell, float) and not isfinite(cell) else cell for cell in row]
        csv.writer(text, lineterminator="\n").writerow(known)
    return write_whole(path, text.getvalue())


def write_latex(
    path: Path, columns: str, header: Sequence[str], groups: Iterable[Iterable[Sequence[str]]]
) -> Path:
    """Write a ``tabular``, its columns as LaTeX has them, with a rule between groups of rows."""
    inner = r"\midrule" + "\n"
    body = inner.join("".join(_line(row) for row in group) for group in groups)
    lines = rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _line(header) + r"\midrule"
    return write_whole(path, "\n".join(lines) + f"\n{body}\\bottomrule\n\\end{{tabular}}\n")


def latex_text(text: str) -> str:
    """Write a plain text so that LaTeX shows it as it is."""
    return text.translate(_SPECIAL)


def latex_number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, a dash if it is not finite."""
    if not isfinite(value):
        return "--"
    mantissa, _, exponent = (f"{value:#.{digits}g}" if value else "0").partition("e")
    mantissa = mantissa.rstrip(".")
    power = rf"\times10^{{{int(exponent)}}}" if exponent else ""
    return f"${mantissa}{power}$"


def latex_band(low: float, median: float, high: float) -> str:
    """A median with the distances to the ends of its band, down to the same decimal."""
    if not np.isfinite([low, median, high]).all():
        return latex_number(median)
    decimals = max(2 - int(np.floor(np.log10(median))), 0) if median > 0 else 2
    centre, up, down = (f"{x:.{decimals}f}" for x in (median, high - median, median - low))
    return f"${centre}^{{+{up}}}_{{-{down}}}$"


def write_cutflow(beside: Path, datasets: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Write the cutflows of datasets as tables beside their JSON file, and return the files."""
    rows: list[list[Any]] = [["dataset", "process", "step", "entries", "weighted"]]
    groups = []
    for name, dataset in datasets.items():
        flow = [[line["step"], line["entries"], line["weight"]] for line in dataset["cutflow"]]
        rows += [[name, dataset["process"], *line] for line in flow]
        cells = [
            ["", latex_text(step), f"{entries:d}", latex_number(weight, 6)]
            for step, entries, weight in flow
        ]
        cells[0][0] = latex_text(name)
        groups.append(cells)
    table = beside.with_suffix(".tex")
    write_latex(table, "llrr", ["dataset", "step", "entries", "weighted"], groups)
    return [write_csv(beside.with_suffix(".csv"), rows), table]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + " \\\\\n"
