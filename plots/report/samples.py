"""Tables of what became of the events, of the windows, the networks and the stages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.files import read_json
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.observables import Quantity
from punzinet.analysis.sensitivity import NetworkSensitivity, Selection, Sensitivity
from punzinet.analysis.windows import Windows
from punzinet.plots.report.numbers import duration, number, with_error
from punzinet.plots.report.tables import Cell, Table, cells

#: A hundred years in seconds: no stage takes longer.
_LONGEST = 3.2e9
#: What can become of a measured entry.
FATES = ("kept", "rejected", "blinded")


def read_optional(path: Path, made_by: str) -> Any:
    """Read a JSON result that need not be there, None if it is not.

    Raises:
        InputError: If it is there, but no JSON.
    """
    return read_json(path, made_by) if path.exists() else None


def cutflow_table(caption: str, path: Path, made_by: str, events: str) -> Table | None:
    """The cutflows of all datasets side by side.

    Args:
        caption: What the table shows.
        path: The JSON file of a stage, with `datasets`.
        made_by: The command that makes it.
        events: Key of the raw number of events in each line.

    Returns:
        A table with one column a dataset; None if the stage has not run.

    Raises:
        InputError: If the file is something else.
    """
    content = read_optional(path, made_by)
    if content is None:
        return None
    try:
        flows = {
            name: {line["step"]: (line[events], line["weight"]) for line in dataset["cutflow"]}
            for name, dataset in content["datasets"].items()
        }
        steps = _in_order([list(flow) for flow in flows.values()])
        tops = {name: next(iter(flow.values()))[0] for name, flow in flows.items()}
        rows = [
            [
                Cell(step),
                *(_counted(flow.get(step), tops[name]) for name, flow in flows.items()),
            ]
            for step in steps
        ]
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError) as error:
        raise _damaged(path, made_by, error) from error
    return Table(caption, ["", *flows], rows)


def completeness_table(caption: str, path: Path) -> Table | None:
    """Entries read of every file against those present and expected.

    Args:
        caption: What the table shows.
        path: The JSON file of the features stage, of simulation or of data; data also says what
            became of the entries.

    Returns:
        A table with one line a dataset, and one a file where it has several; None if the stage
        has not run.

    Raises:
        InputError: If the file is something else.
    """
    content = read_optional(path, "punzinet features")
    if content is None:
        return None
    try:
        datasets = content["datasets"]
        fates = [name for name in FATES if any(name in one for one in datasets.values())]
        rows = []
        for name, dataset in datasets.items():
            became = cells([*map(dataset.get, fates), dataset["duplicates"]["events"]])
            rows.append([Cell(name), Cell("all"), *_complete(dataset), *became])
            if len(dataset["files"]) > 1:
                twice = dataset["duplicates"]["by_file"]
                rows += [
                    [
                        Cell(""),
                        Cell(Path(file["file"]).name, file["file"]),
                        *_complete(file),
                        *cells([*[""] * len(fates), twice.get(file["file"], 0)]),
                    ]
                    for file in dataset["files"]
                ]
    except (AttributeError, KeyError, TypeError) as error:
        raise _damaged(path, "punzinet features", error) from error
    header = ("dataset", "file", "read", "present", "expected", "", *fates, "events there twice")
    return Table(caption, header, rows)


def windows_table(windows: Windows) -> Table:
    """All windows with their fits."""
    rows = []
    for i, fit in enumerate(windows.fits):
        problem = fit.problem or "" if fit else "no signal"
        shape = (
            [with_error(fit.sigma, fit.sigma_error), fit.mean, fit.sigma_narrow, fit.sigma_wide]
            if fit
            else [None] * 4
        )
        rows.append(
            [
                Cell(f"{windows.mass[i]:g}"),
                Cell("trained" if windows.training[i] else "not trained"),
                *cells([windows.low[i].item(), windows.high[i].item(), windows.sigma[i].item()]),
                Cell("fitted" if windows.fitted[i] else "interpolated", problem),
                *cells(shape),
                Cell("–" if fit is None else f"{number(fit.chi2, 3)} / {fit.ndof}"),
            ]
        )
    variable = windows.search.variable
    return Table(
        f"Windows in the {variable.title} and the fits they come from, in {variable.plain_unit}",
        (
            "mass [GeV]",
            "network",
            "from",
            "to",
            "σ used",
            "source",
            "σ fitted",
            f"mean − {centre_of(variable)}",
            "narrow σ",
            "wide σ",
            "χ² / ν",
        ),
        rows,
    )


def centre_of(variable: Quantity) -> str:
    """The centre of the window of a mass m, in plain text."""
    return "m²" if variable.dimension == 2 else "m"


def mean_sigma_min(sensitivity: Sensitivity, network: NetworkSensitivity, cut: str) -> float:
    """Mean σ_min over the trained masses in fb; infinite if one of them is never found.

    Args:
        sensitivity: Knows which masses are trained.
        network: One of its networks.
        cut: Which cut of it.
    """
    selection: Selection = getattr(network, cut)
    return float(np.mean(selection.sigma_min[sensitivity.training]))


def networks_table(sensitivity: Sensitivity, output: OutputFolder) -> Table:
    """All networks: where their training ended, and what they achieve."""
    rows = []
    for name, network in sensitivity.networks.items():
        saved = read_json(output.network(name) / "network.json", "punzinet train")
        settings = saved.get("settings", {}) if isinstance(saved, Mapping) else {}
        means = [
            mean_sigma_min(sensitivity, network, cut) for cut in ("single", "optimal_in_training")
        ]
        cut = float(1 / (1 + np.exp(-network.single_cut)))
        rows.append(
            [
                Cell(name),
                *cells([settings.get("epoch"), settings.get("validation_loss"), cut, *means]),
                _converged(settings),
            ]
        )
    return Table(
        "Networks, and their σₘᵢₙ averaged over the trained masses in fb",
        ("network", "best epoch", "validation loss", "cut", "one cut", "best cuts", "converged"),
        rows,
    )


def timing_table(folder: Path) -> tuple[Table | None, float]:
    """When each stage ran and for how long.

    Args:
        folder: Where the records of the stages lie.

    Returns:
        The table, None where no stage has left its times, and the sum of all durations, s.

    Raises:
        InputError: If one of the records is damaged.
    """
    records = {
        path.stem: read_json(path, f"punzinet {path.stem}") for path in folder.glob("*.json")
    }
    timed = {}
    for name, record in records.items():
        if isinstance(record, Mapping) and {"started", "seconds"} <= set(record):
            try:
                timed[name] = str(record["started"]), _seconds(record["seconds"])
            except (TypeError, ValueError) as error:
                raise _damaged(folder / f"{name}.json", f"punzinet {name}", error) from error
    if not timed:
        return None, 0.0
    longest = max(seconds for _, seconds in timed.values()) or 1.0
    rows = [
        [Cell(name), Cell(started), Cell(duration(seconds), share=seconds / longest)]
        for name, (started, seconds) in sorted(timed.items(), key=lambda item: item[1])
        if name != "report"
    ]
    total = sum(seconds for name, (_, seconds) in timed.items() if name != "report")
    return Table("Stages", ("stage", "started (UTC)", "took"), rows), total


def _converged(settings: Mapping[str, Any]) -> Cell:
    """Whether a training ended well, and why not.

    Args:
        settings: What the network says of its training; older ones do not say.
    """
    if "converged" not in settings:
        return Cell("–")
    if settings["converged"]:
        return Cell("yes", state="good")
    return Cell("no", "; ".join(map(str, settings.get("messages", ()))), state="bad")


def _seconds(value: Any) -> float:
    """How long a stage took.

    Raises:
        ValueError: If nothing takes so long, or so little.
    """
    if not 0 <= float(value) < _LONGEST:
        raise ValueError(f"{value!r} is no duration")
    return float(value)


def _complete(counts: Mapping[str, Any]) -> list[Cell]:
    """Cells of entries read, present and expected, and whether they agree."""
    read, present, expected = (counts[key] for key in ("read", "present", "expected"))
    good = read == present and expected in {None, present}
    verdict = Cell("complete", state="good") if good else Cell("incomplete", state="bad")
    return [*cells([read, present, expected]), verdict]


def _counted(line: tuple[float, float] | None, top: float) -> Cell:
    """One line of the cutflow of one dataset: raw events above, weighted ones below."""
    if line is None:
        return Cell("")
    events, weight = line
    share = min(events / top, 1.0) if top else 0.0
    return Cell(number(events), number(weight), share)


def _in_order(lists: Sequence[Sequence[str]]) -> list[str]:
    """All names of several lists, each after those that it follows in its own list."""
    merged: list[str] = []
    for names in lists:
        place = 0
        for name in names:
            if name in merged:
                place = merged.index(name) + 1
            else:
                merged.insert(place, name)
                place += 1
    return merged


def _damaged(path: Path, made_by: str, error: Exception) -> InputError:
    """Say that a file is not what it should be."""
    return InputError(
        f"{path} is damaged ({error!r}); delete it and run `{made_by} --force` again."
    )
