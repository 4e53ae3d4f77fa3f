"""Tables of the report, each made of what one stage wrote, and how they write numbers.

What is missing in a result raises KeyError or the like, of which `read_tables` makes one sentence.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rich.table
from rich.text import Text

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import read_result
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.sections import read_hypotheses
from punzinet.analysis.observables import Quantity
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.windows import Windows

#: Headings of the columns of `variations_table` that are no regions of mass.
EFFECTS = {"bce/best": "BCE, best cuts", "punzi/single": "Punzi-net, one cut"}
FATES = ("kept", "rejected", "blinded")  # what can become of a measured entry
DIGITS = 4  # of a number that comes without an uncertainty
_SUPERSCRIPTS = str.maketrans("+-0123456789", "⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Cell(NamedTuple):
    """One cell of a table."""

    text: str
    detail: str = ""  # stands smaller below
    share: float | None = None  # length of the bar behind, 0 to 1
    state: str = ""  # or good, or bad


class Table(NamedTuple):
    """A table whose first column names the lines, each as long as the header."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def make_table(caption: str, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> Table:
    """Make a table of cells, texts and numbers; a dash for None."""

    def cell(value: Any) -> Cell:
        if isinstance(value, Cell):
            return value
        is_number = value is None or isinstance(value, int | float)
        return Cell(number(value) if is_number else str(value))

    return Table(caption, header, [[*map(cell, row)] for row in rows])


def in_terminal(table: Table) -> rich.table.Table:
    """Make the same table for a terminal, of which not every one knows narrow letters."""
    columns = (rich.table.Column(name, overflow="fold") for name in table.header)
    shown = rich.table.Table(*columns, title=table.caption.replace("ₘᵢₙ", "_min"))
    for row in table.rows:
        said = ("\n".join(filter(None, (cell.text, cell.detail))) for cell in row)
        plain = (one.replace("ₘᵢₙ", "_min").replace("\u202f", " ") for one in said)
        styles = ("red" if cell.state == "bad" else "" for cell in row)
        shown.add_row(*map(Text, plain, styles))
    return shown


def read_tables(
    path: Path, content: str, made_by: str, make: Callable[..., list[Table]], *arguments: str
) -> list[Table]:
    """Make tables of arguments and of a result, a JSON file; none where it is absent.

    InputError if the result is damaged: it says what it should hold, and which command makes it.
    """
    if not path.exists():
        return []
    with read_result(path, content, made_by) as result:
        return make(*arguments, result)


def claims_tables(content: Any) -> list[Table]:
    """The claims of the paper with values, errors and targets; then numbers without a target."""
    rows: dict[str, list[list[Any]]] = {"Claims as numbers": [], "Further numbers": []}
    for name, claim in content.items():
        said = Cell(claim["text"].replace("σ_min", "σₘᵢₙ"), _words(name))
        row = [said, _measured(claim), claim["target"], _verdict(claim["met"])]
        rows["Further numbers" if claim["target"] is None else "Claims as numbers"].append(row)
    header = ("claim", "value", "target", "")
    return [make_table(caption, header, lines) for caption, lines in rows.items() if lines]


def variations_table(content: Any) -> list[Table]:
    """What variations of the recipe change, one thing at a time."""
    effects = list(content["variations"].values())
    first = effects[0]["numbers"]
    rows = []
    for effect in effects:
        converged = f"{effect['converged']} of {effect['networks']} converge"
        numbers = [_measured(effect["numbers"][name]) for name in first]
        rows.append([Cell(effect["label"], converged), *numbers])
    header = [EFFECTS.get(name) or _words(name).replace("gev", "GeV") for name in first]
    caption = "What the numbers depend on: mean σₘᵢₙ in fb, its ratio BCE over Punzi-net by mass"
    return [make_table(caption, ("changed", *header), rows)]


def baselines_tables(title: str, content: Any) -> list[Table]:
    """Several methods judged on the same events, or the ranks of observables."""
    if "observables" in content:
        ranks = content["observables"]
        caption = f"Ranks of observables; cross-entropy {number(content['cross_entropy'])}"
        return [make_table(caption, [*map(_words, ranks[0])], (rank.values() for rank in ranks))]
    mass, training = read_hypotheses(content["hypotheses"])
    low = (mass >= 1) & (mass <= 4)
    figure = FigureOfMerit.model_validate(content["figure_of_merit"])
    rows = []
    for method in content["baselines"].values():
        sigma = np.array([np.inf if s is None else s for s in method["sigma_min"]], dtype=float)
        unseen = np.equal(method["effective"], 0)[training].any()
        mean = below(figure.averaged(sigma[training]), unseen, method["mean_error"])
        others = [figure.averaged(sigma[m]) if m.any() else None for m in (~training, low)]
        missed = int(np.isinf(sigma).sum())
        rows.append([method["label"], mean, *others, float(np.median(sigma)), missed])
    average = ("average, trained masses", "other masses", "1 to 4 GeV")
    header = ("method", *average, "median", "masses not found")
    caption = f"{title.capitalize()}: minimum detectable cross-section in fb"
    return [make_table(caption, header, rows)]


