"""Speed of the training and of the cut scan, beside the published method on the same events."""

from functools import partial

import numpy as np
from published_method import PublishedMethod
from stage import Figures, fastest
from synthetic import synthetic_sample

from punzinet.analysis.cuts import RankedEvents, best_cuts
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.punzi_loss import PunziLoss
from punzinet.analysis.training.batches import pack
from punzinet.analysis.training.engine import FusedEngine
from punzinet.analysis.training.loss_kernels import Descent

EVENTS = 2_500_000
LUMINOSITY = 50.0
WIDTHS = (4, 8, 4, 1)
SCANNED_EVENTS, SCANNED_HYPOTHESES = 5_000_000, 87
PUBLISHED_CUTS = 200  # each takes the same time, so that one is timed


def run() -> Figures:
    """Nanoseconds per event, epoch and network, seconds of a scan, and ratios of both."""
    sample = synthetic_sample(EVENTS)
    events = len(sample.training)
    published = PublishedMethod(sample, LUMINOSITY)
    punzi = published.punzi_epoch, events
    bce = partial(published.bce_batches, 2048, 100), 2048 * 100
    figures: Figures = {}
    for name, loss, size, networks, (theirs, seen), bound, ratio in (
        ("punzi_full_batch.ns_per_event", "punzi", None, 1, punzi, 25, ">= 9"),
        ("punzi_batch_50000.ns_per_event", "punzi", 50_000, 1, punzi, 25, ">= 9"),
        ("ensemble_25.ns_per_event_network", "punzi", 50_000, 25, punzi, 15, ""),
        ("bce_batch_2048.ns_per_event", "bce", 2048, 1, bce, 40, ""),
    ):
        seconds, reference = fastest(epoch(sample, loss, size, networks), theirs, repeats=5)
        time_per_event = seconds / events / networks * 1e9
        figures[f"train.{name}"] = (time_per_event, "ns", f"<= {bound}")
        label = f"train.{name.rsplit('.', 1)[0]}.ratio_to_autograd"
        figures[label] = (reference / seen * 1e9 / time_per_event, "x", ratio)
    return figures | cut_scan()


def epoch(sample, loss, size, networks):
    """An epoch of some networks, with steps too short to matter."""
    rng = np.random.default_rng(1)
    scale = np.ones(len(sample.mass) + len(sample.backgrounds))
    events = pack(sample, sample.training, size, rng)
    engine = FusedEngine(events, WIDTHS, PunziLoss(*sample.total, LUMINOSITY), scale)
    start, rate = rng.normal(0, 0.5, (networks, 81)), np.full(networks, 1e-9)
    descent = Descent(start, rate, np.inf)
    return lambda: engine.epoch(loss, descent, events.epoch(np.random.default_rng(1)))


def cut_scan() -> Figures:
    """Sorting, every hypothesis' best cut and the best single cut, together."""
    sample = synthetic_sample(SCANNED_EVENTS * 5 // 4, SCANNED_HYPOTHESES)  # a fifth validates
    events, published = sample.training, PublishedMethod(sample, LUMINOSITY)
    logit, merit = published.logit(), FigureOfMerit()
    columns = events.weight, events.process, events.start, events.stop
    counts = {"processes": len(sample.backgrounds), "hypotheses": SCANNED_HYPOTHESES}

    def scan() -> None:
        ranked = RankedEvents.rank(logit, *columns, **counts)
        best_cuts(ranked, np.ones(SCANNED_HYPOTHESES, bool), merit, LUMINOSITY)

    ours, theirs = fastest(scan, partial(published.cut_scan, np.full(1, 0.5)))
    return {
        "cuts.scan_seconds": (ours, "s", "<= 5"),
        "cuts.ratio_to_autograd": (theirs * PUBLISHED_CUTS / ours, "x"),
    }
