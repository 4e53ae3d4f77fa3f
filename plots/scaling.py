"""Throughput of the columnar stages against the number of events and of files."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from punzinet.plots import style

#: Colour and dash by number of workers.
LINES = {1: (style.BLUE, style.DASHED), 2: (style.RED, "-")}
OTHER_LINE = (style.VIOLET, style.DOTTED)
MARKERS = {"features": "o", "select": "^"}


class StageRun(NamedTuple):
    """What one run of a stage took, start and end of the processes included."""

    stage: str
    workers: int
    files: int
    events: int
    seconds: float


def scaling_figure(runs: Sequence[StageRun]) -> Figure:
    """Draw events a second against events of one file, and against files of the same events.

    Args:
        runs: All runs; those with more than one file hold as many events as the largest with one.
    """
    most = max(run.events for run in runs)
    with style.style():
        figure, (left, right) = style.new_figure(0.75, ncols=2, sharey=True)
        for stage, marker in MARKERS.items():
            for workers in sorted({run.workers for run in runs}):
                colour, dash = LINES.get(workers, OTHER_LINE)
                look = {"color": colour, "linestyle": dash, "marker": marker}
                own = [run for run in runs if (run.stage, run.workers) == (stage, workers)]
                one = sorted(
                    (run.events, run.events / run.seconds) for run in own if run.files == 1
                )
                label = f"{stage}, {workers} worker{'' if workers == 1 else 's'}"
                left.plot(*zip(*one, strict=True), **look, label=label)
                same = sorted((r.files, r.events / r.seconds) for r in own if r.events == most)
                if len(same) > 1:
                    right.plot(*zip(*same, strict=True), **look)
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_yscale("log")
        left.set_xlabel("events in one file")
        right.set_xlabel(f"files ({most / 1e6:g} million events)")
        left.set_ylabel("events per second")
        low, high = left.get_ylim()
        left.set_ylim(low, 4 * high)  # room for the legend
        left.legend(loc="upper left")
        style.add_label(left, label="Start and end included")
    return figure
