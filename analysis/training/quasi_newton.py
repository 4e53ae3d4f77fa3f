"""Limited-memory BFGS: descent that learns the curvature of the loss on the way.

From the last steps, and how the gradient changed over each, follows an estimate of the inverse
Hessian (Nocedal and Wright, Numerical Optimization, algorithm 7.4). Steps along its direction
are shortened or lengthened until they meet the weak Wolfe conditions (bisection of Lewis and
Overton, Math. Program. 141, 135), so that no learning rate has to be chosen. All events are
seen in every evaluation: the changes of the gradient must not be those of the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from punzinet.analysis.types import FloatArray, IntArray

#: Steps that are remembered.
MEMORY = 30
#: Length of a first step, of which nothing is known but the direction.
FIRST_STEP = 0.02
#: Share of the expected decrease that a step has to bring, and share of the slope that it may
#: leave (Wolfe conditions, with the usual constants).
DECREASE, SLOPE = 1e-4, 0.9
#: Evaluations after which a step is given up.
TRIALS = 20

Evaluate = Callable[[FloatArray], tuple[float, FloatArray]]


@dataclass(eq=False)
class Curvature:
    """What is known of the loss around the present parameters of N networks.

    Attributes:
        loss: (N,) loss at the parameters; NaN if it has not been evaluated.
        gradient: (N, K) gradient there.
        steps: (N, `MEMORY`, K) last changes of the parameters, the newest last.
        changes: (N, `MEMORY`, K) changes of the gradient over them.
        held: (N,) how many of these are filled.
    """

    loss: FloatArray
    gradient: FloatArray
    steps: FloatArray
    changes: FloatArray
    held: IntArray

    @classmethod
    def unknown(cls, networks: int, parameters: int) -> Self:
        """Nothing is known of `networks` networks with `parameters` parameters each."""
        return cls(
            np.full(networks, np.nan),
            np.zeros((networks, parameters)),
            np.zeros((networks, MEMORY, parameters)),
            np.zeros((networks, MEMORY, parameters)),
            np.zeros(networks, np.int64),
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it by name, for a checkpoint."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def direction(self, network: int) -> FloatArray:
        """Where to go: (K,) minus the estimated inverse Hessian times the gradient."""
        held = self.held[network]
        direction: FloatArray = -self.gradient[network]
        if held == 0:
            direction *= FIRST_STEP / max(float(np.linalg.norm(direction)), 1e-300)
            return direction
        pairs = list(zip(self.steps[network, -held:], self.changes[network, -held:], strict=True))
        shares = []
        for step, change in reversed(pairs):
            shares.append((step @ direction) / (step @ change))
            direction = direction - shares[-1] * change
        step, change = pairs[-1]
        direction *= (step @ change) / (change @ change)
        for (step, change), share in zip(pairs, reversed(shares), strict=True):
            direction += (share - (change @ direction) / (step @ change)) * step
        return direction

    def remember(self, network: int, step: FloatArray, change: FloatArray) -> None:
        """Keep a (K,) step and the change of the gradient over it, if the loss curves upwards."""
        if step @ change <= 0:
            return
        for memory, value in ((self.steps, step), (self.changes, change)):
            memory[network, :-1] = memory[network, 1:]
            memory[network, -1] = value
        self.held[network] = min(self.held[network] + 1, MEMORY)

    def descend(self, network: int, parameters: FloatArray, evaluate: Evaluate) -> bool:
        """Make one step.

        Args:
            network: Number of the network.
            parameters: Its (K,) parameters, changed.
            evaluate: Gives loss and (K,) gradient for parameters.

        Returns:
            Whether there was a step to make: if not even the gradient leads down, the loss is
            at its minimum but for rounding.
        """
        if np.isnan(self.loss[network]):
            self.loss[network], self.gradient[network] = evaluate(parameters)
        found = self._search(network, parameters, evaluate)
        if not found and self.held[network] > 0:
            self.held[network] = 0
            found = self._search(network, parameters, evaluate)
        return found

    def _search(self, network: int, parameters: FloatArray, evaluate: Evaluate) -> bool:
        """Look along the direction for a step, and make it; arguments and result as above."""
        direction = self.direction(network)
        loss, gradient = self.loss[network], self.gradient[network].copy()
        slope = gradient @ direction
        if not slope < 0:
            return False
        low, high, length = 0.0, np.inf, 1.0
        start = parameters.copy()
        for _ in range(TRIALS):
            trial = start + length * direction
            new_loss, new_gradient = evaluate(trial)
            if not new_loss <= loss + DECREASE * length * slope:
                high = length
            else:
                parameters[:] = trial
                self.loss[network], self.gradient[network] = new_loss, new_gradient
                low = length
                if new_gradient @ direction >= SLOPE * slope:
                    break
            length = (low + high) / 2 if np.isfinite(high) else 2 * low
        if low == 0:
            return False
        self.remember(network, parameters - start, self.gradient[network] - gradient)
        return True
