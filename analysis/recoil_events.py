"""All events of the tensors with their recoil mass, as figures and spectra need them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.datasets import SIGNAL
from analysis.errors import InputError
from analysis.kinematics import FEATURES
from analysis.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class RecoilEvents:
    """Columns of n events.

    Attributes:
        features: (n, F) in GeV.
        process: (n,) names of processes.
        mass: (n,) generated masses in GeV, NaN for background.
        m2_recoil: (n,) in GeV².
        weight: (n,) efficiencies for signal, events at the target luminosity for background.
        fold: (n,) folds of the events.
    """

    features: FloatArray
    process: np.ndarray
    mass: FloatArray
    m2_recoil: FloatArray
    weight: FloatArray
    fold: IntArray

    def __getitem__(self, rows: BoolArray | IntArray) -> "RecoilEvents":
        """The same columns of some of the events."""
        return RecoilEvents(
            self.features[rows],
            self.process[rows],
            self.mass[rows],
            self.m2_recoil[rows],
            self.weight[rows],
            self.fold[rows],
        )

    @property
    def signal(self) -> BoolArray:
        """Which events are signal, (n,)."""
        is_signal: BoolArray = self.process == SIGNAL
        return is_signal

    @property
    def recoil_mass(self) -> FloatArray:
        """(n,) recoil masses in GeV; 0 where the squared one is negative."""
        mass: FloatArray = np.sqrt(self.m2_recoil.clip(min=0))
        return mass

    def of_fold(self, fold: int) -> "RecoilEvents":
        """The events of one fold, with weights that make them stand for all of their process.

        Args:
            fold: Which one.
        """
        _, code = np.unique(self.process, return_inverse=True)
        chosen = self.fold == fold
        whole = np.bincount(code, self.weight)
        part = np.bincount(code[chosen], self.weight[chosen], minlength=len(whole))
        scale = np.divide(whole, part, out=np.zeros_like(whole), where=part > 0)
        return replace(self[chosen], weight=self.weight[chosen] * scale[code[chosen]])


def read_recoil_events(folder: Path) -> RecoilEvents:
    """Read the tensors.

    Args:
        folder: Where they lie.

    Raises:
        InputError: If there are no tensors, or one cannot be read.
    """
    columns = [*FEATURES, "process", "mass", "m2_recoil", "weight", "fold"]
    paths = sorted(folder.glob("*/*.parquet"))
    if not paths:
        raise InputError(f"{folder} holds no tensors; run `punzinet features` first.")
    try:
        tables = [
            pq.read_table(path, columns=columns, partitioning=None, page_checksum_verification=True)
            for path in paths
        ]
        table = pa.concat_tables(table.cast(tables[0].schema) for table in tables)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise InputError(
            f"{folder} holds a file that is no tensor of this software ({error}); run "
            "`punzinet features --force` again."
        ) from error
    return RecoilEvents(
        np.column_stack([table[name].to_numpy() for name in FEATURES]),
        np.array(table["process"].cast(pa.string()).to_pylist(), dtype=str),
        table["mass"].fill_null(np.nan).to_numpy(),
        table["m2_recoil"].to_numpy(),
        table["weight"].to_numpy(),
        table["fold"].to_numpy(),
    )
