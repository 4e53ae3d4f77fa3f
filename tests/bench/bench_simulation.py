"""Matrix elements a second and, if `PUNZINET_BENCH_PAPER=1` asks for it, the paper's sample."""

import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from bench_chain import MANIFEST, MEMORY
from stage import Figures, fastest, measure

from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.simulation.signal import SignalGenerator

TRIALS = 500_000
MASSES = (0.1, 2.5, 8.1)


def run() -> Figures:
    """Of points in phase space on one core, each with momenta; the sample on two."""
    rng = np.random.default_rng(1)
    sqrt_s = np.full(TRIALS, Beams().sqrt_s)
    generators = [SignalGenerator(mass) for mass in MASSES]
    slowest = max(fastest(*(partial(one.generate, rng, sqrt_s) for one in generators)))
    name = "simulation.signal_matrix_elements_per_s_core"
    figures: Figures = {name: (TRIALS / slowest, "1/s", ">= 3e5")}
    if os.environ.get("PUNZINET_BENCH_PAPER"):
        with tempfile.TemporaryDirectory() as folder:
            options = ("--manifest", str(MANIFEST), "--scale", "paper")
            seconds, memory, _ = measure(Path(folder), "simulate", *options)
        figures["simulation.paper_s"] = (seconds, "s", "<= 1800")
        figures["simulation.paper_peak_memory_mib"] = (memory, "MiB", f"<= {MEMORY}")
    return figures
