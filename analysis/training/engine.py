"""What an engine does: train and evaluate networks on the events of one shelf.

An engine takes and returns the parameters of N networks as an (N, K) array, one row a network
in the order of torch's `parameters_to_vector`. A single network is an ensemble of one.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np

from analysis.figures_of_merit import FigureOfMerit
from analysis.training.batches import Shelf
from analysis.training.ranks import Ranks
from analysis.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Steps:
    """How far the networks go down the gradient.

    Attributes:
        rate: (N,) learning rates; a network of rate 0 is left alone.
        longest: Longest step in parameter space (Euclidean norm); infinite for no limit.
    """

    rate: FloatArray
    longest: float

    def take(self, network: int, parameters: FloatArray, gradient: FloatArray) -> None:
        """Change the (K,) parameters of one network by one step of gradient descent."""
        step = self.rate[network] * gradient
        length = np.sqrt(step @ step)
        parameters -= step * (self.longest / length if length > self.longest else 1.0)


@dataclass(frozen=True, eq=False)
class Task:
    """What losses need to know besides events and networks.

    Attributes:
        signal_total: (H,) sums of weights of the whole sample's signal.
        background_total: (P,) sums of weights of its background processes.
        luminosity: Target luminosity in fb^-1.
        figure_of_merit: Which σ_min.
        bce_scale: (H + P,) factors on the weights of each signal hypothesis, and each
            background process, in the cross-entropy.
        processes: (P,) names of the background processes, which only uncertainties by process
            need.
        cross_section: Cross-section of the signal in fb for which the significance is
            optimised in place of σ_min; None for the Punzi-loss.
    """

    signal_total: FloatArray
    background_total: FloatArray
    luminosity: float
    figure_of_merit: FigureOfMerit
    bce_scale: FloatArray
    processes: tuple[str, ...] = ()
    cross_section: float | None = None


@dataclass(frozen=True, eq=False)
class PunziValues:
    """The Punzi-loss of one network, and what it is made of.

    Attributes:
        loss: In fb; a pure number for the significance loss.
        efficiency: (H,) ε of each hypothesis.
        background: (H,) B of each hypothesis.
        sigma: (H,) σ_min in fb, or 1/Z²; 0 where there is no signal.
    """

    loss: float
    efficiency: FloatArray
    background: FloatArray
    sigma: FloatArray


Batch = TypeVar("Batch")


def parameter_count(widths: Sequence[int]) -> int:
    """K, the number of weights and biases of a network with layers of these widths."""
    return sum((inputs + 1) * units for inputs, units in pairwise(widths))


class Engine(ABC, Generic[Batch]):
    """Trains and evaluates networks on the events of one shelf.

    Attributes:
        shelf: The events.
        widths: Units of each layer, inputs first.
        task: What the losses need to know.
        ranks: Processes that hold the other events of the same batches.
    """

    def __init__(
        self, shelf: Shelf, widths: tuple[int, ...], task: Task, ranks: Ranks | None = None
    ) -> None:
        self.shelf = shelf
        self.widths = widths
        self.task = task
        self.ranks = Ranks() if ranks is None else ranks

    @abstractmethod
    def bce_epoch(
        self, parameters: FloatArray, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """Train for one epoch of weighted cross-entropy.

        Args:
            parameters: (N, K) float64 parameters, changed.
            steps: Learning rates and step limit.
            order: Order of the shelf's runs.
            bounds: (batches + 1,) bounds of the batches in that order.

        Returns:
            (N,) losses, mean over batches.
        """

    @abstractmethod
    def bce_loss(self, parameters: FloatArray) -> float:
        """Weighted mean cross-entropy of one network, (K,), over all events of the shelf."""

    def punzi_epoch(
        self, parameters: FloatArray, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """Train for one epoch of the Punzi-loss; arguments and result as of `bce_epoch`."""
        losses = np.zeros(len(parameters))
        for start, stop in pairwise(bounds.tolist()):
            batch = self.open_batch(order, start, stop)
            for network in np.flatnonzero(steps.rate).tolist():
                loss, gradient = self.punzi_gradient(parameters[network], batch)
                steps.take(network, parameters[network], gradient)
                losses[network] += loss / (len(bounds) - 1)
        return losses

    @abstractmethod
    def open_batch(self, order: IntArray, start: int, stop: int) -> Batch:
        """Prepare the batch of the runs `start` to `stop` of an order of runs."""

    @abstractmethod
    def punzi_gradient(self, parameters: FloatArray, batch: Batch) -> tuple[float, FloatArray]:
        """Punzi-loss of one network, (K,), and its (K,) gradient, for one batch."""

    @abstractmethod
    def punzi_values(self, parameters: FloatArray) -> PunziValues:
        """Punzi-loss of one network, (K,), over all events of the shelf."""
