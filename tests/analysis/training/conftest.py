"""Synthetic samples for the tests of the training."""

import numpy as np
import pytest
from synthetic import synthetic_sample

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.training.batches import pack
from punzinet.analysis.training.train import loss_of


@pytest.fixture(scope="session")
def small_sample():
    return synthetic_sample(12_000, hypotheses=7)


@pytest.fixture(scope="session")
def packed(small_sample):
    """Its training events, for random batches of 1000."""
    return pack(small_sample, small_sample.training, 1000, np.random.default_rng(0))


@pytest.fixture(scope="session")
def make_objective():
    def make(sample, cross_section=None, **merit):
        loss = loss_of(sample, FigureOfMerit(**merit), 50.0, cross_section)
        return loss, np.linspace(0.5, 2.0, len(sample.mass) + len(sample.backgrounds))

    return make


@pytest.fixture(scope="session")
def objective(small_sample, make_objective):
    return make_objective(small_sample)
