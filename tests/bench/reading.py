"""What merely reading takes: uproot reads and decompresses the columns of the analysis."""

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import uproot
from ntuples import TREE
from stage import WORKERS

from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.manifest.sections import FeatureSettings
from punzinet.processors.datasets import BEAM, CHARGES, IDENTITY, MOMENTA

COLUMNS = [BRANCHES[name] for name in (*IDENTITY, *MOMENTA, "weight", *CHARGES, *BEAM)]

Part = tuple[Path, int, int]


def seconds_to_read(files: Sequence[Path], workers: int = WORKERS) -> float:
    """Read all columns that the features stage reads of a background, chunk by chunk.

    The processes are started, and have read once, before time counts.
    """
    step = FeatureSettings().chunk_size
    parts: list[Part] = []
    for path in files:
        with uproot.open(path) as file:
            entries = file[TREE].num_entries
        count = -(-entries // step)
        edges = [entries * i // count for i in range(count + 1)]
        parts += [(path, start, stop) for start, stop in itertools.pairwise(edges)]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        list(pool.map(_read, [parts[0]] * 2 * workers))
        begin = time.perf_counter()
        list(pool.map(_read, parts))
        return time.perf_counter() - begin


def _read(part: Part) -> None:
    """Read a chunk, and forget it."""
    path, start, stop = part
    with uproot.open(path) as file:
        file[TREE].arrays(COLUMNS, entry_start=start, entry_stop=stop, library="np")
