"""The limits as a HEPData submission: an index and one table each for σ·B and g′."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from punzinet.analysis.io.files import atomic_path
from punzinet.analysis.limits.asymptotic import BANDS
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.search import RECOIL, Search
from punzinet.analysis.types import FloatArray

SELECTIONS = {
    "single": "Punzi-net, one cut",
    "best": "network trained with cross-entropy, best cut for each mass",
}
METHODS = {"asymptotic": "asymptotic formulas", "counting": "exact Poisson sums"}
#: Digits that are written: simulated samples never support more.
DIGITS = 4


def write_hepdata(folder: Path, limits: Limits, search: Search = RECOIL) -> list[Path]:
    """Write ``submission.yaml`` and its tables.

    Args:
        folder: Where to.
        limits: The limits; the table of couplings is left out where no cross-section is known.
        search: Says of what they are.

    Returns:
        All files written.

    Raises:
        InputError: If the folder cannot be written to.
    """
    level = f"{100 * limits.confidence_level:g}% CL"
    tables = {
        "cross_section": (
            f"Expected upper limits at {level} on {search.cross_section}",
            {"name": "SIG*BR", "units": "FB"},
            "SIG",
            lambda values: values,
        )
    }
    if np.isfinite(limits.sigma_over_g2).any():
        tables["coupling"] = (
            rf"Expected upper limits at {level} on the coupling $g'$ for "
            rf"$\mathcal{{B}}({search.decay})=1$",
            {"name": "g'"},
            "COUPLING",
            limits.coupling,
        )
    index: list[dict[str, Any]] = [
        {
            "comment": "Expected upper limits from simulated events; there is no observation. "
            "Uncertainties of a limit are the bands that contain 68% and 95% of "
            "background-only experiments.",
        }
    ]
    paths = []
    for name, (description, header, observable, transform) in tables.items():
        path = folder / f"{name}.yaml"
        _write(path, [_table(limits, search, header, transform)])
        paths.append(path)
        index.append(
            {
                "name": f"Limits on {header['name']}",
                "location": "Data from the simulation",
                "description": description,
                "keywords": [
                    {"name": "reactions", "values": [hepdata_reaction(search.reaction)]},
                    {"name": "observables", "values": [observable]},
                    {"name": "cmenergies", "values": [10.58]},
                    {
                        "name": "phrases",
                        "values": ["Upper limit", f"{search.particle} boson", "Belle II"],
                    },
                ],
                "data_file": path.name,
            }
        )
    submission = folder / "submission.yaml"
    _write(submission, index)
    return [submission, *paths]


def hepdata_reaction(mathtext: str) -> str:
    r"""Write a reaction as HEPData does: ``e^+e^-\to\gamma X`` is ``E+ E- --> GAMMA X``.

    Args:
        mathtext: The reaction.
    """
    words = re.findall(r"\\?[A-Za-z]+'*(?:\^[-+0])?", re.sub(r"_?[{}]|\\mathrm", "", mathtext))
    arrow = {"\\to": "-->"}
    return " ".join(arrow.get(word, re.sub(r"[\\^]", "", word).upper()) for word in words)


def _table(
    limits: Limits, search: Search, header: dict[str, str], transform: Any
) -> dict[str, Any]:
    """One table: the mass, and a column for each selection and method.

    Args:
        limits: The limits.
        search: Says whose masses they are for.
        header: Name and units of what is limited.
        transform: Function that turns cross-sections (H, 5) in fb into it.
    """
    columns = []
    for key, selection in limits.selections.items():
        for method, name in METHODS.items():
            values = transform(getattr(selection, method))
            columns.append(
                {
                    "header": header,
                    "qualifiers": [
                        {"name": "SELECTION", "value": SELECTIONS[key]},
                        {"name": "METHOD", "value": f"CLs, {name}"},
                        {"name": "LUMINOSITY", "units": "FB**-1", "value": limits.luminosity},
                    ],
                    "values": [_cell(row) for row in values],
                }
            )
    mass = [{"value": float(m)} for m in limits.mass]
    independent = {"header": {"name": f"M({search.particle})", "units": "GEV"}, "values": mass}
    return {"independent_variables": [independent], "dependent_variables": columns}


def _cell(row: FloatArray) -> dict[str, Any]:
    """Median and bands of one mass; a dash where there is no limit.

    Args:
        row: (5,) limits at `BANDS`.
    """
    if not np.isfinite(row).all():
        return {"value": "-"}
    by_band = dict(zip(BANDS.tolist(), row.tolist(), strict=True))
    median = by_band[0.0]
    return {
        "value": _rounded(median),
        "errors": [
            {
                "label": f"{band:g} sigma",
                "asymerror": {
                    "plus": _rounded(by_band[band] - median),
                    "minus": _rounded(by_band[-band] - median),
                },
            }
            for band in (1.0, 2.0)
        ],
    }


def _rounded(value: float) -> float:
    """A number with as many digits as are written."""
    return float(f"{value:.{DIGITS}g}")


def _write(path: Path, documents: list[dict[str, Any]]) -> None:
    """Write YAML documents, whole or not at all."""
    text = yaml.safe_dump_all(
        documents, sort_keys=False, allow_unicode=True, explicit_start=True, default_flow_style=None
    )
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
