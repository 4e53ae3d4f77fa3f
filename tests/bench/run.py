"""`make bench`: measure speed and memory, write output/bench.json and print it as a table.

Every `bench_*.py` beside this file has a function `run()` that returns `stage.Figures`. Nothing
fails here: the machine decides how fast things are, and the table says which bounds hold on it.
"""

import argparse
import importlib
import operator
import os
import platform
import re
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from punzinet.analysis.io.files import write_json
from punzinet.analysis.io.output import git_commit, versions


def machine():
    cpu = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpu.read_text() if cpu.exists() else "")
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def met(value, bound):
    sign, _, limit = bound.partition(" ")
    holds = {">=": operator.ge, "<=": operator.le}.get(sign)
    return "" if holds is None else "yes" if holds(value, float(limit)) else "no"


def main():
    folder = Path(__file__).parent
    names = sorted(path.stem.removeprefix("bench_") for path in folder.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("output"), help="output folder")
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(names)}; all by default")
    arguments = parser.parse_args()
    figures = {}
    table = Table("figure", "value", "unit", "bound", "met")
    for module in arguments.names or names:
        for name, figure in importlib.import_module(f"bench_{module}").run().items():
            value, unit, bound = (*figure, "")[:3]
            figures[name] = {"value": value, "unit": unit} | ({"bound": bound} if bound else {})
            table.add_row(name, f"{value:.4g}", unit, bound, met(value, bound))
    Console().print(table)
    content = {"machine": machine(), "git_commit": git_commit(), "versions": versions()}
    write_json(arguments.output / "bench.json", {**content, "figures": figures})


if __name__ == "__main__":
    main()
