"""The recipe is the paper's unless said otherwise, and nonsense is refused."""

import pytest
from pydantic import ValidationError

from punzinet.analysis.training.settings import TrainingSettings


def test_pretraining_is_the_papers():
    pretraining = TrainingSettings().pretraining
    assert (pretraining.epochs, pretraining.batch_size, pretraining.learning_rate) == (200, 2048, 1)
    assert pretraining.patience == 10


@pytest.mark.parametrize(
    "content",
    [
        {"networks": 0},
        {"hidden": []},
        {"punzi": {"learning_rate": 0}},
        {"punzi": {"patience": 0}},
        {"pretraining": {"batchsize": 4}},
        {"validation_fold": 5},
        {"punzi": {"batches": "sorted"}},
    ],
)
def test_nonsense_is_refused(content):
    with pytest.raises(ValidationError):
        TrainingSettings.model_validate(content)
