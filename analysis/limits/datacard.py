"""Workspaces as files, and as datacards of combine: text, and ROOT histograms beside it for shapes.

A card says what the HistFactory workspace of one channel says, in the words of combine (CMS,
arXiv:2404.06614): ``r`` is the cross-section in fb. Factors become ``lnN``, varied templates with
their factors ``shape``. The finite simulated sample becomes ``gmN`` where events are counted, which
needs whole ones: they are rounded down, lest a limit gains. Of templates it becomes the errors of
the bins, for each process its own.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hist import Hist, axis, storage
from numpy.typing import ArrayLike

from punzinet.analysis.io.files import write_json, write_whole
from punzinet.analysis.io.output import digest
from punzinet.analysis.io.reproducible_root import create_root_file
from punzinet.analysis.limits.model import POI, modifiers
from punzinet.analysis.types import FloatArray

HEADER = "# r is the cross-section times branching fraction in fb"
ALMOST = 1e-6  # what a whole number of events may lack by rounding
#: Effective events in a bin above which combine would join the processes: none.
THRESHOLD = 10**9


def write_workspaces(
    folders: tuple[Path, Path],
    workspaces: Mapping[str, Mapping[str, Any]],
    edges: Mapping[str, Sequence[float]] | None = None,
) -> list[Path]:
    """Write workspaces, by file name without suffix, and their cards, and return the files.

    The first folder is that of the workspaces. Where there are edges of bins, by the same names,
    histograms stand beside the card; without them a workspace has one bin. InputError if a folder
    takes no files.
    """
    written, cards = [folders[0] / f"{name}.json" for name in workspaces], list[Path]()
    for path, (name, workspace) in zip(written, workspaces.items(), strict=True):
        write_json(path, workspace)
        card = datacard(workspace, f"{name}.root" if edges else None)
        cards.append(write_whole(folders[1] / f"{name}.txt", card))
        if edges:
            cards.append(cards[-1].with_name(f"{name}.root"))
            _write_histograms(cards[-1], workspace, edges[name])
    return written + cards


def _write_histograms(path: Path, workspace: Mapping[str, Any], edges: Sequence[float]) -> None:
    """Write the observation, samples with errors of their bins, and what parameters vary."""
    samples = workspace["channels"][0]["samples"]
    errors = {i: of[i] for of in modifiers(samples, "shapesys").values() for i in of}
    with create_root_file(path, digest([workspace, edges])) as file:
        file["data_obs"] = _histogram(edges, workspace["observations"][0]["data"])
        for i, sample in enumerate(samples):
            file[sample["name"]] = _histogram(edges, sample["data"], errors.get(i, 0.0))
        for (parameter, i), both in _varied(samples).items():
            for way, content in zip(("Up", "Down"), both, strict=True):
                file[f"{samples[i]['name']}_{parameter}{way}"] = _histogram(edges, content)


def datacard(workspace: Mapping[str, Any], histograms: str | None = None) -> str:
    """Text of the card of a workspace with one channel; of several bins with ROOT histograms."""
    (channel,), (observation,) = workspace["channels"], workspace["observations"]
    samples, last = channel["samples"], list[str]()
    totals, every = [sum(sample["data"]) for sample in samples], range(len(samples))
    varied = _varied(samples)
    shapes = dict.fromkeys(name for name, _ in varied)
    rows = [
        [name, "lnN", *(_factor(of[i]) if i in of else "-" for i in every)]
        for name, of in modifiers(samples, "normsys").items() if name not in shapes
    ]  # fmt: skip
    rows += [[of, "shape", *("1" if (of, i) in varied else "-" for i in every)] for of in shapes]
    statistics = modifiers(samples, "shapesys")
    if histograms is not None and statistics:
        last = [f"{channel['name']} autoMCStats {THRESHOLD}"]
    for name, of in statistics.items() if histograms is None else ():
        ((own, (error,)),) = of.items()
        whole = max(int((totals[own] / error) ** 2 + ALMOST), 1)
        cells = [_text(totals[own] / whole) if i == own else "-" for i in every]
        rows.append([name, f"gmN {whole}", *cells])
    source = [f"shapes * * {histograms} $PROCESS $PROCESS_$SYSTEMATIC"] if histograms else []
    signal = modifiers(samples, "normfactor")[POI]
    columns = [
        ["bin", "", *[channel["name"]] * len(samples)],
        ["process", "", *(sample["name"] for sample in samples)],
        ["process", "", *("0" if i in signal else str(i + 1) for i in every)],
        ["rate", "", *map(_text, totals)],
    ]
    about = [HEADER, f"# {workspace['measurements'][0]['name']}", "imax 1", "jmax *", "kmax *"]
    seen = [f"bin {channel['name']}", f"observation {_text(sum(observation['data']))}"]
    parts = about, source, seen, _aligned(columns), _aligned(rows), last
    return f"{'-' * 20}\n".join("".join(f"{line}\n" for line in part) for part in parts if part)


def _varied(samples: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], FloatArray]:
    """Templates (2, bins) up and down, by parameters that vary some, and number of the sample."""
    found, factors = dict[tuple[str, int], FloatArray](), modifiers(samples, "normsys")
    for name, of in modifiers(samples, "histosys").items():
        for i in sorted(of.keys() | factors.get(name, {})):
            both = np.array(
                [of[i]["hi_data"], of[i]["lo_data"]] if i in of else [samples[i]["data"]] * 2
            )
            scale = factors.get(name, {}).get(i, {"hi": 1.0, "lo": 1.0})
            found[name, i] = both * [[scale["hi"]], [scale["lo"]]]
    return found


def _factor(data: Mapping[str, float]) -> str:
    """What a card says of a parameter and a sample: a factor, or down/up."""
    up, down = data["hi"], data["lo"]
    return _text(up) if np.isclose(up * down, 1, rtol=1e-9) else f"{_text(down)}/{_text(up)}"


def _histogram(edges: Sequence[float], contents: ArrayLike, error: ArrayLike = 0.0) -> Hist[Any]:
    """Histogram of contents (bins,) with errors (bins,), if they have any."""
    made = Hist(axis.Variable(edges, flow=False), storage=storage.Weight())
    made.view()["value"], made.view()["variance"] = contents, np.square(error)
    return made


def _aligned(rows: list[list[str]]) -> list[str]:
    """Rows of words with the words of a column below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ([word.ljust(n) for word, n in zip(row, widths, strict=True)] for row in rows)
    return ["  ".join(line).rstrip() for line in lines]


def _text(value: float) -> str:
    """A number with as many digits as matter."""
    return f"{value:.12g}"
