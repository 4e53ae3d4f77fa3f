"""The default data: matrix elements a second, and what a whole sample takes.

The sample of the paper's size is made only where `PUNZINET_BENCH_PAPER=1` asks for it, because
that takes a quarter of an hour.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from stage import Figures, measure

from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.simulation.generators.signal import _trials

TRIALS = 500_000
MASSES = (0.1, 2.5, 8.1)
#: Longest run in seconds and largest memory in MiB of each scale.
BOUNDS = {"default": 180, "paper": 1800}
MEMORY = 4096
MANIFEST = Path(__file__).parents[2] / "data_manifest.yaml"


def run() -> Figures:
    """All figures."""
    figures = matrix_elements()
    for scale in BOUNDS if os.environ.get("PUNZINET_BENCH_PAPER") else ("default",):
        figures |= sample(scale)
    return figures


def matrix_elements() -> Figures:
    """Points in phase space a second on one core, each with momenta and matrix element."""
    random = np.random.default_rng(1).random((TRIALS, 5))
    sqrt_s = np.full(TRIALS, Beams().sqrt_s)
    rates = []
    for mass in MASSES:
        _trials(random[:1], sqrt_s[:1], mass)  # compiles
        start = time.perf_counter()
        _trials(random, sqrt_s, mass)
        rates.append(TRIALS / (time.perf_counter() - start))
    name = "simulation.signal_matrix_elements_per_s_core"
    return {name: (min(rates), "1/s", ">= 3e5")}


def sample(scale: str) -> Figures:
    """All processes and masses on two cores, compilation included."""
    with tempfile.TemporaryDirectory() as name:
        options = ("--manifest", str(MANIFEST), "--scale", scale)
        seconds, memory, _ = measure(Path(name), "simulate", *options)
    figure = f"simulation.{scale}"
    return {
        f"{figure}_s": (seconds, "s", f"<= {BOUNDS[scale]}"),
        f"{figure}_peak_memory_mib": (memory, "MiB", f"<= {MEMORY}"),
    }
