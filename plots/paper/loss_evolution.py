"""Evolution of the Punzi-loss for several batch sizes (Fig. 2)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter
from scipy.ndimage import median_filter

from punzinet.analysis.types import FloatArray, IntArray
from punzinet.plots import style

#: Epochs of the running median of the training loss: single batches in which a rare hypothesis
#: has hardly any signal throw that of small batches up by orders of magnitude.
MEDIAN_OF = 21
COLOURS = (style.BLUE, style.ORANGE, style.PURPLE, style.GREY, style.RED, "#111111")


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
