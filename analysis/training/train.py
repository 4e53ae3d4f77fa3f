"""Training of an ensemble of networks, from a sample to finished networks.

    sample = open_sample(tensors, windows, settings.validation_fold)
    result = train_networks(sample, figure_of_merit, luminosity, settings, output)

All N networks start from parameters of their own and see the same batches. Each is pretrained
with the weighted cross-entropy, and its best epoch goes on to the Punzi-loss.
"""

import hashlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.errors import InputError, Interrupted
from punzinet.analysis.io.files import atomic_path
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.network import PunziNet
from punzinet.analysis.training.autograd import AutogradEngine
from punzinet.analysis.training.batches import PackedEvents, pack
from punzinet.analysis.training.data import StreamedSample
from punzinet.analysis.training.engine import Engine, FusedEngine, Objective
from punzinet.analysis.training.loop import Phase, Pretraining, PunziTraining
from punzinet.analysis.training.progress import Reporter
from punzinet.analysis.training.ranks import Ranks
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.state import Checkpoint, TrainingState
from punzinet.analysis.types import FloatArray

LOG = logging.getLogger(__name__)

#: What a random number is for; with the seed of the settings it seeds a generator.
PARAMETERS, PACKING, BATCHES = range(3)
#: Settings that change no result.
WITHOUT_CONSEQUENCE = {"storage"}
#: Seconds in which torchrun repeats a signal that its processes had already from the terminal.
REPEATS_OF_LAUNCHER = 2.0
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """One network after one phase, at the epoch with its smallest validation loss.

    That is epoch 0 if training did not improve it. The name is that of its folder, such as
    ``punzi-00``, the loss that of the validation (cross-entropy, or fb); it has converged if the
    training ran to its end, with no hypothesis dead.
    """

    name: str
    network: PunziNet
    loss: float
    epoch: int
    converged: bool
    messages: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """All networks of a training, the pretrained ones (if any) in the order of the others."""

    bce: tuple[TrainedNetwork, ...]
    punzi: tuple[TrainedNetwork, ...]

    @property
    def networks(self) -> tuple[TrainedNetwork, ...]:
        """All of them."""
        return self.bce + self.punzi


def train_networks(
    sample: StreamedSample,
    figure_of_merit: FigureOfMerit,
    luminosity: float,
    settings: TrainingSettings,
    output: OutputFolder,
    *,
    pretrained: FloatArray | None = None,
    may_fail: bool = False,
    resume: bool = False,
    reporters: Sequence[Reporter] = (),
    ranks: Ranks | None = None,
) -> TrainingResult:
    """Pretrain and train networks; write their histories, and checkpoints on the way.

    The luminosity is the target in fb^-1. With `pretrained`, (N, K) parameters from an earlier
    pretraining with the same settings, that is not repeated, and the result has no pretrained
    networks of its own. With `may_fail` there is a result even if not one network converged; with
    `resume` a checkpoint is continued. Without `ranks`, this process trains alone.

    Raises:
        Interrupted: If the training was asked to stop; a checkpoint has been written.
        InputError: If the checkpoint is of another training, or not one network converged.
    """
    identity: dict[str, Any] = {
        "training": settings.model_dump(mode="json", exclude=WITHOUT_CONSEQUENCE),
        "figure_of_merit": figure_of_merit.model_dump(mode="json"),
        "luminosity": luminosity,
        "tensors": sample.digest,
    }
    if pretrained is not None:
        identity["pretrained"] = hashlib.sha256(pretrained.tobytes()).hexdigest()
    path = output.network(CHECKPOINT)
    checkpoint = Checkpoint(path, identity, resume=resume)
    ranks = Ranks() if ranks is None else ranks
    ranks.any(False)  # nobody writes before all have read
    objective = _objective(sample, figure_of_merit, luminosity, settings)
    training = _Training(sample, objective, settings, output, ranks)
    phases = [training.pretraining, training.punzi_training]
    vectors = training.initial_parameters() if pretrained is None else pretrained
    with _noted_signals(REPEATS_OF_LAUNCHER if ranks.count > 1 else 0.0) as signal_came:
        for index in range(0 if pretrained is None else 1, 2):
            phase = phases[index]()
            if phase.name not in checkpoint.states:
                checkpoint.states[phase.name] = phase.start(vectors)
            state = checkpoint.states[phase.name]
            for _ in phase.epochs(state, training.generator(BATCHES, index)):
                if ranks.number == 0:
                    for reporter in reporters:
                        reporter.epoch(phase, state)
                _end_if_asked(phase.name, state, checkpoint, ranks, signal_came())
            vectors = state.best
            del phase  # and with it a copy of the events, before the next one is made
    result = training.result(checkpoint.states)
    if not may_fail and not any(trained.converged for trained in result.punzi):
        first = result.punzi[0]
        raise InputError(f"No network converged; {first.name}: {first.messages[-1]}.")
    if ranks.number == 0:
        path.unlink(missing_ok=True)
    return result


def _end_if_asked(
    phase: str, state: TrainingState, checkpoint: Checkpoint, ranks: Ranks, signal_came: bool
) -> None:
    """Write a checkpoint when it is time to, or when the training has to end here.

    Raises:
        Interrupted: If a signal came to any rank.
    """
    ends = ranks.any(signal_came)
    if ranks.number == 0:
        checkpoint.write(at_once=ends)
    if ends:
        ranks.any(False)  # nobody leaves before it is written
        raise Interrupted(
            f"the training was interrupted after epoch {state.epoch} of phase {phase}; "
            "nothing is lost: the same command continues it."
        )


