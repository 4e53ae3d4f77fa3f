"""This run beside another one: settings that differ, and σ_min of every hypothesis."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from punzinet.analysis.io.files import InputError, read_result
from punzinet.analysis.io.output import OutputFolder, changes, command_of
from punzinet.analysis.sensitivity import Curve, Sensitivity
from punzinet.analysis.windows import mass_index
from punzinet.plots import style
from punzinet.plots.report.page import Comparison
from punzinet.plots.report.tables import below, make_table, number
from punzinet.plots.sensitivity import ratio_figure

RUNS = ("this run", "other run")
BOUNDS = {-1: "< ", 1: "> "}  # what a ratio is whose one side is an upper limit


def compare_runs(
    output: OutputFolder, other: OutputFolder, network: str, parameter: str
) -> Comparison:
    """Compare the settings of two runs, and σ_min behind the single cut of a network.

    A figure is written, in which the mass is written as `parameter` says. InputError if
    a result of the other run is missing, or the runs share no mass.
    """
    ours, theirs = runs = [Sensitivity.read(one.sensitivity) for one in (output, other)]
    index = mass_index(theirs.mass, ours.mass)
    if network not in theirs.networks or not (index >= 0).any():
        raise InputError(
            f"{other.sensitivity} has no network {network}, or none of the masses of "
            f"{output.sensitivity}: compare runs that have both (--network, --compare)."
        )
    curves = []
    for run, rows in zip(runs, (np.flatnonzero(index >= 0), index[index >= 0]), strict=True):
        curves.append(Curve(*(column[rows] for column in run.average([network], "single"))))
    ratio = curves[1].over(curves[0])
    said = [map(below, one.sigma.tolist(), one.limit < 0) for one in curves]
    ends = zip(ratio.sigma.tolist(), ratio.limit.tolist(), strict=True)
    shares = [BOUNDS.get(limit, "") * math.isfinite(one) + number(one) for one, limit in ends]
    lines = zip([f"{m:g}" for m in ratio.mass], *said, shares, strict=True)
    names, luminosity = [*RUNS], ours.luminosity if ours.luminosity == theirs.luminosity else None
    if luminosity is None:  # one label cannot say it of both
        names = [f"{name}, {of.luminosity:g} fb⁻¹" for name, of in zip(RUNS, runs, strict=True)]
    header = ("mass [GeV]", *names, "other / this")
    sigma = make_table(f"σₘᵢₙ behind the single cut of {network} in fb", header, lines)
    differ = [[line] for line in _differences(output, other)] or [["none"]]
    drawn = dict(zip(names, zip(curves, (style.BLUE, style.ORANGE), strict=True), strict=True))
    about = "other / this\n(ratio)", luminosity, parameter
    figure = ratio_figure(drawn, [(ratio, "#333333")], *about)
    settings = make_table("Settings: from the other run to this one", ["difference"], differ)
    written = style.save(figure, output.root / "compared", "sigma_min")
    return Comparison(other, [settings, sigma], written)


def _differences(output: OutputFolder, other: OutputFolder) -> list[str]:
    found: dict[str, None] = {}
    for path in sorted(output.stages.glob("*.json")):
        # That of the report has everything again; the number of networks is no record.
        if path.stem not in {"report", "networks"} and (other.stages / path.name).exists():
            then, now = (_settings(folder.stages / path.name) for folder in (other, output))
            found |= dict.fromkeys(changes("", then, now))
    return [*found]


def _settings(path: Path) -> Any:
    with read_result(path, "settings", f"punzinet {command_of(path.stem)}") as record:
        return record["inputs"]["settings"]
