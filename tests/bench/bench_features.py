"""The columnar stages: events a second from ROOT file to Parquet and to histograms, and memory.

They are compared with what uproot takes to read and decompress the same columns of the same
files, with as many processes and the same chunks.
"""

import tempfile
from pathlib import Path

from ntuples import BASKET, describe, save_network, simulate, write_background
from reading import seconds_to_read
from stage import STEPS, Figures, measure, steady_rate

#: Events of a small file and of a large one.
SIZES = {"small": 1_000_000, "large": 24_000_000}
MANY = SIZES["large"]
#: Events of the file with baskets like basf2's, and in each of these baskets.
SMALL_BASKETS = (400_000, 200)
REPEATS = 3


def run() -> Figures:
    """Measure features and selection on files of two sizes, and reading also with small baskets."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder / "simulated")
        baskets = [folder / "baskets.root"]
        write_background(folder / "simulated", baskets, *SMALL_BASKETS)
        for size, count in SIZES.items():
            files = [folder / f"{size}.root"]
            write_background(folder / "simulated", files, count, BASKET)
            describe(folder / size, folder / "simulated", files)
        measure(folder / "small", "features")  # compiles, and warms caches up
        reading, rates = float("inf"), dict.fromkeys(STEPS, 0.0)
        best = {(stage, size): (float("inf"), 0.0) for stage in STEPS for size in SIZES}
        for size in SIZES:
            # What is compared is run in turn, so that a busy machine is unfair to nobody.
            for _ in range(REPEATS):
                if size == "large":
                    reading = min(reading, seconds_to_read([folder / "large.root"]))
                for stage, step in STEPS.items():
                    seconds, memory, _ = measure(folder / size, stage)
                    best[stage, size] = min(best[stage, size], (seconds, memory))
                    if stage == "features":
                        save_network(folder / size)
                    if size == "large":
                        rate = steady_rate(folder / size, f"{stage}/{step}", "background")
                        rates[stage] = max(rate, rates[stage])
        small_baskets = SMALL_BASKETS[0] / seconds_to_read(baskets)
    figures: Figures = {
        "reading.events_per_s": (MANY / reading, "1/s"),
        "reading.small_baskets_events_per_s": (small_baskets, "1/s"),
        "features.large_file_s": (best["features", "large"][0], "s"),
    }
    for stage, rate in rates.items():
        figures[f"{stage}.events_per_s"] = (rate, "1/s", ">= 2e6")
        figures[f"{stage}.start_s"] = (best[stage, "large"][0] - MANY / rate, "s")
        bound = ">= 0.6" if stage == "features" else ""
        figures[f"{stage}.share_of_reading"] = (rate * reading / MANY, "1", bound)
        figures[f"{stage}.peak_memory_small_mib"] = (best[stage, "small"][1], "MiB")
        figures[f"{stage}.peak_memory_mib"] = (best[stage, "large"][1], "MiB", "<= 2048")
    return figures
