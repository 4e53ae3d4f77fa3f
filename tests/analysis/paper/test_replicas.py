"""Resampled σ_min against counting statistics."""

import numpy as np
import pytest

from punzinet.analysis.evaluation import ScaledEvents
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.paper.replicas import Replicas


def events(signal: int, background: int, weight: float = 2.0) -> ScaledEvents:
    """One hypothesis, one background process."""
    process = np.repeat([-1, 0], [signal, background])
    size = len(process)
    weights = np.where(process < 0, 0.5 / max(signal, 1), weight)
    sums = np.array([[weight * background], [0.5]])
    return ScaledEvents(
        features=np.zeros((size, 1)),
        weight=weights,
        process=process.astype(np.int8),
        start=np.zeros(size, np.int16),
        stop=np.ones(size, np.int16),
        total=sums,
        total_variance=0 * sums,
        squares=sums,
        backgrounds=("tautau",),
    )


def test_the_spread_is_that_of_counting() -> None:
    sample = events(400, 900)
    replicas = Replicas(sample, 2000, np.random.default_rng(1))
    figure = FigureOfMerit()
    sigma = replicas.sigma_min(np.ones(1300), np.zeros(1), figure, 50.0)
    expected = figure.sigma_min(np.array([0.5]), np.array([1800.0]), 50.0)[0]
    assert sigma.shape == (2000, 1)
    assert sigma.mean() == pytest.approx(expected, rel=0.01)
    # σ_min goes as √B/S here: half the relative error of the one, and that of the other.
    assert sigma.std() / expected == pytest.approx(np.hypot(1 / 20, 0.5 / 30), rel=0.08)


def test_an_event_below_the_cut_does_not_count() -> None:
    sample = events(50, 50)
    logit = np.repeat([1.0, -1.0], 50)
    sigma = Replicas(sample, 50, np.random.default_rng(1)).sigma_min(
        logit, np.zeros(1), FigureOfMerit(), 50.0
    )
    everything = Replicas(sample, 50, np.random.default_rng(1)).sigma_min(
        logit, np.full(1, -2.0), FigureOfMerit(), 50.0
    )
    assert (sigma < everything).all()


def test_no_background_seen_is_not_no_background() -> None:
    sample = events(10_000, 40)
    logit = np.repeat([1.0, -1.0], [10_000, 40])
    figure = FigureOfMerit()
    sigma = Replicas(sample, 4000, np.random.default_rng(1)).sigma_min(
        logit, np.zeros(1), figure, 50.0
    )[:, 0]
    limit = figure.sigma_min(np.array([0.5]), np.array([1.148 * 2.0]), 50.0)[0]
    assert np.mean(sigma < limit) == pytest.approx(0.68, abs=0.03)


def test_without_signal_it_is_infinite() -> None:
    sigma = Replicas(events(5, 5), 10, np.random.default_rng(1)).sigma_min(
        np.zeros(10), np.ones(1), FigureOfMerit(), 50.0
    )
    assert np.isinf(sigma).all()
