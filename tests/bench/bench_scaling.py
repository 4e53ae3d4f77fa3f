"""Scaling of the columnar stages: with workers, with events and with files; memory of a worker.

`python tests/bench/bench_scaling.py output/bench.json` draws it, and docs/scaling.md shows it.
"""

import itertools
import re
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
PICTURE = Path(__file__).parents[2] / "plots" / "gallery" / "scaling.png"


def run() -> Figures:
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder / "simulated")
        configurations = [(1, events) for events in EVENTS] + [(n, EVENTS[-1]) for n in FILES]
        places = {one: folder / "{}_files_{}".format(*one) for one in configurations}
        for (files, events), place in places.items():
            place.mkdir()
            paths = [place / f"background_{i:04d}.root" for i in range(files)]
            prepare(place, folder / "simulated", paths, events)
        measure(places[1, EVENTS[0]], "features")  # compiles, and warms caches up
        for (files, events), place in places.items():
            for workers in sorted({1, WORKERS} if files == 1 else {WORKERS}):
                for stage, (taken, rate) in run_stages(place, workers).items():
                    label = f"scaling.{stage}.{workers}_workers.{files}_files.{events}_events"
                    figures[f"{label}.seconds"] = (taken.seconds, "s")
                    figures[f"{label}.worker_memory_mib"] = (taken.worker_memory, "MiB")
                    if (files, events, workers) == (1, EVENTS[-1], WORKERS):
                        hours = BILLIONS * 1e9 / rate / 3600
                        label = f"scaling.{BILLIONS}e9_events.{stage}"
                        figures[f"scaling.{stage}.steady_events_per_s"] = (rate, "1/s")
                        figures[f"{label}_hours"] = (hours, "h")
                        figures[f"{label}_core_hours"] = (WORKERS * hours, "h")
        tensors = place / "output" / "tensors" / "background"
        size = sum(path.stat().st_size for path in tensors.iterdir()) / EVENTS[-1]
    figures["scaling.parquet_bytes_per_event_read"] = (size, "B")
    return figures


@style.style()
def draw(bench):
    """Put a picture of a ``bench.json`` where the documentation shows it.

    It shows events per second against the events of one file, and against the files of as many.
    """
    figures = read_json(bench, "make bench")["figures"].items()
    found = [(*match.groups(), one["value"]) for n, one in figures if (match := RUN.fullmatch(n))]
    stages, *columns = map(np.array, zip(*found, strict=True))
    workers, files, events = (column.astype(int) for column in columns[:3])
    rate, most = events / columns[3], events.max()
    figure, (left, right) = style.new_figure(0.75, ncols=2, sharey=True)
    for stage, count in itertools.product(MARKERS, np.unique(workers)):
        colour, dash = LINES.get(count, (style.VIOLET, style.DOTTED))
        look = {"color": colour, "linestyle": dash, "marker": MARKERS[stage]}
        look["label"] = f"{stage}, {count} worker{'' if count == 1 else 's'}"
        own = (stages == stage) & (workers == count)
        for axes, x, shown in ((left, events, files == 1), (right, files, events == most)):
            rows = np.flatnonzero(own & shown)
            rows = rows[np.argsort(x[rows])]
            if axes is left or len(rows) > 1:
                axes.plot(x[rows], rate[rows], **look)
    left.set(xscale="log", yscale="log", xlabel="events in one file", ylabel="events per second")
    right.set(xscale="log", xlabel=f"files ({most / 1e6:g} million events)")
    left.set_ylim(left.get_ylim()[0], 4 * left.get_ylim()[1])  # room for the legend
    left.legend(loc="upper left")
    style.add_label(left, label="Start and end included")
    figure.savefig(PICTURE, metadata=style.FORMATS["png"])


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
