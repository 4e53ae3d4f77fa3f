"""Expected limits of all hypotheses behind two selections, asymptotic and exact."""

import time

import numpy as np
from stage import Figures

from punzinet.analysis.limits.expected import asymptotic_limits, counting_limits
from punzinet.analysis.limits.model import Background, CountingExperiment, log_normal

HYPOTHESES = 87
SELECTIONS = 2
CONFIDENCE_LEVEL = 0.9


def run() -> Figures:
    """Time them for backgrounds from less than one to some thousand events."""
    signals, backgrounds = np.linspace(8, 2, HYPOTHESES), np.geomspace(0.5, 3000, HYPOTHESES)
    experiments = []
    for i, (signal, events) in enumerate(zip(signals.tolist(), backgrounds.tolist(), strict=True)):
        parts = [
            Background(name, share * events, 4 * events)
            for name, share in (("tautau", 0.7), ("eemumu", 0.25), ("mumugamma", 0.05))
        ]
        names = [part.name for part in parts]
        factors = {
            "efficiency": {"signal": log_normal(0.05)},
            "signal_statistics": {"signal": log_normal(0.01)},
            "luminosity": dict.fromkeys(["signal", *names], log_normal(0.01)),
            "background": dict.fromkeys(names, log_normal(0.1)),
        }
        one = CountingExperiment(0.1 * (i + 1), signal, tuple(parts), factors)
        experiments.append(one)
    begin = time.perf_counter()
    for _ in range(SELECTIONS):
        asymptotic_limits(experiments, CONFIDENCE_LEVEL)
        counting_limits(experiments, CONFIDENCE_LEVEL)
    seconds = time.perf_counter() - begin
    return {"limits.all_hypotheses_seconds": (seconds, "s", "<= 120")}
