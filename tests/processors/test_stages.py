"""What the stages of the chain depend on, and what they do not."""

import json
from pathlib import Path

import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.processors.stages import networks_to_train, train_stage


def test_an_ensemble_that_was_asked_for_stays_one(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    assert networks_to_train(output, manifest=1, asked=None) == 1
    assert networks_to_train(output, manifest=1, asked=25) == 25
    assert networks_to_train(output, manifest=1, asked=None) == 25
    assert networks_to_train(output, manifest=1, asked=None) == 25


def test_a_changed_manifest_counts_again(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    networks_to_train(output, manifest=1, asked=25)
    assert networks_to_train(output, manifest=3, asked=None) == 3


def test_the_last_thing_asked_for_counts(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    networks_to_train(output, manifest=1, asked=25)
    networks_to_train(output, manifest=1, asked=1)
    assert networks_to_train(output, manifest=1, asked=None) == 1


@pytest.mark.parametrize("content", ["25", '{"asked": 25}', '{"asked": "x", "manifest": 1}', "{"])
def test_damaged_memory_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / ".stages").mkdir()
    (tmp_path / ".stages" / "networks.json").write_text(content)
    with pytest.raises(InputError, match=r"networks.json .*again"):
        networks_to_train(OutputFolder(tmp_path), manifest=1, asked=None)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"device": "cuda"}, True),
        ({"storage": "disk"}, True),
        ({"tensorboard": True}, True),
        ({"networks": 2}, False),
        ({"seed": 2}, False),
    ],
)
def test_where_a_training_runs_is_no_reason_to_repeat_it(
    tmp_path: Path, changes: dict[str, object], same: bool
) -> None:
    folder = tmp_path / ".stages"
    folder.mkdir()
    (folder / "features.json").write_text(json.dumps({"fingerprint": "f", "outputs": {}}))
    datasets = {name: {"process": name, "simulate": name} for name in ("signal", "tautau")}
    fingerprints = [
        train_stage(
            Manifest.model_validate({"datasets": datasets, "training": training}),
            OutputFolder(tmp_path),
        ).fingerprint()
        for training in ({}, changes)
    ]
    assert (fingerprints[0] == fingerprints[1]) == same
