"""The simulated events that are left behind the single cut, from which templates are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from punzinet.analysis.io.files import InputError, atomic_path
from punzinet.analysis.types import FloatArray

NUMBERS = ("mass", "variable", "weight")  # columns of numbers


@dataclass(frozen=True, eq=False)
class SelectedEvents:
    """Columns (n,) of those that judge, wherever in the variable of the windows they lie."""

    process: np.ndarray  # names
    mass: FloatArray  # generated, in GeV, NaN for background
    variable: FloatArray  # of the windows, in its unit
    weight: FloatArray  # efficiencies for signal, events at the target luminosity for background

    @classmethod
    def of(cls, parts: Sequence[tuple[str, FloatArray]]) -> Self:
        """Put parts together, each the name of a process and its `NUMBERS`, (3, n)."""
        names = np.array([name for name, _ in parts], dtype=str)
        process = np.repeat(names, [numbers.shape[1] for _, numbers in parts])
        numbers = [np.empty((len(NUMBERS), 0)), *(numbers for _, numbers in parts)]
        return cls(process, *np.concatenate(numbers, axis=1))

    def write(self, path: Path) -> None:
        """Write them as Parquet."""
        process = self.process  # of chunk after chunk: names repeat in long runs
        first = np.flatnonzero(np.append(len(process) > 0, process[1:] != process[:-1]))
        names, run = np.unique(process[first], return_inverse=True)
        code = np.repeat(run.astype(np.int32), np.diff(first, append=len(process)))
        process = pa.DictionaryArray.from_arrays(code, names.tolist())
        table = pa.table({**vars(self), "process": process})
        with atomic_path(path) as partial:
            pq.write_table(table, partial, write_page_checksum=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read them; InputError if the file is absent, damaged, or holds something else."""
        try:
            table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
            numbers = (table[name].to_numpy() for name in NUMBERS)
            return cls(np.array(table["process"].to_pylist(), dtype=str), *numbers)
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise InputError(
                f"{path} does not hold selected events ({error}); run `punzinet select --force`."
            ) from error
