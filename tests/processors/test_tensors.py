from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch

from punzinet.analysis.observables import FEATURES
from punzinet.analysis.search import RECOIL
from punzinet.processors.tensors import Rows, tensor_schema, write_tensor


def rows(n: int, mass: np.ndarray | None = None) -> Rows:
    rng = np.random.default_rng(1)
    return Rows(
        identity={
            "experiment": np.full(n, 1003),
            "run": np.zeros(n, dtype=np.int64),
            "event": np.arange(n) + 2**33,
            "production": np.full(n, -7),
        },
        dataset="taupair",
        process="tautau",
        mass=mass,
        search=RECOIL,
        features=rng.exponential(size=(n, 4)),
        variable=rng.normal(size=n),
        start=rng.integers(0, 40, n),
        stop=rng.integers(40, 80, n),
        weight=rng.exponential(size=n),
        fold=rng.integers(0, 5, n).astype(np.int8),
    )


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_what_is_written_is_read_by_everybody(n: int, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    content = rows(n)
    write_tensor(path, content)
    assert pq.read_schema(path).remove_metadata().equals(tensor_schema(RECOIL))
    table = pq.read_table(path)
    assert table.num_rows == n
    assert table["mass"].null_count == n
    assert set(table["process"].to_pylist()) <= {"tautau"}
    for frame in (pd.read_parquet(path), pl.read_parquet(path).to_pandas()):
        assert list(frame.columns) == tensor_schema(RECOIL).names
        np.testing.assert_array_equal(frame["event"], content.identity["event"])
        np.testing.assert_array_equal(frame["weight"], content.weight)
        np.testing.assert_array_equal(frame["window_stop"], content.stop)
        for i, name in enumerate(FEATURES):
            assert frame[name].dtype == np.float32
            np.testing.assert_array_equal(frame[name], content.features[:, i].astype(np.float32))
    features = torch.from_numpy(pl.read_parquet(path)[list(FEATURES)].to_numpy(writable=True))
    assert features.shape == (n, 4)


def test_signal_has_its_generated_mass(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_tensor(path, rows(3, mass=np.array([0.1, 0.2, 8.7])))
    assert pq.read_table(path)["mass"].to_pylist() == [0.1, 0.2, 8.7]


def test_a_chunk_is_one_row_group_and_what_repeats_takes_no_space(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_tensor(path, rows(100_000))
    metadata = pq.ParquetFile(path).metadata
    assert metadata.num_row_groups == 1
    group = metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    for name in ("experiment", "run", "dataset", "process", "mass", "window_start", "fold"):
        assert columns[name].total_compressed_size < 100_000, name


def test_same_rows_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_tensor(tmp_path / name, rows(500))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
