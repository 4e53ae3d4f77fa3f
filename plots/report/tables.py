"""Tables of the report, each made of what one stage wrote.

What is missing in a result raises whatever looking it up raises; `read_tables` makes one sentence
of that.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from punzinet.analysis.io.files import read_result
from punzinet.analysis.manifest.hypotheses import is_training
from punzinet.plots.report.numbers import duration, number, text, with_error

#: More lines than this are shown in a box of their own that scrolls.
LONG = 15
#: How columns of `variations_table` are called; others are regions of mass or say it themselves.
EFFECTS = {"bce/best": "BCE, best cuts", "punzi/single": "Punzi-net, one cut"}
#: What can become of a measured entry.
FATES = ("kept", "rejected", "blinded")
#: A hundred years in seconds: no stage takes longer.
_LONGEST = 3.2e9


class Cell(NamedTuple):
    """One cell of a table.

    Attributes:
        text: What it says.
        detail: What stands smaller below.
        share: Length of the bar behind, 0 to 1; None for no bar.
        state: Whether what it says is good or bad.
    """

    text: str
    detail: str = ""
    share: float | None = None
    state: Literal["", "good", "bad"] = ""


class Table(NamedTuple):
    """A table whose first column names the lines, each as long as the header."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @property
    def long(self) -> bool:
        """Whether it has so many lines that it scrolls."""
        return len(self.rows) > LONG


def read_tables(
    path: Path, content: str, made_by: str, tables: Callable[[Any], list[Table]]
) -> list[Table]:
    """Make tables of a result; none where it is absent.

    Args:
        path: The JSON file.
        content: What it should hold, for the error.
        made_by: The command that makes it.
        tables: Turns what was read into tables.

    Raises:
        InputError: If the result is damaged.
    """
    if not path.exists():
        return []
    with read_result(path, content, made_by) as result:
        return tables(result)


def cells(values: Iterable[Any]) -> list[Cell]:
    """Plain cells of anything that can be written in one."""
    return [Cell(text(value)) for value in values]


def claims_tables(content: Any) -> list[Table]:
    """The claims of the paper with values, errors and targets; then numbers without a target."""
    rows: dict[str, list[list[Cell]]] = {"Claims as numbers": [], "Further numbers": []}
    for name, claim in content.items():
        if "value" not in claim:  # provenance
            continue
        target, words = claim.get("target"), _words(name)
        said = text(claim.get("text", "")).replace("σ_min", "σₘᵢₙ") or words
        rows["Further numbers" if target is None else "Claims as numbers"].append(
            [Cell(said, words), _both_errors(claim), Cell(text(target)), _verdict(claim.get("met"))]
        )
    header = ("claim", "value", "target", "")
    return [Table(caption, header, lines) for caption, lines in rows.items() if lines]


def variations_table(content: Any) -> list[Table]:
    """What variations of the recipe change, one thing at a time."""
    effects = list(content["variations"].values())
    first = effects[0]["numbers"]
    rows = [
        [
            Cell(text(effect["label"]), f"{effect['converged']} of {effect['networks']} converge"),
            *(_both_errors(effect["numbers"][name]) for name in first),
        ]
        for effect in effects
    ]
    header = [
        _words(name).replace("gev", "GeV")
        if name.endswith("_gev")
        else EFFECTS.get(name) or text(first[name]["text"])
        for name in first
    ]
    caption = "What the numbers depend on: mean σₘᵢₙ in fb, its ratio BCE over Punzi-net by mass"
    return [Table(caption, ("changed", *header), rows)]


def baselines_tables(title: str, content: Any) -> list[Table]:
    """Several methods judged on the same events, or the ranks of observables; else nothing."""
    if "observables" in content:
        ranks = content["observables"]
        caption = f"Ranks of observables; cross-entropy {number(content['cross_entropy'])}"
        header = [_words(key) for key in ranks[0]]
        return [Table(caption, header, [cells(rank.values()) for rank in ranks])]
    if not {"hypotheses", "baselines"} <= set(content):
        return []
    training = np.array([is_training(row["role"]) for row in content["hypotheses"]])
    rows = []
    for method in content["baselines"].values():
        sigma = np.array([np.inf if s is None else s for s in method["sigma_min"]], dtype=float)
        other = sigma[~training]
        rows.append(
            [
                Cell(text(method["label"])),
                Cell(with_error(float(sigma[training].mean()), method["mean_error"])),
                Cell(number(float(other.mean()) if len(other) else None)),
                Cell(number(float(np.median(sigma)))),
                Cell(number(int(np.isinf(sigma).sum()))),
            ]
        )
    columns = ("method", "mean, trained masses", "mean, other masses", "median", "masses not found")
    return [Table(f"{title.capitalize()}: minimum detectable cross-section in fb", columns, rows)]


def validation_table(content: Any) -> list[Table]:
    """Simulated quantities against published ones."""
    rows = [
        [
            Cell(_words(name), text(row.get("note") or "")),
            Cell(_measured(row["ours"], row.get("error"))),
            *cells([row.get("published"), row.get("ratio"), row.get("tolerance")]),
            _verdict(row.get("met")),
        ]
        for name, row in content.get("quantities", content).items()
        if "ours" in row
    ]
    header = ("quantity", "ours", "published", "ratio", "tolerance", "")
    return [Table("Simulation against published figures", header, rows)] if rows else []


