"""Effects of systematic parameters as a table."""

from collections.abc import Iterable
from typing import Any

from punzinet.analysis.limits.systematics import parse_systematics
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.types import FloatArray
from punzinet.plots.report.tables import Table, make_table

POOR = 0.05  # statistical error of a factor that is worth a word
HEADER = ("parameter", "m [GeV]", "background [%]", "efficiency [%]", "limit [%]")
CAPTION = (
    "Systematic effects behind the single cut, one sigma up and down, and what they add to the "
    "median expected limit"
)


def systematics_tables(content: Any, points: Iterable[int] | None = None) -> list[Table]:
    """What each parameter does at some masses, by default at all, of systematics.json."""
    mass, parameters = parse_systematics(content)
    shown = [*range(len(mass))] if points is None else [*points]
    rows = [
        [name, f"{mass[i]:g}", _change(one.background[:, i]),
         _change(one.factor[SIGNAL_PROCESS][:, i]), f"{100 * one.impact[i]:+.2f}"]
        for name, one in parameters.items() for i in shown
    ]  # fmt: skip
    unknown = [
        f"{name} on {process} (± {100 * error.max():.0f} %)"
        for name, one in parameters.items()
        for process, error in one.error.items() if error.max() > POOR
    ]  # fmt: skip
    poor = f". Too few varied events know the effect of {', '.join(unknown)}" if unknown else ""
    return [make_table(f"{CAPTION}{poor}", HEADER, rows)]


def _change(factors: FloatArray) -> str:
    return " / ".join(f"{100 * (factor - 1):+.1f}" for factor in factors)
