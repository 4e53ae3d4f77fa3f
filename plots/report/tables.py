"""Tables of the report, and how any JSON result becomes some."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.manifest.hypotheses import is_training
from punzinet.analysis.paper.claims import REGIONS
from punzinet.plots.report.numbers import number, text, with_error

#: More lines than this are shown in a box of their own that scrolls.
LONG = 15
#: Results are looked into this deep.
DEPTH = 5
#: How columns of `variations_table` are called.
EFFECTS = {
    "bce/best": "BCE, best cuts",
    "punzi/single": "Punzi-net, one cut",
    **{name: words.removeprefix("from ") for name, words, *_ in REGIONS},
}


@dataclass(frozen=True)
class Cell:
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


@dataclass(frozen=True)
class Table:
    """A table whose first column names the lines.

    Attributes:
        caption: What it shows.
        header: Names of the columns.
        rows: Its lines, each as long as the header.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @property
    def long(self) -> bool:
        """Whether it has so many lines that it scrolls."""
        return len(self.rows) > LONG


def cells(values: Iterable[Any]) -> list[Cell]:
    """Plain cells of anything that can be written in one."""
    return [Cell(text(value)) for value in values]


def verdict(met: Any) -> Cell:
    """Whether a target is met, by words and colour."""
    if met is None:
        return Cell("–")
    return Cell("met", state="good") if met else Cell("not met", state="bad")


def claims_tables(content: Any) -> list[Table]:
    """The claims of the paper with values, errors and targets; then numbers without a target.

    Args:
        content: By claim, `value`, `error`, `target` and `met`; None if there are none.
    """
    claims = _named(content, "claims", "value")
    tables = {
        "Claims as numbers": [entry for entry in claims if entry[1].get("target") is not None],
        "Further numbers": [entry for entry in claims if entry[1].get("target") is None],
    }
    return [
        Table(caption, ("claim", "value", "target", ""), [_claim(*entry) for entry in entries])
        for caption, entries in tables.items()
        if entries
    ]


def _claim(name: str, claim: Mapping[str, Any]) -> list[Cell]:
    """One claim, its error over the networks and that from the simulated sample."""
    return [
        Cell(text(claim.get("text", "")).replace("σ_min", "σₘᵢₙ") or _words(name), _words(name)),
        _with_both_errors(claim),
        Cell(text(claim.get("target"))),
        verdict(claim.get("met")),
    ]


def variations_table(content: Any) -> Table | None:
    """What variations of the recipe change, one thing at a time.

    Args:
        content: By variation, its `label`, `networks`, `converged` and `numbers`; None if there
            are none.

    Raises:
        InputError: If it is something else.
    """
    if content is None:
        return None
    try:
        effects = list(content["variations"].values())
        names = list(effects[0]["numbers"])
        rows = [
            [
                Cell(
                    text(effect["label"]), f"{effect['converged']} of {effect['networks']} converge"
                ),
                *(_with_both_errors(effect["numbers"][name]) for name in names),
            ]
            for effect in effects
        ]
        header = [EFFECTS.get(name) or text(effects[0]["numbers"][name]["text"]) for name in names]
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise InputError(
            f"The variations of the recipe are damaged ({error!r}); run `punzinet paper --studies "
            "--force` again."
        ) from error
    caption = "What the numbers depend on: mean σₘᵢₙ in fb, its ratio BCE over Punzi-net by mass"
    return Table(caption, ("changed", *header), rows)


def baselines_table(title: str, content: Any) -> Table:
    """Several methods, judged on the same events.

    Args:
        title: What is compared.
        content: The hypotheses, and by method its `label`, `sigma_min` for each of them and the
            `mean_error` of its mean.

    Raises:
        InputError: If it is something else.
    """
    try:
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
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"The baselines are damaged ({error!r}); run `punzinet baselines --force` again."
        ) from error
    header = ("method", "mean, trained masses", "mean, other masses", "median", "masses not found")
    return Table(f"{title.capitalize()}: minimum detectable cross-section in fb", header, rows)


def validation_table(content: Any) -> Table | None:
    """Simulated quantities against published ones.

    Args:
        content: By quantity, `ours`, `published`, `ratio`, `tolerance` and `met`; None if there
            are none.
    """
    rows = [
        [
            Cell(_words(name), text(row.get("note") or "")),
            Cell(_measured(row.get("ours"), row.get("error"))),
            *cells([row.get("published"), row.get("ratio"), row.get("tolerance")]),
            verdict(row.get("met")),
        ]
        for name, row in _named(content, "quantities", "ours")
    ]
    header = ("quantity", "ours", "published", "ratio", "tolerance", "")
    return Table("Simulation against published figures", header, rows) if rows else None


