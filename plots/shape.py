"""What fits of the shape gain over counting, and one such fit with a signal in it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from hist import Hist
from hist.axis import StrCategory, Variable
from hist.storage import Weight
from matplotlib.figure import Figure

from punzinet.analysis.limits.shape import ShapeLimits
from punzinet.analysis.search import Search
from punzinet.plots import style
from punzinet.plots.sensitivity import INNER
from punzinet.plots.spectra import draw_stack, poisson_errors

STRENGTH = 3  # times the expected limit: the signal of the example


@style.style()
def shape_gain_figure(limits: ShapeLimits, search: Search) -> Figure:
    """Draw median limits by both methods, with ±1σ of the fits, and their ratio below."""
    figure, (upper, lower) = style.new_figure(1.05, nrows=2, sharex=True, height_ratios=(2.4, 1))
    counting, shape = (
        np.where(np.isfinite(one), one, np.nan).T for one in (limits.counting, limits.shape)
    )
    dash: dict[str, Any] = {"color": style.ORANGE, "linestyle": style.DASHED}
    upper.plot(limits.mass, counting[2], label="counting in the window", **dash)
    upper.plot(limits.mass, shape[2], color="black", label="fit of the shape")
    label = r"fit, expected $\pm 1\sigma$"
    upper.fill_between(limits.mass, shape[1], shape[3], color=INNER, linewidth=0, label=label)
    style.log_axis(upper, *style.finite_range(counting[2], *shape[1:4]))
    level = f"{100 * limits.confidence_level:g} % CL upper limit on"
    upper.set_ylabel(f"{level}\n{search.cross_section} [fb]")
    style.add_legend(upper, 2)
    style.add_label(upper, limits.luminosity)
    lower.axhline(1, color="black", linewidth=0.6)
    style.draw_points(lower, limits.mass, limits.gain, color=style.BLUE)
    style.log_axis(lower, *style.include((0.95, 1.25), limits.gain))
    lower.set_ylabel("counting / shape\n(ratio)", loc="center")
    style.mass_axis(lower, limits.mass, search.parameter)
    return figure


def example(limits: ShapeLimits) -> int | None:
    """The hypothesis whose fit has most bins; None if there is no fit."""
    bins = [len(edges) for edges in limits.edges]
    return int(np.argmax(bins)) if any(bins) else None


@style.style()
def shape_fit_figure(
    limits: ShapeLimits,
    hypothesis: int,
    workspace: Mapping[str, Any],
    search: Search,
    processes: Mapping[str, str],
) -> Figure:
    """Draw the bins of a fit: backgrounds stacked, a signal on top, and what both would give.

    The signal is `STRENGTH` times the expected limit, points are its Asimov data.
    """
    signal, *others = workspace["channels"][0]["samples"]
    axis = Variable(limits.edges[hypothesis], name="variable")
    stack = Hist(
        StrCategory([one["name"] for one in others], name="process"), axis, storage=Weight()
    )
    for row, one in enumerate(others):
        error = next((m["data"] for m in one["modifiers"] if m["type"] == "shapesys"), 0.0)
        stack.view().value[row] = one["data"] / axis.widths
        stack.view().variance[row] = (np.asarray(error) / axis.widths) ** 2
    figure, axes = style.new_figure(0.9)
    total, _ = draw_stack(axes, stack, processes)
    strength = float(f"{STRENGTH * limits.shape[hypothesis, 2]:.2g}")
    both = total + strength * np.asarray(signal["data"]) / axis.widths
    label = f"signal, {search.parameter} = {limits.mass[hypothesis]:g} GeV, {strength:g} fb"
    axes.stairs(both, axis.edges, color=style.RED, label=label, baseline=None)
    counts = both * axis.widths
    errors = poisson_errors(counts, counts) / axis.widths
    style.draw_points(axes, axis.centers, both, errors, color="black", label="both (Asimov data)")
    axes.set(xlim=(axis.edges[0], axis.edges[-1]), ylim=(0, 1.1 * float((both + errors[1]).max())))
    axes.set_xlabel(search.variable.axis_label)
    axes.set_ylabel(f"events / {search.variable.unit}")
    style.add_legend(axes, 2)
    style.add_label(axes, limits.luminosity)
    return figure
