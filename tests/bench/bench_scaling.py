"""Scaling of the columnar stages: with workers, with events and with files; memory of a worker.

`python tests/bench/bench_scaling.py output/bench.json` draws it, and docs/scaling.md shows it.
"""

import itertools
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from ntuples import prepare, run_stages, simulate
from stage import WORKERS, Figures, measure

from punzinet.analysis.io.files import read_json
from punzinet.plots import style

EVENTS = (100_000, 1_000_000, 12_000_000)  # of a single file
FILES = (10, 100, 1000)  # that the largest number of events is spread over
BILLIONS = 10  # 10⁹ events of the sample that rates are extrapolated to
RUN = re.compile(r"scaling\.(\w+)\.(\d+)_workers\.(\d+)_files\.(\d+)_events\.seconds")
LINES = {1: (style.BLUE, style.DASHED), 2: (style.RED, "-")}
"""Colour and dash by number of workers."""
MARKERS = {"features": "o", "select": "^"}
GALLERY = Path(__file__).parents[2] / "plots" / "gallery"


def run() -> Figures:
    figures: Figures = {}
    rates: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder / "simulated")
        configurations = [(1, events) for events in EVENTS] + [(n, EVENTS[-1]) for n in FILES]
        for files, events in configurations:
            place = folder / f"{files}_files_{events}"
            place.mkdir()
            paths = [place / f"background_{i:04d}.root" for i in range(files)]
            prepare(place, folder / "simulated", paths, events)
        measure(folder / f"1_files_{EVENTS[0]}", "features")  # compiles, and warms caches up
        for files, events in configurations:
            place = folder / f"{files}_files_{events}"
            for workers in sorted({1, WORKERS} if files == 1 else {WORKERS}):
                for stage, (taken, rate) in run_stages(place, workers).items():
                    if (files, events, workers) == (1, EVENTS[-1], WORKERS):
                        rates[stage] = rate
                    label = f"scaling.{stage}.{workers}_workers.{files}_files.{events}_events"
                    figures[f"{label}.seconds"] = (taken.seconds, "s")
                    figures[f"{label}.worker_memory_mib"] = (taken.worker_memory, "MiB")
        tensors = place / "output" / "tensors" / "background"
        size = sum(path.stat().st_size for path in tensors.iterdir()) / EVENTS[-1]
    for stage, rate in rates.items():
        figures[f"scaling.{stage}.steady_events_per_s"] = (rate, "1/s")
        hours = BILLIONS * 1e9 / rate / 3600
        label = f"scaling.{BILLIONS}e9_events.{stage}"
        figures[f"{label}_hours"] = (hours, "h")
        figures[f"{label}_core_hours"] = (WORKERS * hours, "h")
    figures["scaling.parquet_bytes_per_event_read"] = (size, "B")
    return figures


def draw(bench: Path) -> None:
    """Put a picture of a ``bench.json`` where the documentation shows it.

    It shows events per second against the events of one file, and against the files of as many.
    """
    figures = read_json(bench, "make bench")["figures"]
    matches = [(RUN.fullmatch(name), figure["value"]) for name, figure in figures.items()]
    runs = [(match[1], *map(int, match.groups()[1:]), s) for match, s in matches if match]
    most = max(events for _, _, _, events, _ in runs)
    with style.style(), tempfile.TemporaryDirectory() as folder:
        figure, (left, right) = style.new_figure(0.75, ncols=2, sharey=True)
        for stage, workers in itertools.product(MARKERS, sorted({run[1] for run in runs})):
            colour, dash = LINES.get(workers, (style.VIOLET, style.DOTTED))
            look = {"color": colour, "linestyle": dash, "marker": MARKERS[stage]}
            label = f"{stage}, {workers} worker{'' if workers == 1 else 's'}"
            own = [run[2:] for run in runs if run[:2] == (stage, workers)]
            one = np.array(sorted((n, n / s) for files, n, s in own if files == 1))
            left.plot(*one.T, **look, label=label)
            same = np.array(sorted((files, n / s) for files, n, s in own if n == most))
            if len(same) > 1:
                right.plot(*same.T, **look)
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_yscale("log")
        left.set_xlabel("events in one file")
        right.set_xlabel(f"files ({most / 1e6:g} million events)")
        left.set_ylabel("events per second")
        left.set_ylim(left.get_ylim()[0], 4 * left.get_ylim()[1])  # room for the legend
        left.legend(loc="upper left")
        style.add_label(left, label="Start and end included")
        style.save(figure, Path(folder), "scaling")
        shutil.copy(Path(folder) / "scaling.png", GALLERY)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
