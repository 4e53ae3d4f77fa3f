"""Training of an ensemble of networks, from a sample to finished networks.

    sample = open_sample(tensors, windows, settings.validation_fold)
    result = train_networks(sample, figure_of_merit, luminosity, settings, output)

All N networks start from parameters of their own and see the same batches. Each is pretrained
with the weighted cross-entropy, and its best epoch goes on to the Punzi-loss.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.errors import InputError, Interrupted
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.network import PunziNet
from punzinet.analysis.training.autograd import AutogradEngine
from punzinet.analysis.training.batches import Room, Shelf, shelve, shelve_random, shelve_stratified
from punzinet.analysis.training.checkpoint import Checkpoint, read_checkpoint
from punzinet.analysis.training.data import Source
from punzinet.analysis.training.engine import Engine, Task
from punzinet.analysis.training.fused import FusedEngine
from punzinet.analysis.training.interruption import Interruption
from punzinet.analysis.training.progress import Reporter, TensorBoard, write_history
from punzinet.analysis.training.ranks import Ranks
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.training.stages import Pretraining, PunziTraining, QuasiNewtonTraining, Stage
from punzinet.analysis.training.state import StageState
from punzinet.analysis.training.storage import Storage
from punzinet.analysis.types import FloatArray

LOG = logging.getLogger(__name__)

#: What a random number is for; with the seed of the settings it seeds a generator.
PARAMETERS, SHELF, BATCHES = range(3)
#: Settings that change no result.
WITHOUT_CONSEQUENCE = {"checkpoint_seconds", "tensorboard", "storage"}
#: Seconds in which torchrun repeats a signal that its processes had already from the terminal.
REPEATS_OF_LAUNCHER = 2.0
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """One network after one stage, at the epoch with its smallest validation loss.

    Attributes:
        name: Of its folder, such as ``punzi-00``.
        network: The network.
        loss: Its validation loss: cross-entropy, or fb.
        epoch: The epoch it is from; 0 if training did not improve it.
        converged: Whether the training ran to its end, with no hypothesis dead.
        messages: What was said of it during the training.
    """

    name: str
    network: PunziNet
    loss: float
    epoch: int
    converged: bool
    messages: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """All networks of a training.

    Attributes:
        bce: The pretrained networks; none if the training began with given ones.
        punzi: The networks trained with the Punzi-loss, in the same order.
    """

    bce: tuple[TrainedNetwork, ...]
    punzi: tuple[TrainedNetwork, ...]

    @property
    def networks(self) -> tuple[TrainedNetwork, ...]:
        """All of them."""
        return self.bce + self.punzi


def train_networks(
    sample: Source,
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

    Args:
        sample: The events.
        figure_of_merit: Which σ_min is made small.
        luminosity: Target luminosity in fb^-1.
        settings: The recipe.
        output: Where networks have their folders.
        pretrained: (N, K) parameters from an earlier pretraining with the same settings, which
            is then not repeated; the result has no pretrained networks of its own.
        may_fail: Give back a result even if not one network converged.
        resume: Continue from the checkpoint, if there is one.
        reporters: Who is told of every epoch.
        ranks: Processes that train together; this one alone if not given.

    Raises:
        Interrupted: If the training was asked to stop; a checkpoint has been written.
        InputError: If the checkpoint is of another training, or not one network converged.
    """
    path = output.network(CHECKPOINT)
    identity = _identity(sample, figure_of_merit, luminosity, settings)
    if pretrained is not None:
        identity["pretrained"] = hashlib.sha256(pretrained.tobytes()).hexdigest()
    checkpoint = (resume and read_checkpoint(path, identity)) or Checkpoint(identity, {})
    ranks = Ranks() if ranks is None else ranks
    ranks.wait()  # nobody writes before all have read
    writes = ranks.number == 0
    reporters = reporters if writes else ()
    storage = Storage(output.root if settings.storage == "disk" else None)
    room = Room(storage, ranks.number, ranks.count)
    training = _Training(sample, figure_of_merit, luminosity, settings, room=room, ranks=ranks)
    with ExitStack() as stack:
        interruption = stack.enter_context(
            Interruption(REPEATS_OF_LAUNCHER if ranks.count > 1 else 0.0)
        )
        if settings.tensorboard and writes:
            board = TensorBoard(output.network("tensorboard"))
            reporters = (*reporters, stack.enter_context(board))
        clock = time.monotonic()

        def after_epoch() -> None:
            """Write a checkpoint when it is time to, or when the training has to end here.

            Raises:
                Interrupted: If a signal came.
            """
            nonlocal clock
            if ranks.any(interruption.requested):
                if writes:
                    checkpoint.write(path)
                ranks.wait()
                name, state = list(checkpoint.stages.items())[-1]
                raise Interrupted(
                    f"the training was interrupted after epoch {state.epoch} of stage {name}; "
                    "nothing is lost: the same command continues it."
                )
            if writes and time.monotonic() - clock > settings.checkpoint_seconds:
                checkpoint.write(path)
                clock = time.monotonic()

        vectors = training.initial_parameters() if pretrained is None else pretrained
        stages = list(enumerate((training.pretraining, training.punzi_training)))
        for index, make in stages if pretrained is None else stages[1:]:
            stage = make()
            if stage.name not in checkpoint.stages:
                checkpoint.stages[stage.name] = stage.start(vectors)
            state = checkpoint.stages[stage.name]
            stage.run(state, training.generator(BATCHES, index), after_epoch, reporters)
            vectors = state.best
            del stage  # and with it a copy of the events, before the next one is made
    result = training.result(checkpoint.stages, output)
    _require_convergence(result, may_fail)
    if writes:
        path.unlink(missing_ok=True)
    return result