def validation_table(content: Any) -> list[Table]:
    """Simulated quantities against published ones."""
    rows = []
    keys = ("published", "ratio", "tolerance")
    for name, row in content.items():
        if "ours" in row:
            named = Cell(_words(name), row.get("note", ""))
            ours = _measured({**row, "value": row["ours"]})
            rows.append([named, ours, *map(row.get, keys), _verdict(row.get("met"))])
    header = ("quantity", "ours", *keys, "")
    return [make_table("Simulation against published figures", header, rows)] if rows else []


def sidebands_table(content: Any) -> list[Table]:
    """What lies beside each window, and how well simulation predicts itself from there."""
    rows = []
    for row in content["rows"]:
        near = (row[name] for name in ("mass", "outer", "expected", "count"))
        factor = row["factor"] and with_error(row["factor"], row["factor"] * row["uncertainty"])
        check = (with_error(row[of], row[f"{of}_error"]) for of in ("predicted", "found"))
        rows.append([*near, factor, *check, number(row["pull"], 2)])
    header = ("mass [GeV]", "end at [σ]", "expected", "counted", "factor")
    columns = (*header, "window, predicted", "window, found", "pull")
    found = make_table("Sidebands", ("what was found",), [[line] for line in content["said"]])
    return [found, make_table("Events beside each window, and in it", columns, rows)]


def cutflow_table(caption: str, events: str, content: Any) -> list[Table]:
    """The cutflows of all datasets of a stage side by side; `events` is the key of raw numbers."""
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
    rows: list[list[Any]] = [[step] for step in steps]
    for flow in flows.values():
        top = next(iter(flow.values()), (0,))[0]
        for row in rows:
            if row[0] not in flow:  # the dataset does not have the step
                row.append("")
                continue
            count, weight = flow[row[0]]
            row.append(Cell(number(count), number(weight), min(count / top, 1.0) if top else 0.0))
    return [make_table(caption, ["", *flows], rows)]


def completeness_table(caption: str, content: Any) -> list[Table]:
    """Entries read against those present and expected, of simulation or of data.

    Data also says what became of them. Each dataset has a line, and each file where it has several.
    What counts more than once has a table of its own.
    """
    datasets, gone = content["datasets"], content.get("missing", [])
    fates = [name for name in FATES if any(name in one for one in datasets.values())]
    rows: list[list[Any]] = []
    for name, dataset in datasets.items():
        twice, missing = dataset["duplicates"], [row for row in gone if row["dataset"] == name]
        became = [dataset.get(fate) for fate in fates]
        rows.append([name, "all", *_complete(dataset, missing), *became, twice["events"]])
        files = [*dataset["files"], *missing]
        for file in files if len(files) > 1 else ():
            named = Cell(Path(file["file"]).name, file["file"])
            copies = twice["by_file"].get(file["file"], 0)
            rows.append(["", named, *_complete(file), *[""] * len(fates), copies])
    header = ("dataset", "file", "read", "present", "expected", "", *fates, "events there twice")
    tables = [make_table(caption, header, rows)]
    if said := content.get("twice"):
        heading = ("what it is, and what to do",)
        tables.append(make_table("What may count wrongly", heading, [[line] for line in said]))
    return tables


def timing_table(times: Iterable[tuple[str, float, str]]) -> tuple[Table, str]:
    """When each stage began and for how long it ran, s, by name; and how long in all."""
    timed = sorted(times)
    longest = max(seconds for _, seconds, _ in timed) or 1.0
    rows = [(name, start, Cell(_took(s), share=s / longest)) for start, s, name in timed]
    table = make_table("Stages", ("stage", "started (UTC)", "took"), rows)
    return table, _took(sum(seconds for _, seconds, _ in timed))


