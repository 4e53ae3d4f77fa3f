"""Synthetic samples for the tests of the training."""

import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.training.data import Sample
from punzinet.analysis.training.engine import Task

SYNTHETIC = Path(__file__).parents[2] / "bench" / "synthetic.py"


@pytest.fixture(scope="session")
def synthetic_sample() -> Callable[..., Sample]:
    """The maker of samples that the benchmarks use, too."""
    return runpy.run_path(str(SYNTHETIC))["synthetic_sample"]


@pytest.fixture(scope="session")
def small_sample(synthetic_sample: Callable[..., Sample]) -> Sample:
    """12 000 events, seven hypotheses."""
    return synthetic_sample(12_000, hypotheses=7)


@pytest.fixture(scope="session")
def make_task() -> Callable[..., Task]:
    """Make the task of a sample."""

    def make(sample: Sample, cross_section: float | None = None, **merit: object) -> Task:
        scale = np.linspace(0.5, 2.0, len(sample.mass) + len(sample.backgrounds))
        figure = FigureOfMerit(**merit)
        return Task(*sample.total, 50.0, figure, scale, sample.backgrounds, cross_section)

    return make
