"""The limits as a HEPData submission: an index and one table each for σ·B and g′."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from hepdata_lib import Table, Uncertainty, Variable

from punzinet.analysis.io.files import atomic_path
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.search import RECOIL, Search
from punzinet.analysis.types import FloatArray

SELECTIONS = {
    "single": "Punzi-net, one cut",
    "best": "network trained with cross-entropy, best cut for each mass",
}
METHODS = {"asymptotic": "asymptotic formulas", "counting": "exact Poisson sums"}
DIGITS = 4  # digits that are written: simulated samples never support more
COMMENT = (
    "Expected upper limits from simulated events; there is no observation. Uncertainties of a "
    "limit are the bands that contain 68% and 95% of background-only experiments."
)


def write_hepdata(folder: Path, limits: Limits, search: Search = RECOIL) -> list[Path]:
    """Write ``submission.yaml`` and its tables, and return the files.

    There are couplings where a cross-section is known. InputError if the folder takes no files.
    """
    level = f"Expected upper limits at {100 * limits.confidence_level:g}% CL on"
    coupling = rf"{level} the coupling $g'$ for $\mathcal{{B}}({search.decay})=1$"
    tables: list[tuple[Any, ...]] = [
        ("Cross section", "SIG", f"{level} {search.cross_section}", ("SIG*BR", "FB"), np.asarray),
        ("Coupling", "COUPLING", coupling, ("g'", ""), limits.coupling),
    ]
    known = tables if np.isfinite(limits.sigma_over_g2).any() else tables[:1]
    with TemporaryDirectory() as temporary:
        index = yaml.safe_dump({"comment": COMMENT}, explicit_start=True)
        Path(temporary, "submission.yaml").write_text(index, encoding="utf-8")
        for name, observable, description, (header, units), transform in known:
            table = Table(name)
            table.description, table.location = description, "Data from the simulation"
            table.keywords = {
                "reactions": [hepdata_reaction(search.reaction)],
                "observables": [observable],
                "cmenergies": [10.58],
                "phrases": ["Upper limit", f"{search.particle} boson", "Belle II"],
            }
            mass = Variable(f"M({search.particle})", is_binned=False, units="GEV")
            mass.values = limits.mass.tolist()
            table.variables = [mass]
            for key, selection in limits.selections.items():
                for method, words in METHODS.items():
                    column = _column(header, units, transform(getattr(selection, method)))
                    column.add_qualifier("SELECTION", SELECTIONS[key])
                    column.add_qualifier("METHOD", f"CLs, {words}")
                    column.add_qualifier("LUMINOSITY", limits.luminosity, "FB**-1")
                    table.variables.append(column)
            table.write_output(temporary)  # a `Submission` leaves an archive in the current folder
        kept = []
        for path in sorted(Path(temporary).glob("*.yaml")):
            with atomic_path(folder / path.name) as partial:
                partial.write_bytes(path.read_bytes())
            kept.append(folder / path.name)
        return kept


def hepdata_reaction(mathtext: str) -> str:
    r"""Write a reaction as HEPData does: ``e^+e^-\to\gamma X`` is ``E+ E- --> GAMMA X``."""
    words = re.findall(r"\\?[A-Za-z]+'*(?:\^[-+0])?", re.sub(r"_?[{}]|\\mathrm", "", mathtext))
    arrow = {"\\to": "-->"}
    return " ".join(arrow.get(word, re.sub(r"[\\^]", "", word).upper()) for word in words)


def _column(name: str, units: str, limits: FloatArray) -> Any:
    """Limits (H, 5) as medians with bands; a dash where there is none."""
    column = Variable(name, is_independent=False, is_binned=False, units=units)
    column.digits, column.zero_uncertainties_warning = DIGITS, False
    known = np.isfinite(limits).all(axis=1, keepdims=True)
    limits = np.where(known, limits, 0.0)  # bands without width are not written
    median = limits[:, 2].tolist()
    column.values = [value if value > 0 else "-" for value in median]
    for sigmas in (1, 2):
        band = Uncertainty(f"{sigmas} sigma", is_symmetric=False)
        band.set_values_from_intervals(limits[:, [2 - sigmas, 2 + sigmas]].tolist(), median)
        column.add_uncertainty(band)
    return column
