"""Speed of the training, beside the published method on the same events."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from published_method import PublishedMethod
from synthetic import synthetic_sample

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.training.batches import pack
from punzinet.analysis.training.data import Sample
from punzinet.analysis.training.engine import FusedEngine, Loss, Objective

EVENTS = 2_500_000
LUMINOSITY = 50.0
WIDTHS = (4, 8, 4, 1)
REPEATS = 5
Figures = dict[str, dict[str, Any]]


def run() -> Figures:
    """Nanoseconds per event, epoch and network, and ratios to the published method."""
    return speed(synthetic_sample(EVENTS))


def fastest(*calls: Callable[[], object]) -> list[float]:
    """Shortest duration of each call in seconds; taken in turn, so that all share the noise."""
    durations = []
    for call in calls:
        call()  # not measured: it compiles, and warms caches up
    for _ in range(REPEATS):
        row = []
        for call in calls:
            begin = time.perf_counter()
            call()
            row.append(time.perf_counter() - begin)
        durations.append(row)
    return np.min(durations, axis=0).tolist()


def speed(sample: Sample) -> Figures:
    """Nanoseconds per event, epoch and network, and ratios to the published method."""
    events = len(sample.training)
    published = PublishedMethod(sample, LUMINOSITY)
    bce_count = 100
    figures: Figures = {}

    def add(name: str, ours: float, bound: float, theirs: float, ratio: float | None) -> None:
        """Enter a time per event, and its ratio."""
        figures[f"train.{name}"] = {"value": ours, "unit": "ns", "bound": f"<= {bound:g}"}
        entry = {"value": theirs / ours, "unit": "x"}
        figures[f"train.{name.rsplit('.', 1)[0]}.ratio_to_autograd"] = entry | (
            {} if ratio is None else {"bound": f">= {ratio:g}"}
        )

    full, reference = fastest(punzi_epoch(sample, None, 1), published.punzi_epoch)
    theirs = reference / events * 1e9
    add("punzi_full_batch.ns_per_event", full / events * 1e9, 25, theirs, 9)
    batches, reference = fastest(punzi_epoch(sample, 50_000, 1), published.punzi_epoch)
    theirs = reference / events * 1e9
    add("punzi_batch_50000.ns_per_event", batches / events * 1e9, 25, theirs, 9)
    ensemble, reference = fastest(punzi_epoch(sample, 50_000, 25), published.punzi_epoch)
    theirs = reference / events * 1e9
    add("ensemble_25.ns_per_event_network", ensemble / events / 25 * 1e9, 15, theirs, None)
    bce, reference = fastest(
        bce_epoch(sample, 2048), lambda: published.bce_batches(2048, bce_count)
    )
    theirs = reference / (2048 * bce_count) * 1e9
    add("bce_batch_2048.ns_per_event", bce / events * 1e9, 40, theirs, None)
    return figures


def punzi_epoch(sample: Sample, batch_size: int | None, networks: int) -> Callable[[], object]:
    """An epoch of the Punzi-loss."""
    return epoch(sample, "punzi", batch_size, networks)


def bce_epoch(sample: Sample, batch_size: int) -> Callable[[], object]:
    """An epoch of the cross-entropy."""
    return epoch(sample, "bce", batch_size, 1)


def epoch(
    sample: Sample, loss: Loss, batch_size: int | None, networks: int
) -> Callable[[], object]:
    """An epoch of some networks, with steps too short to matter."""
    rng = np.random.default_rng(1)
    scale = np.ones(len(sample.mass) + len(sample.backgrounds))
    objective = Objective(*sample.total, LUMINOSITY, FigureOfMerit(), scale)
    events = pack(sample, sample.training, batch_size, rng)
    engine = FusedEngine(events, WIDTHS, objective)
    parameters, rate = rng.normal(0, 0.5, (networks, 81)), np.full(networks, 1e-9)
    return lambda: engine.epoch(
        loss, parameters, rate, np.inf, events.epoch(np.random.default_rng(1))
    )
