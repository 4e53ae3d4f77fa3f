"""Candidate observables of chunks: the right events, whatever chunks they come in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.observables import CANDIDATES, FEATURES
from punzinet.analysis.windows import Windows
from punzinet.processors.candidates import make_samples
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.features import FeatureProcessor
from punzinet.processors.ledger import Ledger
from punzinet.processors.observables import ObservableProcessor, ObservedEvents, merge_observed
from punzinet.processors.preflight import preflight
from punzinet.processors.runner import plan_chunks, run_processor


@pytest.fixture
def observe(
    make_manifest: Callable[..., Manifest],
    ntuples: dict[str, Path],
    wide_windows: Windows,
    tmp_path: Path,
) -> Callable[..., ObservedEvents]:
    """Observables of the small ntuples."""
    manifest = make_manifest(ntuples)
    files = preflight(manifest)
    samples = make_samples(manifest, files)

    def run(share: float = 1.0, chunk_size: int = 700) -> ObservedEvents:
        processor = ObservableProcessor(samples, wide_windows, dict.fromkeys(samples, share))
        with open_executor(Execution()) as executor:
            results = run_processor(
                processor, files, plan_chunks(files, chunk_size), executor,
                Ledger(tmp_path / "ledger"), step="observables", title="Observables",
            )  # fmt: skip
        return merge_observed(results.values())

    return run


def test_they_are_the_events_that_networks_train_on(
    observe: Callable[..., ObservedEvents],
    make_manifest: Callable[..., Manifest],
    ntuples: dict[str, Path],
    wide_windows: Windows,
    tmp_path: Path,
) -> None:
    from punzinet.analysis.training.data import load_sample  # noqa: PLC0415 - slow to import

    manifest = make_manifest(ntuples)
    files = preflight(manifest)
    samples = make_samples(manifest, files)
    tensors = tmp_path / "tensors"
    for name in samples:
        (tensors / name).mkdir(parents=True)
    with open_executor(Execution()) as executor:
        run_processor(
            FeatureProcessor(samples, wide_windows, tensors), files, plan_chunks(files, 1000),
            executor, Ledger(tmp_path / "ledger"), step="features", title="Features",
        )  # fmt: skip
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
