"""Batches are honest: every event once an epoch, random subsets, or exact shares of strata."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from analysis.errors import InputError
from analysis.punzi_loss import SIGNAL
from analysis.training.batches import (
    RUN,
    Shelf,
    batch_count,
    shelve,
    shelve_random,
    shelve_stratified,
)
from analysis.training.engine import Task
from analysis.training.fused import FusedEngine
from analysis.training.loading import workspace
from analysis.training.network_kernels import Network
from analysis.training.parallel import SUMS, empty_parts, over_parts
from analysis.training.sample import Sample

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


def sums(engine: FusedEngine, order: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Σ weight · ŷ by place of some runs, not scaled to anything."""
    batch = engine.open_batch(order, start, stop)
    network = Network(parameters(), np.array(WIDTHS))
    places = engine.shelf.classes * (engine.shelf.hypotheses + 1)
    work, parts = workspace(WIDTHS, np.ones(places), 0), empty_parts(places, 81)
    over_parts(SUMS, batch, network, work, parts)
    return parts.sums.sum(axis=0)


def test_window_sums_of_all_batches_add_up_to_those_of_the_sample(
    small_sample: Sample, make_task: Callable[..., Task]
) -> None:
    for put in (shelve_random, shelve_stratified):
        shelf = put(small_sample, small_sample.training, 900, np.random.default_rng(1))
        engine = FusedEngine(shelf, WIDTHS, make_task(small_sample), np.float64)
        order, bounds = shelf.batches(np.random.default_rng(4))
        parts = [sums(engine, order, a, b) for a, b in pairwise(bounds.tolist())]
        np.testing.assert_allclose(
            np.sum(parts, axis=0), sums(engine, order, 0, len(shelf)), atol=1e-8
        )


@PUTS
def test_mean_batch_loss_approaches_the_unbatched_loss(
    synthetic_sample: Callable[..., Sample],
    make_task: Callable[..., Task],
    put: Callable[..., Shelf],
) -> None:
    sample = synthetic_sample(60_000, hypotheses=5)
    task = make_task(sample)
    whole = FusedEngine(shelve(sample, sample.training), WIDTHS, task).punzi_values(parameters())
    excess = []
    for size in (800, 3200, 12_800):
        shelf = put(sample, sample.training, size, np.random.default_rng(1))
        engine = FusedEngine(shelf, WIDTHS, task)
        losses = []
        for epoch in range(3):
            order, bounds = shelf.batches(np.random.default_rng(epoch))
            for a, b in pairwise(bounds.tolist()):
                batch = engine.open_batch(order, a, b)
                losses.append(engine.punzi_gradient(parameters(), batch)[0])
        excess.append(abs(np.mean(losses) / whole.loss - 1))
    assert excess[2] < 0.005
    assert excess[0] > excess[1] > excess[2]


def test_too_many_windows_are_refused(small_sample: Sample) -> None:
    many = Sample(
        small_sample.features,
        np.linspace(0.1, 9, 7),
        tuple(str(i) for i in range(5000)),
        small_sample.training,
        small_sample.validation,
    )
    with pytest.raises(InputError, match="too many to"):
        shelve(many, many.training)


def test_features_are_scaled_by_the_training_sample(small_sample: Sample) -> None:
    features = shelve(small_sample, small_sample.training).runs.columns()[0]
    held = features[: len(small_sample.training)]
    np.testing.assert_array_equal(held.min(axis=0), 0)
    np.testing.assert_array_equal(held.max(axis=0), 1)
