"""What is trained for the paper."""

import numpy as np
import pytest

from punzinet.analysis.manifest.sections import PaperSettings
from punzinet.analysis.paper.studies import MAIN, UNBATCHED, Study, paper_studies, variations
from punzinet.analysis.training.settings import PunziSettings, TrainingSettings

TRAINING, PAPER = TrainingSettings(seed=3), PaperSettings()


def differences(a, b, key=""):
    """Dotted names of the settings that differ."""
    if isinstance(a, dict):
        return set().union(*(differences(a[k], b[k], f"{key}.{k}") for k in a))
    return {key} if a != b else set()


def test_the_main_study_is_the_recipe_itself():
    studies = paper_studies(TRAINING, PAPER)
    assert [s.name for s in studies] == [MAIN, "batch-25000", "batch-200000", UNBATCHED]
    assert studies[0].settings == TRAINING.model_copy(update={"networks": 25})
    assert studies[0].pretrains
    for study in studies[1:]:
        changed = differences(studies[0].settings.model_dump(), study.settings.model_dump())
        assert changed == {".networks", ".punzi.batch_size"}
        assert not study.pretrains


def test_pretraining_is_the_papers():
    found = TRAINING.pretraining.model_dump()
    expected = {"epochs": 200, "batch_size": 2048, "learning_rate": 1, "patience": 10}
    assert found | expected == found


@pytest.mark.parametrize("size", [None, 25_000])
def test_no_study_is_done_twice_or_has_more_networks_than_there_are_pretrained(size):
    training = TrainingSettings(punzi=PunziSettings(batch_size=size))
    studies = paper_studies(training, PAPER.model_copy(update={"networks": 2}))
    assert {s.settings.networks for s in studies} == {2}
    sizes = [s.settings.punzi.batch_size for s in studies]
    assert len(set(sizes)) == len(sizes)


def test_variations_change_one_thing_at_a_time():
    base = TRAINING.model_copy(update={"networks": PAPER.further_networks}).model_dump()
    studies = variations(TRAINING, PAPER, ["eemumu", "tautau"])
    assert len({s.name for s in studies}) == len(studies)
    for study in studies:
        changed = differences(base, study.settings.model_dump())
        sample = (study.background < 1) + len(study.scaled)
        sample += (study.spacing > 1) + (study.without_lightest > 0)
        assert len(changed) + sample == 1, study.name
        reusable = bool(changed) and next(iter(changed)).startswith(".punzi")
        assert study.pretrains is not reusable


def test_hypotheses_are_left_out_from_the_light_end_and_in_between():
    mass = np.arange(1, 88) / 10
    training = np.arange(87) % 2 == 0
    heavy = Study("", "", TRAINING, without_lightest=0.125).trained(training)
    assert mass[heavy].tolist() == mass[training & (mass > 1)].tolist()
    sparse = Study("", "", TRAINING, spacing=2).trained(training)
    assert np.allclose(np.diff(mass[sparse]), 0.4)
    assert (Study("", "", TRAINING).trained(training) == training).all()
