"""The epoch loop of both phases, and what goes wrong in a Punzi training.

*Everything is signal*: a step too long throws the network to an output of one everywhere,
where no gradient leads back. The loss is then what it would be without any cut.

*A dead hypothesis*: all signal of some mass is rejected. Its σ_min is astronomical and all that
counts in the mean: other masses stop learning. Steps of limited length may bring it back.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from punzinet.analysis.io.files import Arrays
from punzinet.analysis.training.checkpoint import TrainingState
from punzinet.analysis.training.engine import Engine, Loss, parameter_count
from punzinet.analysis.training.loss_kernels import Descent, PunziValues
from punzinet.analysis.training.settings import PretrainingSettings, PunziSettings
from punzinet.analysis.types import BoolArray, FloatArray, IntArray, Random

#: Share of the background, in the mean over windows, that only a network lets pass that selects
#: everything.
ALL_BACKGROUND = 0.95
#: A hypothesis that keeps less than this share of its signal, ...
DEAD_EFFICIENCY = 0.01
#: ... and has a σ_min this many times that without any cut, is dead, ...
DEAD_SIGMA = 10.0
#: ... and is given this many times the patience of the plateau to come back.
DEAD_PATIENCE = 4
#: Steps of the finish without a better validation loss that end it: it may take some to go on.
FINISH_PATIENCE = 60
FINISHED = 1e-3  # share of the first learning rate; with less, a network is finished
MEMORY = 30  # steps that L-BFGS remembers
FIRST_STEP = 0.02  # length of its first step, of which nothing is known but the direction
TRIALS = 25  # evaluations after which the search for a length ends
LISTS = {"old_dirs", "old_stps", "ro"}  # what PyTorch's L-BFGS keeps as lists, one entry a step

Evaluate = Callable[[FloatArray], tuple[float, FloatArray]]
Recipe = PretrainingSettings | PunziSettings


class Phase:
    """Trains N networks by one loss: epochs of gradient descent in batches, then L-BFGS.

    A step of this finish is one epoch with all events at once, at a learning rate of one; zero when
    no step leads down any more, or when a plateau has halved it.
    """

    def __init__(
        self,
        name: Loss,
        engines: tuple[Engine, Engine],
        settings: Recipe,
        finish: int,
        mass: FloatArray,
    ) -> None:
        """Make the phase from engines for the events that train and that validate.

        The (H,) masses of the hypotheses in GeV are for messages.
        """
        self.name, (self.engine, self.validation) = name, engines
        self.settings, self.finish, self.mass = settings, finish, mass
        section, more = "pretraining", ""
        if name == "punzi":
            section, more = "punzi", " or `training.punzi.max_step`"
            self.no_cut = without_cut(self.validation)
        rate = f"`training.{section}.learning_rate` ({settings.learning_rate:g})"
        self._remedy = f"lower {rate}{more}"
        # Training losses are those of as many events as validate, so that both mean the same.
        events = self.engine.events
        every = max(1, round(events.count / max(self.validation.events.count, 1)))
        numbers = np.arange(len(events)) * events.ranks.count + events.ranks.number
        self._measured = np.flatnonzero(numbers % every == 0).astype(np.int32)

    def start(self, parameters: FloatArray) -> TrainingState:
        """State before the first epoch, from (N, K) parameters."""
        rate, hypotheses = self.settings.learning_rate, self.engine.events.hypotheses
        state = TrainingState.start(parameters, rate, hypotheses)
        loss = self.engine.losses(self.name, parameters, self._measured)
        state.begin(loss, self.validate(state, range(len(parameters)), 0))
        return state

    def epochs(self, state: TrainingState, generator: Callable[[int], Random]) -> Iterator[int]:
        """Train until all epochs are done, or all networks have finished or stopped.

        Changes the state; the generator gives the source of the shuffling in an epoch. Each epoch
        is yielded when it is closed; the training may be left there.
        """
        settings = self.settings
        while True:
            running = np.flatnonzero(~state.stopped & (state.rate > 0))
            if state.finish < 0 and (len(running) == 0 or state.epoch >= settings.epochs):
                state.begin_finish()
                continue
            if state.finish >= 0 and (
                len(running) == 0 or state.epoch >= state.finish + self.finish
            ):
                return
            # What is no number any more is noticed below, network by network.
            with np.errstate(over="ignore", invalid="ignore"):
                if state.finish < 0:
                    loss = self._descend(state, running, generator(state.epoch + 1))
                else:
                    loss = self._finish(state, running)
            finite = np.isfinite(state.parameters[running]).all(axis=1) & np.isfinite(loss)
            for network in running[~finite].tolist():
                state.stop(
                    network,
                    f"in epoch {state.epoch + 1} the loss is no number any more: {self._remedy}",
                )
            running = running[finite & (state.rate[running] > 0)]
            training_loss: FloatArray = state.loss[-1].copy()
            trained = state.parameters[running]
            training_loss[running] = self.engine.losses(self.name, trained, self._measured)
            validation_loss = self.validate(state, running.tolist(), state.epoch + 1)
            patience, least = settings.patience, FINISHED * settings.learning_rate
            if state.finish >= 0:
                patience, least = FINISH_PATIENCE, 1.0
            state.advance(training_loss, validation_loss, patience, settings.smoothing)
            state.rate[state.rate < least] = 0
            yield state.epoch

    def _descend(self, state: TrainingState, running: IntArray, rng: Random) -> FloatArray:
        """Train some networks of a state for one epoch; their losses."""
        limit, batches = self.settings.max_step or np.inf, self.engine.events.epoch(rng)
        descent = Descent(state.parameters[running], state.rate[running], limit)
        loss = self.engine.epoch(self.name, descent, batches)
        state.parameters[running] = descent.parameters
        return loss

    def _finish(self, state: TrainingState, running: IntArray) -> FloatArray:
        """Make one step of L-BFGS for some networks of a state; their losses."""
        losses = np.zeros(len(running))
        for i, network in enumerate(running.tolist()):
            loss = lbfgs_step(state.parameters[network], state.curvature[network], self._evaluate)
            if loss is None:
                state.rate[network] = 0
            else:
                losses[i] = loss
        return losses

    def _evaluate(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        tiles = self.engine.events.batch().tiles
        (loss,), (gradient,) = self.engine.gradients(self.name, parameters[np.newaxis], tiles)
        return float(loss), gradient

    def validate(self, state: TrainingState, networks: Sequence[int], epoch: int) -> FloatArray:
        """Validation loss of some networks, (N,) with the last known ones for all others.

        Networks that cannot be trained any further after that epoch are stopped.
        """
        loss: FloatArray = state.validation_loss[-1].copy()
        parameters = state.parameters[networks]
        if self.name == "bce":
            loss[networks] = self.validation.losses("bce", parameters)
            return loss
        values = self.validation.punzi_values(parameters)
        loss[networks] = values.loss
        everything = selects_everything(values, self.no_cut)
        for index, dead in enumerate(dead_hypotheses(values, self.no_cut)):
            network = networks[index]
            # A step of the finish goes down: there it may be the best to select everything.
            if epoch > 0 and state.finish < 0 and everything[index]:
                state.stop(
                    network,
                    f"in epoch {epoch} everything is signal (loss {loss[network]:.4g}, without "
                    f"any cut {self.no_cut.loss[0]:.4g}): {self._remedy}",
                )
            self._mind_dead(state, network, dead, epoch)
            state.dead[network] = dead
        return loss

    def _mind_dead(self, state: TrainingState, network: int, dead: BoolArray, epoch: int) -> None:
        """Say when hypotheses die, or live again; stop a network that cannot revive them."""
        masses = ", ".join(f"{mass:g}" for mass in self.mass[dead].tolist()) + " GeV"
        if (dead & ~state.dead[network]).any():
            state.messages[network].append(
                f"in epoch {epoch} the signal of {masses} is rejected, "
                "which hides all other hypotheses from the loss"
            )
        elif state.dead[network].any() and not dead.any():
            state.messages[network].append(f"in epoch {epoch} no hypothesis is dead any more")
        patience = DEAD_PATIENCE * self.settings.patience
        if dead.any() and epoch - state.best_epoch[network] > patience:
            state.stop(
                network,
                f"in epoch {epoch}, {patience} epochs without a better loss, the signal of "
                f"{masses} is still rejected: give it more events, set "
                "`training.pretraining.signal_weights: hypothesis`, or choose another seed",
            )


def without_cut(engine: Engine) -> PunziValues:
    """Punzi-loss of one network that is one everywhere, on the events of an engine."""
    parameters = np.zeros((1, parameter_count(engine.widths)))
    parameters[0, -1] = 80.0  # the output's bias: 1 - ŷ is 10⁻³⁵
    return engine.punzi_values(parameters)


def selects_everything(values: PunziValues, no_cut: PunziValues) -> BoolArray:
    """(N,) whether nearly all background passes, in the mean over windows that hold any."""
    held = no_cut.background[0] > 0
    passing = values.background[:, held] / no_cut.background[0, held]
    return np.asarray(passing.mean(axis=1) > ALL_BACKGROUND)


def dead_hypotheses(values: PunziValues, no_cut: PunziValues) -> BoolArray:
    """(N, H) hypotheses that have their signal rejected."""
    rejected = values.efficiency < DEAD_EFFICIENCY * no_cut.efficiency
    return rejected & (values.sigma > DEAD_SIGMA * no_cut.sigma)


def lbfgs_step(parameters: FloatArray, curvature: Arrays, evaluate: Evaluate) -> float | None:
    """Make one step of PyTorch's L-BFGS, of a length that meets the strong Wolfe conditions.

    Changes the (K,) parameters and what is known of the curvature of the loss around them, nothing
    at first; `evaluate` gives the loss of all events and its (K,) gradient. SciPy's L-BFGS-B cannot
    be left and entered again between iterations, where a checkpoint may be written.

    Returns the loss after the step; None if nothing leads down any more, but for rounding.
    """
    start = parameters.copy()
    loss = _iterate(parameters, curvature, evaluate)
    if loss is None and "old_dirs" in curvature:  # what was learned may mislead
        curvature.clear()
        parameters[:] = start
        loss = _iterate(parameters, curvature, evaluate)
    if loss is None:
        parameters[:] = start
    return loss


def _iterate(parameters: FloatArray, curvature: Arrays, evaluate: Evaluate) -> float | None:
    """See `lbfgs_step`; parameters are of no use if nothing leads down."""
    vector = torch.nn.Parameter(torch.from_numpy(parameters.copy()))
    start = parameters.tobytes()
    known: dict[bytes, tuple[float, FloatArray]] = {}  # no point is evaluated twice
    if "loss" in curvature:
        known[start] = float(curvature.pop("loss")), curvature.pop("gradient")

    def closure() -> float:
        point = vector.detach().numpy()
        key = point.tobytes()
        if key not in known:
            known[key] = evaluate(point.copy())
        loss, gradient = known[key]
        vector.grad = torch.from_numpy(gradient.copy())
        return loss

    before = closure()
    if not np.isfinite(before):
        return None
    # PyTorch multiplies the gradient with lr · min(1, 1/Σ|g|) for its first step.
    gradient = known[start][1]
    first = FIRST_STEP * max(1.0, np.abs(gradient).sum()) / max(np.linalg.norm(gradient), 1e-300)
    options: dict[str, Any] = {"max_iter": 1, "max_eval": 1 + TRIALS, "history_size": MEMORY}
    options |= {"tolerance_grad": 0, "tolerance_change": 0, "line_search_fn": "strong_wolfe"}
    optimizer = torch.optim.LBFGS([vector], 1.0 if curvature else float(first), **options)
    optimizer.state[vector].update(_unpack(curvature))
    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch's
    curvature.clear()  # of the state, `al` is scratch
    found = optimizer.state[vector].items()
    curvature |= {name: np.asarray(value) for name, value in found if name != "al"}
    parameters[:] = vector.detach().numpy()
    loss, gradient = known[parameters.tobytes()]
    curvature |= {"loss": np.array(loss), "gradient": gradient}
    return loss if loss < before else None


def _unpack(arrays: Arrays) -> dict[str, Any]:
    """The state of PyTorch's optimiser, of which a checkpoint has arrays."""
    state: dict[str, Any] = {}
    for name, values in arrays.items():
        tensor = torch.from_numpy(values.copy())
        state[name] = tensor if tensor.ndim > 0 else tensor.item()
        if name in LISTS:
            state[name] = [one.clone() for one in tensor]
    return state
