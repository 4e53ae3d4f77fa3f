"""What damaged files of earlier runs do to later ones: all kinds of results, and checkpoints."""

import os
import shutil
from pathlib import Path

import pytest
from commands import sentence_of, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]
CHECKPOINT = Path("output", "networks", "checkpoint.safetensors")


@pytest.fixture(scope="module")
def stopped(chain, tmp_path_factory):
    """The checkpoint of a training that was killed."""
    folder = chain.before("train", tmp_path_factory.mktemp("training") / "run")
    process = chain.start(folder, "train")
    wait_for((folder / CHECKPOINT).exists)
    process.kill()
    process.wait()
    return folder / CHECKPOINT


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
def test_a_stage_gets_over_what_is_left_behind(chain, stopped, tmp_path, left, stage):
    """It is done again, or the sentence says what to do; and that helps."""
    folder = chain.before(chain.stages[chain.stages.index(stage) + 1], tmp_path / "run")
    output = folder / "output"
    if stage == "train":
        shutil.copy(stopped, folder / CHECKPOINT)
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
    chain.check(folder, stage)
