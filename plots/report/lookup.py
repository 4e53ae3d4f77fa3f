"""What the page knows of every hypothesis, for looking one up."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from punzinet.analysis.io.files import read_result, rows_of, to_cells
from punzinet.analysis.io.histograms import STAGES, read_backgrounds, spectrum_axis
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.tensor_events import read_tensor_events
from punzinet.analysis.limits.result import Limits, known_sigma_over_g2
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.observables import Quantity
from punzinet.analysis.peak_fit import PEAK_FIT
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.windows import HALF_WIDTH, Windows
from punzinet.plots.report.limits import expected_table
from punzinet.plots.report.tables import centre_of, plain_label

PEAK_BINS = 30  # over the width of a window
#: The selections that are compared: label, loss, and which of the network's cuts.
SELECTIONS = (
    ("Punzi-net, one cut", "punzi", "single"),
    ("Punzi-net, best cut", "punzi", "optimal"),
    ("BCE net, best cut", "bce", "optimal"),
)


def lookup_data(
    manifest: Manifest,
    output: OutputFolder,
    windows: Windows,
    sensitivity: Sensitivity,
    network: str,
) -> dict[str, Any]:
    """Collect everything about every hypothesis, as JSON.

    The network is that whose cut the selection applied. InputError if a result is missing or
    damaged.
    """
    keys = [_key(mass) for mass in windows.mass.tolist()]
    variable = windows.search.variable
    number = network.rsplit("-", 1)[-1]
    compared = {
        label: _selection(sensitivity, loss, cut, number) for label, loss, cut in SELECTIONS
    }
    columns: dict[str, Iterable[Any]] = {
        "mass": windows.mass.tolist(),
        "trained": windows.training.tolist(),
        **{name: getattr(windows, name).tolist() for name in ("sigma", "low", "high", "fitted")},
        "fit": [PEAK_FIT.dump_python(fit) for fit in windows.fits],
        "peak": _peaks(output.tensors, windows),
        "yields": read_yields(output.selection_cutflow, windows.mass),
        "signal": _generated(output.features_cutflow, keys),
        "selections": [[one[i] for one in compared.values()] for i in range(len(keys))],
        "cross_section": to_cells(known_sigma_over_g2(manifest, output, windows.mass)),
        "further": _limits(output.limits, keys),
    }
    hypotheses = rows_of(columns)
    labels = {name: plain_label(name, text) for name, text in manifest.processes.items()}
    written = {"title": variable.title, "unit": variable.plain_unit, "mass": variable.mass.title}
    found = dict.fromkeys(name for row in hypotheses for name in row["yields"]["before"])
    return {
        "luminosity": sensitivity.luminosity,
        "network": network,
        "halfWidth": HALF_WIDTH,
        "labels": {n: labels.get(n, n) for n in [SIGNAL_PROCESS, *labels, *found] if n in found},
        "selections": list(compared),
        "particle": plain_label(windows.search.particle, windows.search.particle),
        "variable": written | {"centre": centre_of(variable), "squared": variable.dimension == 2},
        "spectrum": _spectrum(output.histograms, variable.mass),
        "around": _spectrum(output.histograms, variable),
        "hypotheses": hypotheses,
    }


def _key(mass: float) -> str:
    """A mass as something that can be looked up: never by rank, never by exact equality."""
    return f"{mass:.6f}"


def _rounded(values: Iterable[float], digits: int) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in values]


def _selection(sensitivity: Sensitivity, loss: str, cut: str, number: str) -> list[dict[str, Any]]:
    """What one kind of cut on the networks of a loss achieves for each hypothesis.

    Cuts are on the output after the sigmoid, of the network with this number; means are over all.
    """
    names = sensitivity.of_loss(loss)
    chosen = getattr(sensitivity.networks[f"{loss}-{number}"], cut)
    mean = sensitivity.average(names, cut)
    columns = {"cut": 1 / (1 + np.exp(-chosen.cut)), "efficiency": chosen.efficiency}
    columns |= {"background": chosen.background, "mean": mean.sigma, "meanError": mean.error}
    columns |= {"sigma": chosen.sigma_min, "error": chosen.sigma_min_error}
    known = {name: to_cells(column) for name, column in columns.items()}
    known |= {"bound": chosen.bound.tolist(), "meanBound": (mean.limit < 0).tolist()}
    return rows_of({**known, "networks": [len(names)] * len(mean.mass)})


def _peaks(tensors: Path, windows: Windows) -> list[dict[str, list[float]]]:
    """Efficiency of each hypothesis in `PEAK_BINS` equal bins over its own window, and error."""
    events = read_tensor_events(tensors, windows.search)
    signal = events[events.signal]
    index, value, weight = windows.index_of(signal.mass), signal.variable, signal.weight
    low, high = windows.low[index], windows.high[index]
    bins = np.clip(((value - low) / (high - low) * PEAK_BINS).astype(int), 0, PEAK_BINS - 1)
    flat, size = index * PEAK_BINS + bins, len(windows) * PEAK_BINS
    content = np.bincount(flat, weight, size).reshape(-1, PEAK_BINS)
    spread = np.sqrt(np.bincount(flat, weight**2, size)).reshape(-1, PEAK_BINS)
    rows = zip(content, spread, strict=True)
    return [{"content": _rounded(c, 4), "error": _rounded(e, 3)} for c, e in rows]


def _spectrum(histograms: Path, quantity: Quantity) -> dict[str, Any]:
    edges = spectrum_axis(quantity).edges
    result: dict[str, Any] = {"low": float(edges[0]), "high": float(edges[-1])}
    for stage in STAGES:
        backgrounds = read_backgrounds(histograms, stage, quantity)
        contents = zip(backgrounds.axes["process"], backgrounds.values(), strict=True)
        result[stage] = {name: _rounded(content, 5) for name, content in contents}
    return result


def read_yields(path: Path, mass: Iterable[float]) -> list[dict[str, dict[str, float]]]:
    """Yields in the windows of masses by stage and process; InputError if they are not there."""
    with read_result(path, "yields in the windows", "punzinet select") as content:
        rows = {_key(row["mass"]): row for row in content["hypotheses"]}
        found = [{stage: dict(rows[_key(one)][stage]) for stage in STAGES} for one in mass]
        _ = [float(one[stage][SIGNAL_PROCESS]) for one in found for stage in STAGES]  # is there
        return found


def _generated(path: Path, keys: Sequence[str]) -> list[dict[str, int]]:
    """Generated and found signal events of each hypothesis, over all datasets that hold it."""
    found: dict[str, dict[str, int]] = {}
    with read_result(path, "signal events by mass", "punzinet features") as content:
        for dataset in content["datasets"].values():
            for row in dataset.get("hypotheses", ()):
                empty = {"generated": row["generated"], "usable": 0, "inside": 0}
                total = found.setdefault(_key(row["mass"]), empty)
                total["usable"] += row["usable"]
                total["inside"] += row["in_own_window"]
        return [found[key] for key in keys]


def _limits(path: Path, keys: Sequence[str]) -> list[list[list[Any]]]:
    """Title, quantity and value of the expected limits at each mass; nothing without limits."""
    said: dict[str, list[list[Any]]] = {}
    if path.exists():
        limits = Limits.read(path)
        title = f"Expected limits in fb, {100 * limits.confidence_level:g} % CL"
        _, header, rows = expected_table(limits)
        for mass, (_, *cells) in zip(limits.mass, rows, strict=True):
            named = zip(header[1:], cells, strict=True)
            said[_key(mass)] = [[title, name, cell.text] for name, cell in named]
    return [said.get(key, []) for key in keys]
