"""Speed of the training, beside the published method on the same events."""

from collections.abc import Callable
from functools import partial

import numpy as np
from published_method import PublishedMethod
from stage import Figures, fastest
from synthetic import synthetic_sample

from punzinet.analysis.punzi_loss import PunziLoss
from punzinet.analysis.training.batches import pack
from punzinet.analysis.training.data import Sample
from punzinet.analysis.training.engine import FusedEngine, Loss
from punzinet.analysis.training.loss_kernels import Descent

EVENTS = 2_500_000
LUMINOSITY = 50.0
WIDTHS = (4, 8, 4, 1)
REPEATS = 5


def run() -> Figures:
    """Nanoseconds per event, epoch and network, and ratios to the published method."""
    sample = synthetic_sample(EVENTS)
    events = len(sample.training)
    published = PublishedMethod(sample, LUMINOSITY)
    punzi = published.punzi_epoch, events
    bce = partial(published.bce_batches, 2048, 100), 2048 * 100
    figures: Figures = {}
    for name, ours, networks, (theirs, seen), bound, ratio in (
        ("punzi_full_batch.ns_per_event", epoch(sample, "punzi", None, 1), 1, punzi, 25, ">= 9"),
        ("punzi_batch_50000.ns_per_event", epoch(sample, "punzi", 50_000, 1), 1, punzi, 25, ">= 9"),
        ("ensemble_25.ns_per_event_network", epoch(sample, "punzi", 50_000, 25), 25, punzi, 15, ""),
        ("bce_batch_2048.ns_per_event", epoch(sample, "bce", 2048, 1), 1, bce, 40, ""),
    ):
        seconds, reference = fastest(ours, theirs, repeats=REPEATS)
        time_per_event = seconds / events / networks * 1e9
        figures[f"train.{name}"] = (time_per_event, "ns", f"<= {bound}")
        label = f"train.{name.rsplit('.', 1)[0]}.ratio_to_autograd"
        figures[label] = (reference / seen * 1e9 / time_per_event, "x", ratio)
    return figures


def epoch(sample: Sample, loss: Loss, size: int | None, networks: int) -> Callable[[], object]:
    """An epoch of some networks, with steps too short to matter."""
    rng = np.random.default_rng(1)
    scale = np.ones(len(sample.mass) + len(sample.backgrounds))
    loss_of_sample = PunziLoss(*sample.total, LUMINOSITY)
    events = pack(sample, sample.training, size, rng)
    engine = FusedEngine(events, WIDTHS, loss_of_sample, scale)
    start, rate = rng.normal(0, 0.5, (networks, 81)), np.full(networks, 1e-9)
    descent = Descent(start, rate, np.inf)
    return lambda: engine.epoch(loss, descent, events.epoch(np.random.default_rng(1)))
