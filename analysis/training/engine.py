"""What an engine does: train and evaluate networks on the events of one shelf.

An engine takes and returns the parameters of N networks as an (N, K) array, one row a network
in the order of torch's `parameters_to_vector`. A single network is an ensemble of one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.training.batches import Shelf
from punzinet.analysis.training.ranks import Ranks
from punzinet.analysis.types import FloatArray, IntArray


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
        return self._epoch(self.bce_gradients, parameters, steps, order, bounds)

    def punzi_epoch(
        self, parameters: FloatArray, steps: Steps, order: IntArray, bounds: IntArray
    ) -> FloatArray:
        """Train for one epoch of the Punzi-loss; arguments and result as of `bce_epoch`."""
        return self._epoch(self.punzi_gradients, parameters, steps, order, bounds)

    def _epoch(
        self,
        gradients_of: Callable[[FloatArray, Batch], tuple[FloatArray, FloatArray]],
        parameters: FloatArray,
        steps: Steps,
        order: IntArray,
        bounds: IntArray,
    ) -> FloatArray:
        """Train for one epoch of a loss, of which there are gradients; else as `bce_epoch`."""
        running = np.flatnonzero(steps.rate)
        losses = np.zeros(len(parameters))
        for start, stop in pairwise(bounds.tolist()):
            batch = self.open_batch(order, start, stop)
            loss, gradients = gradients_of(parameters[running], batch)
            losses[running] += loss / (len(bounds) - 1)
            for network, gradient in zip(running.tolist(), gradients, strict=True):
                steps.take(network, parameters[network], gradient)
        return losses

    @abstractmethod
    def open_batch(self, order: IntArray, start: int, stop: int) -> Batch:
        """Prepare the batch of the runs `start` to `stop` of an order of runs."""

    @abstractmethod
    def bce_gradients(self, parameters: FloatArray, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """Weighted mean cross-entropies (N,) of networks, (N, K), and their (N, K) gradients."""

    @abstractmethod
    def punzi_gradients(
        self, parameters: FloatArray, batch: Batch
    ) -> tuple[FloatArray, FloatArray]:
        """Punzi-losses (N,) of networks, (N, K), for one batch, and their (N, K) gradients."""

    @abstractmethod
    def bce_losses(self, parameters: FloatArray) -> FloatArray:
        """Weighted mean cross-entropies (N,) of networks, (N, K), over all events of the shelf."""

    @abstractmethod
    def punzi_values(self, parameters: FloatArray) -> list[PunziValues]:
        """Punzi-losses of networks, (N, K), over all events of the shelf."""
