import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from punzinet.analysis.beams import Beams
from punzinet.analysis.features import dimuon_kinematics
from punzinet.analysis.folds import fold_of
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.windows import Windows
from punzinet.processors.candidates import make_samples
from punzinet.processors.cutflow import KEPT, READ, merge
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.features import (
    NO_WINDOW,
    NOT_ITS_WINDOW,
    ChunkSummary,
    FeatureProcessor,
    further_candidates,
    scan_identities,
)
from punzinet.processors.ledger import Ledger
from punzinet.processors.preflight import preflight
from punzinet.processors.runner import Chunk, plan_chunks, run_processor

Columns = dict[str, np.ndarray]
Make = Callable[..., Manifest]
Run = Callable[..., tuple[dict[Chunk, ChunkSummary], pl.DataFrame]]


@pytest.fixture
def run(
    *, tmp_path: Path, make_manifest: Make, write_ntuple: Callable[..., Path],
    ntuples: dict[str, Path], wide_windows: Windows,
) -> Run:  # fmt: skip
    """Tensors of columns, and what is said of them."""

    def process(
        columns: Columns, name: str, chunk_size: int = 700
    ) -> tuple[dict[Chunk, ChunkSummary], pl.DataFrame]:
        path = write_ntuple(tmp_path / f"{name}.root", columns)
        manifest = make_manifest({**ntuples, name: path})
        files = preflight(manifest)
        folder = tmp_path / "tensors"
        (folder / name).mkdir(parents=True)
        processor = FeatureProcessor(make_samples(manifest, files), wide_windows, folder)
        files = [file for file in files if file.dataset == name]
        with open_executor(Execution()) as executor:
            summaries = run_processor(
                processor, files, plan_chunks(files, chunk_size), executor,
                Ledger(tmp_path / "ledger"), step="features", title="Features",
            )  # fmt: skip
        return dict(summaries), pl.read_parquet(folder / name / "*.parquet").sort("event")

    return process


def kinematics_of(events: Columns) -> tuple[np.ndarray, np.ndarray]:
    result = dimuon_kinematics(
        (events["px1"], events["py1"], events["pz1"]),
        (events["px2"], events["py2"], events["pz2"]),
        Beams().total,
        Beams().electron_direction,
    )
    return result.features, result.m2_recoil


def test_background_is_kept_in_any_window(
    make_events: Callable[..., Columns], wide_windows: Windows, run: Run
) -> None:
    events = make_events(5, 3000) | {"weight": np.linspace(0.5, 2.0, 3000)}
    features, m2 = kinematics_of(events)
    mask = (m2[:, None] > wide_windows.low) & (m2[:, None] < wide_windows.high)
    kept = mask.any(axis=1)
    assert 0 < kept.sum() < 3000
    assert (mask.sum(axis=1) > 1).any()
    summaries, table = run(events, "tautau")
    np.testing.assert_array_equal(table["event"], np.flatnonzero(kept))
    start, stop = table["window_start"].to_numpy(), table["window_stop"].to_numpy()
    index = np.arange(6)
    np.testing.assert_array_equal((index >= start[:, None]) & (index < stop[:, None]), mask[kept])
    np.testing.assert_array_equal(table["m2_recoil"], m2[kept])
    for i, name in enumerate(FEATURES):
        np.testing.assert_array_equal(table[name], features[kept, i].astype(np.float32))
    np.testing.assert_allclose(table["weight"], 0.9 * 0.5 * events["weight"][kept], rtol=1e-15)
    identity = [events[name] for name in ("experiment", "run", "event", "production")]
    np.testing.assert_array_equal(table["fold"], fold_of(*identity, "tautau")[kept])
    assert table["mass"].null_count() == len(table)
    assert set(table["dataset"]) == set(table["process"]) == {"tautau"}
    cutflow = merge(summary.cutflow for summary in summaries.values())
    assert cutflow[READ].entries == 3000
    assert cutflow[NO_WINDOW.format("recoil mass")].entries == 3000 - kept.sum()
    assert cutflow[KEPT].weight == pytest.approx(table["weight"].sum())


def test_signal_is_kept_in_its_own_window_only(
    make_events: Callable[..., Columns], wide_windows: Windows, run: Run
) -> None:
    mass = np.random.default_rng(1).choice(np.arange(1.0, 7.0), 3000)
    events = make_events(6, 3000, mass, resolution=0.05)
    _, m2 = kinematics_of(events)
    own = (mass - 1).astype(int)
    kept = (m2 > wide_windows.low[own]) & (m2 < wide_windows.high[own])
    in_another = ((m2[:, None] > wide_windows.low) & (m2[:, None] < wide_windows.high)).any(
        axis=1
    ) & ~kept
    assert in_another.any()
    summaries, table = run(events, "signal")
    np.testing.assert_array_equal(table["event"], np.flatnonzero(kept))
    np.testing.assert_array_equal(table["window_start"], own[kept])
    np.testing.assert_array_equal(table["window_stop"], own[kept] + 1)
    np.testing.assert_array_equal(table["mass"], mass[kept])
    cutflow = merge(summary.cutflow for summary in summaries.values())
    assert cutflow[NOT_ITS_WINDOW.format("recoil mass")].entries == in_another.sum()
    counts = sum(summary.hypotheses for summary in summaries.values())
    for m in range(6):
        assert counts[m, 0] == (own == m).sum()
        assert counts[m, 1] == (kept & (own == m)).sum()
        assert counts[m, 2] == pytest.approx(counts[m, 1] * 0.9 / 2000)


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 4), min_size=1, max_size=20))
def test_identities_are_compared_like_tuples(identities: list[tuple[int, ...]]) -> None:
    pairs = list(itertools.pairwise(identities))
    assert scan_identities(*np.array(identities).T) == (
        sum(one == next_ for one, next_ in pairs),
        all(one <= next_ for one, next_ in pairs),
    )


@pytest.mark.parametrize("chunk_size", [3, 4, 1000])
def test_further_candidates_are_counted_across_chunks(
    chunk_size: int, make_events: Callable[..., Columns], run: Run
) -> None:
    events = make_events(7, 12)
    events["event"] = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5, 5, 6, 6], dtype=np.uint32)
    events["run"][-1] = 1
    summaries, _ = run(events, "tautau", chunk_size)
    assert further_candidates(summaries) == 4
    assert sum(summary.cutflow[READ].entries for summary in summaries.values()) == 12


def test_tensors_are_named_by_file_and_entries(
    make_events: Callable[..., Columns], run: Run, tmp_path: Path
) -> None:
    run(make_events(8, 1000), "tautau", 400)
    names = sorted(path.name for path in (tmp_path / "tensors" / "tautau").iterdir())
    assert names == [
        "tautau-0-333.parquet", "tautau-333-666.parquet", "tautau-666-1000.parquet"
    ]  # fmt: skip
