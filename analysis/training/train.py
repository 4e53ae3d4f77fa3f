"""Training of an ensemble of networks, from a sample to finished networks.

    sample = open_sample(tensors, windows, settings.folds)
    result = train_networks(sample, figure_of_merit, luminosity, settings, output)

All N networks start from parameters of their own and see the same batches. Each is pretrained
with the weighted cross-entropy, and its best epoch goes on to the Punzi-loss.
"""

import hashlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.io.files import InputError, Interrupted, atomic_path
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.io.workers import handled, heard_once
from punzinet.analysis.network import PunziNet
from punzinet.analysis.punzi_loss import PunziLoss, SignificanceLoss
from punzinet.analysis.training.batches import ALONE, Ranks, pack
from punzinet.analysis.training.checkpoint import Checkpoint, TrainingState
from punzinet.analysis.training.data import EventStream, Sample
from punzinet.analysis.training.engine import AutogradEngine, Engine, FusedEngine
from punzinet.analysis.training.loop import Phase, Recipe
from punzinet.analysis.training.settings import TrainingSettings
from punzinet.analysis.types import SIGNAL, FloatArray, Random

LOG = logging.getLogger(__name__)

#: What a random number is for; with the seed of the settings it seeds a generator.
PARAMETERS, PACKING, BATCHES = range(3)
WITHOUT_CONSEQUENCE = {"storage"}  # settings that change no result
CHECKPOINT = "checkpoint.safetensors"
ENOUGH_EVENTS = 100  # of a window to train on, whose sum is then known to 10 %
HISTORY = "history.parquet"
Reporter = Callable[[Phase, TrainingState], None]  # is told of every epoch


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """One network after one phase, at the epoch with its smallest validation loss."""

    name: str  # of its folder, such as ``punzi-00``
    network: PunziNet
    loss: float  # of the validation: cross-entropy, or fb
    epoch: int  # 0 if training did not improve it
    converged: bool  # the training ran to its end, with no hypothesis dead
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
    sample: Sample[EventStream],
    figure_of_merit: FigureOfMerit,
    luminosity: float,
    settings: TrainingSettings,
    output: OutputFolder,
    *,
    pretrained: FloatArray | None = None,
    may_fail: bool = False,
    resume: bool = False,
    begin: Callable[[], object] = lambda: None,
    reporters: Sequence[Reporter] = (),
    ranks: Ranks = ALONE,
) -> TrainingResult:
    """Pretrain and train networks; write their histories, and checkpoints on the way.

    The luminosity is the target in fb^-1. With `pretrained`, (N, K) parameters from an earlier
    pretraining with the same settings, that is not repeated, and the result has no pretrained
    networks of its own. With `may_fail` there is a result even if not one network converged; with
    `resume` a checkpoint is continued. `begin` is called once the training is not refused.
    Interrupted if it was asked to stop, with a checkpoint; InputError if the checkpoint is of
    another training, or not one network converged.
    """
    identity: dict[str, Any] = {
        "training": settings.model_dump(mode="json", exclude=WITHOUT_CONSEQUENCE),
        "figure_of_merit": figure_of_merit.model_dump(mode="json"),
        "luminosity": luminosity,
        "tensors": sample.digest,
    }
    if pretrained is not None:
        identity["pretrained"] = hashlib.sha256(pretrained.tobytes()).hexdigest()
    leads = ranks.number == 0
    checkpoint = Checkpoint(output.network(CHECKPOINT), identity, resume=resume)
    ranks.any(False)  # nobody writes before all have read
    begin()
    loss = loss_of(sample, figure_of_merit, luminosity, settings.significance_cross_section)
    disk = output.root if settings.storage == "disk" else None
    vectors = parameters_of(_networks(sample, settings)) if pretrained is None else pretrained
    asked = threading.Event()
    with handled(heard_once(asked.set), signal.SIGINT, signal.SIGTERM):
        for index in range(0 if pretrained is None else 1, 2):
            phase = _phase(index, sample, loss, settings, disk=disk, ranks=ranks)
            if phase.name not in checkpoint.states:
                checkpoint.states[phase.name] = phase.start(vectors)
            state = checkpoint.states[phase.name]
            for _ in phase.epochs(state, partial(_generator, settings, BATCHES, index)):
                for report in reporters if leads else ():
                    report(phase, state)
                ends = ranks.any(asked.is_set())
                if leads:
                    checkpoint.write(at_once=ends)
                if ends:
                    ranks.any(False)  # nobody leaves before it is written
                    raise Interrupted(
                        f"the training was interrupted after epoch {state.epoch} of phase "
                        f"{phase.name}; nothing is lost: the same command continues it."
                    )
            vectors = state.best
            del phase  # and with it a copy of the events, before the next one is made
    trained = {
        name: tuple(_trained(name, state, _networks(sample, settings), output if leads else None))
        for name, state in checkpoint.states.items()
    }
    result = TrainingResult(trained.get("bce", ()), trained["punzi"])
    if not may_fail and not any(network.converged for network in result.punzi):
        first = result.punzi[0]
        why = f"No network converged; {first.name}: {first.messages[-1]}."
        raise InputError(" ".join([why, *_scarce(sample)]))
    if leads:
        output.network(CHECKPOINT).unlink(missing_ok=True)
    return result


