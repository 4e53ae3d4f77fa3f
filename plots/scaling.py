"""Throughput of the columnar stages against the number of events and of files."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from punzinet.plots import style

LINES = {1: (style.BLUE, (0, (4, 1.5))), 2: (style.RED, "-")}
"""Colour and dash by number of workers."""
OTHER_LINE = (style.VIOLET, (0, (1.2, 1.2)))
MARKERS = {"features": "o", "select": "^"}


@dataclass(frozen=True)
class StageRun:
    """What one run of a stage took.

    Attributes:
        stage: Its name.
        workers: Number of worker processes.
        files: Number of files.
        events: Number of events of all files together.
        seconds: Time from its start to its end.
    """

    stage: str
    workers: int
    files: int
    events: int
    seconds: float

    @property
    def rate(self) -> float:
        """Events a second, start and end of the processes included."""
        return self.events / self.seconds


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
                own = [run for run in runs if (run.stage, run.workers) == (stage, workers)]
                plural = "worker" if workers == 1 else "workers"
                look = {"color": colour, "linestyle": dash, "marker": marker}
                one = sorted((run.events, run.rate) for run in own if run.files == 1)
                left.plot(*zip(*one, strict=True), **look, label=f"{stage}, {workers} {plural}")
                same = sorted((run.files, run.rate) for run in own if run.events == most)
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
