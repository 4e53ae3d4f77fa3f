"""`make bench`: measure speed and memory, write output/bench.json and print it as a table.

Every `bench_*.py` beside this file has a function `run()` that returns figures by name; names
are dotted, stage first. A figure's bound is a text such as ">= 1e6". Nothing fails here: the
machine decides how fast things are, and the table says which bounds hold on it.
"""

import argparse
import importlib
import operator
import os
import platform
import sys
from pathlib import Path
from typing import NotRequired, TypedDict

from rich.console import Console
from rich.table import Table

from punzinet.analysis.io.files import write_json
from punzinet.analysis.io.provenance import git_commit, versions


class Figure(TypedDict):
    """One measured number."""

    value: float
    unit: str
    bound: NotRequired[str]


def machine() -> dict[str, str | int | float]:
    """What the figures were measured on."""
    model = platform.processor()
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        names = [line for line in cpu.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "cores": os.cpu_count() or 1,
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def holds(figure: Figure) -> bool | None:
    """Whether a figure meets its bound, None where it has none."""
    if "bound" not in figure:
        return None
    sign, limit = figure["bound"].split()
    compare = {">=": operator.ge, "<=": operator.le}[sign]
    return bool(compare(figure["value"], float(limit)))


def main() -> None:
    """Run all benchmarks, or those whose names are given."""
    folder = Path(__file__).parent
    sys.path.insert(0, str(folder))
    names = sorted(path.stem.removeprefix("bench_") for path in folder.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("output"), help="output folder")
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(names)}; all by default")
    arguments = parser.parse_args()
    figures: dict[str, Figure] = {}
    for name in arguments.names or names:
        figures |= importlib.import_module(f"bench_{name}").run()
    table = Table("figure", "value", "unit", "bound", "met")
    for name, figure in figures.items():
        met = {None: "", True: "yes", False: "no"}[holds(figure)]
        table.add_row(name, f"{figure['value']:.4g}", figure["unit"], figure.get("bound", ""), met)
    Console().print(table)
    content = {"machine": machine(), "git_commit": git_commit(), "versions": versions()}
    write_json(arguments.output / "bench.json", {**content, "figures": figures})


if __name__ == "__main__":
    main()
