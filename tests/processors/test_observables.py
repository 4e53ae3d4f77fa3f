"""Candidate observables of chunks: the right events, whatever chunks they come in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.observables import CANDIDATES, FEATURES
from punzinet.analysis.windows import Windows
from punzinet.processors.datasets import DatasetInfo, describe_datasets
from punzinet.processors.features import FeatureProcessor
from punzinet.processors.ntuples.preflight import preflight
from punzinet.processors.observables import ObservableProcessor, ObservedEvents


@pytest.fixture
def datasets(
    make_manifest: Callable[..., Manifest], ntuples: dict[str, Path]
) -> dict[str, DatasetInfo]:
    manifest = make_manifest(ntuples)
    return describe_datasets(manifest, preflight(manifest))


@pytest.fixture
def observe(
    datasets: dict[str, DatasetInfo],
    ntuples: dict[str, Path],
    wide_windows: Windows,
    run_processor: Callable[..., Any],
) -> Callable[..., ObservedEvents]:
    """Observables of the small ntuples."""

    def run(share: float = 1.0, chunk_size: int = 700) -> ObservedEvents:
        shares = dict.fromkeys(datasets, share)
        processor = ObservableProcessor(datasets.values(), wide_windows, shares)
        return run_processor(processor, ntuples, chunk_size)

    return run


def test_they_are_the_events_that_networks_train_on(
    *,
    observe: Callable[..., ObservedEvents],
    datasets: dict[str, DatasetInfo],
    ntuples: dict[str, Path],
    wide_windows: Windows,
    tmp_path: Path,
    run_processor: Callable[..., Any],
) -> None:
    from punzinet.analysis.training.data import load_sample  # noqa: PLC0415 - slow to import

    tensors = tmp_path / "tensors"
    for name in datasets:
        (tensors / name).mkdir(parents=True)
    run_processor(FeatureProcessor(datasets.values(), wide_windows, tensors), ntuples, 1000)
    trained = load_sample(tensors, wide_windows, 4)
    observed = observe()
    assert observed.observables.shape == (len(observed.weight), len(CANDIDATES))
    for events, rows in (
        (trained.training, observed.fold != 4),
        (trained.validation, observed.fold == 4),
    ):
        assert len(events) == np.count_nonzero(rows)
        mine = observed.observables[rows][:, : len(FEATURES)]
        order, others = np.lexsort(mine.T), np.lexsort(events.features)
        np.testing.assert_array_equal(mine[order], events.features.T[others])
        np.testing.assert_array_equal(
            observed.weight[rows][order].astype(np.float32), events.weight[others]
        )
    assert np.isfinite(observed.observables).all()
    assert observed.signal.any()
    assert wide_windows.training[observed.hypothesis[observed.signal]].all()


def test_a_share_is_the_same_in_all_chunks(observe: Callable[..., ObservedEvents]) -> None:
    everything, some, again = observe(), observe(0.3), observe(0.3, chunk_size=311)
    np.testing.assert_array_equal(some.observables, again.observables)
    n = len(everything.weight)
    assert len(some.weight) == pytest.approx(0.3 * n, abs=5 * np.sqrt(n))
