"""Mass spectrum before and after the single cut: backgrounds stacked, signals overlaid.

The mass is the recoil mass, or whatever the windows of a search are in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mplhep
from hist import Hist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from punzinet.analysis.search import RECOIL
from punzinet.analysis.types import FloatArray
from punzinet.plots import style
from punzinet.plots.stack import draw_stack

#: The logarithmic axis reaches down to this share of the largest bin, if the signals do not end
#: above.
DECADES = 6.0


@dataclass(frozen=True, eq=False)
class MassSpectrum:
    """What is in the spectrum at one stage of the selection.

    Attributes:
        backgrounds: Axes ``process`` (categories) and the mass in GeV, with its label; contents
            are events at the target luminosity.
        signals: By generated mass in GeV, the same axis of mass; contents are efficiencies.
    """

    backgrounds: Hist[Any]
    signals: Mapping[float, Hist[Any]]


def recoil_mass_figure(
    before: MassSpectrum,
    after: MassSpectrum,
    *,
    cross_section: float,
    luminosity: float,
    processes: Mapping[str, str],
    parameter: str = RECOIL.parameter,
) -> Figure:
    """Draw the spectrum before (above) and after (below) the single cut.

    Args:
        before: Events that pass the preselection.
        after: Those of them that pass the single cut.
        cross_section: Cross-section that every signal is drawn for, fb.
        luminosity: Target luminosity, fb^-1.
        processes: How figures write each process.
        parameter: How figures write the mass of a signal.
    """
    scale = cross_section * luminosity
    with style.style():
        figure, panels = style.new_figure(1.25, nrows=2, sharex=True)
        for axes, spectrum, title in zip(
            panels, (before, after), ("before the cut", "after the single cut"), strict=True
        ):
            _draw(axes, spectrum, scale, processes, parameter)
            axes.text(0.97, 0.94, title, transform=axes.transAxes, ha="right", va="top")
        _legend(panels[0], cross_section)
        edges = before.backgrounds.axes[1].edges
        panels[1].set_xlim(edges[0], edges[-1])
        panels[1].set_xlabel(before.backgrounds.axes[1].label)
        style.add_label(panels[0], luminosity)
        figure.align_ylabels()
    return figure


def _draw(
    axes: Axes,
    spectrum: MassSpectrum,
    scale: float,
    processes: Mapping[str, str],
    parameter: str,
) -> None:
    """Draw the stack, its statistical uncertainty and the signals in one panel."""
    total, _ = draw_stack(axes, spectrum.backgrounds, processes)
    edges = spectrum.backgrounds.axes[1].edges
    peaks = []
    for line, (mass, signal) in zip(
        style.SIGNAL_LINES, sorted(spectrum.signals.items()), strict=False
    ):
        mplhep.histplot(
            scale * signal.values(),
            edges,
            ax=axes,
            yerr=False,
            label=f"${parameter.strip('$')} = {mass:g}$ GeV",
            linewidth=1.0,
            **line,
        )
        peaks.append(scale * float(signal.values().max(initial=0)))
    _limits(axes, total, peaks)
    width = edges[1] - edges[0]
    axes.set_xlabel("")  # the histogram writes the name of its axis
    axes.set_ylabel(f"events / {width:.3g} GeV")


def _limits(axes: Axes, total: FloatArray, peaks: list[float]) -> None:
    """Reach from the smallest bin that matters to room for the legend above the largest."""
    axes.set_yscale("log")
    top = max([float(total.max(initial=0)), *peaks]) or 1.0
    seen = total[total > 0]
    low = min([float(seen.min()) if len(seen) else top, *(0.05 * p for p in peaks if p > 0)])
    low = max(0.5 * low, top / 10**DECADES)
    axes.set_ylim(low, top * (top / low) ** 0.7)


def _legend(axes: Axes, cross_section: float) -> None:
    """Backgrounds in the order of the stack from above, then the signals."""
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0, 0.9),
        ncols=2,
        title=rf"signals drawn for $\sigma = {cross_section:g}$ fb",
        title_fontsize=6.2,
        alignment="left",
    )
