"""Features: the right events, numbers and windows in tables that everybody can read."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from punzinet.analysis.features import dimuon_kinematics
from punzinet.analysis.folds import fold_of
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.search import RECOIL
from punzinet.analysis.windows import Windows
from punzinet.processors.datasets import DatasetInfo
from punzinet.processors.features import (
    NO_WINDOW,
    NOT_ITS_WINDOW,
    FeatureProcessor,
    scan_identities,
    tensor_schema,
    write_table,
)

Columns = dict[str, np.ndarray]
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(
    tmp_path: Path, write_ntuple: Callable[..., Path], wide_windows: Windows, run_processor: Any
) -> Run:
    """Function (columns, process, chunk_size) that makes the features of an ntuple."""

    def process(columns: Columns, process: str, chunk_size: int = 700, **where: Any) -> Any:
        path = write_ntuple(tmp_path / f"{process}.root", columns)
        scale = np.full(6, 0.9 / 2000) if process == "signal" else np.array([0.45])
        dataset = DatasetInfo(process, process, scale, wide_windows.mass)
        processor = FeatureProcessor([dataset], wide_windows, **where)
        return run_processor(processor, {process: path}, chunk_size)[process]

    return process


def kinematics_of(events: Columns) -> tuple[np.ndarray, np.ndarray]:
    result = dimuon_kinematics(
        (events["px1"], events["py1"], events["pz1"]),
        (events["px2"], events["py2"], events["pz2"]),
        Beams().total,
        Beams().electron_direction,
    )
    return result.features, result.m2_recoil


def entries_of(result: dict[str, Any]) -> dict[str, int]:
    return {line["step"]: line["entries"] for line in result["cutflow"]}


def test_background_is_kept_in_any_window(
    make_events: Callable[..., Columns], wide_windows: Windows, run: Run
) -> None:
    events = make_events(5, 3000) | {"weight": np.linspace(0.5, 2.0, 3000)}
    features, m2 = kinematics_of(events)
    mask = (m2[:, None] > wide_windows.low) & (m2[:, None] < wide_windows.high)
    kept = mask.any(axis=1)
    assert 0 < kept.sum() < 3000
    assert (mask.sum(axis=1) > 1).any()
    result = run(events, "tautau")
    table = pl.from_arrow(result["table"])
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
    entries = entries_of(result)
    assert entries["entries read"] == 3000
    assert entries[NO_WINDOW.format("recoil mass")] == 3000 - kept.sum()
    assert result["cutflow"][-1]["weight"] == pytest.approx(table["weight"].sum())


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
    result = run(events, "signal")
    table = pl.from_arrow(result["table"])
    np.testing.assert_array_equal(table["event"], np.flatnonzero(kept))
    np.testing.assert_array_equal(table["window_start"], own[kept])
    np.testing.assert_array_equal(table["window_stop"], own[kept] + 1)
    np.testing.assert_array_equal(table["mass"], mass[kept])
    assert entries_of(result)[NOT_ITS_WINDOW.format("recoil mass")] == in_another.sum()
    for m, (usable, inside, efficiency) in enumerate(result["hypotheses"]):
        assert usable == (own == m).sum()
        assert inside == (kept & (own == m)).sum()
        assert efficiency == pytest.approx(inside * 0.9 / 2000)


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
    result = run(events, "tautau", chunk_size)
    assert result["further"] == 4
    assert entries_of(result)["entries read"] == 12


def test_what_is_written_is_read_by_everybody(
    make_events: Callable[..., Columns], run: Run, tmp_path: Path
) -> None:
    """One file a chunk, of one row group, and what repeats takes no space."""
    events = make_events(8, 100_000)
    expected = run(events, "tautau", 60_000)["table"].to_pandas()
    (tmp_path / "tensors" / "tautau").mkdir(parents=True)
    result = run(events, "tautau", 60_000, folder=tmp_path / "tensors")
    assert "table" not in result
    paths = sorted((tmp_path / "tensors" / "tautau").iterdir())
    assert [path.name for path in paths] == [
        "tautau-0-50000.parquet",
        "tautau-50000-100000.parquet",
    ]
    assert pq.read_schema(paths[0]).remove_metadata().equals(tensor_schema(RECOIL))
    read = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    also = pl.read_parquet(paths).to_pandas()
    for name in expected.columns:
        np.testing.assert_array_equal(read[name], expected[name])
        np.testing.assert_array_equal(also[name], expected[name])
    features = torch.from_numpy(pl.read_parquet(paths)[list(FEATURES)].to_numpy(writable=True))
    assert features.dtype == torch.float32
    metadata = pq.ParquetFile(paths[0]).metadata
    assert metadata.num_row_groups == 1
    group = metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    for name in ("experiment", "run", "dataset", "process", "mass", "window_start", "fold"):
        assert columns[name].total_compressed_size < metadata.num_rows, name


def test_no_rows_can_be_written_and_the_same_rows_are_the_same_bytes(
    make_events: Callable[..., Columns], run: Run, tmp_path: Path
) -> None:
    table = run(make_events(8, 500), "tautau")["table"]
    for name, rows in (("a", table), ("b", table), ("none", table[:0])):
        write_table(tmp_path / name, rows, RECOIL)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert pq.read_table(tmp_path / "none").num_rows == 0