def _scarce(sample: Sample[EventStream]) -> Iterator[str]:
    """Which windows hold too few training events for the loss to follow more than single ones."""
    ours, others = np.zeros((2, len(sample.mass) + 1), np.int64)
    for events in sample.training.pieces():
        own = events.process == SIGNAL
        np.add.at(ours, events.start[own], 1)
        np.add.at(others, events.start[~own], 1)
        np.add.at(others, events.stop[~own], -1)
    for kind, counts in (("signal", ours), ("background", others.cumsum())):
        fewest = int(np.argmin(counts[:-1]))
        if counts[fewest] < ENOUGH_EVENTS:
            yield (
                f"Only {counts[fewest]} {kind} events in the window of {sample.mass[fewest]:g} GeV "
                f"are there to train on: {ENOUGH_EVENTS} in every window would do."
            )


def parameters_of(networks: Sequence[PunziNet]) -> FloatArray:
    """Weights and biases (N, K) of networks, float64."""
    vectors = [parameters_to_vector(network.parameters()) for network in networks]
    return np.asarray(torch.stack(vectors).detach().double())


def _generator(settings: TrainingSettings, *key: int) -> Random:
    """A source of random numbers of its own for every purpose, phase and number."""
    return np.random.default_rng([settings.seed, *key])


def _networks(sample: Sample[EventStream], settings: TrainingSettings) -> list[PunziNet]:
    sources = (_generator(settings, PARAMETERS, 0, n) for n in range(settings.networks))
    return [PunziNet(sample.features, *sample.scaling, settings.hidden, rng) for rng in sources]


def loss_of(
    sample: Sample[EventStream],
    figure_of_merit: FigureOfMerit,
    luminosity: float,
    cross_section: float | None = None,
) -> PunziLoss:
    """The Punzi-loss of a sample; with a cross-section of the signal in fb, the significance."""
    signal, background = map(torch.from_numpy, sample.total)
    figure_of_merit = figure_of_merit.at(sample.mass)
    about = signal, background, luminosity, figure_of_merit, sample.backgrounds
    if cross_section is None:
        return PunziLoss(*about)
    loss = SignificanceLoss(*about)
    loss.cross_section = cross_section
    return loss


def _phase(
    index: int,
    sample: Sample[EventStream],
    loss: PunziLoss,
    settings: TrainingSettings,
    *,
    disk: Path | None,
    ranks: Ranks,
) -> Phase:
    """The first phase, or the second, with engines for its events; validation's as they come."""
    # In the cross-entropy, signal sums up to as much as background does.
    signal, background = sample.training_total
    together = settings.pretraining.signal_weights == "total"
    shares = np.full(len(signal), signal.sum()) if together else len(signal) * signal
    scale = np.concatenate([background.sum() / shares, np.ones(len(background))])
    widths = (len(sample.features), *settings.hidden, 1)

    def engine(events: EventStream, *order: Any) -> Engine:
        packed = pack(sample, events, *order, disk=disk, ranks=ranks)
        if settings.device == "cpu":
            return FusedEngine(packed, widths, loss, scale)
        return AutogradEngine(packed, widths, loss, scale, device=ranks.device(settings.device))

    rng = _generator(settings, PACKING, index, 0)
    recipe: Recipe = settings.punzi if index else settings.pretraining
    engines = engine(sample.training, recipe.batch_size, rng), engine(sample.validation)
    return Phase("punzi" if index else "bce", engines, recipe, settings.finish, sample.mass)


def _trained(
    phase: str, state: TrainingState, networks: Sequence[PunziNet], output: OutputFolder | None
) -> Iterator[TrainedNetwork]:
    """Networks at their best epochs of a phase; histories are written if there is a folder."""
    for number, network in enumerate(networks):
        vector_to_parameters(torch.from_numpy(state.best[number]).float(), network.parameters())
        loss, epoch = float(state.best_loss[number]), int(state.best_epoch[number])
        converged = not (state.stopped[number] or state.dead[number].any())
        about = loss, epoch, converged, tuple(state.messages[number])
        trained = TrainedNetwork(f"{phase}-{number:02d}", network, *about)
        if output is not None:
            history = pa.table(state.history(number))
            with atomic_path(output.network(trained.name) / HISTORY) as path:
                pq.write_table(history, path, write_page_checksum=True)
            if phase == "punzi" and not trained.converged:
                LOG.warning("%s did not converge: %s", trained.name, trained.messages[-1])
        yield trained
