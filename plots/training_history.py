"""Losses and learning rate against the epoch, of both phases of training (Fig. 2)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

#: More than this factor between the largest and the smallest loss is drawn on a logarithmic axis.
LOGARITHMIC_FROM = 8.0


class Phase(NamedTuple):
    """One phase of training.

    Attributes:
        name: What the figure calls it.
        loss_label: Label of its loss, with the unit.
        history: (n,) ``epoch``, counted from 1, ``loss``, ``validation_loss`` and
            ``learning_rate`` of each epoch.
    """

    name: str
    loss_label: str
    history: Mapping[str, np.ndarray[Any, Any]]


def read_history(network: Path, command: str) -> dict[str, np.ndarray[Any, Any]]:
    """Read the columns of the history of a network by their names.

    Args:
        network: Its folder.
        command: The command that trains it, for the message.

    Raises:
        InputError: If it is missing or damaged.
    """
    path = network / "history.parquet"
    names = ["epoch", "loss", "validation_loss", "learning_rate"]
    try:
        table = pq.read_table(
            path, columns=names, partitioning=None, page_checksum_verification=True
        )
        return {name: table[name].to_numpy() for name in names}
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"{path} holds no history of a training ({error}); run `{command}` again."
        ) from error


def history_figure(phases: Sequence[Phase]) -> Figure:
    """Draw the losses of every phase, the best epoch marked, with the learning rate below."""
    with style.style():
        figure, grid = style.new_figure(
            0.62 * len(phases) + 0.12,
            nrows=2 * len(phases),
            squeeze=False,
            height_ratios=[2.4, 1] * len(phases),
        )
        for upper, lower, phase in zip(grid[::2, 0], grid[1::2, 0], phases, strict=True):
            _draw_losses(upper, phase)
            _draw_learning_rate(lower, phase.history["epoch"], phase.history["learning_rate"])
            first, last = phase.history["epoch"][[0, -1]]
            margin = 0.02 * len(phase.history["epoch"])
            for axes in (upper, lower):
                axes.set_xlim(first - margin, last + margin)
        style.add_label(grid[0, 0])
        figure.align_ylabels()
    return figure


def _draw_losses(axes: Axes, phase: Phase) -> None:
    """Draw the losses of a phase."""
    epoch, loss, validation = (phase.history[n] for n in ("epoch", "loss", "validation_loss"))
    axes.plot(epoch, loss, color=style.BLUE, linewidth=0.8, label="training")
    axes.plot(epoch, validation, color=style.ORANGE, linestyle=(0, (3, 1)), label="validation")
    if np.any(np.isfinite(validation)):
        best = np.nanargmin(validation)
        axes.plot(
            epoch[best],
            validation[best],
            marker="*",
            markersize=5,
            color="black",
            linestyle="",
            label=f"best ({epoch[best]})",
        )
    _loss_limits(axes, np.concatenate([loss, validation]))
    axes.set_ylabel(phase.loss_label)
    axes.legend(loc="upper right", title=phase.name, title_fontsize=6.5, ncols=3)
    axes.tick_params(labelbottom=False)


def _draw_learning_rate(axes: Axes, epoch: FloatArray, rate: FloatArray) -> None:
    """Draw the learning rate, from decade to decade, so that at least two ticks have a number."""
    axes.plot(epoch, rate, color="#333333", drawstyle="steps-mid")
    axes.set_yscale("log")
    low, high = style.include((rate[0], rate[0]), rate)
    axes.set_ylim(10 ** np.floor(np.log10(0.9 * low)), 10 ** np.ceil(np.log10(1.1 * high)))
    axes.yaxis.set_major_locator(LogLocator(numticks=4))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("learning\nrate", loc="center")
    axes.set_xlabel("epoch")


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
