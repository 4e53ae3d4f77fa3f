"""How many networks are trained, and where it is no reason to train them again."""

import pytest

from punzinet.analysis.io.files import InputError
from punzinet.stages.stage import fingerprint
from punzinet.stages.train import TRAIN, networks_to_train


@pytest.mark.parametrize(
    ("asked", "manifest", "trained"),
    # In the last case the manifest says something else than at that time.
    [((), 1, 1), ((25,), 1, 25), ((25, None, None), 1, 25), ((25, 1, None), 1, 1), ((25,), 3, 3)],
)
def test_an_ensemble_that_was_asked_for_stays_one(context, asked, manifest, trained):
    for networks in asked:
        TRAIN.prepare(context({"networks": networks}, training={"networks": 1}))
    assert networks_to_train(context(training={"networks": manifest})) == trained


@pytest.mark.parametrize("content", ["25", '{"asked": 25}', '{"asked": "x", "manifest": 1}', "{"])
def test_damaged_memory_is_one_sentence(context, content):
    here = context()
    here.output.stages.mkdir()
    (here.output.stages / "networks.json").write_text(content)
    with pytest.raises(InputError, match=r"networks.json .*again"):
        networks_to_train(here)


def test_where_a_training_runs_is_no_reason_to_repeat_it(context):
    def inputs(**training):
        return fingerprint(TRAIN.inputs(context(training=training)))

    assert inputs() == inputs(device="cuda") == inputs(storage="disk")
    assert len({inputs(), inputs(networks=2), inputs(seed=2)}) == 3
