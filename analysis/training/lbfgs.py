"""One iteration of PyTorch's L-BFGS at a time, with all that it learned kept as arrays.

All events are seen in every evaluation: changes of the gradient must not be those of a batch.
SciPy's L-BFGS-B cannot be left and entered again between iterations, where the networks of an
ensemble are validated and a checkpoint may be written.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from punzinet.analysis.training.state import Arrays
from punzinet.analysis.types import FloatArray

#: Steps that are remembered.
MEMORY = 30
#: Length of a first step, of which nothing is known but the direction.
FIRST_STEP = 0.02
#: Evaluations after which the search for a length ends.
TRIALS = 25
#: What PyTorch keeps as a list, one entry a step.
LISTS = {"old_dirs", "old_stps", "ro"}

Evaluate = Callable[[FloatArray], tuple[float, FloatArray]]


def lbfgs_step(parameters: FloatArray, curvature: Arrays, evaluate: Evaluate) -> float | None:
    """Make one step, of a length that meets the strong Wolfe conditions.

    Args:
        parameters: (K,) parameters, changed.
        curvature: What is known of the loss around them, changed; nothing at first.
        evaluate: Gives loss and (K,) gradient for parameters.

    Returns:
        The loss after the step; None if nothing leads down any more, but for rounding.
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
    known: dict[bytes, tuple[float, FloatArray]] = {}
    if "loss" in curvature:
        known[start] = float(curvature.pop("loss")), curvature.pop("gradient")

    def closure() -> float:
        """Loss at the vector, and its gradient in there; not computed twice."""
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
    optimizer = torch.optim.LBFGS(
        [vector],
        lr=1.0 if curvature else float(first),
        max_iter=1,
        max_eval=1 + TRIALS,
        tolerance_grad=0,
        tolerance_change=0,
        history_size=MEMORY,
        line_search_fn="strong_wolfe",
    )
    optimizer.state[vector].update(_unpack(curvature))
    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch's
    curvature.clear()
    curvature.update(_pack(optimizer.state[vector]))
    parameters[:] = vector.detach().numpy()
    loss, gradient = known[parameters.tobytes()]
    curvature |= {"loss": np.array(loss), "gradient": gradient}
    return loss if loss < before else None


def _pack(state: dict[str, Any]) -> Arrays:
    """The state of PyTorch's optimiser as arrays; `al` is scratch."""
    return {
        name: np.array([np.asarray(one) for one in value]) if name in LISTS else np.asarray(value)
        for name, value in state.items()
        if name != "al"
    }


def _unpack(arrays: Arrays) -> dict[str, Any]:
    """What `_pack` has packed."""
    state: dict[str, Any] = {}
    for name, values in arrays.items():
        if name in LISTS:
            state[name] = [torch.from_numpy(np.array(one)) for one in values]
        elif values.ndim == 0:
            state[name] = values.item()
        else:
            state[name] = torch.from_numpy(values.copy())
    return state