def _took(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def windows_table(windows: Windows) -> Table:
    """All windows with their fits."""
    rows = []
    for i, fit in enumerate(windows.fits):
        role = "trained" if windows.training[i] else "not trained"
        edges = (float(column[i]) for column in (windows.low, windows.high, windows.sigma))
        source = "fitted" if windows.fitted[i] else "interpolated"
        problem = fit.problem or "" if fit else "no signal"
        shape: list[Any] = [None] * 5
        if fit:
            width, quality = with_error(fit.sigma, fit.sigma_error), number(fit.chi2, 3)
            quality += f" / {fit.ndof}"
            shape = [width, fit.mean, fit.sigma_narrow, fit.sigma_wide, quality]
        rows.append([f"{windows.mass[i]:g}", role, *edges, Cell(source, problem), *shape])
    variable = windows.search.variable
    caption = f"Windows in the {variable.title} and the fits they come from, in "
    header = ("mass [GeV]", "network", "from", "to", "σ used", "source", "σ fitted")
    columns = (*header, f"mean − {centre_of(variable)}", "narrow σ", "wide σ", "χ² / ν")
    return make_table(caption + variable.plain_unit, columns, rows)


def centre_of(variable: Quantity) -> str:
    """The centre of the window of a mass m, in plain text."""
    return "m²" if variable.dimension == 2 else "m"


def networks_table(sensitivity: Sensitivity, output: OutputFolder) -> Table:
    """Where the training of networks ended, what they achieve; InputError if one is damaged."""
    rows: list[list[Any]] = []
    for name, network in sensitivity.networks.items():
        path = output.network(name) / "network.json"
        with read_result(path, "settings of a network", "punzinet train") as saved:
            settings = saved["settings"]
            why = "; ".join(settings["messages"])
            converged = _verdict(settings["converged"], "yes", "no", why)
            ended = settings["epoch"], settings["validation_loss"]
        cut = float(1 / (1 + np.exp(-network.single_cut)))
        trained, chosen = sensitivity.training, (network.single, network.optimal)
        average = sensitivity.figure_of_merit.averaged
        means = (below(average(one.sigma_min[trained]), one.bound[trained].any()) for one in chosen)
        rows.append([name, *ended, cut, *means, converged])
    caption = "Networks, and their σₘᵢₙ averaged over the trained masses in fb"
    header = ("network", "best epoch", "validation loss", "cut")
    return make_table(caption, (*header, "one cut", "best cuts", "converged"), rows)


def optimism_table(sensitivity: Sensitivity) -> Table:
    """Average σ_min behind the single cut on events of every fold."""
    rows: list[list[Any]] = []
    for name, network in sensitivity.networks.items():
        (*parts, last), (*others, judged) = network.by_events, network.by_events.values()
        unseen = network.single.bound[sensitivity.training].any()
        measured = below(judged, unseen, network.mean_error["single"])
        rows.append([name, *others, measured, *(judged / other for other in others)])
    caption = "Optimism: σₘᵢₙ of one cut averaged over the trained masses in fb, by events"
    return make_table(caption, ["network", *parts, last, *(f"{last} / {p}" for p in parts)], rows)


def _complete(counts: Mapping[str, Any], missing: Sequence[Any] = ()) -> list[Any]:
    """Entries of a dataset or a file, and whether they are all; a file may itself be missing."""
    if "reason" in counts:
        return [0, 0, counts["entries"], _verdict(False, no="missing", why=counts["reason"])]
    read, present, expected = (counts[key] for key in ("read", "present", "expected"))
    whole = read == present and expected in {None, present} and not missing
    return [read, present, expected, _verdict(whole, "complete", "incomplete")]


def _verdict(met: Any, yes: str = "met", no: str = "not met", why: str = "") -> Cell:
    """Whether a target is met, and if not, why; a dash if that is not known."""
    if met is None:
        return Cell("–")
    return Cell(yes, state="good") if met else Cell(no, why, state="bad")


def _measured(claim: Mapping[str, Any]) -> Cell:
    """A number with its error over the networks and, below, that from the simulated sample."""
    sample = claim.get("error_sample")
    below = "" if sample is None else f"sample: ± {number(sample, 2)}"
    return Cell(with_error(claim["value"], claim.get("error")), below)


def _words(name: str) -> str:
    return name.replace("_", " ")


def number(value: float | None, digits: int = DIGITS) -> str:
    """Write a number as people read it: a dash for None and NaN, whole numbers with all digits."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", "\u202f").replace("-", "−")
    if abs(value) >= 10**digits and abs(value) < 1e15:
        return number(round(value))
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    power = f"·10{str(int(exponent)).translate(_SUPERSCRIPTS)}" if exponent else ""
    return mantissa.replace("-", "−") + power


def with_error(value: float | None, error: float | None) -> str:
    """Write a number with its uncertainty, if that is known, both to the second digit of it."""
    if value is None or not error or not math.isfinite(value) or not math.isfinite(error):
        return number(value)
    places = 1 - math.floor(math.log10(abs(error)))
    if not -3 <= places <= 6:
        return f"{number(value)} ± {number(error, 2)}"
    shown = max(places, 0)
    return f"{round(value, places):.{shown}f} ± {round(error, places):.{shown}f}".replace("-", "−")


def below(value: float | None, bound: Any, error: float | None = None, digits: int = DIGITS) -> str:
    """Write a number with its uncertainty if that is known, as an upper limit if it is one."""
    written = with_error(value, error) if error else number(value, digits)
    return f"< {written}" if bound and value is not None and math.isfinite(value) else written


def plain_label(name: str, mathtext: str) -> str:
    r"""Write a label of figures without TeX, for example ``$\tau^+\tau^-$`` as ``τ⁺τ⁻``.

    The name stands where the label has more TeX than Greek letters and superscripts.
    """

    def greek(match: re.Match[str]) -> str:
        if match[1] == "to":
            return " → "
        letter = match[1].replace("lambda", "lamda")
        try:
            return unicodedata.lookup(f"GREEK SMALL LETTER {letter.upper()}")
        except KeyError:
            return match[0]

    plain = re.sub(r"\\([a-z]+) ?", greek, mathtext)
    plain = re.sub(r"\\mathrm\{([^{}]*)\}", r"\1", plain)
    plain = re.sub(r"\^([-+0-9])", lambda match: match[1].translate(_SUPERSCRIPTS), plain)
    plain = plain.replace("$", "").replace("'", "′")
    return name if re.search(r"[\\^_{}]", plain) else plain
