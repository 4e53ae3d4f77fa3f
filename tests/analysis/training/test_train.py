"""Whole trainings of small samples: better networks, the same networks, and honest failures."""

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from torch.nn.utils import parameters_to_vector

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.errors import InputError, Interrupted
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.training import state
from punzinet.analysis.training.data import Sample
from punzinet.analysis.training.loop import Phase
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.state import TrainingState
from punzinet.analysis.training.train import CHECKPOINT, TrainingResult, train_networks

LUMINOSITY = 50.0
LIMITED = Path(__file__).parent / "train_limited.py"


def recipe(**changes: Any) -> TrainingSettings:
    """A short recipe."""
    pretraining = {"epochs": 6, "batch_size": 512} | changes.pop("pretraining", {})
    punzi = {"epochs": 8, "batch_size": 3000, "learning_rate": 2e-3} | changes.pop("punzi", {})
    content = {"networks": 2, "pretraining": pretraining, "punzi": punzi, **changes}
    return TrainingSettings.model_validate(content)


def train(sample: Sample, folder: Path, settings: TrainingSettings, **more: Any) -> TrainingResult:
    output = OutputFolder(folder)
    return train_networks(sample, FigureOfMerit(), LUMINOSITY, settings, output, **more)


def vectors(result: TrainingResult) -> np.ndarray:
    """Parameters of all networks."""
    networks = [trained.network for trained in result.networks]
    return np.stack([parameters_to_vector(n.parameters()).detach().numpy() for n in networks])


class At:
    """A reporter that does something after an epoch of a phase."""

    def __init__(self, phase: str, epoch: int, action: Callable[[], None]) -> None:
        self.when = phase, epoch
        self.action = action
        self.epochs: list[int] = []

    def epoch(self, phase: Phase, state: TrainingState) -> None:
        self.epochs.append(state.epoch)
        self.state = state
        if (phase.name, state.epoch) == self.when:
            self.action()


def at(phase: str, epoch: int, number: signal.Signals = signal.SIGINT) -> At:
    """A reporter that sends this process a signal after an epoch of a phase."""
    return At(phase, epoch, lambda: os.kill(os.getpid(), number))


def interrupt(sample: Sample, folder: Path, settings: TrainingSettings, reporter: At) -> None:
    """Train until a reporter sends a signal."""
    name, epoch = reporter.when
    sentence = f"after epoch {epoch} of phase {name}.*continues it"
    with pytest.raises(Interrupted, match=sentence):
        train(sample, folder, settings, reporters=[reporter])


class PowerCutError(Exception):
    """Not an orderly end."""


def cut_power() -> None:
    raise PowerCutError


