"""The chain on the default data: seconds and memory of every stage, compilation included."""

import tempfile
from pathlib import Path

from stage import Figures, measure

BOUNDS = {"simulate": 180, "features": 5, "train": 60, "select": 6, "limits": 10, "plot": 8}
MEMORY = 4096  # MiB
MANIFEST = Path(__file__).parents[2] / "data_manifest.yaml"


def run() -> Figures:
    """Run the stages one after the other in an empty folder."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as name:
        for stage, bound in BOUNDS.items():
            seconds, memory, _ = measure(Path(name), stage, "--manifest", str(MANIFEST))
            figures[f"{stage}.default_data_s"] = (seconds, "s", f"<= {bound}")
            figures[f"{stage}.default_data_mib"] = (memory, "MiB", f"<= {MEMORY}")
    return figures
