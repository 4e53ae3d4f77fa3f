"""Limits as tables for a note: what is expected, and what is observed."""

from pathlib import Path

import numpy as np

from punzinet.analysis.io.note import latex_band, latex_number, write_csv, write_latex
from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.limits.result import BANDS, Limits
from punzinet.analysis.types import BoolArray, FloatArray

_HEADER = (r"$m$ [GeV]", "background", "efficiency", r"expected [fb]", r"$g'$")
_BANDS = [f"expected_{band:+g}sigma_fb" if band else "expected_median_fb" for band in BANDS]


def write_expected(folder: Path, limits: Limits) -> list[Path]:
    """Write ``limits.csv`` and ``limits.tex`` of the single cut, and return the files."""
    one = limits.selections["single"]
    columns = {"mass_gev": limits.mass, "background": one.background, "efficiency": one.efficiency}
    columns["effective_events"] = one.effective_events
    columns |= dict(zip(_BANDS, one.counting.T, strict=True))
    columns["expected_coupling"] = limits.coupling(one.counting)[:, 2]
    return _write(folder / "limits", columns, np.ones(len(limits.mass), bool))


def write_observed(folder: Path, seen: Observation) -> list[Path]:
    """Write ``observed.csv`` and ``observed.tex`` of the single cut, and return the files.

    Points between the hypotheses stand in the first one only. Counts are called data or
    pseudo-data.
    """
    columns = {"mass_gev": seen.mass, "background": seen.background, "efficiency": seen.efficiency}
    columns["effective_events"] = seen.effective_events
    columns |= dict(zip(_BANDS, seen.expected.T, strict=True))
    columns["expected_coupling"] = seen.coupling(seen.expected)[:, 2]
    columns |= {seen.source: seen.count.astype(float), "observed_fb": seen.limit}
    columns |= {"observed_coupling": seen.coupling(seen.limit), "local_p_value": seen.p_value}
    columns["background_error"] = seen.background_error
    return _write(folder / "observed", columns, seen.hypothesis, seen.source)


def _write(
    stem: Path, columns: dict[str, FloatArray], shown: BoolArray, counted: str = ""
) -> list[Path]:
    """Write columns (n,) by name as CSV, and those rows (n,) that are to be shown as LaTeX.

    If anything is counted, its column is called so.
    """
    lines = []
    for i in np.flatnonzero(shown):
        row = {name: float(column[i]) for name, column in columns.items()}
        background = latex_number(row["background"])
        if row["effective_events"] == 0 and row["efficiency"] > 0:
            background = background.replace("$", "$<", 1)
        cells = [f"{row['mass_gev']:g}", background, latex_number(row["efficiency"])]
        cells.append(latex_band(*(row[name] for name in _BANDS[1:4])))
        cells.append(latex_number(row["expected_coupling"], 2))
        if counted:
            more = (row[name] for name in ("observed_fb", "observed_coupling", "local_p_value"))
            cells += [f"{row[counted]:.0f}", *map(latex_number, more)]
        lines.append(cells)
    header = [*_HEADER]
    if counted:
        header += [counted, "observed [fb]", r"$g'$", r"local $p$"]
    table = write_latex(stem.with_suffix(".tex"), "r" * len(header), header, [lines])
    numbers = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [write_csv(stem.with_suffix(".csv"), [[*columns], *numbers]), table]