def limits_table(content: Any) -> Table | None:
    """Expected upper limits of the single cut and of the best cuts, by mass.

    Args:
        content: What the limits stage wrote; None if it has not run.

    Raises:
        InputError: If it is something else.
    """
    if content is None:
        return None
    try:
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
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise InputError(
            f"The limits are damaged ({error!r}); run `punzinet limits --force` again."
        ) from error
    level = f"{100 * content['confidence_level']:g}"
    return Table(
        f"Expected upper limits on σ·B at {level} % CL in fb; exact Poisson sums where not said",
        (
            "mass [GeV]", "background", "−1σ", "median", "+1σ", "g′ (median)",
            "asymptotic", "BCE net, best cuts",
        ),
        rows,
    )  # fmt: skip


def coupling(limit: float | None, hypothesis: Mapping[str, Any]) -> float | None:
    """The coupling g′ that a cross-section in fb belongs to; None where σ/g′² is not known."""
    section = hypothesis.get("sigma_over_g2_fb")
    return None if limit is None or section is None else math.sqrt(limit / section)


def any_tables(title: str, content: Any, depth: int = DEPTH) -> list[Table]:
    """Write a JSON result whose shape is not known as tables.

    Provenance is left out: it has its own place in the report.

    Args:
        title: What the content is.
        content: What was read.
        depth: How much deeper to look.
    """
    if not isinstance(content, Mapping):
        rows = content if isinstance(content, list) else [content]
        if rows and all(isinstance(row, Mapping) for row in rows):
            return _records(title, rows)
        return [Table(title, ("entry", "value"), [cells(pair) for pair in enumerate(rows)])]
    inner = {key: value for key, value in content.items() if key != "provenance"}
    nested = {key: value for key, value in inner.items() if _is_nested(value)}
    plain = [cells((_words(k), v)) for k, v in inner.items() if k not in nested]
    tables = [Table(title, ("quantity", "value"), plain)] if plain else []
    columns = {key: value for key, value in nested.items() if isinstance(value, list)}
    if len(columns) > 1 and len(columns) == len(nested) and _same_length(columns.values()):
        lines = [cells(line) for line in zip(*columns.values(), strict=True)]
        return [*tables, Table(title, [_words(key) for key in columns], lines)]
    mappings = [value for value in nested.values() if isinstance(value, Mapping)]
    if len(mappings) > 1 and len(mappings) == len(nested) and _alike(mappings):
        lines = [
            [Cell(_words(key)), *cells(value.values())]
            for key, value in zip(nested, mappings, strict=True)
        ]
        return [*tables, Table(title, ["", *map(_words, mappings[0])], lines)]
    if depth > 0:
        for key, value in nested.items():
            inner_title = title if _words(key) == title else f"{title}: {_words(key)}"
            tables += any_tables(inner_title, value, depth - 1)
    return tables


def _named(content: Any, section: str, required: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The entries of a result that have what they need, by name.

    Args:
        content: By name, or a dictionary that holds such a one.
        section: The name under which it may hold it.
        required: Key without which an entry is something else, such as provenance.
    """
    if not isinstance(content, Mapping):
        return []
    inner = content.get(section)
    entries = inner if isinstance(inner, Mapping) else content
    return [
        (str(name), entry)
        for name, entry in entries.items()
        if isinstance(entry, Mapping) and required in entry
    ]


def _with_both_errors(claim: Mapping[str, Any]) -> Cell:
    """A number with its error over the networks and, below, that from the simulated sample."""
    sample = claim.get("error_sample")
    return Cell(
        _measured(claim.get("value"), claim.get("error")),
        f"sample: ± {number(sample, 2)}" if isinstance(sample, int | float) else "",
    )


def _measured(value: Any, error: Any) -> str:
    """A value with its error, where both are numbers."""
    if isinstance(value, int | float) and isinstance(error, int | float):
        return with_error(value, error)
    return text(value)


def _records(title: str, rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """One table of entries that are alike, without what is nested in them."""
    keys = dict.fromkeys(key for row in rows for key in row if not _is_nested(row[key]))
    lines = [cells(row.get(key) for key in keys) for row in rows]
    return [Table(title, [_words(key) for key in keys], lines)]


def _is_nested(value: Any) -> bool:
    """Whether a value needs more than one cell."""
    if isinstance(value, list):
        return len(value) > DEPTH or any(isinstance(item, list | Mapping) for item in value)
    return isinstance(value, Mapping)


def _same_length(columns: Iterable[Sequence[Any]]) -> bool:
    """Whether columns fit side by side and hold no more than one cell a line."""
    lists = list(columns)
    return len({len(column) for column in lists}) == 1 and not any(
        _is_nested(item) for column in lists for item in column
    )


def _alike(mappings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether entries have the same keys and nothing nested."""
    return all(
        list(mapping) == list(mappings[0]) and not any(map(_is_nested, mapping.values()))
        for mapping in mappings
    )


def _words(name: Any) -> str:
    """A key as a person reads it."""
    return str(name).replace("_", " ")
