"""Windows and networks as tables, and the main numbers of the networks."""

from typing import Any

import numpy as np

from punzinet.analysis.io.files import read_result
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.observables import Quantity
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection, Sensitivity
from punzinet.analysis.windows import Windows
from punzinet.plots.report.numbers import number, with_error
from punzinet.plots.report.tables import Cell, Table, cells


def windows_table(windows: Windows) -> Table:
    """All windows with their fits."""
    rows = []
    for i, fit in enumerate(windows.fits):
        rows.append(
            [
                Cell(f"{windows.mass[i]:g}"),
                Cell("trained" if windows.training[i] else "not trained"),
                *cells([windows.low[i].item(), windows.high[i].item(), windows.sigma[i].item()]),
                Cell(
                    "fitted" if windows.fitted[i] else "interpolated",
                    fit.problem or "" if fit else "no signal",
                ),
                *cells(
                    [
                        with_error(fit.sigma, fit.sigma_error),
                        fit.mean,
                        fit.sigma_narrow,
                        fit.sigma_wide,
                        f"{number(fit.chi2, 3)} / {fit.ndof}",
                    ]
                    if fit
                    else [None] * 5
                ),
            ]
        )
    variable = windows.search.variable
    unit = variable.plain_unit
    caption = f"Windows in the {variable.title} and the fits they come from, in {unit}"
    header = ("mass [GeV]", "network", "from", "to", "σ used", "source", "σ fitted")
    shape = (f"mean − {centre_of(variable)}", "narrow σ", "wide σ", "χ² / ν")
    return Table(caption, (*header, *shape), rows)


def centre_of(variable: Quantity) -> str:
    """The centre of the window of a mass m, in plain text."""
    return "m²" if variable.dimension == 2 else "m"


def networks_table(sensitivity: Sensitivity, output: OutputFolder) -> Table:
    """All networks: where their training ended, and what they achieve.

    Raises:
        InputError: If one is missing or damaged.
    """
    rows = []
    for name, network in sensitivity.networks.items():
        path = output.network(name) / "network.json"
        with read_result(path, "settings of a network", "punzinet train") as saved:
            settings = dict(saved.get("settings", {}))
            converged = Cell("–")
            if "converged" in settings:
                why = "; ".join(map(str, settings.get("messages", ())))
                good = settings["converged"]
                converged = Cell("yes", state="good") if good else Cell("no", why, state="bad")
        cut = float(1 / (1 + np.exp(-network.single_cut)))
        means = [_mean(sensitivity, network, c) for c in ("single", "optimal_in_training")]
        ended = [settings.get("epoch"), settings.get("validation_loss")]
        rows.append([Cell(name), *cells([*ended, cut, *means]), converged])
    return Table(
        "Networks, and their σₘᵢₙ averaged over the trained masses in fb",
        ("network", "best epoch", "validation loss", "cut", "one cut", "best cuts", "converged"),
        rows,
    )


def _mean(sensitivity: Sensitivity, network: NetworkSensitivity, cut: str) -> float:
    """Mean σ_min over the trained masses in fb; infinite if one of them is never found."""
    selection: Selection = getattr(network, cut)
    return float(np.mean(selection.sigma_min[sensitivity.training]))


def summary(sensitivity: Sensitivity, network: str) -> dict[str, Any]:
    """The main numbers, with the single cut of one network."""
    means = {
        loss: [
            _mean(sensitivity, result, cut)
            for name, result in sensitivity.networks.items()
            if name.split("-")[0] == loss
        ]
        for loss, cut in (("punzi", "single"), ("bce", "optimal_in_training"))
    }
    one, bce = (float(np.mean(values)) if values else None for values in means.values())
    ratio = bce / one if one and bce and np.isfinite([one, bce]).all() else None
    return {
        "form": sensitivity.figure_of_merit.form,
        "a": number(sensitivity.figure_of_merit.a),
        "b": number(sensitivity.figure_of_merit.b, 6),
        "luminosity": number(sensitivity.luminosity),
        "networks": len(means["punzi"]),
        "unseen": int(np.sum(~np.isfinite(means["punzi"]))),
        "one": number(one, 3),
        "bce": number(bce, 3),
        "ratio": number(ratio, 3),
        # The median, not the smallest: that is where no simulated background happens to pass.
        "median": number(float(np.median(sensitivity.networks[network].single.sigma_min)), 3),
    }