def _objective(
    sample: StreamedSample,
    figure_of_merit: FigureOfMerit,
    luminosity: float,
    settings: TrainingSettings,
) -> Objective:
    """What the losses of both phases need to know.

    In the cross-entropy, factors make signal sum up to as much as background does.
    """
    signal, background = sample.training_totals
    if settings.pretraining.signal_weights == "total":
        scale = np.full(len(signal), background.sum() / signal.sum())
    else:
        scale = background.sum() / (len(signal) * signal)
    return Objective(
        *sample.total,
        luminosity,
        figure_of_merit,
        np.concatenate([scale, np.ones(len(background))]),
        sample.backgrounds,
        settings.significance_cross_section,
    )


@contextmanager
def _noted_signals(repeats: float) -> Iterator[Callable[[], bool]]:
    """Note Ctrl-C and SIGTERM instead of dying of them; gives whether one has come.

    A second signal is not waited for: it raises KeyboardInterrupt at once, unless it comes within
    `repeats` seconds, from a launcher that repeats the first one. Outside the main thread, where
    Python delivers no signals, nothing is changed.
    """
    came: list[float] = []

    def note(number: int, frame: FrameType | None) -> None:
        del number, frame
        if came and time.monotonic() - came[0] >= repeats:
            raise KeyboardInterrupt
        came.append(time.monotonic())

    is_main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if is_main else ()
    previous = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Training:
    """Makes phases, engines and networks from a sample and settings."""

    def __init__(
        self,
        sample: StreamedSample,
        objective: Objective,
        settings: TrainingSettings,
        output: OutputFolder,
        ranks: Ranks,
    ) -> None:
        self.sample = sample
        self.objective = objective
        self.settings = settings
        self.output = output
        self.ranks = ranks
        self.widths = (len(sample.features), *settings.hidden, 1)

    def generator(self, purpose: int, index: int) -> Callable[[int], np.random.Generator]:
        """Independent sources of random numbers, by what they are for."""
        return lambda number: np.random.default_rng([self.settings.seed, purpose, index, number])

    def initial_parameters(self) -> FloatArray:
        """(N, K) parameters of randomly initialised networks."""
        return np.stack(
            [
                parameters_to_vector(self._network(n).parameters()).detach().double().numpy()
                for n in range(self.settings.networks)
            ]
        )

    def pretraining(self) -> Phase:
        """The first phase. Its batches are always random: a stratum means nothing to its loss."""
        settings = self.settings.pretraining
        return Pretraining(*self._engines(0, settings.batch_size, stratified=False), settings)

    def punzi_training(self) -> Phase:
        """The second phase."""
        settings = self.settings.punzi
        batch_size = None if settings.optimizer == "lbfgs" else settings.batch_size
        engines = self._engines(1, batch_size, stratified=settings.batches == "stratified")
        return PunziTraining(*engines, settings, self.sample.mass)

    def result(self, states: dict[str, TrainingState]) -> TrainingResult:
        """Collect finished networks, and write their histories.

        Raises:
            InputError: If a history cannot be written.
        """
        networks: dict[str, list[TrainedNetwork]] = {"bce": [], "punzi": []}
        for phase, state in states.items():
            for n in range(self.settings.networks):
                trained = self._trained(f"{phase}-{n:02d}", state, n)
                networks[phase].append(trained)
                if self.ranks.number > 0:
                    continue
                path = self.output.network(trained.name) / "history.parquet"
                with atomic_path(path) as partial:
                    pq.write_table(pa.table(state.history(n)), partial, write_page_checksum=True)
                if phase == "punzi" and not trained.converged:
                    LOG.warning("%s did not converge: %s", trained.name, trained.messages[-1])
        return TrainingResult(tuple(networks["bce"]), tuple(networks["punzi"]))

    def _trained(self, name: str, state: TrainingState, number: int) -> TrainedNetwork:
        """One of the networks at its best epoch."""
        network = self._network(number)
        vector = torch.from_numpy(state.best[number]).float()
        vector_to_parameters(vector, network.parameters())
        return TrainedNetwork(
            name,
            network,
            float(state.best_loss[number]),
            int(state.best_epoch[number]),
            not (state.stopped[number] or state.dead[number].any()),
            tuple(state.messages[number]),
        )

    def _network(self, number: int) -> PunziNet:
        """One of the networks, randomly initialised."""
        rng = self.generator(PARAMETERS, 0)(number)
        low, high = self.sample.scaling
        return PunziNet(self.sample.features, low, high, self.settings.hidden, rng)

    def _engines(
        self, phase: int, batch_size: int | None, *, stratified: bool
    ) -> tuple[Engine, Engine]:
        """Engines with the training and the validation events, the latter as they come."""
        disk = self.output.root if self.settings.storage == "disk" else None
        put = partial(pack, self.sample, disk=disk, ranks=self.ranks)
        rng = self.generator(PACKING, phase)(0)
        training = put(self.sample.training, batch_size, rng, stratified=stratified)
        return self._engine(training), self._engine(put(self.sample.validation))

    def _engine(self, events: PackedEvents) -> Engine:
        """The engine of the device of the settings."""
        if self.settings.device == "cpu":
            return FusedEngine(events, self.widths, self.objective)
        device = events.ranks.device(self.settings.device)
        return AutogradEngine(events, self.widths, self.objective, device)
