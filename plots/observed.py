"""What is observed: local p-values against the mass, with the global one."""

import numpy as np
from matplotlib.figure import Figure
from scipy.special import ndtr

from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.manifest.datasets import DATA
from punzinet.analysis.search import Search
from punzinet.plots import style

SIGMAS = np.arange(1, 6)  # significances that have a line
LEAST = 1e-16  # p-values below are drawn there, lest the lines of sigmas lie on one another


def observed_name(observation: Observation) -> str:
    """What a legend calls what is observed."""
    return "observed" if observation.source == DATA else "observed (pseudo-data)"


@style.style()
def p_value_figure(observation: Observation, search: Search, label: str) -> Figure:
    """Draw the local p-value at all scan points, with lines at 1 to 5 sigma and the global one.

    The label says of which events. Masses that pseudo-data has signal at are marked.
    """
    figure, axes = style.new_figure(0.85)
    mass, p_value = observation.mass, observation.p_value.clip(LEAST)
    axes.plot(mass, p_value, color="black", linewidth=0.7)
    tested = observation.hypothesis
    for rows, name, look in (
        (tested, "masses searched for", {"markersize": 2.4}),
        (~tested, "midway between", {"markersize": 1.8, "markerfacecolor": "white"}),
    ):
        if rows.any():
            more = {"markeredgewidth": 0.5, "color": "black", "linestyle": "", **look}
            axes.plot(mass[rows], p_value[rows], marker="o", label=name, **more)
    for injected, section in observation.injected.items():
        name = f"injected: {section:g} fb at {injected:g} GeV"
        axes.axvline(injected, color=style.RED, linestyle=style.DASHED, linewidth=0.8, label=name)
    lines = ndtr(-SIGMAS.astype(float))
    for line in lines.tolist():
        axes.axhline(line, color=style.GREY, linestyle=style.DOTTED, linewidth=0.6, zorder=0)
    style.log_axis(axes, min(lines[-1], float(p_value.min())), 1.0)
    axes.set_ylabel("local p-value")
    axes.tick_params(which="both", right=False)
    right = axes.twinx()  # a secondary axis cannot go to another process
    right.set(yscale="log", ylim=axes.get_ylim())
    right.set_yticks(lines, [rf"${sigma}\sigma$" for sigma in SIGMAS], minor=False)
    right.minorticks_off()
    style.mass_axis(axes, mass, search.parameter)
    style.add_label(axes, observation.luminosity, label)
    style.add_legend(axes, 1 + bool(observation.injected), title=global_words(observation))
    return figure


def global_words(observation: Observation) -> str:
    """The global p-value in words."""
    known, error = observation.global_p_value, observation.global_error
    said = f"global p-value {known:.2g} ± {error:.1g}" if known else f"global p-value < {error:.1g}"
    return f"{said} ({observation.experiments:,} pseudo-experiments)"
