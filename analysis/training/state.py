"""Where a stage of the training stands: all that the next epoch depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from punzinet.analysis.training.quasi_newton import Curvature
from punzinet.analysis.training.settings import Plateau
from punzinet.analysis.types import BoolArray, FloatArray, IntArray


@dataclass(eq=False)
class History:
    """What happened in each epoch so far; epoch 0 is the state before any training.

    Attributes:
        loss: (epochs, N) training loss, mean over batches; NaN in epoch 0.
        validation_loss: (epochs, N) loss of the validation sample after the epoch.
        learning_rate: (epochs, N) learning rate in the epoch.
        seconds: (epochs,) duration.
    """

    loss: list[FloatArray] = field(default_factory=list)
    validation_loss: list[FloatArray] = field(default_factory=list)
    learning_rate: list[FloatArray] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def columns(self, network: int) -> dict[str, npt.NDArray[Any]]:
        """The history of one network, column by column."""
        return {
            "epoch": np.arange(len(self.seconds)),
            "loss": np.array([row[network] for row in self.loss]),
            "validation_loss": np.array([row[network] for row in self.validation_loss]),
            "learning_rate": np.array([row[network] for row in self.learning_rate]),
            "seconds": np.array(self.seconds),
        }


@dataclass(eq=False)
class StageState:
    """State of N networks in one stage.

    Attributes:
        epoch: Epochs done.
        parameters: (N, K) parameters.
        best: (N, K) parameters of the epoch with the smallest validation loss.
        best_loss: (N,) that loss.
        best_epoch: (N,) that epoch.
        rate: (N,) learning rates.
        smoothed: (N,) running mean of the validation loss.
        plateau: (N,) smallest running mean so far.
        waited: (N,) epochs since then, or since the learning rate was lowered.
        stopped: (N,) networks that are trained no further.
        dead: (N, H) hypotheses found dead in the last epoch.
        history: What happened so far.
        messages: What was said of each network, the last thing last.
        curvature: What a quasi-Newton training knows of the loss; None in any other.
    """

    epoch: int
    parameters: FloatArray
    best: FloatArray
    best_loss: FloatArray
    best_epoch: IntArray
    rate: FloatArray
    smoothed: FloatArray
    plateau: FloatArray
    waited: IntArray
    stopped: BoolArray
    dead: BoolArray
    history: History
    messages: list[list[str]]
    curvature: Curvature | None = None

    @classmethod
    def start(cls, parameters: FloatArray, rate: float, hypotheses: int) -> Self:
        """State before anything is known of the networks.

        Args:
            parameters: (N, K) parameters to start from.
            rate: Learning rate.
            hypotheses: H.
        """
        networks = len(parameters)
        return cls(
            epoch=0,
            parameters=parameters.copy(),
            best=parameters.copy(),
            best_loss=np.full(networks, np.inf),
            best_epoch=np.zeros(networks, np.int64),
            rate=np.full(networks, rate),
            smoothed=np.full(networks, np.inf),
            plateau=np.full(networks, np.inf),
            waited=np.zeros(networks, np.int64),
            stopped=np.zeros(networks, np.bool_),
            dead=np.zeros((networks, hypotheses), np.bool_),
            history=History(),
            messages=[[] for _ in range(networks)],
        )

    def begin(self, validation_loss: FloatArray) -> None:
        """Note the (N,) validation losses before the first epoch."""
        self.best_loss = validation_loss.copy()
        self.smoothed = validation_loss.copy()
        self.plateau = validation_loss.copy()
        self.record(np.full(len(validation_loss), np.nan), validation_loss, 0.0)

    def last_validation_loss(self) -> FloatArray:
        """(N,) validation losses after the last epoch, NaN if there was none."""
        if not self.history.validation_loss:
            return np.full(len(self.parameters), np.nan)
        return self.history.validation_loss[-1].copy()

    def record(self, loss: FloatArray, validation_loss: FloatArray, seconds: float) -> None:
        """Append an epoch to the history.

        Args:
            loss: (N,) training losses.
            validation_loss: (N,) validation losses.
            seconds: Duration of the epoch.
        """
        self.history.loss.append(loss)
        self.history.validation_loss.append(validation_loss)
        self.history.learning_rate.append(self.rate.copy())
        self.history.seconds.append(seconds)

    def advance(
        self, loss: FloatArray, validation_loss: FloatArray, seconds: float, plateau: Plateau
    ) -> None:
        """Close an epoch: keep the best networks, and lower learning rates on a plateau.

        Args:
            loss: (N,) training losses.
            validation_loss: (N,) validation losses; not judged where a network has stopped.
            seconds: Duration of the epoch.
            plateau: When to lower the learning rate.
        """
        self.epoch += 1
        self.record(loss, validation_loss, seconds)
        running = ~self.stopped
        better = running & (validation_loss < self.best_loss)
        self.best[better] = self.parameters[better]
        self.best_loss[better] = validation_loss[better]
        self.best_epoch[better] = self.epoch
        change = (validation_loss - self.smoothed) / plateau.smoothing
        self.smoothed[running] += change[running]
        improved = running & (self.smoothed < self.plateau * (1 - plateau.threshold))
        self.plateau[improved] = self.smoothed[improved]
        self.waited[running] += 1
        self.waited[improved] = 0
        patience_lost = running & (self.waited >= plateau.patience)
        self.rate[patience_lost] *= plateau.factor
        self.waited[patience_lost] = 0

    def stop(self, network: int, message: str) -> None:
        """Train a network no further; its best epoch so far is what remains of it."""
        self.stopped[network] = True
        self.messages[network].append(message)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All numbers, for a checkpoint."""
        arrays = {
            entry.name: np.asarray(getattr(self, entry.name))
            for entry in fields(self)
            if entry.name not in {"history", "messages", "curvature"}
        }
        if self.curvature is not None:
            known = self.curvature.to_arrays()
            arrays |= {f"curvature.{name}": values for name, values in known.items()}
        for entry in fields(self.history):
            arrays[f"history.{entry.name}"] = np.array(getattr(self.history, entry.name))
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], messages: list[list[str]]) -> Self:
        """What `to_arrays` and `messages` say."""
        history = History(
            **{entry.name: list(arrays[f"history.{entry.name}"]) for entry in fields(History)}
        )
        values: dict[str, Any] = {
            entry.name: arrays[entry.name].copy()
            for entry in fields(cls)
            if entry.name not in {"history", "messages", "epoch", "curvature"}
        }
        known = {
            name.removeprefix("curvature."): array.copy()
            for name, array in arrays.items()
            if name.startswith("curvature.")
        }
        values["curvature"] = Curvature(**known) if known else None
        return cls(epoch=int(arrays["epoch"]), history=history, messages=messages, **values)
