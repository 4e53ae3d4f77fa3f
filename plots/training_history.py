"""Losses and learning rate against the epoch, of both phases of training (Fig. 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from punzinet.analysis.types import FloatArray, IntArray
from punzinet.plots import style

#: More than this factor between the largest and the smallest loss is drawn on a logarithmic axis.
LOGARITHMIC_FROM = 8.0


@dataclass(frozen=True, eq=False)
class Phase:
    """History of one phase of training.

    Attributes:
        name: What the figure calls it.
        loss_label: Label of its loss, with the unit.
        epoch: (n,) epochs, counted from 1.
        training_loss: (n,) loss of the training events.
        validation_loss: (n,) loss of the validation events.
        learning_rate: (n,) learning rate of each epoch.
    """

    name: str
    loss_label: str
    epoch: IntArray
    training_loss: FloatArray
    validation_loss: FloatArray
    learning_rate: FloatArray


def history_figure(phases: Sequence[Phase]) -> Figure:
    """Draw the losses of every phase, the best epoch marked, with the learning rate below.

    Args:
        phases: The phases in their order, at least one.
    """
    with style.style():
        figure, grid = style.new_figure(
            0.62 * len(phases) + 0.12,
            nrows=2 * len(phases),
            squeeze=False,
            height_ratios=[2.4, 1] * len(phases),
        )
        for i, phase in enumerate(phases):
            _draw_phase(grid[2 * i, 0], grid[2 * i + 1, 0], phase)
        style.add_label(grid[0, 0])
        figure.align_ylabels()
    return figure


def _draw_phase(upper: Axes, lower: Axes, phase: Phase) -> None:
    """Draw the losses of a phase, and its learning rate."""
    upper.plot(phase.epoch, phase.training_loss, color=style.BLUE, linewidth=0.8, label="training")
    upper.plot(
        phase.epoch,
        phase.validation_loss,
        color=style.ORANGE,
        linestyle=(0, (3, 1)),
        label="validation",
    )
    if np.any(np.isfinite(phase.validation_loss)):
        best = np.nanargmin(phase.validation_loss)
        upper.plot(
            phase.epoch[best],
            phase.validation_loss[best],
            marker="*",
            markersize=5,
            color="black",
            linestyle="",
            label=f"best ({phase.epoch[best]})",
        )
    _loss_limits(upper, np.concatenate([phase.training_loss, phase.validation_loss]))
    upper.set_ylabel(phase.loss_label)
    upper.legend(loc="upper right", title=phase.name, title_fontsize=6.5, ncols=3)
    upper.tick_params(labelbottom=False)
    lower.plot(phase.epoch, phase.learning_rate, color="#333333", drawstyle="steps-mid")
    lower.set_yscale("log")
    # From decade to decade, so that at least two ticks have a number.
    low, high = style.include((phase.learning_rate[0], phase.learning_rate[0]), phase.learning_rate)
    decades = np.floor(np.log10(0.9 * low)), np.ceil(np.log10(1.1 * high))
    lower.set_ylim(10 ** decades[0], 10 ** decades[1])
    lower.yaxis.set_major_locator(LogLocator(numticks=4))
    lower.yaxis.set_minor_formatter(NullFormatter())
    lower.set_ylabel("learning\nrate", loc="center")
    lower.set_xlabel("epoch")
    margin = 0.02 * len(phase.epoch)
    for axes in (upper, lower):
        axes.set_xlim(phase.epoch[0] - margin, phase.epoch[-1] + margin)


def _loss_limits(axes: Axes, loss: FloatArray) -> None:
    """Hold all losses, and leave room for the legend above."""
    finite = loss[np.isfinite(loss)]
    if not len(finite):
        return
    low, high = float(finite.min()), float(finite.max())
    if low > 0 and high / low > LOGARITHMIC_FROM:
        axes.set_yscale("log")
        axes.set_ylim(low * (low / high) ** 0.05, high * (high / low) ** 0.5)
    else:
        span = (high - low) or abs(high) or 1.0
        axes.set_ylim(low - 0.06 * span, high + 0.55 * span)
