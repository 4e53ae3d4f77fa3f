"""Draw what `bench_scaling.py` measured: `python tests/bench/draw_scaling.py output/bench.json`."""

import argparse
import re
import shutil
import tempfile
from pathlib import Path

from punzinet.analysis.io.files import read_json
from punzinet.plots import style
from punzinet.plots.scaling import StageRun, scaling_figure

RUN = re.compile(r"scaling\.(\w+)\.(\d+)_workers\.(\d+)_files\.(\d+)_events\.seconds")
GALLERY = Path(__file__).parents[2] / "plots" / "gallery"


def read_runs(path: Path) -> list[StageRun]:
    """Take the runs out of a ``bench.json``."""
    figures = read_json(path, "make bench")["figures"]
    matches = [(RUN.fullmatch(name), figure["value"]) for name, figure in figures.items()]
    return [
        StageRun(match[1], int(match[2]), int(match[3]), int(match[4]), seconds)
        for match, seconds in matches
        if match
    ]


def main() -> None:
    """Put the picture where the documentation shows it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", type=Path, help="bench.json")
    with tempfile.TemporaryDirectory() as folder:
        figure = scaling_figure(read_runs(parser.parse_args().bench))
        style.save(figure, Path(folder), "scaling")
        shutil.copy(Path(folder) / "scaling.png", GALLERY)


if __name__ == "__main__":
    main()
