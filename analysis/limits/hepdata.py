"""The limits as a HEPData submission: an index and one table each for σ·B and g′."""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from hepdata_lib import Table, Uncertainty, Variable

from punzinet.analysis.io.files import atomic_path
from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.search import RECOIL, Search
from punzinet.analysis.types import FloatArray

SELECTIONS = {
    "single": "Punzi-net, one cut",
    "best": "network trained with cross-entropy, best cut for each mass",
}
METHODS = {"counting": "exact Poisson sums", "asymptotic": "asymptotic formulas"}
DIGITS = 4  # digits that are written: simulated samples never support more
#: By what is observed, if anything is.
COMMENTS = {
    "": "Expected upper limits from simulated events; there is no observation. ",
    "data": "Observed and expected upper limits, and local p-values. ",
    "pseudo-data": "A rehearsal with simulated events in place of data: not to be submitted. ",
}
BANDS = (
    "Uncertainties of a limit are the bands that contain 68% and 95% of background-only "
    "experiments."
)


def write_hepdata(
    folder: Path, limits: Limits, search: Search = RECOIL, observed: Observation | None = None
) -> list[Path]:
    """Write ``submission.yaml`` and its tables, and return the files.

    There are couplings where a cross-section is known. InputError if the folder takes no files.
    """
    with TemporaryDirectory() as temporary:
        comment = COMMENTS[observed.source if observed else ""] + BANDS
        index = yaml.safe_dump({"comment": comment}, explicit_start=True)
        Path(temporary, "submission.yaml").write_text(index, encoding="utf-8")
        for table in _tables(limits, search, observed):
            table.write_output(temporary)  # a `Submission` leaves an archive in the current folder
        kept = []
        for path in sorted(Path(temporary).glob("*.yaml")):
            with atomic_path(folder / path.name) as partial:
                partial.write_bytes(path.read_bytes())
            kept.append(folder / path.name)
        return kept


def _tables(limits: Limits, search: Search, observed: Observation | None) -> Iterator[Table]:
    """Tables of each quantity: expected by all selections and methods, and observed by all."""
    level = f"upper limits at {100 * limits.confidence_level:g}% CL on"
    coupling = rf"{level} the coupling $g'$ for $\mathcal{{B}}({search.decay})=1$"
    quantities = [("Cross section", "SIG", f"{level} {search.cross_section}", ("SIG*BR", "FB"))]
    if np.isfinite(limits.sigma_over_g2).any():
        quantities.append(("Coupling", "COUPLING", coupling, ("g'", "")))
    rehearsal = "Pseudo-data in place of data: " * (
        observed is not None and observed.source != "data"
    )
    for name, observable, words, header in quantities:
        is_coupling = name == "Coupling"
        columns = []
        for key, selection in limits.selections.items():
            for method, of in METHODS.items():
                values = getattr(selection, method)
                shown = limits.coupling(values) if is_coupling else values
                about = SELECTIONS[key], f"CLs, {of}", limits.luminosity
                columns.append(_column(header, shown, *about))
        yield _table(search, (name, observable, f"Expected {words}"), limits.mass, columns)
        if observed is None:
            continue
        columns = []
        for method, kind, values in (
            ("counting", "expected", observed.expected),
            ("counting", "observed", observed.limit),
            ("asymptotic", "observed", observed.asymptotic),
        ):
            about = SELECTIONS["single"], f"CLs, {METHODS[method]}, {kind}", observed.luminosity
            shown = observed.coupling(values) if is_coupling else values
            columns.append(_column(header, shown, *about))
        title = f"Observed {name.lower()}", observable, f"{rehearsal}Observed and expected {words}"
        yield _table(search, title, observed.mass, columns)
    if observed is not None:
        about = SELECTIONS["single"], "CLs, exact Poisson sums", observed.luminosity
        found = {"Events": observed.count, "Local p-value": observed.p_value}
        found["Local significance"] = observed.significance
        columns = [_column((key, ""), np.asarray(of), *about) for key, of in found.items()]
        known, error = observed.global_p_value, observed.global_error
        overall = f"{known:.2g}" if known else f"below {error:.1g}"
        words = (
            f"{rehearsal}Events in the windows, and how likely background alone is to give as many;"
            f" global p-value {overall}"
        )
        yield _table(search, ("Local p-value", "PVALUE", words), observed.mass, columns)


def _table(
    search: Search, title: tuple[str, str, str], mass: FloatArray, columns: list[Any]
) -> Table:
    """Table of columns by mass (n,), with its name, observable and description."""
    table = Table(title[0])
    table.description, table.location = title[2], "Data from the analysis"
    table.keywords = {
        "reactions": [hepdata_reaction(search.reaction)],
        "observables": [title[1]],
        "cmenergies": [10.58],
        "phrases": ["Upper limit", f"{search.particle} boson", "Belle II"],
    }
    variable = Variable(f"M({search.particle})", is_binned=False, units="GEV")
    variable.values = mass.tolist()
    table.variables = [variable, *columns]
    return table


def hepdata_reaction(mathtext: str) -> str:
    r"""Write a reaction as HEPData does: ``e^+e^-\to\gamma X`` is ``E+ E- --> GAMMA X``."""
    words = re.findall(r"\\?[A-Za-z]+'*(?:\^[-+0])?", re.sub(r"_?[{}]|\\mathrm", "", mathtext))
    arrow = {"\\to": "-->"}
    return " ".join(arrow.get(word, re.sub(r"[\\^]", "", word).upper()) for word in words)


def _column(
    header: tuple[str, str], values: FloatArray, selection: str, method: str, luminosity: float
) -> Any:
    """Values (n,), or limits (n, 5) as medians with bands; a dash where there is none."""
    name, units = header
    column = Variable(name, is_independent=False, is_binned=False, units=units)
    column.digits = 18 if values.dtype.kind == "i" else DIGITS  # counts are never rounded
    column.zero_uncertainties_warning = False
    column.add_qualifier("SELECTION", selection)
    column.add_qualifier("METHOD", method)
    column.add_qualifier("LUMINOSITY", luminosity, "FB**-1")
    rows = values.reshape(len(values), -1).copy()
    unknown = np.flatnonzero(~np.isfinite(rows).all(axis=1)).tolist()
    rows[unknown] = 0.0  # bands without width are not written
    median = rows[:, rows.shape[1] // 2].tolist()
    column.values = ["-" if row in unknown else value for row, value in enumerate(median)]
    for sigmas in (1, 2) if rows.shape[1] > 1 else ():
        band = Uncertainty(f"{sigmas} sigma", is_symmetric=False)
        band.set_values_from_intervals(rows[:, [2 - sigmas, 2 + sigmas]].tolist(), median)
        column.add_uncertainty(band)
    return column
