"""Scaling of the columnar stages: with workers, with events and with files; memory of a worker."""

import tempfile
from pathlib import Path

from ntuples import prepare, run_stages, simulate
from stage import WORKERS, Figures, measure

EVENTS = (100_000, 1_000_000, 12_000_000)  # of a single file
FILES = (10, 100, 1000)  # that the largest number of events is spread over


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
                        figures[f"scaling.{stage}.steady_events_per_s"] = (rate, "1/s")
        tensors = place / "output" / "tensors" / "background"
        size = sum(path.stat().st_size for path in tensors.iterdir()) / EVENTS[-1]
    figures["scaling.parquet_bytes_per_event_read"] = (size, "B")
    return figures
