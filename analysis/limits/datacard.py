"""Datacards of combine: text for counting experiments, and ROOT histograms beside it for shapes.

They say what the HistFactory workspace of one channel says, in the words of combine (CMS,
arXiv:2404.06614): ``r`` is the cross-section in fb. Factors become ``lnN``, varied templates
``shape``, free normalisations ``rateParam``. The finite simulated sample becomes ``gmN`` where
events are counted, which needs whole ones: they are rounded down, lest a limit gains. Of templates
it becomes the errors of the bins, for each process its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hist import Hist, axis, storage

from punzinet.analysis.io.files import atomic_path
from punzinet.analysis.io.output import digest
from punzinet.analysis.io.reproducible_root import create_root_file
from punzinet.analysis.limits.model import POI
from punzinet.analysis.types import FloatArray

HEADER = "# r is the cross-section times branching fraction in fb"
#: Modifiers of HistFactory for the finite simulated sample.
STATISTICS = ("shapesys", "staterror")
ALMOST = 1e-6  # what a whole number of events may lack by rounding
#: Effective events in a bin above which combine would join the processes: none.
THRESHOLD = 10**9


def write_datacards(
    folder: Path,
    workspaces: Mapping[str, Mapping[str, Any]],
    edges: Mapping[str, Sequence[float]] | None = None,
) -> list[Path]:
    """Write the cards of workspaces, by file name without suffix, and return the files.

    Where there are edges of bins, by the same names, histograms stand beside the card; without them
    a workspace has one bin. InputError if the folder takes no files.
    """
    written = []
    for name, workspace in workspaces.items():
        path = folder / f"{name}.txt"
        histograms = f"{name}.root" if edges else None
        with atomic_path(path) as partial:
            partial.write_text(datacard(workspace, histograms), "utf-8")
        written.append(path)
        if edges and histograms:
            content = [workspace, edges[name]]
            with create_root_file(folder / histograms, digest(content)) as file:
                for title, histogram in _histograms(workspace, edges[name]):
                    file[title] = histogram
            written.append(folder / histograms)
    return written


def datacard(workspace: Mapping[str, Any], histograms: str | None = None) -> str:
    """Text of the card of a workspace with one channel; of several bins with ROOT histograms."""
    (channel,), (observation,) = workspace["channels"], workspace["observations"]
    samples, names = channel["samples"], [sample["name"] for sample in channel["samples"]]
    totals = [sum(sample["data"]) for sample in samples]
    shapes = _names(samples, "histosys")
    rows, free = [], []
    for name in _names(samples, "normsys", "histosys"):
        cells = [_cell(sample, name, shape=name in shapes) for sample in samples]
        rows.append([name, "shape" if name in shapes else "lnN", *cells])
    for i, sample in enumerate(samples):
        for modifier in sample["modifiers"]:
            if modifier["type"] == "normfactor" and modifier["name"] != POI:
                free.append([modifier["name"], "rateParam", channel["name"], names[i], "1"])
            if modifier["type"] in STATISTICS and histograms is None:
                effective = (totals[i] / modifier["data"][0]) ** 2
                whole = max(int(effective + ALMOST), 1)
                cells = [_text(totals[i] / whole) if j == i else "-" for j in range(len(samples))]
                rows.append([modifier["name"], f"gmN {whole}", *cells])
    if histograms is not None and _names(samples, *STATISTICS):
        free.append([channel["name"], "autoMCStats", str(THRESHOLD)])
    source = [f"shapes * * {histograms} $PROCESS $PROCESS_$SYSTEMATIC"] if histograms else []
    numbers = (POI in _names([sample], "normfactor") for sample in samples)
    columns = [
        ["bin", "", *[channel["name"]] * len(samples)],
        ["process", "", *names],
        ["process", "", *("0" if signal else str(i) for i, signal in enumerate(numbers, 1))],
        ["rate", "", *map(_text, totals)],
    ]
    about = [HEADER, f"# {workspace['measurements'][0]['name']}", "imax 1", "jmax *", "kmax *"]
    seen = [f"bin {channel['name']}", f"observation {_text(sum(observation['data']))}"]
    parts = about, source, seen, _aligned(columns), _aligned(rows), [*map(" ".join, free)]
    return f"{'-' * 20}\n".join("".join(f"{line}\n" for line in part) for part in parts if part)


def _names(samples: list[Any], *types: str) -> list[str]:
    """Names of the modifiers of some types, in the order in which they come."""
    found = (m["name"] for s in samples for m in s["modifiers"] if m["type"] in types)
    return [*dict.fromkeys(found)]


def _variation(sample: Mapping[str, Any], name: str) -> tuple[FloatArray, FloatArray] | None:
    """Contents (bins,) of a sample one sigma up and down in a parameter, None if it has none."""
    up = down = np.array(sample["data"], dtype=float)
    modifiers = [m for m in sample["modifiers"] if m["name"] == name]
    for modifier in modifiers:
        if modifier["type"] == "histosys":
            up, down = (np.array(modifier["data"][key]) for key in ("hi_data", "lo_data"))
    for modifier in modifiers:
        if modifier["type"] == "normsys":
            up, down = up * modifier["data"]["hi"], down * modifier["data"]["lo"]
    return (up, down) if modifiers else None


def _cell(sample: Mapping[str, Any], name: str, *, shape: bool) -> str:
    """What a card says of a parameter and a sample: 1 of a template, else a factor or down/up."""
    if (variation := _variation(sample, name)) is None:
        return "-"
    up, down = (float(one.sum() / sum(sample["data"])) for one in variation)
    symmetric = np.isclose(up * down, 1, rtol=1e-9)
    return "1" if shape else _text(up) if symmetric else f"{_text(down)}/{_text(up)}"


def _histograms(
    workspace: Mapping[str, Any], edges: Sequence[float]
) -> Iterator[tuple[str, Hist[Any]]]:
    """All histograms of a workspace by the names that its card gives them."""
    samples = workspace["channels"][0]["samples"]
    yield "data_obs", _histogram(edges, np.array(workspace["observations"][0]["data"]))
    for sample in samples:
        errors = [np.array(m["data"]) for m in sample["modifiers"] if m["type"] in STATISTICS]
        yield sample["name"], _histogram(edges, np.array(sample["data"]), *errors)
        for name in _names(samples, "histosys"):
            if (variation := _variation(sample, name)) is not None:
                for direction, varied in zip(("Up", "Down"), variation, strict=True):
                    yield f"{sample['name']}_{name}{direction}", _histogram(edges, varied)


def _histogram(edges: Sequence[float], contents: FloatArray, error: Any = 0.0) -> Hist[Any]:
    """Histogram of contents (bins,) with errors (bins,)."""
    made = Hist(axis.Variable(edges, flow=False), storage=storage.Weight())
    made.view()["value"] = contents
    made.view()["variance"] = error**2
    return made


def _aligned(rows: list[list[str]]) -> list[str]:
    """Rows of words with the words of a column below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ([word.ljust(n) for word, n in zip(row, widths, strict=True)] for row in rows)
    return ["  ".join(line).rstrip() for line in lines]


def _text(value: float) -> str:
    """A number with as many digits as matter."""
    return f"{value:.12g}"
