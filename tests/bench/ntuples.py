"""Large ntuples from a small simulated one, and manifests for them."""

import numpy as np
import uproot
import yaml
from stage import STEPS, WORKERS, measure, steady_rate

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.network import PunziNet
from punzinet.analysis.windows import Windows
from punzinet.stages.options import Context, Options
from punzinet.stages.train import TRAIN

TREE = "variables"
BASKET = 65_536  # events, as ROOT itself has them in files of our columns; basf2 has 200
SIGNAL_EVENTS = 1000  # generated of each mass


def simulate(folder):
    scale = {"luminosity": 5.0, "signal_events": SIGNAL_EVENTS}
    names = {"signal": SIGNAL_PROCESS, "background": "tautau"}
    manifest = {
        "datasets": {key: {"process": name, "simulate": name} for key, name in names.items()},
        "simulation": {"scales": {"default": scale}},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data_manifest.yaml").write_text(yaml.safe_dump(manifest))
    measure(folder, "simulate")


def write_background(folder, targets, count, basket=BASKET):
    """Write the background over and over, compressed with zstd.

    Every event has a number of its own, and momenta that differ by a thousandth from those of
    the event that it repeats: repetitions would compress, and be read, better than real events.
    The `count` events are spread evenly over the files; `folder` is where `simulate` has been.
    """
    with uproot.open(folder / "output" / "ntuples" / "background.root") as file:
        columns = file[TREE].arrays(library="np")
    entries = len(columns["__event__"])
    momenta = [name for name in columns if "spp" in name or name.endswith("spE__bc")]
    random = np.random.default_rng(1)
    edges = np.linspace(0, count, len(targets) + 1).astype(np.int64)
    for target, first, last in zip(targets, edges[:-1], edges[1:], strict=True):
        with uproot.recreate(target, compression=uproot.ZSTD(1)) as file:
            tree = file.mktree(TREE, {name: values.dtype for name, values in columns.items()})
            for start in range(first, last, basket):
                number = np.arange(start, min(start + basket, last))
                events = {name: values[number % entries] for name, values in columns.items()}
                for name in momenta:
                    scatter = 1 + 1e-3 * random.standard_normal(len(number), dtype=np.float32)
                    events[name] = events[name] * scatter
                tree.extend({**events, "__event__": number.astype(columns["__event__"].dtype)})


def prepare(folder, simulated, files, count):
    """Write a background, and make a folder whose manifest has it and simulated signal."""
    write_background(simulated, files, count)
    signal = {"process": SIGNAL_PROCESS, "generated": SIGNAL_EVENTS}
    signal["files"] = [str(simulated / "output" / "ntuples" / "signal.root")]
    background = {"process": "tautau", "files": [*map(str, files)], "luminosity": 1e3}
    datasets = {"signal": signal, "background": background}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data_manifest.yaml").write_text(yaml.safe_dump({"datasets": datasets}))


def run_stages(folder, workers=WORKERS):
    """What each columnar stage takes, and its steady rate on the background, events a second.

    Between the two an untrained network with a cut is saved, as if it were trained.
    """
    taken = {}
    for stage, step in STEPS.items():
        measured = measure(folder, stage, workers=workers)
        taken[stage] = measured, steady_rate(folder, f"{stage}/{step}")
        if stage == "features":
            output = OutputFolder(folder / "output")
            windows = Windows.read(output.windows)
            network = PunziNet(windows.search.feature_names, np.zeros(4), np.full(4, 5.0))
            network.save(output.network("punzi-00"), windows, {}, {}, cut=0.0)
            options = Options(manifest=folder / "data_manifest.yaml", output=output.root)
            written = [path for path in output.network("").rglob("*") if path.is_file()]
            TRAIN.finish(Context(options), written, TRAIN.begin(output))
    return taken
