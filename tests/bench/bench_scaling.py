"""Scaling of the columnar stages: with workers, with events and with files; memory of a worker.

`python tests/bench/draw_scaling.py output/bench.json` draws it, and docs/scaling.md shows it.
"""

import tempfile
from pathlib import Path

from ntuples import BASKET, describe, save_network, simulate, write_background
from stage import STEPS, WORKERS, measure, steady_rate

EVENTS = (100_000, 1_000_000, 12_000_000)
"""Events of a single file."""
FILES = (10, 100, 1000)
"""Files that the largest number of events is spread over."""
BILLIONS = 10
"""Size of the sample that rates are extrapolated to, in 10⁹ events."""


def run() -> dict[str, dict[str, float | str]]:
    """Measure features and selection in every configuration."""
    figures: dict[str, dict[str, float | str]] = {}
    rates: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder / "simulated")
        configurations = [(1, events) for events in EVENTS] + [(n, EVENTS[-1]) for n in FILES]
        for files, events in configurations:
            place = folder / f"{files}_files_{events}"
            place.mkdir()
            paths = [place / f"background_{i:04d}.root" for i in range(files)]
            write_background(folder / "simulated", paths, events, BASKET)
            describe(place, folder / "simulated", paths)
        measure(folder / f"1_files_{EVENTS[0]}", "features")  # compiles, and warms caches up
        for files, events in configurations:
            place = folder / f"{files}_files_{events}"
            for workers in sorted({1, WORKERS} if files == 1 else {WORKERS}):
                for stage, step in STEPS.items():
                    taken = measure(place, stage, workers=workers)
                    if stage == "features":
                        save_network(place)
                    if (files, events, workers) == (1, EVENTS[-1], WORKERS):
                        rates[stage] = steady_rate(place, f"{stage}/{step}", "background")
                    label = f"scaling.{stage}.{workers}_workers.{files}_files.{events}_events"
                    figures[f"{label}.seconds"] = {"value": taken.seconds, "unit": "s"}
                    memory = {"value": taken.worker_memory, "unit": "MiB"}
                    figures[f"{label}.worker_memory_mib"] = memory
        tensors = place / "output" / "tensors" / "background"
        size = sum(path.stat().st_size for path in tensors.iterdir()) / EVENTS[-1]
    for stage, rate in rates.items():
        figures[f"scaling.{stage}.steady_events_per_s"] = {"value": rate, "unit": "1/s"}
        hours = BILLIONS * 1e9 / rate / 3600
        label = f"scaling.{BILLIONS}e9_events.{stage}"
        figures[f"{label}_hours"] = {"value": hours, "unit": "h"}
        figures[f"{label}_core_hours"] = {"value": WORKERS * hours, "unit": "h"}
    figures["scaling.parquet_bytes_per_event_read"] = {"value": size, "unit": "B"}
    return figures
