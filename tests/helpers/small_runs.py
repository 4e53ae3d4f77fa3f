"""Stages of small samples, and networks that nobody has trained."""

import numpy as np
from small_data import (
    dataset,
    make_events,
    make_manifest,
    make_signal,
    windows_of,
    write_ntuple,
)

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.network import PunziNet
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.windows import Windows
from punzinet.processors.datasets import describe_datasets
from punzinet.processors.executors import Execution
from punzinet.processors.friends import predict_file
from punzinet.processors.preflight import inspect_file
from punzinet.processors.runs.features import run_features
from punzinet.processors.runs.limits import run_limits

ONE_WINDOW = windows_of([1.0], [0.3])


def with_data(folder, ntuples, masses, **settings):
    """A manifest of signal of other masses, the small backgrounds, and data of 30 fb^-1 of them."""
    signal = write_ntuple(folder / "signal.root", make_signal(1, masses=masses))
    runs = write_ntuple(folder / "runs.root", make_events(70, 2700))
    files = {**ntuples, "signal": signal, "runs": dataset("data", runs, luminosity=30)}
    return make_manifest(files, hypotheses={"masses": masses}, **settings)


def make_features(manifest, folder, *execution, data=False, varied=False, **options):
    """Run the features stage in a folder, with what an execution and the stage are given."""
    output, stage = OutputFolder(folder), "variations" if varied else "features"
    run_features(manifest, output, Execution(*execution), "data" if data else stage, **options)
    return output


def range_of(features):
    """Smallest and largest values of features for a network; the third of all has both signs."""
    return [-5.0 if name == FEATURES[2] else 0.0 for name in features], [5.0] * len(features)


def linked(output, folder):
    """Another output folder, in which everything before the limits is that of this one."""
    for name in ("tensors", "networks", "windows.json", "features", "data"):
        if (output.root / name).exists():
            (folder / name).symlink_to(output.root / name)
    return OutputFolder(folder)


def untrained(features=FEATURES, seed=3):
    return PunziNet(features, *range_of(features), rng=np.random.default_rng(seed))


def save_network(output, name, cut=None, network=None):
    """Save an untrained network, or another, for the windows of an output folder."""
    network = network or untrained()
    network.save(output.network(name), Windows.read(output.windows), {}, {}, cut=cut)


def limits_of(manifest, folder, *networks, **options):
    """Features, networks that know nothing and let everything pass, and limits of the first."""
    output = make_features(manifest, folder, **options)
    if manifest.has_variations:
        make_features(manifest, folder, varied=True)
    for seed, name in enumerate(networks or ["punzi-00"]):
        save_network(output, name, -10.0, untrained(seed=seed))
    run_limits(manifest, output, "punzi-00")
    return output


def predict(network, ntuple, target, chunk_size, **how):
    """Write the friend of an ntuple of background, read like `how`."""
    mine = dataset("tautau", ntuple, **how)
    manifest = make_manifest({"mine": mine, "signal": "s.root"})
    alone = manifest.model_copy(update={"datasets": {"mine": manifest.datasets["mine"]}})
    file = inspect_file(manifest.datasets["mine"], str(ntuple), "mine")
    (known,) = describe_datasets(alone, [file]).values()
    steps = []
    done = predict_file(file, network, known, target, chunk_size=chunk_size, advance=steps.append)
    assert sum(steps) == file.entries
    return done
