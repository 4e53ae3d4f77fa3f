"""The columnar stages: events a second from ROOT file to Parquet and to histograms, and memory.

They are compared with what uproot takes to read and decompress the same columns of the same
files, with as many processes and the same chunks.
"""

import tempfile
from pathlib import Path

from ntuples import BASKET, describe, save_network, simulate, write_background
from reading import seconds_to_read
from stage import STEPS, measure, steady_rate

#: Events of a small file and of a large one.
SIZES = {"small": 1_000_000, "large": 24_000_000}
#: Events of the file with baskets like basf2's, and in each of these baskets.
SMALL_BASKETS = (400_000, 200)
REPEATS = 3


def run() -> dict[str, dict[str, float | str]]:
    """Measure features and selection on files of two sizes, and reading also with small baskets."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder / "simulated")
        sizes = {**SIZES, "baskets": SMALL_BASKETS[0]}
        files = {size: [folder / f"{size}.root"] for size in sizes}
        for size, count in sizes.items():
            basket = SMALL_BASKETS[1] if size == "baskets" else BASKET
            write_background(folder / "simulated", files[size], count, basket)
            if size in SIZES:
                describe(folder / size, folder / "simulated", files[size])
        measure(folder / "small", "features")  # compiles, and warms caches up
        seconds: dict[tuple[str, str], float] = {}
        memory: dict[tuple[str, str], float] = {}
        rates: dict[str, float] = {}
        for size in SIZES:
            # What is compared is run in turn, so that a busy machine is unfair to nobody.
            for _ in range(REPEATS):
                reading = seconds_to_read(files[size])
                features, peak, _ = measure(folder / size, "features")
                save_network(folder / size)
                selection, other_peak, _ = measure(folder / size, "select")
                new = {"reading": reading, "features": features, "select": selection}
                for stage, value in new.items():
                    seconds[stage, size] = min(value, seconds.get((stage, size), value))
                memory["features", size], memory["select", size] = peak, other_peak
                for stage, step in STEPS.items() if size == "large" else ():
                    rate = steady_rate(folder / size, f"{stage}/{step}", "background")
                    rates[stage] = max(rate, rates.get(stage, 0.0))
        seconds["reading", "baskets"] = seconds_to_read(files["baskets"])
    figures = _rates(seconds, rates)
    figures["features.large_file_s"] = {"value": seconds["features", "large"], "unit": "s"}
    for stage in ("features", "select"):
        for size in SIZES:
            key = f"{stage}.peak_memory{'' if size == 'large' else '_small'}_mib"
            figures[key] = {"value": memory[stage, size], "unit": "MiB"}
        figures[f"{stage}.peak_memory_mib"]["bound"] = "<= 2048"
    return figures


def _rates(
    seconds: dict[tuple[str, str], float], rates: dict[str, float]
) -> dict[str, dict[str, float | str]]:
    """Events a second, what is spent before the first one, and shares of reading.

    Args:
        seconds: By stage or ``reading``, and size.
        rates: Events a second of the large file by stage, while all workers were busy.
    """
    many = SIZES["large"]
    figures: dict[str, dict[str, float | str]] = {}
    reading = many / seconds["reading", "large"]
    figures["reading.events_per_s"] = {"value": reading, "unit": "1/s"}
    small_baskets = SMALL_BASKETS[0] / seconds["reading", "baskets"]
    figures["reading.small_baskets_events_per_s"] = {"value": small_baskets, "unit": "1/s"}
    for stage, rate in rates.items():
        start = seconds[stage, "large"] - many / rate
        figures[f"{stage}.events_per_s"] = {"value": rate, "unit": "1/s", "bound": ">= 2e6"}
        figures[f"{stage}.start_s"] = {"value": start, "unit": "s"}
        figures[f"{stage}.share_of_reading"] = {"value": rate / reading, "unit": "1"}
    figures["features.share_of_reading"]["bound"] = ">= 0.6"
    return figures
