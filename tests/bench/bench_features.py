"""The columnar stages: events a second from ROOT file to Parquet and to histograms, and memory.

They are compared with what uproot takes to read and decompress the same columns of the same
files, with as many processes and the same chunks.
"""

import itertools
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import uproot
from ntuples import TREE, prepare, run_stages, simulate, write_background
from stage import STEPS, WORKERS, Figures, measure

from punzinet.analysis.folds import IDENTITY
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.manifest.sections import FeatureSettings
from punzinet.processors.datasets import BEAM, CHARGES, MOMENTA

COLUMNS = [BRANCHES[name] for name in (*IDENTITY, *MOMENTA, "weight", *CHARGES, *BEAM)]
MANY = 24_000_000  # events of the file
SMALL_BASKETS = (400_000, 200)  # events of a file with baskets like basf2's, and of each basket
REPEATS = 3


def run() -> Figures:
    """Measure features and selection of a large file, and reading also with small baskets."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder / "simulated")
        write_background(folder / "simulated", [folder / "baskets.root"], *SMALL_BASKETS)
        prepare(folder / "large", folder / "simulated", [folder / "large.root"], MANY)
        measure(folder / "large", "features")  # compiles, and warms caches up
        readings, runs = [], {stage: [] for stage in STEPS}
        # What is compared is run in turn, so that a busy machine is unfair to nobody.
        for _ in range(REPEATS):
            readings.append(seconds_to_read(folder / "large.root"))
            for stage, one in run_stages(folder / "large").items():
                runs[stage].append(one)
        small_baskets = SMALL_BASKETS[0] / seconds_to_read(folder / "baskets.root")
    reading = min(readings)
    figures: Figures = {
        "reading.events_per_s": (MANY / reading, "1/s"),
        "reading.small_baskets_events_per_s": (small_baskets, "1/s"),
    }
    for stage in STEPS:
        large, _ = min(runs[stage])
        rate = max(rate for _, rate in runs[stage])
        least, share = (">= 4e6", ">= 0.5") if stage == "features" else (">= 2e6", "")
        figures |= {
            f"{stage}.large_file_s": (large.seconds, "s"),
            f"{stage}.events_per_s": (rate, "1/s", least),
            f"{stage}.start_s": (large.seconds - MANY / rate, "s"),
            f"{stage}.share_of_reading": (rate * reading / MANY, "1", share),
            f"{stage}.peak_memory_mib": (large.memory, "MiB", "<= 2048"),
        }
    return figures


def seconds_to_read(path):
    """Read all columns that the features stage reads of a background, chunk by chunk.

    The processes are started, and have read once, before time counts.
    """
    with uproot.open(path) as file:
        entries = file[TREE].num_entries
    count = -(-entries // FeatureSettings().chunk_size)
    edges = [entries * i // count for i in range(count + 1)]
    parts = [(path, *ends) for ends in itertools.pairwise(edges)]
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        list(pool.map(_read, [parts[0]] * 2 * WORKERS))
        begin = time.perf_counter()
        list(pool.map(_read, parts))
        return time.perf_counter() - begin


def _read(part):
    path, start, stop = part
    with uproot.open(path) as file:
        file[TREE].arrays(COLUMNS, entry_start=start, entry_stop=stop, library="np")
