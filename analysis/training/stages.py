"""The two stages of a training, and the loop they share."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from punzinet.analysis.training.engine import Engine, Steps
from punzinet.analysis.training.health import (
    dead_hypotheses,
    list_masses,
    selects_everything,
    without_cut,
)
from punzinet.analysis.training.progress import Reporter
from punzinet.analysis.training.quasi_newton import Curvature
from punzinet.analysis.training.settings import PretrainingSettings, PunziSettings
from punzinet.analysis.training.state import StageState
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

#: A dead hypothesis is given this many times the patience of the plateau to come back.
DEAD_PATIENCE = 4
#: A network whose learning rate has fallen to less than this share of the first one goes nowhere
#: any more, and is finished.
FINISHED = 1e-3


class Stage(ABC):
    """Trains N networks for a number of epochs on one loss.

    Attributes:
        name: Of the stage.
        settings: Its recipe.
        engine: Holds the training events.
        validation: Holds the validation events.
    """

    name: str
    settings: PretrainingSettings | PunziSettings

    def __init__(self, engine: Engine[Any], validation: Engine[Any]) -> None:
        self.engine = engine
        self.validation = validation

    @abstractmethod
    def train(
        self, state: StageState, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """One epoch on the parameters of a state; else as `Engine.bce_epoch`."""

    @abstractmethod
    def validate(self, state: StageState, networks: Sequence[int]) -> FloatArray:
        """Validation loss of some networks, (N,) with the last known ones for all others.

        Networks that cannot be trained any further are stopped.
        """

    def start(self, parameters: FloatArray) -> StageState:
        """State before the first epoch, from (N, K) parameters."""
        state = StageState.start(
            parameters, self.settings.learning_rate, self.engine.shelf.hypotheses
        )
        state.begin(self.validate(state, range(len(parameters))))
        return state

    def run(
        self,
        state: StageState,
        generator: Callable[[int], np.random.Generator],
        after_epoch: Callable[[], None],
        reporters: Sequence[Reporter] = (),
    ) -> None:
        """Train until all epochs are done, or all networks have finished or stopped.

        Args:
            state: Where to begin; changed.
            generator: Gives the source of the shuffling in an epoch.
            after_epoch: Called when an epoch is closed; may raise to end the training there.
            reporters: Who is told of every epoch.
        """
        settings, shelf = self.settings, self.engine.shelf
        longest = np.inf if settings.max_step is None else settings.max_step
        while state.epoch < settings.epochs and not (state.stopped | (state.rate == 0)).all():
            begin = time.perf_counter()
            rate = np.where(state.stopped, 0.0, state.rate)
            order, bounds = shelf.batches(generator(state.epoch + 1))
            # What is no number any more is noticed below, network by network.
            with np.errstate(over="ignore", invalid="ignore"):
                loss = self.train(state, Steps(rate, longest), order, bounds)
            loss = np.where(rate == 0, state.history.loss[-1], loss)
            validation_loss = self._judge(state, loss)
            state.advance(loss, validation_loss, time.perf_counter() - begin, settings.plateau)
            state.rate[state.rate < FINISHED * settings.learning_rate] = 0
            for reporter in reporters:
                reporter.epoch(self.name, state, settings.epochs, shelf.events)
            after_epoch()

    def _judge(self, state: StageState, loss: FloatArray) -> FloatArray:
        """Stop networks that are no numbers any more; validate the others, but finished ones.

        Args:
            state: State of the stage after a training epoch.
            loss: (N,) training losses of that epoch.

        Returns:
            (N,) validation losses.
        """
        finite = np.isfinite(state.parameters).all(axis=1) & np.isfinite(loss)
        running = np.flatnonzero(~state.stopped).tolist()
        for network in running:
            if not finite[network]:
                state.stop(
                    network,
                    f"in epoch {state.epoch + 1} the loss is no number any more: lower "
                    f"`training.{self.section}.learning_rate` ({self.settings.learning_rate:g}) "
                    f"or `training.{self.section}.max_step`",
                )
        training = finite & (state.rate > 0)
        return self.validate(state, [network for network in running if training[network]])

    @property
    @abstractmethod
    def section(self) -> str:
        """Section of the training settings with this stage's recipe."""


