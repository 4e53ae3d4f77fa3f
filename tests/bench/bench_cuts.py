"""The exact cut scan on many events, beside the published scan of 200 cut values."""

from functools import partial

import numpy as np
from published_method import PublishedMethod
from stage import Figures, fastest
from synthetic import synthetic_sample

from punzinet.analysis.cuts import RankedEvents, best_single_cut, optimal_cuts
from punzinet.analysis.figures_of_merit import FigureOfMerit

EVENTS = 5_000_000
HYPOTHESES = 87
LUMINOSITY = 50.0
PUBLISHED_CUTS = 200  # each takes the same time, so that one is timed


def run() -> Figures:
    """Time sorting, every hypothesis' best cut and the best single cut, together."""
    sample = synthetic_sample(EVENTS * 5 // 4, HYPOTHESES)  # a fifth validates
    events, published = sample.training, PublishedMethod(sample, LUMINOSITY)
    logit, merit = published.logit(), FigureOfMerit()

    def scan() -> None:
        ranked = RankedEvents.rank(
            logit, events.weight, events.process, events.start, events.stop,
            processes=len(sample.backgrounds), hypotheses=HYPOTHESES,
        )  # fmt: skip
        optimal_cuts(ranked, merit, LUMINOSITY)
        best_single_cut(ranked, np.ones(HYPOTHESES, bool), merit, LUMINOSITY)

    ours, theirs = fastest(scan, partial(published.cut_scan, np.full(1, 0.5)))
    return {
        "cuts.scan_seconds": (ours, "s", "<= 5"),
        "cuts.ratio_to_autograd": (theirs * PUBLISHED_CUTS / ours, "x"),
    }
