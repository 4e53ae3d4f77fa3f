"""Batches are honest: every event once an epoch, random subsets, or exact shares of strata."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.batches import (
    RUN,
    Shelf,
    batch_count,
    shelve,
    shelve_random,
    shelve_stratified,
)
from punzinet.analysis.training.data import Sample
from punzinet.analysis.training.engine import Task
from punzinet.analysis.training.fused import FusedEngine

WIDTHS = (4, 8, 4, 1)
PUTS = pytest.mark.parametrize("put", [shelve_random, shelve_stratified])


def parameters() -> np.ndarray:
    return np.random.default_rng(8).normal(0, 0.7, 81)


def of_batches(shelf: Shelf, epoch: int) -> list[np.ndarray]:
    """Weights of the events of each batch, empty places left out; weights tell events apart."""
    order, bounds = shelf.batches(np.random.default_rng(epoch))
    weight = shelf.runs.columns()[1].reshape(-1, RUN)
    held = [weight[order[a:b]].ravel() for a, b in pairwise(bounds.tolist())]
    return [batch[batch > 0] for batch in held]


@PUTS
@pytest.mark.parametrize("batch_size", [None, 500, 3000, 10**6])
def test_every_event_is_in_one_batch_of_an_epoch(
    small_sample: Sample, put: Callable[..., Shelf], batch_size: int | None
) -> None:
    shelf = put(small_sample, small_sample.training, batch_size, np.random.default_rng(1))
    batches = of_batches(shelf, 1)
    assert len(batches) == batch_count(len(small_sample.training), batch_size)
    np.testing.assert_array_equal(
        np.sort(np.concatenate(batches)), np.sort(small_sample.training.weight)
    )


@PUTS
def test_epochs_differ_and_repeat_with_their_seed(
    small_sample: Sample, put: Callable[..., Shelf]
) -> None:
    shelf = put(small_sample, small_sample.training, 1000, np.random.default_rng(1))
    np.testing.assert_array_equal(of_batches(shelf, 1)[0], of_batches(shelf, 1)[0])
    common = np.isin(of_batches(shelf, 1)[0], of_batches(shelf, 2)[0]).mean()
    assert common < 0.5


def test_random_batches_differ_in_size_by_one_run(small_sample: Sample) -> None:
    shelf = shelve_random(small_sample, small_sample.training, 700, np.random.default_rng(1))
    sizes = [len(batch) for batch in of_batches(shelf, 1)]
    assert max(sizes) - min(sizes) <= 2 * RUN  # the last run may be filled partly


def test_random_batches_fluctuate_as_random_subsets_do(
    synthetic_sample: Callable[..., Sample],
) -> None:
    sample = synthetic_sample(60_000, hypotheses=5)
    shelf = shelve_random(sample, sample.training, 2000, np.random.default_rng(1))
    signal = np.sort(sample.training.weight[sample.training.process == SIGNAL])
    counts, sizes = [], []
    for epoch in range(20):
        for batch in of_batches(shelf, epoch):
            counts.append(np.isin(batch, signal).sum())
            sizes.append(len(batch))
    share = len(signal) / len(sample.training)
    expected = share * (1 - share) * np.mean(sizes) * (1 - 1 / shelf.count)  # hypergeometric
    assert np.mean(counts) == pytest.approx(share * np.mean(sizes), rel=0.01)
    assert np.var(counts) == pytest.approx(expected, rel=0.35)


def test_stratified_batches_hold_their_share_of_everything(small_sample: Sample) -> None:
    events = small_sample.training
    shelf = shelve_stratified(small_sample, events, 1000, np.random.default_rng(1))
    strata = [events.weight[(events.process == SIGNAL) & (events.start == h)] for h in range(7)]
    strata += [events.weight[events.process == p] for p in range(3)]
    for batch in of_batches(shelf, 3):
        for stratum in strata:
            held = np.isin(batch, stratum).sum()
            share = len(stratum) / shelf.count
            runs = -(-share // RUN)
            assert abs(held - share) <= runs


def test_windows_of_all_batches_hold_together_what_those_of_the_sample_do(
    small_sample: Sample,
) -> None:
    for put in (shelve_random, shelve_stratified):
        shelf = put(small_sample, small_sample.training, 900, np.random.default_rng(1))
        order, bounds = shelf.batches(np.random.default_rng(4))
        _, weight, place = (column.reshape(len(shelf), -1) for column in shelf.runs.columns())
        total = np.zeros((3, len(small_sample.mass)))
        for a, b in pairwise(bounds.tolist()):
            runs = order[a:b]
            process, start, stop = shelf.windows_of(place[runs].ravel())
            for h in range(len(small_sample.mass)):
                inside = (start <= h) & (h < stop) & (process != SIGNAL)
                total[:, h] += np.bincount(
                    process[inside], weight[runs].ravel()[inside], minlength=3
                )
        events = small_sample.training
        for h in range(len(small_sample.mass)):
            inside = (events.start <= h) & (h < events.stop) & (events.process != SIGNAL)
            expected = np.bincount(events.process[inside], events.weight[inside], minlength=3)
            np.testing.assert_allclose(total[:, h], expected, rtol=1e-6)


@PUTS
def test_mean_batch_loss_approaches_the_unbatched_loss(
    synthetic_sample: Callable[..., Sample],
    make_task: Callable[..., Task],
    put: Callable[..., Shelf],
) -> None:
    sample = synthetic_sample(60_000, hypotheses=5)
    task = make_task(sample)
    vector = parameters()[np.newaxis]
    (whole,) = FusedEngine(shelve(sample, sample.training), WIDTHS, task).punzi_values(vector)
    excess = []
    for size in (800, 3200, 12_800):
        shelf = put(sample, sample.training, size, np.random.default_rng(1))
        engine = FusedEngine(shelf, WIDTHS, task)
        losses = []
        for epoch in range(3):
            order, bounds = shelf.batches(np.random.default_rng(epoch))
            for a, b in pairwise(bounds.tolist()):
                batch = engine.open_batch(order, a, b)
                losses.append(engine.punzi_gradients(vector, batch)[0])
        excess.append(abs(np.mean(losses) / whole.loss - 1))
    assert excess[2] < 0.005
    assert excess[0] > excess[1] > excess[2]


def test_features_are_scaled_by_the_training_sample(small_sample: Sample) -> None:
    features = shelve(small_sample, small_sample.training).runs.columns()[0]
    held = features[: len(small_sample.training)]
    np.testing.assert_array_equal(held.min(axis=0), 0)
    np.testing.assert_array_equal(held.max(axis=0), 1)
