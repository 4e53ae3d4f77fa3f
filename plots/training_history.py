"""Losses against the epoch: of one network, and of several sizes of batches (Fig. 2)."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from punzinet.analysis.io.files import InputError
from punzinet.analysis.types import FloatArray, IntArray
from punzinet.plots import style

LOGARITHMIC_FROM = 8.0  # times as large as the smallest loss
FALL = 0.02  # share of the epochs, at first, whose losses may lie above the axis
COLUMNS = ["epoch", "loss", "validation_loss", "learning_rate"]
#: The edge keeps its legend entry visible where the legend lies on the shade.
FINISH: dict[str, Any] = {"facecolor": "#e6e6e6", "edgecolor": "#888888", "linewidth": 0.4}
COLOURS = (style.BLUE, style.ORANGE, style.PURPLE, style.GREY, style.RED, "#111111")
#: Losses of training and validation of N networks in fb, (N, n) each; epoch 0 is untrained.
Evolution = tuple[FloatArray, FloatArray]


class Phase(NamedTuple):
    """One phase of training."""

    name: str  # what the figure calls it
    loss_label: str  # with the unit
    history: Mapping[str, np.ndarray[Any, Any]]  # (n,) columns of `COLUMNS`, epochs from 0


def read_history(network: Path, command: str) -> dict[str, np.ndarray[Any, Any]]:
    """Read the history of the network in a folder, which a command trains, by column.

    InputError if it is missing or damaged.
    """
    path = network / "history.parquet"
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(COLUMNS)
        return {name: table[name].to_numpy() for name in COLUMNS}
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"{path} holds no history of a training ({error}); run `{command}` again."
        ) from error


@style.style()
def history_figure(phases: Sequence[Phase]) -> Figure:
    """Draw the losses of every phase, the best epoch marked, with the learning rate below.

    The finish, which has no learning rate, is shaded.
    """
    count = len(phases)
    shape: dict[str, Any] = {"nrows": 2 * count, "height_ratios": [2.4, 1] * count}
    figure, grid = style.new_figure(0.62 * count + 0.12, **shape)
    for upper, lower, phase in zip(grid[::2], grid[1::2], phases, strict=True):
        epoch, *losses, rate = (phase.history[name] for name in COLUMNS)
        _draw_losses(upper, epoch, *losses)
        finish = epoch[np.isnan(rate)]
        for axes in (upper, lower) if len(finish) else ():
            axes.axvspan(finish[0] - 0.5, finish[-1] + 0.5, label="finish (L-BFGS)", **FINISH)
        upper.set_ylabel(phase.loss_label)
        upper.legend(loc="upper right", title=phase.name, title_fontsize=6.5, ncols=2)
        upper.tick_params(labelbottom=False)
        lower.plot(epoch, rate, color="#333333", drawstyle="steps-mid")
        style.log_axis(lower, *style.finite_range(rate))
        lower.set_xlabel("epoch")
        lower.tick_params(axis="y", labelsize=6.0)
        lower.set_ylabel("learning\nrate", loc="center")
        for axes in (upper, lower):
            axes.set_xlim(epoch[0] - 0.02 * len(epoch), epoch[-1] + 0.02 * len(epoch))
    style.add_label(grid[0])
    return figure


def _draw_losses(axes: Axes, epoch: IntArray, loss: FloatArray, validation: FloatArray) -> None:
    axes.plot(epoch, loss, color=style.BLUE, linewidth=0.8, label="training")
    axes.plot(epoch, validation, color=style.ORANGE, linestyle=(0, (3, 1)), label="validation")
    if np.any(np.isfinite(validation)):
        best = np.nanargmin(validation)
        star: dict[str, Any] = {"marker": "*", "markersize": 5, "color": "black", "linestyle": ""}
        axes.plot(epoch[best], validation[best], label=f"best ({epoch[best]})", **star)
    first = int(FALL * len(epoch))
    low, high = style.finite_range(loss[first:], validation[first:])
    if low > 0 and high / low > LOGARITHMIC_FROM:
        axes.set(yscale="log", ylim=(low * (low / high) ** 0.05, high * (high / low) ** 0.5))
    else:
        span = (high - low) or abs(high) or 1.0
        axes.set_ylim(low - 0.06 * span, high + 0.55 * span)


@style.style()
def loss_evolution_figure(evolutions: Mapping[str, Evolution]) -> Figure:
    """Draw the mean losses of training (above) and validation (below), by batch size.

    The axis holds all validation losses.
    """
    figure, (upper, lower) = style.new_figure(1.1, nrows=2, sharex=True, sharey=True)
    for axes, part, name in ((upper, 0, "training"), (lower, 1, "validation")):
        for (label, losses), colour in zip(evolutions.items(), cycle(COLOURS), strict=False):
            seen = np.isfinite(losses[part]).all(axis=0)
            mean = losses[part][:, seen].mean(axis=0)
            look: dict[str, Any] = {"color": colour, "linestyle": style.DASHES.get(colour, "-")}
            axes.plot(np.flatnonzero(seen), mean, linewidth=0.9, label=label, **look)
        axes.set_ylabel(f"{name} loss [fb]")
    validation = [losses for _, losses in evolutions.values()]
    low, high = style.finite_range(*(losses.mean(axis=0) for losses in validation))
    style.log_axis(upper, low, high * (high / low) ** 0.35)
    networks, _ = validation[0].shape
    title = f"mean of {networks} networks"
    lower.legend(loc="upper right", ncols=2, title=title, title_fontsize=6.2)
    lower.set(xlabel="epoch", xlim=(0, max(losses.shape[1] for losses in validation) - 1))
    style.add_label(upper)
    return figure
