"""The default data: matrix elements a second, and what a whole sample takes.

The sample of the paper's size is made only where `PUNZINET_BENCH_PAPER=1` asks for it, because
that takes a quarter of an hour.
"""

import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from stage import Figures, fastest, measure

from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.simulation.signal import SignalGenerator

TRIALS = 500_000
MASSES = (0.1, 2.5, 8.1)
BOUNDS = {"default": 180, "paper": 1800}  # seconds, of each scale
MEMORY = 4096  # MiB
MANIFEST = Path(__file__).parents[2] / "data_manifest.yaml"


def run() -> Figures:
    """Matrix elements a second on one core, and all processes and masses on two."""
    rng = np.random.default_rng(1)
    sqrt_s = np.full(TRIALS, Beams().sqrt_s)
    # Points in phase space, each with momenta and matrix element.
    generators = [SignalGenerator(mass) for mass in MASSES]
    slowest = max(fastest(*(partial(one.generate, rng, sqrt_s) for one in generators)))
    name = "simulation.signal_matrix_elements_per_s_core"
    figures: Figures = {name: (TRIALS / slowest, "1/s", ">= 3e5")}
    for scale in BOUNDS if os.environ.get("PUNZINET_BENCH_PAPER") else ("default",):
        with tempfile.TemporaryDirectory() as folder:  # compilation included
            options = ("--manifest", str(MANIFEST), "--scale", scale)
            seconds, memory, _ = measure(Path(folder), "simulate", *options)
        figures[f"simulation.{scale}_s"] = (seconds, "s", f"<= {BOUNDS[scale]}")
        figures[f"simulation.{scale}_peak_memory_mib"] = (memory, "MiB", f"<= {MEMORY}")
    return figures
