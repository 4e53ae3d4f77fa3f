"""The columnar stages: events a second from ROOT file to Parquet, and the memory this takes."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import uproot
import yaml
from stage import measure

EVENTS = 8_000_000


def tile(source: Path, target: Path, count: int) -> None:
    """Write the events of a file over and over, with event numbers of their own.

    Args:
        source: A simulated ntuple.
        target: The ROOT file to write, in baskets of 64k events, compressed with zstd.
        count: Number of events to write.
    """
    with uproot.open(source) as file:
        columns = file["variables"].arrays(library="np")
    entries = len(columns["__event__"])
    with uproot.recreate(target, compression=uproot.ZSTD(1)) as file:
        tree = file.mktree("variables", {name: values.dtype for name, values in columns.items()})
        for start in range(0, count, 65_536):
            number = np.arange(start, min(start + 65_536, count))
            basket = {name: values[number % entries] for name, values in columns.items()}
            tree.extend({**basket, "__event__": number.astype(columns["__event__"].dtype)})


def run() -> dict[str, dict[str, float | str]]:
    """Measure the features stage on a large background file, and on one a quarter its size."""
    names = {"signal": "signal", "background": "tautau"}
    scale = {"luminosity": 5.0, "signal_events": 1000}
    manifest: dict[str, Any] = {
        "datasets": {key: {"process": name, "simulate": name} for key, name in names.items()},
        "simulation": {"scales": {"default": scale}},
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data_manifest.yaml").write_text(yaml.safe_dump(manifest))
        measure(folder, "simulate")
        ntuples = folder / "output" / "ntuples"
        seconds, memory = {}, {}
        for size, count in (("small", EVENTS // 4), ("large", EVENTS)):
            tile(ntuples / "background.root", folder / f"{size}.root", count)
            manifest["datasets"] = {
                "signal": {
                    "process": "signal",
                    "files": [str(ntuples / "signal.root")],
                    "generated": scale["signal_events"],
                },
                "background": {"process": "tautau", "files": [f"{size}.root"], "luminosity": 1e3},
            }
            (folder / "data_manifest.yaml").write_text(yaml.safe_dump(manifest))
            if size == "small":
                measure(folder, "features")  # compiles, and warms caches up
            seconds[size], memory[size] = measure(folder, "features")
    # The difference of two sizes leaves out what does not grow: imports, workers, fits.
    rate = (EVENTS - EVENTS // 4) / (seconds["large"] - seconds["small"])
    return {
        "features.events_per_s": {"value": rate, "unit": "1/s", "bound": ">= 1e6"},
        "features.large_file_s": {"value": seconds["large"], "unit": "s"},
        "features.peak_memory_mib": {"value": memory["large"], "unit": "MiB", "bound": "<= 2048"},
        "features.peak_memory_small_mib": {"value": memory["small"], "unit": "MiB"},
    }
