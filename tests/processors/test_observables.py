"""Candidate observables of chunks: the right events, whatever chunks they come in."""

import numpy as np
import pytest
from small_data import make_manifest

from punzinet.analysis.observables import CANDIDATES, FEATURES
from punzinet.processors.datasets import describe_datasets
from punzinet.processors.features import FeatureProcessor
from punzinet.processors.ntuples.preflight import preflight
from punzinet.processors.observables import ObservableProcessor


@pytest.fixture
def datasets(ntuples):
    manifest = make_manifest(ntuples)
    return describe_datasets(manifest, preflight(manifest))


@pytest.fixture
def observe(datasets, ntuples, wide_windows, run_processor):
    """Observables of a share of the small ntuples."""

    def run(share=1.0, chunk_size=700):
        shares = dict.fromkeys(datasets, share)
        processor = ObservableProcessor(datasets.values(), wide_windows, shares)
        return run_processor(processor, ntuples, chunk_size)

    return run


def test_they_are_the_events_that_networks_train_on(
    *, observe, datasets, ntuples, wide_windows, tmp_path, run_processor
):
    from punzinet.analysis.training.data import load_sample  # noqa: PLC0415 - slow to import

    for name in datasets:
        (tmp_path / name).mkdir()
    run_processor(FeatureProcessor(datasets.values(), wide_windows, tmp_path), ntuples, 1000)
    trained, observed = load_sample(tmp_path, wide_windows, 4), observe()
    assert observed.observables.shape == (len(observed.weight), len(CANDIDATES))
    for events, rows in (
        (trained.training, observed.fold != 4),
        (trained.validation, observed.fold == 4),
    ):
        assert len(events) == np.count_nonzero(rows)
        mine = observed.observables[rows][:, : len(FEATURES)]
        order, others = np.lexsort(mine.T), np.lexsort(events.features)
        np.testing.assert_array_equal(mine[order], events.features.T[others])
        weight = observed.weight[rows][order].astype(np.float32)
        np.testing.assert_array_equal(weight, events.weight[others])
    assert np.isfinite(observed.observables).all()
    assert observed.signal.any()
    assert wide_windows.training[observed.hypothesis[observed.signal]].all()


def test_a_share_is_the_same_in_all_chunks(observe):
    everything, some, again = observe(), observe(0.3), observe(0.3, chunk_size=311)
    np.testing.assert_array_equal(some.observables, again.observables)
    n = len(everything.weight)
    assert len(some.weight) == pytest.approx(0.3 * n, abs=5 * np.sqrt(n))
