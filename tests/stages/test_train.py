"""How many networks are trained, and where it is no reason to train them again."""

import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.stages.stage import fingerprint
from punzinet.stages.train import TRAIN, networks_to_train


@pytest.mark.parametrize(
    ("asked", "manifest", "trained"),
    [
        ((), 1, 1),
        ((25,), 1, 25),
        ((25, None, None), 1, 25),
        ((25, 1, None), 1, 1),
        ((25,), 3, 3),  # the manifest says something else than at that time
    ],
)
def test_an_ensemble_that_was_asked_for_stays_one(context, asked, manifest, trained) -> None:
    for networks in asked:
        TRAIN.prepare(context({"networks": networks}, training={"networks": 1}))
    assert networks_to_train(context(training={"networks": manifest})) == trained


@pytest.mark.parametrize("content", ["25", '{"asked": 25}', '{"asked": "x", "manifest": 1}', "{"])
def test_damaged_memory_is_one_sentence(context, content: str) -> None:
    here = context()
    here.output.stages.mkdir()
    (here.output.stages / "networks.json").write_text(content)
    with pytest.raises(InputError, match=r"networks.json .*again"):
        networks_to_train(here)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"device": "cuda"}, True),
        ({"storage": "disk"}, True),
        ({"networks": 2}, False),
        ({"seed": 2}, False),
    ],
)
def test_where_a_training_runs_is_no_reason_to_repeat_it(context, changes, same) -> None:
    plain, changed = (
        fingerprint(TRAIN.inputs(context(training=training))) for training in ({}, changes)
    )
    assert (plain == changed) == same