@pytest.fixture(scope="module")
def whole(small_sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """An uninterrupted training."""
    return train(small_sample, tmp_path_factory.mktemp("whole"), recipe())


def test_both_stages_make_their_loss_smaller(small_sample: Sample, tmp_path: Path) -> None:
    result = train(small_sample, tmp_path, recipe())
    for trained in result.networks:
        path = tmp_path / "networks" / trained.name / "history.parquet"
        history = pq.read_table(path).to_pandas()
        assert list(history.columns) == ["epoch", "loss", "validation_loss", "learning_rate"]
        assert trained.loss == history.validation_loss.min()
        assert trained.epoch == history.validation_loss.idxmin()
        assert trained.loss < history.validation_loss[0]
        assert trained.converged
    assert not (tmp_path / "networks" / CHECKPOINT).exists()


def test_a_pretraining_need_not_be_repeated(
    small_sample: Sample, whole: TrainingResult, tmp_path: Path
) -> None:
    given = vectors(whole)[:1].astype(float)
    result = train(small_sample, tmp_path, recipe(networks=1), pretrained=given)
    assert [n.name for n in result.networks] == ["punzi-00"]
    # Saved networks are rounded to single precision, so that the last digits differ.
    np.testing.assert_allclose(vectors(result)[0], vectors(whole)[2], atol=1e-4)


def test_a_network_whose_rate_has_fallen_to_nothing_is_finished(
    small_sample: Sample, tmp_path: Path
) -> None:
    # Steps so short that rounding hides them: nothing is better, and the rate is halved at once.
    settings = recipe(punzi={"epochs": 50, "patience": 1, "learning_rate": 1e-30})
    result = train(small_sample, tmp_path, settings)
    for trained in result.punzi:
        history = pq.read_table(tmp_path / "networks" / trained.name / "history.parquet")
        assert history["epoch"].to_pylist() == list(range(11))
        assert trained.converged


def test_networks_start_from_parameters_of_their_own(whole: TrainingResult) -> None:
    assert [n.name for n in whole.networks] == ["bce-00", "bce-01", "punzi-00", "punzi-01"]
    assert len(np.unique(vectors(whole), axis=0)) == 4


@pytest.mark.parametrize(
    "reporter", [at("bce", 4), at("punzi", 5, signal.SIGTERM)], ids=["bce", "punzi"]
)
def test_resumed_training_is_bit_identical(
    small_sample: Sample, tmp_path: Path, whole: TrainingResult, reporter: At
) -> None:
    interrupt(small_sample, tmp_path, recipe(), reporter)
    resumed = train(small_sample, tmp_path, recipe(), resume=True)
    np.testing.assert_array_equal(vectors(resumed), vectors(whole))
    assert [n.loss for n in resumed.networks] == [n.loss for n in whole.networks]


@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
def test_resumed_ensemble_writes_the_same_bytes(
    small_sample: Sample, tmp_path: Path, optimizer: str
) -> None:
    settings = recipe(
        networks=25, pretraining={"epochs": 2}, punzi={"epochs": 5, "optimizer": optimizer}
    )
    whole = train(small_sample, tmp_path / "whole", settings)
    interrupt(small_sample, tmp_path / "parted", settings, at("punzi", 3, signal.SIGTERM))
    resumed = train(small_sample, tmp_path / "parted", settings, resume=True)
    np.testing.assert_array_equal(vectors(resumed), vectors(whole))
    for path in (tmp_path / "whole").rglob("*.parquet"):
        other = tmp_path / "parted" / path.relative_to(tmp_path / "whole")
        assert other.read_bytes() == path.read_bytes()


def test_quasi_newton_needs_fewer_epochs(small_sample: Sample, tmp_path: Path) -> None:
    losses = {
        optimizer: np.mean(
            [
                n.loss
                for n in train(
                    small_sample, tmp_path, recipe(punzi={"epochs": 20, "optimizer": optimizer})
                ).punzi
            ]
        )
        for optimizer in ("sgd", "lbfgs")
    }
    assert losses["lbfgs"] < losses["sgd"]


def test_power_cut_loses_only_what_came_after_the_last_checkpoint(
    small_sample: Sample, tmp_path: Path, whole: TrainingResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "TIME_SHARE", np.inf)
    with pytest.raises(PowerCutError):
        train(small_sample, tmp_path, recipe(), reporters=[At("punzi", 3, cut_power)])
    count = At("", 0, cut_power)
    resumed = train(small_sample, tmp_path, recipe(), resume=True, reporters=[count])
    assert count.epochs == [3, 4, 5, 6, 7, 8]
    np.testing.assert_array_equal(vectors(resumed), vectors(whole))


def test_second_signal_ends_it_at_once(small_sample: Sample, tmp_path: Path) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(small_sample, tmp_path, recipe(), reporters=[At("bce", 2, twice)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"punzi": {"learning_rate": 1e-4}}, "training.punzi.learning_rate was 0.002 and is now"),
        ({"seed": 7}, "training.seed was 1 and is now 7"),
        ({"networks": 3}, "training.networks was 2 and is now 3"),
    ],
)
def test_checkpoint_of_other_settings_is_refused(
    small_sample: Sample, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    interrupt(small_sample, tmp_path, recipe(), at("bce", 2))
    with pytest.raises(InputError, match=message):
        train(small_sample, tmp_path, recipe(**changes), resume=True)


def test_checkpoint_of_other_data_is_refused(
    small_sample: Sample, tmp_path: Path, synthetic_sample: Callable[..., Sample]
) -> None:
    interrupt(small_sample, tmp_path, recipe(), at("bce", 2))
    other = synthetic_sample(12_000, hypotheses=7, seed=2)
    with pytest.raises(InputError, match="another training: tensors was"):
        train(other, tmp_path, recipe(), resume=True)


def test_resume_without_checkpoint_starts_from_the_beginning(
    small_sample: Sample, tmp_path: Path, whole: TrainingResult
) -> None:
    resumed = train(small_sample, tmp_path, recipe(), resume=True)
    np.testing.assert_array_equal(vectors(resumed), vectors(whole))


def test_a_checkpoint_with_a_wrong_number_is_refused(small_sample: Sample, tmp_path: Path) -> None:
    interrupt(small_sample, tmp_path, recipe(), at("bce", 2))
    path = tmp_path / "networks" / CHECKPOINT
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged; train from the beginning with --restart"):
        train(small_sample, tmp_path, recipe(), resume=True)


def test_damaged_checkpoint_is_refused(small_sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / "networks" / CHECKPOINT
    path.parent.mkdir()
    path.write_bytes(b"nothing of use")
    with pytest.raises(InputError, match="is not a checkpoint"):
        train(small_sample, tmp_path, recipe(), resume=True)


def test_autograd_engine_gives_the_same_networks(small_sample: Sample, tmp_path: Path) -> None:
    short = {
        "networks": 1,
        "pretraining": {"epochs": 2, "batch_size": 1000},
        "punzi": {"epochs": 3, "learning_rate": 2e-3},
    }
    results = [
        vectors(train(small_sample, tmp_path / device, recipe(device=device, **short)))
        for device in ("cpu", "cpu:0")
    ]
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)


def test_stratified_batches_train_as_well(
    small_sample: Sample, tmp_path: Path, whole: TrainingResult
) -> None:
    result = train(small_sample, tmp_path, recipe(punzi={"batches": "stratified"}))
    for mine, random in zip(result.punzi, whole.punzi, strict=True):
        assert mine.converged
        assert mine.loss == pytest.approx(random.loss, rel=0.05)
        assert mine.loss != random.loss


def test_one_factor_for_all_signal_weights_is_another_pretraining(
    small_sample: Sample, tmp_path: Path, whole: TrainingResult
) -> None:
    result = train(small_sample, tmp_path, recipe(pretraining={"signal_weights": "total"}))
    assert not np.allclose(vectors(result), vectors(whole))


def test_diverging_training_says_what_to_change(small_sample: Sample, tmp_path: Path) -> None:
    settings = recipe(punzi={"learning_rate": 1e300, "max_step": None})
    with pytest.raises(InputError, match=r"epoch 1 .*training.punzi.learning_rate` \(1e\+300\)"):
        train(small_sample, tmp_path, settings)


def test_everything_is_signal_is_noticed(small_sample: Sample, tmp_path: Path) -> None:
    # A step this long puts the output bias where no gradient leads back from.
    settings = recipe(punzi={"learning_rate": 30.0, "max_step": None})
    with pytest.raises(InputError, match=r"everything is signal .*training.punzi"):
        train(small_sample, tmp_path, settings)


def test_one_lost_network_does_not_end_the_others(
    small_sample: Sample,
    tmp_path: Path,
    whole: TrainingResult,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def lose_first() -> None:
        reporter.state.parameters[0] = np.nan

    reporter = At("punzi", 2, lose_first)
    result = train(small_sample, tmp_path, recipe(), reporters=[reporter])
    assert [n.converged for n in result.punzi] == [False, True]
    assert "punzi-00 did not converge: in epoch 3 the loss is no number" in caplog.text
    assert np.isfinite(vectors(result)).all()
    np.testing.assert_array_equal(vectors(result)[-1], vectors(whole)[-1])


def test_the_significance_is_trained_in_the_same_engine(
    small_sample: Sample, tmp_path: Path
) -> None:
    """1/Z² falls; the Punzi-loss of the same recipe is another network."""
    settings = recipe(networks=1, significance_cross_section=5.0, punzi={"learning_rate": 0.5})
    result = train(small_sample, tmp_path, settings)
    history = pq.read_table(
        tmp_path / "networks" / "punzi-00" / "history.parquet", partitioning=None
    )["validation_loss"].to_numpy()
    assert result.punzi[0].loss == pytest.approx(history.min())
    assert history[-1] < history[0]
    assert result.punzi[0].converged


def test_training_of_a_sample_larger_than_the_memory(
    tmp_path: Path, synthetic: dict[str, Any]
) -> None:
    """1.5 million events take 38 MB, and as much again when they are packed."""
    synthetic["write_tensors"](tmp_path / "tensors", 1_500_000, chunk=100_000)

    def limited(storage: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(LIMITED), str(tmp_path), storage, "30"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)

    on_disk = limited("disk")
    assert on_disk.returncode == 0, on_disk.stderr
    program = runpy.run_path(str(LIMITED))
    unlimited = program["train"](tmp_path / "tensors", tmp_path / "memory", "memory")
    assert on_disk.stdout == program["describe"](unlimited)
    assert "MemoryError" in limited("memory").stderr
