"""Expected limits of all hypotheses behind two selections, asymptotic and exact."""

import time

import numpy as np
from stage import Figures

from punzinet.analysis.limits.expected import asymptotic_limits, counting_limits
from punzinet.analysis.limits.model import Background, CountingExperiment

HYPOTHESES = 87
SELECTIONS = 2
CONFIDENCE_LEVEL = 0.9
SYSTEMATICS = {"efficiency": 0.05, "signal_statistics": 0.01}


def run() -> Figures:
    """Time them for backgrounds from less than one to some thousand events."""
    signals, backgrounds = np.linspace(8, 2, HYPOTHESES), np.geomspace(0.5, 3000, HYPOTHESES)
    experiments = []
    for i, (signal, events) in enumerate(zip(signals.tolist(), backgrounds.tolist(), strict=True)):
        parts = [
            Background(name, share * events, 4 * events, ("background", 0.1))
            for name, share in (("tautau", 0.7), ("eemumu", 0.25), ("mumugamma", 0.05))
        ]
        one = CountingExperiment(0.1 * (i + 1), signal, SYSTEMATICS, 0.01, tuple(parts))
        experiments.append(one)
    begin = time.perf_counter()
    for _ in range(SELECTIONS):
        asymptotic_limits(experiments, CONFIDENCE_LEVEL)
        counting_limits(experiments, CONFIDENCE_LEVEL)
    seconds = time.perf_counter() - begin
    return {"limits.all_hypotheses_seconds": (seconds, "s", "<= 120")}
