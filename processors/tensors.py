"""Training tensors as Parquet: one file a chunk, every column one number or name an event."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from punzinet.analysis.io.files import atomic_path
from punzinet.analysis.search import Search
from punzinet.analysis.types import FloatArray, IntArray

_NAME = pa.dictionary(pa.int32(), pa.string())


def tensor_schema(search: Search) -> pa.Schema:
    """Columns of a tensor file, in their order.

    `mass` is the generated mass in GeV, null for background; then come the features, and the
    variable of the windows, by their names; the event lies in the windows `window_start` to
    `window_stop` - 1 of all hypotheses sorted by mass (a signal event counts in its own window
    only); sums of `weight` are events at the target luminosity for background and efficiencies
    for signal.

    Args:
        search: Features and variable.
    """
    types = [
        *((name, pa.int64()) for name in ("experiment", "run", "event", "production")),
        ("dataset", _NAME),
        ("process", _NAME),
        ("mass", pa.float64()),
        *((name, pa.float32()) for name in search.feature_names),
        (search.variable.name, pa.float64()),
        ("window_start", pa.int16()),
        ("window_stop", pa.int16()),
        ("weight", pa.float64()),
        ("fold", pa.int8()),
    ]
    # Where nothing can be missing, nothing has to say for every row that it is there.
    return pa.schema([pa.field(name, kind, nullable=name == "mass") for name, kind in types])


@dataclass(frozen=True, eq=False)
class Rows:
    """The events of one tensor file.

    Attributes:
        identity: Experiment, run, event and production number, (n,) each.
        dataset: Name of their dataset.
        process: Name of their process.
        mass: (n,) generated masses in GeV, None for background.
        search: Says what features and variable are.
        features: (n, F) features.
        variable: (n,) values of the variable of the windows.
        start: (n,) first window.
        stop: (n,) one past the last window.
        weight: (n,) weights.
        fold: (n,) folds.
    """

    identity: dict[str, IntArray]
    dataset: str
    process: str
    mass: FloatArray | None
    search: Search
    features: FloatArray
    variable: FloatArray
    start: IntArray
    stop: IntArray
    weight: FloatArray
    fold: IntArray


def write_tensor(path: Path, rows: Rows) -> None:
    """Write one tensor file.

    Args:
        path: Where to.
        rows: The events, possibly none.

    Raises:
        InputError: If the file cannot be written.
    """
    count = len(rows.fold)
    schema, names, variable = (
        tensor_schema(rows.search), rows.search.feature_names, rows.search.variable.name
    )  # fmt: skip
    # Numbers that repeat are small as a dictionary, small numbers as differences, which takes less
    # time. Compression would make the file another tenth smaller, for more time than reading
    # takes that part of the ntuples.
    differences = ("event", "window_start", "window_stop", "fold")
    repetitive = [name for name in schema.names if name not in {*differences, variable, *names}]
    same = np.zeros(count, dtype=np.int32)
    columns = {
        **rows.identity,
        "dataset": pa.DictionaryArray.from_arrays(same, [rows.dataset]),
        "process": pa.DictionaryArray.from_arrays(same, [rows.process]),
        "mass": pa.nulls(count, pa.float64()) if rows.mass is None else rows.mass,
        **{name: rows.features[:, i].astype(np.float32) for i, name in enumerate(names)},
        variable: rows.variable,
        "window_start": rows.start.astype(np.int16),
        "window_stop": rows.stop.astype(np.int16),
        "weight": rows.weight,
        "fold": rows.fold,
    }
    with atomic_path(path) as partial:
        pq.write_table(
            pa.table(columns, schema=schema),
            partial,
            compression="none",
            use_dictionary=repetitive,
            column_encoding=dict.fromkeys(differences, "DELTA_BINARY_PACKED"),
            row_group_size=max(count, 1),
            # Whoever reads a tensor reads all of its rows.
            write_statistics=False,
            write_page_checksum=True,
        )


def is_whole(path: Path, size: int, rows: int) -> bool:
    """Whether a tensor file is there, as large as it was, and undamaged.

    Args:
        path: The file.
        size: Its size in bytes.
        rows: Number of its rows.
    """
    try:
        if path.stat().st_size != size:
            return False
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return bool(file.read().num_rows == rows)
    except (OSError, ValueError, pa.ArrowException):
        return False