class Pretraining(Stage):
    """Weighted binary cross-entropy."""

    name = "bce"
    section = "pretraining"

    def __init__(
        self, engine: Engine[Any], validation: Engine[Any], settings: PretrainingSettings
    ) -> None:
        super().__init__(engine, validation)
        self.settings = settings

    def train(
        self, state: StageState, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """See `Stage`."""
        return self.engine.bce_epoch(state.parameters, steps, order, bounds)

    def validate(self, state: StageState, networks: Sequence[int]) -> FloatArray:
        """See `Stage`."""
        loss, which = state.last_validation_loss(), list(networks)
        loss[which] = self.validation.bce_losses(state.parameters[which])
        return loss


class PunziTraining(Stage):
    """The Punzi-loss."""

    name = "punzi"
    section = "punzi"

    def __init__(
        self,
        engine: Engine[Any],
        validation: Engine[Any],
        settings: PunziSettings,
        mass: FloatArray,
    ) -> None:
        """Make the stage.

        Args:
            engine: Holds the training events.
            validation: Holds the validation events.
            settings: The recipe.
            mass: (H,) masses of the hypotheses in GeV, for messages.
        """
        super().__init__(engine, validation)
        self.settings = settings
        self.mass = mass
        self.no_cut = without_cut(validation)

    def train(
        self, state: StageState, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """See `Stage`."""
        return self.engine.punzi_epoch(state.parameters, steps, order, bounds)

    def validate(self, state: StageState, networks: Sequence[int]) -> FloatArray:
        """See `Stage`."""
        loss = state.last_validation_loss()
        every = self.validation.punzi_values(state.parameters[list(networks)])
        for network, values in zip(networks, every, strict=True):
            loss[network] = values.loss
            epoch = len(state.history.seconds)
            if epoch > 0 and selects_everything(values, self.no_cut):
                state.stop(
                    network,
                    f"in epoch {epoch} everything is signal (loss {values.loss:.4g}, without "
                    f"any cut {self.no_cut.loss:.4g}): lower `training.punzi.learning_rate` "
                    f"({self.settings.learning_rate:g}) or `training.punzi.max_step`",
                )
            dead = dead_hypotheses(values, self.no_cut)
            self._mind_dead(state, network, dead, epoch)
            state.dead[network] = dead
        return loss

    def _mind_dead(self, state: StageState, network: int, dead: BoolArray, epoch: int) -> None:
        """Say when hypotheses die, or live again; stop a network that cannot revive them."""
        if (dead & ~state.dead[network]).any():
            state.messages[network].append(
                f"in epoch {epoch} the signal of {list_masses(self.mass, dead)} is rejected, "
                "which hides all other hypotheses from the loss"
            )
        elif state.dead[network].any() and not dead.any():
            state.messages[network].append(f"in epoch {epoch} no hypothesis is dead any more")
        patience = DEAD_PATIENCE * self.settings.plateau.patience
        if dead.any() and epoch - state.best_epoch[network] > patience:
            state.stop(
                network,
                f"in epoch {epoch}, {patience} epochs without a better loss, the signal of "
                f"{list_masses(self.mass, dead)} is still rejected: give it more events, set "
                "`training.pretraining.signal_weights: hypothesis`, or choose another seed",
            )


class QuasiNewtonTraining(PunziTraining):
    """The Punzi-loss of all events at once, by limited-memory BFGS; an epoch is one step.

    The learning rate is one while a network is trained. It falls to zero, and the training
    ends, when no step leads down any more, or when a plateau test would lower it.
    """

    def start(self, parameters: FloatArray) -> StageState:
        """See `Stage`."""
        state = super().start(parameters)
        state.rate[:] = 1
        state.history.learning_rate[0][:] = 1
        state.curvature = Curvature.unknown(*parameters.shape)
        return state

    def train(
        self, state: StageState, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """See `Stage`."""
        if state.curvature is None:
            raise ValueError("the state is not one of a quasi-Newton training")
        batch = self.engine.open_batch(order, 0, int(bounds[-1]))
        for network in np.flatnonzero(steps.rate).tolist():
            parameters = state.parameters[network]
            found = steps.rate[network] == 1 and state.curvature.descend(
                network, parameters, lambda vector: self._evaluate(vector, batch)
            )
            if not found:
                state.rate[network] = 0
        return state.curvature.loss.copy()

    def _evaluate(self, vector: FloatArray, batch: Any) -> tuple[float, FloatArray]:
        """Loss of one network, (K,), and its (K,) gradient."""
        loss, gradient = self.engine.punzi_gradients(vector[np.newaxis], batch)
        return float(loss[0]), gradient[0]