def _require_convergence(result: TrainingResult, may_fail: bool) -> None:
    """Check that training has led to something.

    Args:
        result: What it has led to.
        may_fail: Whether that may be nothing.

    Raises:
        InputError: If it may not, and not one network converged.
    """
    first = result.punzi[0]
    if not may_fail and not any(trained.converged for trained in result.punzi):
        raise InputError(f"No network converged; {first.name}: {first.messages[-1]}.")


def _identity(
    sample: Source,
    figure_of_merit: FigureOfMerit,
    luminosity: float,
    settings: TrainingSettings,
) -> dict[str, Any]:
    """Everything that decides the result of a training, as JSON can express it."""
    return {
        "training": settings.model_dump(mode="json", exclude=WITHOUT_CONSEQUENCE),
        "figure_of_merit": figure_of_merit.model_dump(mode="json"),
        "luminosity": luminosity,
        "tensors": sample.digest,
    }


class _Training:
    """Makes stages, engines and networks from a sample and settings."""

    def __init__(
        self,
        sample: Source,
        figure_of_merit: FigureOfMerit,
        luminosity: float,
        settings: TrainingSettings,
        *,
        room: Room,
        ranks: Ranks,
    ) -> None:
        self.sample = sample
        self.settings = settings
        self.room = room
        self.ranks = ranks
        self.widths = (len(sample.features), *settings.hidden, 1)
        self.task = Task(
            *sample.total,
            luminosity,
            figure_of_merit,
            self._bce_scale(),
            sample.backgrounds,
            settings.cross_section if settings.loss == "significance" else None,
        )

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

    def pretraining(self) -> Stage:
        """The first stage. Its batches are always random: a stratum means nothing to its loss."""
        settings = self.settings.pretraining
        events, rng = self.sample.training, self.generator(SHELF, 0)(0)
        shelf = shelve_random(self.sample, events, settings.batch_size, rng, self.room)
        return Pretraining(self._engine(shelf), self._engine(self._validation()), settings)

    def punzi_training(self) -> Stage:
        """The second stage."""
        settings = self.settings.punzi
        together = settings.optimizer == "lbfgs"
        put = shelve_stratified if settings.batches == "stratified" else shelve_random
        events, rng = self.sample.training, self.generator(SHELF, 1)(0)
        batch_size = None if together else settings.batch_size
        shelf = put(self.sample, events, batch_size, rng, self.room)
        validation = self._engine(self._validation())
        make = QuasiNewtonTraining if together else PunziTraining
        return make(self._engine(shelf), validation, settings, self.sample.mass)

    def result(self, stages: dict[str, StageState], output: OutputFolder) -> TrainingResult:
        """Collect finished networks, and write their histories.

        Args:
            stages: Final states.
            output: Where networks have their folders.

        Raises:
            InputError: If a history cannot be written.
        """
        networks: dict[str, list[TrainedNetwork]] = {}
        for stage, state in stages.items():
            networks[stage] = []
            for n in range(self.settings.networks):
                name = f"{stage}-{n:02d}"
                network = self._network(n)
                vector = torch.from_numpy(state.best[n]).float()
                vector_to_parameters(vector, network.parameters())
                networks[stage].append(
                    TrainedNetwork(
                        name,
                        network,
                        float(state.best_loss[n]),
                        int(state.best_epoch[n]),
                        not (state.stopped[n] or state.dead[n].any()),
                        tuple(state.messages[n]),
                    )
                )
                if self.ranks.number == 0:
                    write_history(output.network(name) / "history.parquet", state, n)
        result = TrainingResult(tuple(networks.get("bce", ())), tuple(networks["punzi"]))
        for trained in result.punzi:
            if self.ranks.number == 0 and not trained.converged:
                LOG.warning("%s did not converge: %s", trained.name, trained.messages[-1])
        return result

    def _network(self, number: int) -> PunziNet:
        """One of the networks, randomly initialised."""
        rng = self.generator(PARAMETERS, 0)(number)
        low, high = self.sample.scaling
        return PunziNet(self.sample.features, low, high, self.settings.hidden, rng)

    def _bce_scale(self) -> FloatArray:
        """(H + P,) factors by which signal sums up to as much as background does."""
        signal, background = self.sample.training_totals
        if self.settings.pretraining.signal_weights == "total":
            scale = np.full(len(signal), background.sum() / signal.sum())
        else:
            scale = background.sum() / (len(signal) * signal)
        return np.concatenate([scale, np.ones(len(background))])

    def _validation(self) -> Shelf:
        """Validation events as they come."""
        return shelve(self.sample, self.sample.validation, self.room)

    def _engine(self, shelf: Shelf) -> Engine[Any]:
        """The engine of the settings, for the events of a shelf."""
        if self.settings.engine == "fused" and self.settings.device == "cpu":
            return FusedEngine(shelf, self.widths, self.task, ranks=self.ranks)
        device = self.ranks.device(self.settings.device)
        return AutogradEngine(shelf, self.widths, self.task, device, ranks=self.ranks)
