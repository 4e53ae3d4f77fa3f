"""Limits as tables: for a note, as CSV and LaTeX, and as a submission to HEPData.

A submission is an index and a table each for σ·B, for g′, and for p-values where events are
observed.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from hepdata_lib import Table, Uncertainty, Variable

from punzinet.analysis.io.files import write_whole
from punzinet.analysis.io.note import latex_band, latex_number, write_csv, write_latex
from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.limits.result import BANDS, Limits
from punzinet.analysis.search import RECOIL, Search
from punzinet.analysis.types import FloatArray

_BANDS = [f"expected_{band:+g}sigma_fb" if band else "expected_median_fb" for band in BANDS]

SELECTIONS = {
    "single": "Punzi-net, one cut",
    "best": "network trained with cross-entropy, best cut for each mass",
}
METHODS = {"counting": "CLs, exact Poisson sums", "asymptotic": "CLs, asymptotic formulas"}
DIGITS = 4  # digits that are written: simulated samples never support more
MASS_DIGITS = 12  # of masses, which are rounded to nine decimals where a scan makes them
#: By what is observed, if anything is.
COMMENTS = {
    "": "Expected upper limits from simulated events; there is no observation. ",
    "data": "Observed and expected upper limits, and local p-values. ",
    "pseudo-data": "A rehearsal with simulated events in place of data: not to be submitted. ",
}
UNCERTAINTIES = (
    "Uncertainties of a limit are the bands that contain 68% and 95% of background-only "
    "experiments."
)


def write_note(folder: Path, limits: Limits, observed: Observation | None = None) -> list[Path]:
    """Write CSV and LaTeX of the single cut, and return the files.

    These are ``limits.*``, or ``observed.*`` of what is observed, whose counts are called data or
    pseudo-data. Points between the hypotheses then stand in the CSV only.
    """
    single = limits.selections["single"]
    of, one = (observed, observed) if observed else (limits, single)
    expected = observed.expected if observed else single.counting
    coupling = of.coupling(expected)[:, 2]
    columns = {"mass_gev": of.mass, "background": one.background, "efficiency": one.efficiency}
    columns |= {"effective_events": one.effective_events}
    columns |= dict(zip(_BANDS, expected.T, strict=True)) | {"expected_coupling": coupling}
    header = [r"$m$ [GeV]", "background", "efficiency", "expected [fb]", "$g'$"]
    unseen = np.where((one.effective_events == 0) & (one.efficiency > 0), "$<", "$").tolist()
    cells = [
        [f"{mass:g}" for mass in of.mass.tolist()],
        [latex_number(n).replace("$", sign, 1)
         for n, sign in zip(one.background.tolist(), unseen, strict=True)],
        [latex_number(share) for share in one.efficiency.tolist()],
        [latex_band(*band[1:4]) for band in expected.tolist()],
        [latex_number(value, 2) for value in coupling.tolist()],
    ]  # fmt: skip
    lines, stem = np.array(cells).T, folder / "limits"
    if observed:
        upper = observed.coupling(observed.limit)
        columns |= {observed.source: observed.count.astype(float), "observed_fb": observed.limit}
        columns |= {"observed_coupling": upper, "local_p_value": observed.p_value}
        columns |= {"background_error": observed.background_error}
        header += [observed.source, "observed [fb]", "$g'$", "local $p$"]
        found = zip(observed.count, observed.limit, upper, observed.p_value, strict=True)
        more = [[f"{count}", *map(latex_number, numbers)] for count, *numbers in found]
        lines, stem = np.hstack([lines, more])[observed.hypothesis], folder / "observed"
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    table = write_latex(stem.with_suffix(".tex"), "r" * len(header), header, [lines.tolist()])
    return [write_csv(stem.with_suffix(".csv"), [[*columns], *rows]), table]


def write_hepdata(
    folder: Path,
    limits: Limits,
    energy: float,
    search: Search = RECOIL,
    observed: Observation | None = None,
) -> list[Path]:
    """Write ``submission.yaml`` and its tables, and return the files.

    The energy is that of the collision in GeV. There are couplings where a cross-section is known.
    InputError if the folder takes no files.
    """
    about = {"reactions": [hepdata_reaction(search.reaction)], "cmenergies": [round(energy, 2)]}
    about["phrases"] = ["Upper limit", f"{search.particle} boson"]
    with TemporaryDirectory() as temporary:
        comment = COMMENTS[observed.source if observed else ""] + UNCERTAINTIES
        index = yaml.safe_dump({"comment": comment}, explicit_start=True)
        Path(temporary, "submission.yaml").write_text(index, encoding="utf-8")
        for table, observable, mass, columns in _tables(limits, search, observed):
            variable = Variable(f"M({search.particle})", is_binned=False, units="GEV")
            variable.values, variable.digits = mass.tolist(), MASS_DIGITS
            table.variables, table.location = [variable, *columns], "Data from the analysis"
            table.keywords = about | {"observables": [observable]}
            table.write_output(temporary)  # a `Submission` leaves an archive in the current folder
        made = sorted(Path(temporary).glob("*.yaml"))
        return [write_whole(folder / path.name, path.read_bytes()) for path in made]


def _tables(
    limits: Limits, search: Search, observed: Observation | None
) -> Iterator[tuple[Table, str, FloatArray, list[Any]]]:
    """Tables with their observable, masses (n,) and columns.

    They are of each quantity: expected by all selections and methods, and observed by all.
    """
    columns = [
        (SELECTIONS[key], words, getattr(one, method))
        for key, one in limits.selections.items() for method, words in METHODS.items()
    ]  # fmt: skip
    results: list[tuple[str, str, Any, Any]] = [("", "Expected", limits, columns)]
    rehearsal, single = "", SELECTIONS["single"]
    if observed is not None:
        rehearsal = "Pseudo-data in place of data: " * (observed.source != "data")
        exact, asymptotic = METHODS.values()
        columns = [
            (single, f"{exact}, expected", observed.expected),
            (single, f"{exact}, observed", observed.limit),
            (single, f"{asymptotic}, observed", observed.asymptotic),
        ]
        results.append(("Observed ", f"{rehearsal}Observed and expected", observed, columns))
    level = f"upper limits at {100 * limits.confidence_level:g}% CL on"
    coupling = rf"{level} the coupling $g'$ for $\mathcal{{B}}({search.decay})=1$"
    quantities = [("Cross section", "SIG", f"{level} {search.cross_section}", ("SIG*BR", "FB"))]
    if np.isfinite(limits.sigma_over_g2).any():
        quantities.append(("Coupling", "COUPLING", coupling, ("g'", "")))
    for name, observable, words, header in quantities:
        for before, kind, of, columns in results:
            table = Table(f"{before}{name}".capitalize())
            table.description = f"{kind} {words}"
            drawn = ((*about, of.coupling(values) if name == "Coupling" else values)
                     for *about, values in columns)  # fmt: skip
            yield table, observable, of.mass, [_column(header, of.luminosity, *d) for d in drawn]
    if observed is not None:
        table, known = Table("Local p-value"), observed.global_p_value
        overall = f"{known:.2g}" if known else f"below {observed.global_error:.1g}"
        table.description = (
            f"{rehearsal}Events in the windows, and how likely background alone is to give as many;"
            f" global p-value {overall}"
        )
        found = {"Events": observed.count, "Local p-value": observed.p_value}
        found["Local significance"] = observed.significance
        about = observed.luminosity, single, METHODS["counting"]
        columns = [_column((key, ""), *about, np.asarray(of)) for key, of in found.items()]
        yield table, "PVALUE", observed.mass, columns


def hepdata_reaction(mathtext: str) -> str:
    r"""Write a reaction as HEPData does: ``e^+e^-\to\gamma X`` is ``E+ E- --> GAMMA X``."""
    words = re.findall(r"\\?[A-Za-z]+'*(?:\^[-+0])?", re.sub(r"_?[{}]|\\mathrm", "", mathtext))
    arrow = {"\\to": "-->"}
    return " ".join(arrow.get(word, re.sub(r"[\\^]", "", word).upper()) for word in words)


def _column(
    header: tuple[str, str], luminosity: float, selection: str, method: str, values: FloatArray
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
