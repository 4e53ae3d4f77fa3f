"""Losses against the epoch: of one network, and of several sizes of batches (Fig. 2)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter
from scipy.ndimage import median_filter

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.types import FloatArray, IntArray
from punzinet.plots import style

#: More than this factor between the largest and the smallest loss is drawn on a logarithmic axis.
LOGARITHMIC_FROM = 8.0
#: Epochs of the running median of the training loss: single batches in which a rare hypothesis
#: has hardly any signal throw that of small batches up by orders of magnitude.
MEDIAN_OF = 21
COLOURS = (style.BLUE, style.ORANGE, style.PURPLE, style.GREY, style.RED, "#111111")


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


class Evolution(NamedTuple):
    """Losses of the same N networks, by epoch.

    Attributes:
        epoch: (n,) epochs; 0 is before the training.
        training: (N, n) training losses in fb, NaN in epoch 0.
        validation: (N, n) validation losses in fb.
    """

    epoch: IntArray
    training: FloatArray
    validation: FloatArray


def loss_evolution_figure(evolutions: Mapping[str, Evolution]) -> Figure:
    """Draw the mean losses of the training (above) and the validation (below).

    The training loss is a running median over `MEDIAN_OF` epochs. The axis holds all validation
    losses.

    Args:
        evolutions: By batch size, as the figure calls it.
    """
    colours = np.resize(COLOURS, len(evolutions))
    with style.style():
        figure, (upper, lower) = style.new_figure(1.1, nrows=2, sharex=True, sharey=True)
        for axes, part in ((upper, "training"), (lower, "validation")):
            for colour, (label, evolution) in zip(colours, evolutions.items(), strict=True):
                loss = getattr(evolution, part)
                seen = np.isfinite(loss).all(axis=0)
                mean = loss[:, seen].mean(axis=0)
                if part == "training":
                    mean = median_filter(mean, MEDIAN_OF, mode="nearest")
                axes.plot(evolution.epoch[seen], mean, color=colour, linewidth=0.9, label=label)
            axes.set_yscale("log")
            axes.set_ylabel(f"{part} loss [fb]")
            axes.yaxis.set_minor_formatter(NullFormatter())
        losses = [e.validation.mean(axis=0) for e in evolutions.values()]
        low, high = style.include((losses[0][0], losses[0][0]), *losses)
        upper.set_ylim(0.93 * low, high * (high / low) ** 0.35)
        ticks = MaxNLocator(6).tick_values(low, high)
        upper.set_yticks([tick for tick in ticks if low <= tick <= high])
        upper.yaxis.set_major_formatter(ScalarFormatter())
        upper.yaxis.set_minor_formatter(NullFormatter())
        networks = len(next(iter(evolutions.values())).validation)
        lower.legend(
            loc="upper right",
            ncols=2,
            title=f"mean of {networks} network{'s' if networks > 1 else ''}; training: running "
            f"median of {MEDIAN_OF} epochs",
            title_fontsize=6.2,
        )
        lower.set_xlabel("epoch")
        lower.set_xlim(0, max(e.epoch[-1] for e in evolutions.values()))
        style.add_label(upper)
        figure.align_ylabels()
    return figure
