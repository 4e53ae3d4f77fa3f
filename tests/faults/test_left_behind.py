"""What damaged files of earlier runs do to later ones: all kinds of results, and checkpoints."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import sentence_of, wait_for
from nonsense import NONSENSE, attempt, leaves, replaced
from safetensors import safe_open

from punzinet.analysis.folds import Folds
from punzinet.analysis.io.histograms import STAGES as SELECTIONS
from punzinet.analysis.io.histograms import read_spectrum, read_templates
from punzinet.analysis.io.output import OutputFolder, processed_of
from punzinet.analysis.io.tensor_events import read_tensor_events
from punzinet.analysis.limits.result import Limits, read_sigma_over_g2
from punzinet.analysis.manifest.manifest import load_manifest
from punzinet.analysis.saved_network import load_network
from punzinet.analysis.search import RECOIL
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.training.checkpoint import FORMAT, Checkpoint
from punzinet.analysis.training.data import load_sample
from punzinet.analysis.windows import Windows
from punzinet.processors.ledger import read_progress

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]
NETWORK = "punzi-00"
DAMAGES = 300  # of a file
CHECKPOINT = Path("output", "networks", "checkpoint.safetensors")


@pytest.fixture(scope="module")
def finished(chain, tmp_path_factory):
    """A finished output folder with a checkpoint, without figures, which nobody reads here."""
    folder = chain.before("report", tmp_path_factory.mktemp("finished") / "run")
    shutil.rmtree(folder / "output" / "plots")
    training = chain.before("train", tmp_path_factory.mktemp("training") / "run")
    process = chain.start(training, "train")
    wait_for((training / CHECKPOINT).exists)
    process.kill()
    process.wait()
    shutil.copy(training / CHECKPOINT, folder / CHECKPOINT)
    return Path(folder)


def readers(folder):
    """For each kind of result, what reads it."""
    output = OutputFolder(folder / "output")
    mass = np.array([1.0, 3.0])
    path = folder / CHECKPOINT
    with safe_open(path, framework="numpy") as file:
        identity = json.loads(file.metadata()["content"])[FORMAT]

    def network():
        cut = load_network(output.network(NETWORK)).cut
        assert cut is None or np.isfinite(cut)

    return {
        "windows.json": lambda: Windows.read(output.windows),
        "sensitivity.json": lambda: Sensitivity.read(output.sensitivity),
        "limits/limits.json": lambda: Limits.read(output.limits),
        "simulation/cross_sections.json": lambda: read_sigma_over_g2(output.cross_sections, mass),
        "ntuples/simulation.json": lambda: load_manifest(folder / "data_manifest.yaml", output),
        f"networks/{NETWORK}/network.json": network,
        f"networks/{NETWORK}/network.safetensors": network,
        "networks/checkpoint.safetensors": lambda: Checkpoint(path, identity, resume=True),
        "features/completeness.json": lambda: processed_of(output),
        ".ledger/features/features.json": lambda: read_progress(output.ledger("features")),
        "tensors/signal/*.parquet": lambda: (
            read_tensor_events(output.tensors, RECOIL),
            load_sample(output.tensors, Windows.read(output.windows), Folds(4, 3)),
        ),
        # The last one: uproot believes for ever what a damaged file says of ROOT's classes.
        "selection/histograms.root": lambda: (
            [read_spectrum(output.histograms, stage, RECOIL.variable.mass) for stage in SELECTIONS],
            read_templates(output.histograms),
        ),
    }


def damaged(good, amount, rng):
    """A file with other bytes, or cut off; and, if it is JSON, with other values."""
    for _ in range(amount):
        data = bytearray(good)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            length = int(rng.integers(1, 40))
            data[place : place + length] = rng.bytes(length)
        yield bytes(data[: int(rng.choice([1.0, rng.random()]) * len(data))])
    try:
        content = json.loads(good)
    except ValueError:
        return
    keys = list(leaves(content))
    for _ in range(amount):
        change = keys[rng.integers(len(keys))], NONSENSE[rng.integers(len(NONSENSE))]
        yield json.dumps(replaced(content, [change])).encode()
    yield from (b"", b"null", b"[]", b"{}", b"[" * 100_000, b"1" * 5000)


@pytest.mark.parametrize("number", range(12))
def test_a_damaged_result_is_refused(finished, tmp_path, number, record_property):
    """No reader raises anything but the sentence that names the file and the way out."""
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    kind, read = list(readers(folder).items())[number]
    path = min((folder / "output").glob(kind))
    good = path.read_bytes()
    read()
    count = refused = 0
    for content in damaged(good, DAMAGES, np.random.default_rng([22, number])):
        path.write_bytes(content)
        try:
            _, sentence = attempt(read)
        except Exception as error:  # noqa: BLE001 - which damage it was has to be known
            pytest.fail(f"{kind}: {error!r} on {content[:3000]!r}")
        count += 1
        refused += sentence is not None
    assert refused > 0.3 * DAMAGES
    record_property("fuzzed", count)


@pytest.mark.parametrize(
    ("left", "stage"),
    [
        ("networks/checkpoint.safetensors", "train"),
        (".ledger/features/*/signal/*.safetensors", "features"),
        (".ledger/features.json", "features"),
        (".ledger/simulate/*/tautau/*.safetensors", "simulate"),
        (".lock", "features"),
        (".stages/features.json", "features"),
        ("tensors/*/*.parquet", "features"),
        ("windows.json", "features"),
        ("selection/histograms.root", "select"),
        ("limits/limits.json", "limits"),
        ("networks/*/network.safetensors", "train"),
    ],
)
def test_a_stage_gets_over_what_is_left_behind(*, chain, finished, tmp_path, left, stage, survived):
    """It is done again, or the sentence says what to do; and that helps."""
    folder = chain.before(chain.stages[chain.stages.index(stage) + 1], tmp_path / "run")
    output = folder / "output"
    if stage == "train":
        shutil.copy(finished / CHECKPOINT, folder / CHECKPOINT)
    if left != f".stages/{stage}.json":
        (output / ".stages" / f"{stage}.json").unlink()
    for path in sorted(output.glob(left))[:2]:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] + os.urandom(200))
    done = chain.run(folder, stage)
    if done.returncode != 0:
        said = sentence_of(done)
        if "--restart" in said:
            done = chain.run(folder, stage, "--restart")
        else:
            assert "delete it" in said
            Path(folder / said.split(" is ")[0].split(" cannot ")[0]).unlink()
            done = chain.run(folder, stage)
    assert done.returncode == 0, done.stderr
    survived(folder, stage)
