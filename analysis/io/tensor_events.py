"""The events of the tensors: all at once, as figures and spectra need them, or file by file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.search import Search
from punzinet.analysis.types import BoolArray, FloatArray, IntArray, divided
from punzinet.analysis.windows import Windows

#: Events that are handled at once, which bounds what that needs beyond the events themselves.
ROWS = 200_000


@dataclass(frozen=True, eq=False)
class TensorEvents:
    """Columns (n,) of n events."""

    search: Search  # says what features and variable are
    features: FloatArray  # (n, F)
    process: np.ndarray  # names
    mass: FloatArray  # generated, in GeV, NaN for background
    variable: FloatArray  # of the windows, in its unit
    weight: FloatArray  # efficiencies for signal, events at the target luminosity for background
    fold: IntArray

    def __getitem__(self, rows: BoolArray | IntArray) -> "TensorEvents":
        """The same columns of some of the events."""
        columns = {name: column[rows] for name, column in vars(self).items() if name != "search"}
        return TensorEvents(self.search, **columns)

    @property
    def signal(self) -> BoolArray:
        """Which events are signal, (n,)."""
        return np.asarray(self.process == SIGNAL_PROCESS)

    @property
    def measured_mass(self) -> FloatArray:
        """(n,) the variable as a mass in GeV; 0 where a squared one is negative."""
        return self.search.variable.signed_mass(self.variable.clip(min=0))

    def standing_for_all(self, chosen: BoolArray) -> "TensorEvents":
        """Chosen events, with weights that make them stand for all of their process."""
        _, code = np.unique(self.process, return_inverse=True)
        whole = np.bincount(code, self.weight)
        part = np.bincount(code[chosen], self.weight[chosen], minlength=len(whole))
        scale = divided(whole, part)[code[chosen]]
        return replace(self[chosen], weight=self.weight[chosen] * scale)


def read_tensor_events(
    folder: Path, search: Search, *, fold: int | None = None, between: bool = False
) -> TensorEvents:
    """Read the tensors in a folder that were made for a search; InputError if there are none.

    Read are all events in windows, or those of one fold, and if asked for those `between` windows.
    """
    names, variable = search.feature_names, search.variable.name
    others = variable, "weight", "fold"
    columns = [*names, "process", "mass", *others]
    rows = pc.scalar(True) if fold is None else pc.field("fold") == fold
    tables: list[pa.Table] = []
    for path in tensor_paths(folder):
        with _open(path, columns) as file:
            groups = range(file.num_row_groups if between else 1)
            table = file.read_row_groups(groups, columns=columns).filter(rows)
            tables.append(table.cast(tables[0].schema if tables else table.schema))
    table = pa.concat_tables(tables)
    features = np.column_stack([table[name].to_numpy() for name in names])
    coded = table["process"].combine_chunks().dictionary_encode()
    process = np.array(coded.dictionary.to_pylist(), dtype=str)[coded.indices.to_numpy()]
    mass = table["mass"].fill_null(np.nan).to_numpy()
    return TensorEvents(search, features, process, mass, *(table[n].to_numpy() for n in others))


def tensor_paths(folder: Path, pattern: str = "*/*.parquet") -> list[Path]:
    """Files of tensors in a folder, by name; InputError if there are none."""
    if paths := sorted(folder.glob(pattern)):
        return paths
    raise InputError(f"{folder} holds no tensors; run `punzinet features` first.")


def read_in_windows(
    path: Path, windows: Windows, columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[pa.RecordBatch, IntArray, IntArray]]:
    """Columns of one file of tensors, `optional` ones if it has them, `ROWS` events at most.

    With them come first, and one past last, of the training hypotheses whose windows hold the
    events, (n,) each, equal for none. InputError if the file cannot be read.
    """
    edges = "window_start", "window_stop"
    with _open(path, [*columns, *edges]) as file:
        names = [*columns, *edges, *(set(optional) & set(file.schema_arrow.names))]
        for table in file.iter_batches(ROWS, row_groups=[0], columns=names):
            yield table, *windows.to_training(*(table[edge].to_numpy() for edge in edges))


@contextmanager
def _open(path: Path, columns: Sequence[str]) -> Iterator[pq.ParquetFile]:
    """Open a file with these columns: events in windows are the first of its groups of rows."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if missing := {*columns} - set(file.schema_arrow.names):
                raise InputError(
                    f"{path} lacks the columns {', '.join(sorted(missing))}; delete it and run "
                    "`punzinet features` again."
                )
            yield file
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"{path} is not a tensor file of this software ({error}); delete it and run "
            "`punzinet features` again."
        ) from error