def limits_table(content: Any) -> list[Table]:
    """Expected upper limits of the single cut and of the best cuts, by mass."""
    single, best = (content["selections"][name] for name in ("single", "best"))
    rows = [
        [
            Cell(f"{hypothesis['mass']:g}"),
            *cells([single["background"][i], *single["counting"][i][1:4]]),
            Cell(text(coupling(single["counting"][i][2], hypothesis))),
            *cells([single["asymptotic"][i][2], best["counting"][i][2]]),
        ]
        for i, hypothesis in enumerate(content["hypotheses"])
    ]
    level = f"{100 * content['confidence_level']:g} % CL"
    caption = f"Expected upper limits on σ·B at {level} in fb; exact Poisson sums where not said"
    header = ("mass [GeV]", "background", "−1σ", "median", "+1σ", "g′ (median)", "asymptotic")
    return [Table(caption, (*header, "BCE net, best cuts"), rows)]


def coupling(limit: float | None, hypothesis: Mapping[str, Any]) -> float | None:
    """The coupling g′ that a cross-section in fb belongs to; None where σ/g′² is not known."""
    section = hypothesis.get("sigma_over_g2_fb")
    return None if limit is None or section is None else math.sqrt(limit / section)


def cutflow_table(caption: str, events: str, content: Any) -> list[Table]:
    """The cutflows of all datasets side by side.

    Args:
        caption: What the table shows.
        events: Key of the raw number of events in each line.
        content: Of a stage, with `datasets`.
    """
    flows = {
        name: {line["step"]: (line[events], line["weight"]) for line in dataset["cutflow"]}
        for name, dataset in content["datasets"].items()
    }
    steps: list[str] = []  # of all datasets, each after those that it follows in its own
    for flow in flows.values():
        place = 0
        for step in flow:
            if step not in steps:
                steps.insert(place, step)
            place = steps.index(step) + 1
    rows = [[Cell(step)] for step in steps]
    for flow in flows.values():
        top = next(iter(flow.values()), (0, 0))[0]
        for row, step in zip(rows, steps, strict=True):
            count, weight = flow.get(step, (None, None))
            share = min(count / top, 1.0) if count is not None and top else 0.0
            shown = Cell("") if count is None else Cell(number(count), number(weight), share)
            row.append(shown)
    return [Table(caption, ["", *flows], rows)]


def completeness_table(caption: str, content: Any) -> list[Table]:
    """Entries read of every file against those present and expected.

    Args:
        caption: What the table shows.
        content: Of the features stage, of simulation or of data; data also says what became of
            the entries.

    Returns:
        A table with one line a dataset, and one a file where it has several.
    """
    datasets = content["datasets"]
    fates = [name for name in FATES if any(name in one for one in datasets.values())]
    rows = []
    for name, dataset in datasets.items():
        became = cells([*map(dataset.get, fates), dataset["duplicates"]["events"]])
        rows.append([Cell(name), Cell("all"), *_complete(dataset), *became])
        twice = dataset["duplicates"]["by_file"]
        for file in dataset["files"] if len(dataset["files"]) > 1 else ():
            became = cells([*[""] * len(fates), twice.get(file["file"], 0)])
            named = Cell(Path(file["file"]).name, file["file"])
            rows.append([Cell(""), named, *_complete(file), *became])
    header = ("dataset", "file", "read", "present", "expected", "", *fates, "events there twice")
    return [Table(caption, header, rows)]


def timing_table(folder: Path) -> tuple[list[Table], str]:
    """When each stage ran and for how long, from the records that it left, and how long in all.

    Raises:
        InputError: If one of the records is damaged.
    """
    timed = []
    for path in folder.glob("*.json"):
        with read_result(path, "times", f"punzinet {path.stem}") as record:
            if path.stem != "report" and {"started", "seconds"} <= set(record):
                seconds = float(record["seconds"])
                if not 0 <= seconds < _LONGEST:
                    raise ValueError(f"{seconds!r} is no duration")
                timed.append((str(record["started"]), seconds, path.stem))
    longest = max((seconds for _, seconds, _ in timed), default=0) or 1.0
    rows = [
        [Cell(name), Cell(started), Cell(duration(seconds), share=seconds / longest)]
        for started, seconds, name in sorted(timed)
    ]
    tables = [Table("Stages", ("stage", "started (UTC)", "took"), rows)] if rows else []
    return tables, duration(sum(seconds for _, seconds, _ in timed))


def _complete(counts: Mapping[str, Any]) -> list[Cell]:
    """Cells of entries read, present and expected, and whether they agree."""
    read, present, expected = (counts[key] for key in ("read", "present", "expected"))
    good = read == present and expected in {None, present}
    agreed = Cell("complete", state="good") if good else Cell("incomplete", state="bad")
    return [*cells([read, present, expected]), agreed]


def _verdict(met: Any) -> Cell:
    """Whether a target is met, by words and colour."""
    if met is None:
        return Cell("–")
    return Cell("met", state="good") if met else Cell("not met", state="bad")


def _both_errors(claim: Mapping[str, Any]) -> Cell:
    """A number with its error over the networks and, below, that from the simulated sample."""
    sample = claim.get("error_sample")
    below = f"sample: ± {number(sample, 2)}" if isinstance(sample, int | float) else ""
    return Cell(_measured(claim.get("value"), claim.get("error")), below)


def _measured(value: Any, error: Any) -> str:
    """A value with its error, where both are numbers."""
    if isinstance(value, int | float) and isinstance(error, int | float):
        return with_error(value, error)
    return text(value)


def _words(name: Any) -> str:
    """A key as a person reads it."""
    return str(name).replace("_", " ")
