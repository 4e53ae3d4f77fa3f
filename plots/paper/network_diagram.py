"""The network, drawn from its own layers and weights (Fig. 1)."""

from itertools import pairwise

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from punzinet.analysis.network import PunziNet
from punzinet.analysis.observables import OBSERVABLES
from punzinet.analysis.types import FloatArray
from punzinet.plots import style

#: Size of a neuron, in points, and the width of the strongest connection.
NEURON, STRONGEST = 13.0, 2.2


def network_figure(network: PunziNet) -> Figure:
    """Draw all neurons and connections; colour is the sign of a weight, width its size."""
    weights = [layer.weight.detach().cpu().numpy() for layer in network.linear_layers]
    widths = [len(network.features), *(len(w) for w in weights)]
    places = [_column(x, width) for x, width in enumerate(widths)]
    with style.style():
        figure, axes = style.new_figure(0.72)
        for (left, right), weight in zip(pairwise(places), weights, strict=True):
            ends = [np.stack([a, b]) for b in right for a in left]
            size = np.abs(weight).ravel() / np.abs(weight).max()
            axes.add_collection(
                LineCollection(
                    ends,
                    linewidths=0.15 + STRONGEST * size,
                    colors=[style.RED if w > 0 else style.BLUE for w in weight.ravel()],
                    alpha=0.6,
                    zorder=1,
                )
            )
        for place in places:
            axes.plot(
                *place.T,
                linestyle="",
                marker="o",
                markersize=NEURON,
                color="white",
                markeredgecolor="black",
                markeredgewidth=0.8,
                zorder=2,
            )
        for name, (x, y) in zip(network.features, places[0], strict=True):
            axes.annotate(
                OBSERVABLES[name].quantity.label, (x, y), (-10, 0), textcoords="offset points",
                ha="right", va="center",
            )  # fmt: skip
        axes.annotate(r"$\hat{y}$", places[-1][0], (10, 0), textcoords="offset points", va="center")
        names = ["inputs", *["tanh"] * (len(widths) - 2), "sigmoid"]
        for x, (name, width) in enumerate(zip(names, widths, strict=True)):
            axes.text(x, 0.66, f"{name}\n{width}", ha="center", va="bottom", fontsize=6.5)
        axes.text(
            0.5 * (len(widths) - 1), -0.67,
            "pretraining: weighted cross-entropy $\\rightarrow$ training: Punzi-loss\n"
            "connections: weight $>0$ red, $<0$ blue, width by size within a layer",
            ha="center", va="top", fontsize=6.2,
        )  # fmt: skip
        axes.set_xlim(-1.25, len(widths) - 0.6)
        axes.set_ylim(-0.85, 0.85)
        axes.set_axis_off()
        style.add_label(axes)
    return figure


def _column(x: float, neurons: int) -> FloatArray:
    """Places (n, 2) of the neurons of a layer, from above."""
    step = min(0.3, 1.2 / max(neurons, 1))
    y = step * (0.5 * (neurons - 1) - np.arange(neurons))
    return np.column_stack([np.full(neurons, float(x)), y])
