"""Batches are honest: every event once an epoch, in random subsets."""

import resource
from itertools import pairwise

import numpy as np
import pytest
from synthetic import synthetic_sample, synthetic_windows, write_tensors

from punzinet.analysis.folds import Folds
from punzinet.analysis.io.files import InputError
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training import batches
from punzinet.analysis.training.batches import TILE, Ranks, pack
from punzinet.analysis.training.data import load_sample, open_sample


def training(sample, batch_size, **more):
    return pack(sample, sample.training, batch_size, np.random.default_rng(1), **more)


def of_batches(packed, epoch):
    """Weights of the events of each batch, empty places left out; weights tell events apart."""
    order, bounds = packed.epoch(np.random.default_rng(epoch))
    held = [packed.values[order[a:b], -2].ravel() for a, b in pairwise(bounds.tolist())]
    return [batch[batch > 0] for batch in held]


@pytest.mark.parametrize(("batch_size", "count"), [(None, 1), (500, 19), (3000, 3), (10**6, 1)])
def test_every_event_is_whole_and_in_one_batch(small_sample, batch_size, count):
    packed = training(small_sample, batch_size)
    events = small_sample.training
    sizes = [len(batch) for batch in of_batches(packed, 1)]
    assert len(sizes) == count
    assert np.ptp(sizes) <= 2 * TILE  # the last tile may be filled partly
    order, _ = packed.epoch(np.random.default_rng(1))
    columns = [column.reshape(len(packed), TILE, -1)[order] for column in packed.columns()]
    found = np.concatenate(columns, axis=2).reshape(-1, 8)
    found = found[found[:, 4] > 0]
    low, high = (edge[:, np.newaxis] for edge in small_sample.scaling)
    scaled = (events.features - low) / (high - low)
    expected = np.stack([*scaled, events.weight, events.process, events.start, events.stop], axis=1)
    assert (scaled.min(axis=1) == 0).all()
    assert (scaled.max(axis=1) == 1).all()
    np.testing.assert_array_equal(*(rows[np.lexsort(rows.T)] for rows in (found, expected)))


def test_epochs_differ_and_repeat_with_their_seed(small_sample):
    packed = training(small_sample, 1000)
    first, again, other = (of_batches(packed, epoch)[0] for epoch in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.isin(first, other).mean() < 0.5


def test_random_batches_fluctuate_as_random_subsets_do():
    sample = synthetic_sample(60_000, hypotheses=5)
    packed = training(sample, 2000)
    signal = np.sort(sample.training.weight[sample.training.process == SIGNAL])
    found = [batch for epoch in range(20) for batch in of_batches(packed, epoch)]
    counts = [np.isin(batch, signal).sum() for batch in found]
    size, share = np.mean([len(batch) for batch in found]), len(signal) / len(sample.training)
    expected = share * (1 - share) * size * (1 - 1 / packed.batches)  # hypergeometric
    assert np.mean(counts) == pytest.approx(share * size, rel=0.01)
    assert np.var(counts) == pytest.approx(expected, rel=0.35)


def test_events_on_disk_are_the_same_bytes(small_sample, tmp_path, monkeypatch):
    in_memory = training(small_sample, 900)
    monkeypatch.setattr("punzinet.analysis.io.tensor_events.ROWS", 1000)
    monkeypatch.setattr(batches, "FILLED_TOGETHER", 50_000)  # filled in several goes
    on_disk = training(small_sample, 900, disk=tmp_path / "events")
    assert on_disk.values.tobytes() == in_memory.values.tobytes()
    assert isinstance(on_disk.values.base, np.memmap)
    assert not list((tmp_path / "events").iterdir())  # nothing that a crash could leave behind
    few = small_sample.validation[:9]  # one tile, of which the second rank has none
    assert len(pack(small_sample, few, disk=tmp_path, ranks=Ranks(1, 2))) == 0


def test_streamed_sample_is_the_one_in_memory(tmp_path):
    write_tensors(tmp_path, 20_000, chunk=3000)
    windows = synthetic_windows()
    streamed, whole = (read(tmp_path, windows, Folds(4, 3)) for read in (open_sample, load_sample))
    assert streamed.digest == whole.digest
    for part in ("training", "validation"):
        ours, theirs = (pack(sample, getattr(sample, part)) for sample in (streamed, whole))
        assert ours.values.tobytes() == theirs.values.tobytes()


def test_full_disk_is_one_sentence(small_sample, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    try:
        with pytest.raises(InputError, match=r"has no room for 0.000\d+ GB .*--output"):
            training(small_sample, 900, disk=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
