"""How a Punzi training goes wrong, and how one notices.

*Everything is signal*: a step too long throws the network to an output of one everywhere,
where no gradient leads back. The loss is then what it would be without any cut.

*A dead hypothesis*: all signal of some mass is rejected. Its σ_min is astronomical and is all
that counts in the mean, so that the other masses stop learning. Steps of limited length bring
it back, if anything does.
"""

from typing import Any

import numpy as np

from punzinet.analysis.training.engine import Engine, PunziValues, parameter_count
from punzinet.analysis.types import BoolArray, FloatArray

#: A network that lets this share of the background pass, in the mean over windows, selects
#: everything.
ALL_BACKGROUND = 0.95
#: A hypothesis that keeps less than this share of its signal, ...
DEAD_EFFICIENCY = 0.01
#: ... and has a σ_min this many times that without any cut, is dead.
DEAD_SIGMA = 10.0


def without_cut(engine: Engine[Any]) -> PunziValues:
    """Punzi-loss of a network that is one everywhere, on the events of an engine."""
    parameters = np.zeros(parameter_count(engine.widths))
    parameters[-1] = 80.0  # the output's bias: 1 - ŷ is 10⁻³⁵
    return engine.punzi_values(parameters[np.newaxis])[0]


def selects_everything(values: PunziValues, reference: PunziValues) -> bool:
    """Whether nearly all background passes, in the mean over windows that hold any.

    Args:
        values: What the network achieves.
        reference: What no cut achieves.
    """
    held = reference.background > 0
    return bool(np.mean(values.background[held] / reference.background[held]) > ALL_BACKGROUND)


def dead_hypotheses(values: PunziValues, reference: PunziValues) -> BoolArray:
    """Which hypotheses, (H,), have their signal rejected.

    Args:
        values: What the network achieves.
        reference: What no cut achieves.
    """
    return (values.efficiency < DEAD_EFFICIENCY * reference.efficiency) & (
        values.sigma > DEAD_SIGMA * reference.sigma
    )


def list_masses(mass: FloatArray, which: BoolArray) -> str:
    """Write the masses of some hypotheses, "8.5, 8.7 GeV"."""
    return ", ".join(f"{value:g}" for value in mass[which].tolist()) + " GeV"
