"""Whole trainings of small samples: better networks, the same networks, and honest failures."""

import os
import re
import resource
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import run_python
from synthetic import synthetic_sample, synthetic_windows, write_tensors

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.folds import Folds
from punzinet.analysis.io import workers
from punzinet.analysis.io.files import InputError, Interrupted
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training import checkpoint
from punzinet.analysis.training.data import Sample, open_sample
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.train import CHECKPOINT, parameters_of, train_networks


def recipe(**changes):
    pretraining = {"epochs": 6, "batch_size": 512} | changes.pop("pretraining", {})
    punzi = {"epochs": 8, "batch_size": 3000, "learning_rate": 2e-3} | changes.pop("punzi", {})
    content = {"networks": 2, "finish": 3, "pretraining": pretraining, "punzi": punzi, **changes}
    return TrainingSettings.model_validate(content)


def vectors(result):
    return parameters_of([trained.network for trained in result.networks])


@dataclass
class Trainer:
    sample: Sample
    folder: Path

    def __call__(self, settings, **more):
        output = OutputFolder(self.folder)
        return train_networks(self.sample, FigureOfMerit(), 50.0, settings, output, **more)

    def interrupt(self, settings, phase, epoch, number):
        """Train until this process gets a signal after an epoch of a phase."""
        reporter = at(phase, epoch, lambda _: os.kill(os.getpid(), number))
        with pytest.raises(Interrupted, match=f"after epoch {epoch} of phase {phase}.*continues"):
            self(settings, reporters=[reporter])

    def history(self, name):
        return pq.read_table(self.folder / "networks" / name / "history.parquet").to_pandas()


def at(phase, epoch, action):
    """A reporter that does something to the state after an epoch of a phase."""

    def report(now, state):
        if (now.name, state.epoch) == (phase, epoch):
            action(state)

    return report


@pytest.fixture
def train(small_sample, tmp_path):
    return Trainer(small_sample, tmp_path)


@pytest.fixture(scope="module")
def whole(small_sample, tmp_path_factory):
    return Trainer(small_sample, tmp_path_factory.mktemp("whole"))(recipe())


def test_both_phases_make_their_loss_smaller(train, whole):
    result = train(recipe())
    np.testing.assert_array_equal(vectors(result), vectors(whole))
    assert [n.name for n in result.networks] == ["bce-00", "bce-01", "punzi-00", "punzi-01"]
    assert len(np.unique(vectors(result), axis=0)) == 4
    for trained in result.networks:
        history = train.history(trained.name)
        assert list(history.columns) == ["epoch", "loss", "validation_loss", "learning_rate"]
        assert trained.loss == history.validation_loss.min()
        assert trained.epoch == history.validation_loss.idxmin()
        assert trained.loss < history.validation_loss[0]
        assert trained.converged
    assert not (train.folder / "networks" / CHECKPOINT).exists()


def test_a_pretraining_need_not_be_repeated(train):
    settings = recipe(networks=1, finish=0)
    whole = vectors(train(settings))
    result = train(settings, pretrained=whole[:1])
    assert [n.name for n in result.networks] == ["punzi-00"]
    # Saved networks are rounded to single precision, so that the last digits differ.
    np.testing.assert_allclose(vectors(result)[0], whole[1], atol=1e-4)


def test_a_network_whose_rate_has_fallen_to_nothing_is_finished(train):
    # Steps so short that rounding hides them: nothing is better, and the rate is halved at once.
    punzi = {"epochs": 50, "patience": 1, "learning_rate": 1e-30}
    for trained in train(recipe(finish=0, punzi=punzi)).punzi:
        assert train.history(trained.name).epoch.tolist() == list(range(11))
        assert trained.converged


@pytest.mark.parametrize(
    ("when", "changes"),
    [
        (("bce", 4, signal.SIGINT), {}),
        (("punzi", 5, signal.SIGTERM), {"networks": 25, "pretraining": {"epochs": 2}}),
        (("bce", 7, signal.SIGTERM), {}),
        (("punzi", 10, signal.SIGTERM), {}),
    ],
)
def test_resumed_training_writes_the_same_bytes(train, tmp_path_factory, when, changes):
    other = Trainer(train.sample, tmp_path_factory.mktemp("parted"))
    other.interrupt(recipe(**changes), *when)
    whole = train(recipe(**changes), resume=True)  # without a checkpoint, from the beginning
    resumed = other(recipe(**changes), resume=True)
    np.testing.assert_array_equal(vectors(resumed), vectors(whole))
    assert [n.loss for n in resumed.networks] == [n.loss for n in whole.networks]
    for path in train.folder.rglob("*.parquet"):
        assert (other.folder / path.relative_to(train.folder)).read_bytes() == path.read_bytes()


def test_the_finish_begins_at_the_best_epoch_and_lowers_the_training_loss_with_every_step(train):
    train(recipe(finish=15))
    for name, epochs in (("bce-00", 6), ("punzi-01", 8)):
        history = train.history(name)
        assert np.isnan(history.learning_rate).tolist() == [*[False] * (epochs + 1), *[True] * 15]
        end, finish = history.loss[:epochs].min(), history.loss[epochs + 1 :]
        assert finish.iloc[-1] < 0.99 * end


def test_training_and_validation_loss_are_the_same_quantity(train):
    """Of one network for the same events, they are the same number."""
    events = train.sample.training[::2]
    train.sample = replace(train.sample, training=events, validation=events)
    train(recipe())
    for name in ("bce-00", "punzi-00"):
        history = train.history(name)
        np.testing.assert_allclose(history.loss, history.validation_loss, rtol=1e-6)


