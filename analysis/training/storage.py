"""Where long arrays lie: in memory, or in files that are mapped into it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from punzinet.analysis.io.errors import InputError

#: Bytes that are written at once to a file that is being made.
PIECE = 2**20


@dataclass(frozen=True)
class Storage:
    """Makes arrays, in memory or on disk.

    Those on disk are mapped into memory: the system reads what is asked for, keeps what it has
    room for, and gives that up again when something else needs the memory. Their files have no
    name and vanish with the process, however it ends.

    Attributes:
        folder: Where files are made; None keeps arrays in memory.
        span: Bytes of an array that are better filled together, before the next so many:
            filling a file that is larger than the memory here and there reads and writes it
            again and again.
    """

    folder: Path | None = None
    span: int = 2**30

    def zeros(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Make an array of zeros.

        Raises:
            InputError: If there is no room for it on the disk.
        """
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if self.folder is None or size == 0:
            return np.zeros(shape, dtype)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder) as file:
                # A hole in a file for which there is no room later on kills the process.
                for start in range(0, size, PIECE):
                    file.write(bytes(min(PIECE, size - start)))
                file.flush()
                mapped = np.memmap(file, dtype, mode="r+", shape=shape)
        except OSError as error:
            raise InputError(
                f"{self.folder} has no room for {size / 1e9:.3g} GB of training events "
                f"({error.strerror}); free some, or choose another place with --output "
                "(OUTPUT= for make)."
            ) from error
        return np.asarray(mapped)


#: Keeps everything in memory.
IN_MEMORY = Storage()
