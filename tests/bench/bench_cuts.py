"""The exact cut scan on many events, beside the published scan of 200 cut values."""

import time

import numpy as np
from published_method import PublishedMethod
from stage import Figures
from synthetic import synthetic_sample

from punzinet.analysis.cuts import RankedEvents, best_single_cut, optimal_cuts
from punzinet.analysis.figures_of_merit import FigureOfMerit

EVENTS = 5_000_000
HYPOTHESES = 87
LUMINOSITY = 50.0
#: Cut values of the published scan, and how many of them are timed: each takes the same time.
PUBLISHED_CUTS = 200
TIMED_CUTS = 10
REPEATS = 3


def run() -> Figures:
    """Time sorting, every hypothesis' best cut and the best single cut, together."""
    events = synthetic_sample(EVENTS * 5 // 4, HYPOTHESES).training
    events = events[np.arange(min(EVENTS, len(events)))]
    sample = synthetic_sample(100_000, HYPOTHESES)
    sample = type(sample)(
        sample.features, sample.mass, sample.backgrounds, events, sample.validation
    )
    published = PublishedMethod(sample, LUMINOSITY)
    logit, merit = published.logit(), FigureOfMerit()
    seconds = []
    for _ in range(1 + REPEATS):  # the first one compiles, and warms caches up
        begin = time.perf_counter()
        ranked = RankedEvents.rank(
            logit, events.weight, events.process, events.start, events.stop,
            processes=len(sample.backgrounds), hypotheses=HYPOTHESES,
        )  # fmt: skip
        optimal_cuts(ranked, merit, LUMINOSITY)
        best_single_cut(ranked, np.ones(HYPOTHESES, bool), merit, LUMINOSITY)
        seconds.append(time.perf_counter() - begin)
    ours = min(seconds[1:])
    published.cut_scan(np.zeros(1))  # warms it up, too
    begin = time.perf_counter()
    published.cut_scan(np.linspace(0, 1, TIMED_CUTS, endpoint=False))
    theirs = (time.perf_counter() - begin) * PUBLISHED_CUTS / TIMED_CUTS
    return {
        "cuts.scan_seconds": (ours, "s", "<= 5"),
        "cuts.ratio_to_autograd": (theirs / ours, "x"),
    }