def test_power_cut_loses_only_what_came_after_the_last_checkpoint(train, whole, monkeypatch):
    def cut_power(_):
        raise ZeroDivisionError  # not an orderly end

    monkeypatch.setattr(checkpoint, "TIME_SHARE", np.inf)
    with pytest.raises(ZeroDivisionError):
        train(recipe(), reporters=[at("punzi", 3, cut_power)])
    epochs = []
    reporters = [lambda _, state: epochs.append(state.epoch)]
    resumed = train(recipe(), resume=True, reporters=reporters)
    assert epochs == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    np.testing.assert_array_equal(vectors(resumed), vectors(whole))


@pytest.mark.parametrize(("repeats", "ends"), [(0.0, KeyboardInterrupt), (60.0, Interrupted)])
def test_a_second_signal_ends_it_at_once_unless_it_repeats_the_first(
    train, monkeypatch, repeats, ends
):
    monkeypatch.setattr(workers, "REPEATS", repeats)
    interrupt = at("bce", 2, lambda _: os.kill(os.getpid(), signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)  # which in a background job ignores it
    with pytest.raises(ends):
        train(recipe(), reporters=[interrupt] * 2)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def interrupted(train):
    train.interrupt(recipe(), "bce", 2, signal.SIGINT)
    return train.folder / "networks" / CHECKPOINT


@pytest.mark.usefixtures("interrupted")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"punzi": {"learning_rate": 1e-4}}, "`training.punzi.learning_rate` changed from 0.002"),
        ({"seed": 7, "networks": 3}, "`training.networks` changed from 2 to 3; `training.seed` ch"),
        ({}, "another training: `tensors` changed"),
    ],
)
def test_checkpoint_of_other_settings_or_data_is_refused(train, changes, message):
    if not changes:
        train.sample = synthetic_sample(12_000, hypotheses=7, seed=2)
    begun = []
    with pytest.raises(InputError, match=message):
        train(recipe(**changes), resume=True, begin=lambda: begun.append(True))
    assert not begun


def test_damaged_checkpoint_is_refused(train, interrupted):
    good = interrupted.read_bytes()
    for damaged in (good[:-20] + bytes([good[-20] ^ 1]) + good[-19:], b"x"):
        interrupted.write_bytes(damaged)
        with pytest.raises(InputError, match=r"not a checkpoint .*is damaged; train .*--restart"):
            train(recipe(), resume=True)


def test_other_weights_train_as_well(train, whole):
    result = train(recipe(pretraining={"signal_weights": "total"}))
    for mine, usual in zip(result.punzi, whole.punzi, strict=True):
        assert mine.converged
        assert mine.loss == pytest.approx(usual.loss, rel=0.05)
        assert mine.loss != usual.loss


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (1e300, r"epoch 1 .*no number any more.*training.punzi.learning_rate` \(1e\+300\)"),
        # A step this long puts the output bias where no gradient leads back from.
        (30.0, "everything is signal .*training.punzi"),
    ],
)
def test_steps_that_are_too_long_are_noticed(train, rate, message):
    with pytest.raises(InputError, match=message):
        train(recipe(punzi={"learning_rate": rate, "max_step": None}))


def test_a_window_of_few_events_is_named_where_nothing_converges(small_sample, tmp_path):
    events = small_sample.training
    others = np.flatnonzero((events.process >= 0) & (events.start <= 3) & (events.stop > 3))
    scarce = replace(small_sample, training=events[np.delete(np.arange(len(events)), others[5:])])
    message = f"Only 5 background events in the window of {scarce.mass[3]:g} GeV .* 100 in every"
    with pytest.raises(InputError, match=message):
        Trainer(scarce, tmp_path)(recipe(punzi={"learning_rate": 1e300, "max_step": None}))


def test_one_lost_network_does_not_end_the_others(train, whole, caplog):
    lose_first = at("punzi", 2, lambda state: state.parameters[0].fill(np.nan))
    result = train(recipe(), reporters=[lose_first])
    assert [n.converged for n in result.punzi] == [False, True]
    assert "punzi-00 did not converge: in epoch 3 the loss is no number" in caplog.text
    assert np.isfinite(vectors(result)).all()
    np.testing.assert_array_equal(vectors(result)[-1], vectors(whole)[-1])


def train_tensors(tensors, output, storage):
    """Train for an epoch each; losses, and all parameters to the last bit."""
    settings = recipe(networks=1, storage=storage, pretraining={"epochs": 1}, punzi={"epochs": 1})
    result = Trainer(open_sample(tensors, synthetic_windows(), Folds(4, 3)), output)(settings)
    return f"{[trained.loss for trained in result.networks]} {vectors(result).tobytes().hex()}"


def test_training_of_a_sample_larger_than_the_memory(tmp_path):
    """1.5 million events take 38 MB, and as much again when they are packed."""
    write_tensors(tmp_path / "tensors", 1_500_000, chunk=100_000)

    def limited(storage):
        return run_python(__file__, tmp_path, storage, "30", folder=tmp_path)

    on_disk = limited("disk")
    assert on_disk.returncode == 0, on_disk.stderr
    assert on_disk.stdout == train_tensors(tmp_path / "tensors", tmp_path / "memory", "memory")
    assert "MemoryError" in limited("memory").stderr


if __name__ == "__main__":  # train from tensors with little memory
    folder, storage, mebibytes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    threading.stack_size(2**20)  # of 8 MiB, those of many cores would be more than the sample
    with tempfile.TemporaryDirectory() as scratch:
        # What code and threads take does not count, nor what is a file's.
        write_tensors(Path(scratch) / "tensors", 20_000)
        train_tensors(Path(scratch) / "tensors", Path(scratch), storage)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    limit = 1024 * int(re.findall(r"VmData:\s+(\d+)", status)[0]) + mebibytes * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    sys.stdout.write(train_tensors(folder / "tensors", folder / storage, storage))
