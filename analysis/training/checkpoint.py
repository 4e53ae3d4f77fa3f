"""Where a training stands: all that the next epoch depends on, and its checkpoint.

A training that is interrupted anywhere continues to the same last bit. A checkpoint is a record
with all numbers, whose JSON says what they belong to. Shuffles follow from seed and epoch.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from punzinet.analysis.io.files import Arrays, InputError, Record, read_record, write_record
from punzinet.analysis.io.output import changes
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

FORMAT = "punzinet-checkpoint-4"
TIME_SHARE = 0.01  # of a training, that is spent on writing checkpoints


@dataclass(eq=False)
class TrainingState:
    """State of N networks in one phase of the training, and what happened in the E epochs so far.

    Histories begin with epoch 0, before any training.
    """

    epoch: int  # epochs done
    finish: int  # the epoch after which steps are those of the finish; -1 until then
    parameters: FloatArray  # (N, K)
    best: FloatArray  # (N, K) parameters of the epoch with the smallest validation loss
    best_loss: FloatArray  # (N,) that loss
    best_epoch: IntArray  # (N,) that epoch
    rate: FloatArray  # (N,) learning rates; 0 for a network that is finished
    smoothed: FloatArray  # (N,) running means of the validation loss
    plateau: FloatArray  # (N,) the smallest ones so far
    waited: IntArray  # (N,) epochs since the plateau, or since the learning rate was halved
    stopped: BoolArray  # (N,) networks that are trained no further
    dead: BoolArray  # (N, H) hypotheses found dead in the last epoch
    loss: FloatArray  # (E + 1, N) training loss after the epoch
    validation_loss: FloatArray  # (E + 1, N) likewise
    learning_rate: FloatArray  # (E + 1, N) in the epoch; NaN in the finish
    messages: list[list[str]]  # what was said of each network, the last thing last
    curvature: list[Arrays]  # what L-BFGS knows of the loss of each network

    @classmethod
    def start(cls, parameters: FloatArray, rate: float, hypotheses: int) -> Self:
        """State before the first epoch, from (N, K) parameters."""
        networks = len(parameters)
        numbers, unknown = np.zeros(networks, np.int64), np.full((1, networks), np.nan)
        return cls(
            epoch=0,
            finish=-1,
            parameters=parameters.copy(),
            best=parameters.copy(),
            best_loss=np.full(networks, np.inf),
            best_epoch=numbers,
            rate=np.full(networks, rate),
            smoothed=np.full(networks, np.inf),
            plateau=np.full(networks, np.inf),
            waited=numbers.copy(),
            stopped=np.zeros(networks, np.bool_),
            dead=np.zeros((networks, hypotheses), np.bool_),
            loss=unknown,
            validation_loss=unknown.copy(),
            learning_rate=np.full((1, networks), rate),
            messages=[[] for _ in parameters],
            curvature=[{} for _ in parameters],
        )

    def begin(self, loss: FloatArray, validation_loss: FloatArray) -> None:
        """Note the (N,) losses before the first epoch."""
        self.loss[0] = loss
        for known in (self.best_loss, self.smoothed, self.plateau, self.validation_loss[0]):
            known[:] = validation_loss

    def begin_finish(self) -> None:
        """Go back to the best epoch, from which the steps of the finish follow."""
        self.finish = self.epoch
        self.parameters = self.best.copy()
        self.rate = np.where(self.stopped, 0.0, 1.0)
        self.waited[:] = 0
        self.smoothed[:] = self.plateau[:] = self.best_loss

    def advance(
        self, loss: FloatArray, validation_loss: FloatArray, patience: int, smoothing: int = 1
    ) -> None:
        """Close an epoch: keep the best networks, and halve learning rates on a plateau.

        A plateau is `patience` epochs without a better validation loss, averaged over `smoothing`
        epochs; the training loss is noisy from batch to batch, and would be on one far too early.
        PyTorch's ReduceLROnPlateau would need an object and a checkpoint for every network.
        """
        self.epoch += 1
        self.loss = np.vstack([self.loss, loss])
        self.validation_loss = np.vstack([self.validation_loss, validation_loss])
        rate = self.rate if self.finish < 0 else np.full_like(self.rate, np.nan)
        self.learning_rate = np.vstack([self.learning_rate, rate])
        running = ~self.stopped
        better = running & (validation_loss < self.best_loss)
        self.best[better] = self.parameters[better]
        self.best_loss[better] = validation_loss[better]
        self.best_epoch[better] = self.epoch
        self.smoothed[running] += ((validation_loss - self.smoothed) / smoothing)[running]
        improved = running & (self.smoothed < self.plateau)
        self.plateau[improved] = self.smoothed[improved]
        self.waited[running] += 1
        self.waited[improved] = 0
        lost = running & (self.waited >= patience)
        self.rate[lost] *= 0.5
        self.waited[lost] = 0

    def stop(self, network: int, message: str) -> None:
        """Train a network no further; its best epoch so far is what remains of it."""
        self.stopped[network] = True
        self.messages[network].append(message)

    def history(self, network: int) -> Arrays:
        """What happened to one network, epoch by epoch."""
        columns = ("loss", "validation_loss", "learning_rate")
        epoch = {"epoch": np.arange(self.epoch + 1)}
        return epoch | {name: getattr(self, name)[:, network] for name in columns}

    def to_arrays(self) -> Arrays:
        """All numbers, for a checkpoint."""
        lists = ("messages", "curvature")
        arrays = {name: np.asarray(v) for name, v in vars(self).items() if name not in lists}
        for network, known in enumerate(self.curvature):
            arrays |= {f"curvature/{network}/{name}": values for name, values in known.items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays, messages: list[list[str]]) -> Self:
        """What `to_arrays` and `messages` say."""
        values: dict[str, Any] = {k: v.copy() for k, v in arrays.items() if "/" not in k}
        values |= {name: int(arrays[name]) for name in ("epoch", "finish")}
        values["messages"] = messages
        known = [_below(f"curvature/{network}", arrays) for network in range(len(messages))]
        return cls(**values, curvature=known)


class Checkpoint:
    """The states of a training on disk, by the name of the phase, from which it continues."""

    def __init__(self, path: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
        """Begin anew, or where an earlier training of the same identity was, if there is one.

        The identity is what the training depends on, settings and data, as JSON can express it.
        InputError if the checkpoint is damaged, or belongs to other settings or data.
        """
        self._path, self._identity = path, identity
        self._written, self._pause = time.monotonic(), 0.0
        self.states = self._read() if resume and path.exists() else {}

    def _read(self) -> dict[str, TrainingState]:
        record = read_record(self._path)
        if record is None or FORMAT not in record.content:
            raise InputError(
                f"{self._path} is not a checkpoint of this software, or is damaged; train from the "
                "beginning with --restart."
            )
        now = json.loads(json.dumps(self._identity))
        if different := "; ".join(changes("", record.content[FORMAT], now)):
            raise InputError(
                f"{self._path} belongs to another training: {different}. Change that back, or "
                "train from the beginning with --restart."
            )
        return {
            name: TrainingState.from_arrays(_below(name, record.arrays), messages)
            for name, messages in record.content["messages"].items()
        }

    def write(self, *, at_once: bool) -> None:
        """Write all states; if not at once, then when writing has taken its share of the time."""
        begin = time.monotonic()
        if not at_once and begin - self._written < self._pause:
            return
        states = self.states.items()
        arrays = {f"{k}/{n}": v for k, state in states for n, v in state.to_arrays().items()}
        messages = {name: state.messages for name, state in states}
        write_record(self._path, Record({FORMAT: self._identity, "messages": messages}, arrays))
        self._written = time.monotonic()
        self._pause = (self._written - begin) / TIME_SHARE


def _below(folder: str, arrays: Arrays) -> Arrays:
    prefix = f"{folder}/"
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
