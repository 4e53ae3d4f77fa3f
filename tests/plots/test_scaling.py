import pytest

from punzinet.plots.scaling import StageRun, scaling_figure


def runs() -> list[StageRun]:
    """Two stages that take 5 s and then a second for a million events and worker."""
    return [
        StageRun(stage, workers, files, events, 5 + events / workers / 1e6)
        for stage in ("features", "select")
        for workers in (1, 2)
        for files, events in ((1, 100_000), (1, 8_000_000), (10, 8_000_000))
        if files == 1 or workers == 2
    ]


def test_every_run_is_drawn_where_it_belongs() -> None:
    left, right = scaling_figure(runs()).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert drawn["features, 1 worker"] == pytest.approx([1e5 / 5.1, 8e6 / 13])
    assert drawn["select, 2 workers"] == pytest.approx([1e5 / 5.05, 8e6 / 9])
    # One file and ten of the same events; one worker has one file only.
    assert [list(line.get_xdata()) for line in right.lines] == [[1, 10]] * 2
    assert right.get_xlabel() == "files (8 million events)"
