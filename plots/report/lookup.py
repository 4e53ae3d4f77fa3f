"""What the page knows of every hypothesis, for looking one up."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json
from punzinet.analysis.io.histograms import STAGES, read_spectrum, spectrum_axis
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.datasets import SIGNAL
from punzinet.analysis.manifest.hypotheses import MASS_TOLERANCE
from punzinet.analysis.observables import Quantity
from punzinet.analysis.peak_fit import PEAK_FIT
from punzinet.analysis.sensitivity import Selection, Sensitivity
from punzinet.analysis.windows import HALF_WIDTH, Windows
from punzinet.plots.report.numbers import plain_label
from punzinet.plots.report.samples import centre_of, read_optional
from punzinet.plots.report.tables import coupling

#: Bins of a shown peak, over the width of its window.
PEAK_BINS = 30
#: The selections that are compared: label, loss, and which of the network's cuts.
SELECTIONS = (
    ("Punzi-net, one cut", "punzi", "single"),
    ("Punzi-net, best cut", "punzi", "optimal_in_training"),
    ("BCE net, best cut", "bce", "optimal_in_training"),
)


def lookup_data(
    output: OutputFolder,
    windows: Windows,
    sensitivity: Sensitivity,
    network: str,
    *,
    labels: Mapping[str, str],
    limits: Any,
) -> dict[str, Any]:
    """Collect everything about every hypothesis, as JSON.

    Args:
        output: Where results lie.
        windows: The windows.
        sensitivity: What the networks achieve.
        network: The network whose cut the selection applied.
        labels: How the page writes each process.
        limits: What the limits stage wrote; None if it has not run.

    Raises:
        InputError: If a result is missing or damaged.
    """
    selection = read_json(output.selection_cutflow, "punzinet select")
    features = read_json(output.features_cutflow, "punzinet features")
    sections = read_optional(output.simulation / "cross_sections.json", "punzinet simulate") or {}
    peaks = _peaks(output.tensors, windows)
    variable = windows.search.variable
    selections = _selections(sensitivity, network)
    try:
        yields = {_key(row["mass"]): row for row in selection["hypotheses"]}
        generated = [
            {_key(row["mass"]): row for row in dataset["hypotheses"]}
            for dataset in features["datasets"].values()
            if "hypotheses" in dataset
        ]
        hypotheses = [
            {
                "mass": mass,
                "trained": bool(windows.training[i]),
                "sigma": float(windows.sigma[i]),
                "low": float(windows.low[i]),
                "high": float(windows.high[i]),
                "fitted": bool(windows.fitted[i]),
                "fit": PEAK_FIT.dump_python(fit),
                "peak": peaks[i],
                "yields": {stage: dict(yields[_key(mass)][stage]) for stage in STAGES},
                "signal": _signal(generated, mass),
                "selections": [one[i] for one in selections],
                "cross_section": _section(sections, mass),
                "further": _limits(limits, mass),
            }
            for i, (mass, fit) in enumerate(zip(windows.mass.tolist(), windows.fits, strict=True))
        ]
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(
            f"{output.selection_cutflow} or {output.features_cutflow} is damaged or does not "
            f"belong to the windows in {output.windows} ({error!r}); delete both and run `make` "
            "again."
        ) from error
    return {
        "luminosity": sensitivity.luminosity,
        "network": network,
        "halfWidth": HALF_WIDTH,
        "labels": {name: labels.get(name, name) for name in _processes(hypotheses, labels)},
        "selections": [label for label, loss, _ in SELECTIONS if _of_loss(sensitivity, loss)],
        "particle": plain_label(windows.search.particle, windows.search.particle),
        "variable": {
            "title": variable.title,
            "unit": variable.plain_unit,
            "centre": centre_of(variable),
            "mass": variable.mass.title,
            "squared": variable.dimension == 2,
        },
        "spectrum": _spectrum(output.histograms, variable.mass),
        "hypotheses": hypotheses,
    }


def _key(mass: float) -> int:
    """A mass as something that can be looked up: never by rank, never by exact equality."""
    return round(mass / MASS_TOLERANCE)


def _processes(hypotheses: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> list[str]:
    """All processes with yields: the signal first, then in the order of the labels.

    Args:
        hypotheses: As `lookup_data` collects them.
        labels: How the page writes each process.
    """
    found = dict.fromkeys(name for row in hypotheses for name in row["yields"]["before"])
    order = [SIGNAL, *labels, *found]
    return [name for name in dict.fromkeys(order) if name in found]


def _of_loss(sensitivity: Sensitivity, loss: str) -> list[str]:
    """Networks that were trained with a loss."""
    return [name for name in sensitivity.networks if name.split("-")[0] == loss]


def _selections(sensitivity: Sensitivity, network: str) -> list[list[dict[str, Any]]]:
    """What each selection achieves for each hypothesis.

    Args:
        sensitivity: What the networks achieve.
        network: The network that is shown; of another loss, that with the same number.

    Returns:
        For each selection that there is a network for and each hypothesis, cut on the output
        after the sigmoid, efficiency, background, σ_min and its error, and the mean σ_min over
        all networks of this loss.
    """
    number = network.rsplit("-", 1)[-1]
    result = []
    for _, loss, cut in SELECTIONS:
        names = _of_loss(sensitivity, loss)
        if not names:
            continue
        shown = f"{loss}-{number}" if f"{loss}-{number}" in names else names[0]
        chosen: Selection = getattr(sensitivity.networks[shown], cut)
        every = np.array([getattr(sensitivity.networks[n], cut).sigma_min for n in names])
        found = np.isfinite(every).sum(axis=0)
        mean = np.full(every.shape[1], np.inf)
        error = np.full(every.shape[1], np.inf)
        whole = found == len(names)
        mean[whole] = every[:, whole].mean(axis=0)
        if len(names) > 1:
            error[whole] = every[:, whole].std(axis=0, ddof=1) / math.sqrt(len(names))
        columns = {
            "cut": 1 / (1 + np.exp(-chosen.cut)),
            "efficiency": chosen.efficiency,
            "background": chosen.background,
            "sigma": chosen.sigma_min,
            "error": chosen.sigma_min_error,
            "mean": mean,
            "meanError": error,
        }
        result.append(
            [
                {
                    **{key: _finite(column[i]) for key, column in columns.items()},
                    "networks": len(names),
                }
                for i in range(len(sensitivity.mass))
            ]
        )
    return result


def _peaks(tensors: Path, windows: Windows) -> list[dict[str, list[float]]]:
    """Signal of each hypothesis in its own window.

    Args:
        tensors: Folder of the tensors.
        windows: The windows.

    Returns:
        For each hypothesis, efficiency in `PEAK_BINS` equal bins over its window, and error.

    Raises:
        InputError: If a tensor cannot be read.
    """
    names = ["mass", windows.search.variable.name, "weight"]
    tables = []
    try:
        for path in sorted(tensors.glob("*/*.parquet")):
            table = pq.read_table(
                path, columns=names, partitioning=None, page_checksum_verification=True
            )
            tables.append(table.filter(pc.is_valid(table["mass"])))
    except (OSError, pa.ArrowException, KeyError) as error:
        raise InputError(
            f"{tensors} holds a file that is no tensor of this software ({error}); run "
            "`punzinet features --force` again."
        ) from error
    mass, value, weight = (
        np.concatenate([table[name].to_numpy() for table in tables] or [np.zeros(0)])
        for name in names
    )
    index = windows.index_of(mass)
    inside = index >= 0
    index, value, weight = index[inside], value[inside], weight[inside]
    position = (value - windows.low[index]) / (windows.high[index] - windows.low[index])
    bins = np.clip((position * PEAK_BINS).astype(int), 0, PEAK_BINS - 1)
    flat = index * PEAK_BINS + bins
    size = len(windows) * PEAK_BINS
    content = np.bincount(flat, weight, size).reshape(-1, PEAK_BINS)
    spread = np.sqrt(np.bincount(flat, weight**2, size)).reshape(-1, PEAK_BINS)
    return [
        {"content": [float(f"{v:.4g}") for v in c], "error": [float(f"{v:.3g}") for v in e]}
        for c, e in zip(content, spread, strict=True)
    ]


def _spectrum(histograms: Path, mass: Quantity) -> dict[str, Any]:
    """Spectra of the backgrounds before and after the cut.

    Args:
        histograms: What the selection filled.
        mass: The mass that windows are in.

    Raises:
        InputError: If there are none.
    """
    axis = spectrum_axis(mass)
    result: dict[str, Any] = {"low": float(axis.edges[0]), "high": float(axis.edges[-1])}
    for stage in STAGES:
        backgrounds, _ = read_spectrum(histograms, stage, mass)
        result[stage] = {
            name: [float(f"{v:.5g}") for v in content]
            for name, content in zip(backgrounds.axes["process"], backgrounds.values(), strict=True)
        }
    return result


def _signal(generated: list[dict[int, Any]], mass: float) -> dict[str, int]:
    """Generated and found signal events of a mass, over all datasets that hold it."""
    rows = [rows[_key(mass)] for rows in generated if _key(mass) in rows]
    if not rows:
        return {}
    return {
        "generated": rows[0]["generated"],
        "usable": sum(row["usable"] for row in rows),
        "inside": sum(row["in_own_window"] for row in rows),
    }


def _section(sections: Mapping[str, Any], mass: float) -> float | None:
    """σ/g′² in fb as simulated, None where it is not known."""
    for name, section in sections.items():
        if name != "provenance" and _key(float(name)) == _key(mass):
            return _finite(section["sigma_over_g2_fb"])
    return None


def _limits(limits: Any, mass: float) -> list[list[Any]]:
    """Title, quantity and value of the expected limits at a mass; nothing where there are none."""
    if limits is None:
        return []
    title = f"Expected limits, {100 * limits['confidence_level']:g} % CL"
    for i, hypothesis in enumerate(limits["hypotheses"]):
        if _key(hypothesis["mass"]) != _key(mass):
            continue
        low, median, high = limits["selections"]["single"]["counting"][i][1:4]
        values = {
            "σ·B, one cut [fb]": median,
            "−1σ [fb]": low,
            "+1σ [fb]": high,
            "g′, one cut": coupling(median, hypothesis),
            "asymptotic [fb]": limits["selections"]["single"]["asymptotic"][i][2],
            "BCE net, best cuts [fb]": limits["selections"]["best"]["counting"][i][2],
        }
        return [[title, name, value] for name, value in values.items()]
    return []


def _finite(value: Any) -> float | None:
    """A number for JSON, which knows neither infinity nor NaN."""
    return float(value) if np.isfinite(value) else None
