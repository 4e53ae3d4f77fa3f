"""What is observed: limits, local p-values and the global one of a scan, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import AfterValidator, GetPydanticSchema, PlainSerializer, TypeAdapter

from punzinet.analysis.io import files
from punzinet.analysis.io.files import Column, OrNaN
from punzinet.analysis.limits.result import BANDS
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

_LIST = PlainSerializer(lambda column: column.tolist())
_Ints = Annotated[list[int], AfterValidator(np.array), _LIST]
_Bools = Annotated[list[bool], AfterValidator(np.array), _LIST]
_NaNs = Annotated[list[OrNaN], AfterValidator(np.array), PlainSerializer(files.to_cells)]


class Upcrossings(NamedTuple):
    """How often the significance rises above a level along the scan, without any signal."""

    mean: float  # number in a pseudo-experiment
    level: float  # significance
    p_value: float  # global one that follows (Gross and Vitells, EPJC 70, 525, Eq. 3)


@dataclass(frozen=True, eq=False)
class Observation:
    """What is counted behind the single cut at S scan points, and what it means.

    Scan points are all hypotheses and points between neighbouring ones, in ascending order.
    """

    source: Literal["data", "pseudo-data"]
    injected: dict[float, float]  # fb by mass in GeV, of pseudo-data
    luminosity: float  # fb^-1
    confidence_level: float  # such as 0.9
    network: str  # its name
    cut: float  # on the output before the sigmoid
    mass: Column  # (S,) in GeV
    hypothesis: Annotated[BoolArray, GetPydanticSchema(lambda _, handler: handler(_Bools))]  # (S,)
    efficiency: Column  # (S,) of signal
    background: Column  # (S,) expected events
    background_error: Column  # (S,) of all uncertainties
    effective_events: Column  # (S,) simulated events behind that; 0 where none was found
    count: Annotated[IntArray, GetPydanticSchema(lambda _, handler: handler(_Ints))]  # (S,)
    expected: Column  # (S, 5) upper limits in fb at `BANDS`, by exact sums; infinite without signal
    limit: Column  # (S,) observed upper limit in fb, by exact sums
    asymptotic: Column  # (S,) the same by the asymptotic formulas
    p_value: Column  # (S,) local, to count at least as many from background alone
    significance: Column  # (S,) of it, one-sided; 0 where less than the median is counted
    sigma_over_g2: Annotated[FloatArray, GetPydanticSchema(lambda _, handler: handler(_NaNs))]
    # (S,) cross-section over g′² in fb; NaN where it is not known
    global_p_value: float  # share of pseudo-experiments with as small a p-value anywhere
    global_error: float  # statistical; where the share is 0, what it is below at 68 %
    experiments: int  # number of pseudo-experiments
    upcrossings: Upcrossings

    def __post_init__(self) -> None:
        """Raise ValueError if a column has not one row a point, or masses do not ascend."""
        points = len(self.mass)
        for name, column in vars(self).items():
            if isinstance(column, np.ndarray):
                shape = (points, len(BANDS)) if name == "expected" else (points,)
                if column.shape != shape:
                    raise ValueError(f"{name}: needs {points} rows")
        if points == 0 or not np.all(np.diff(self.mass) > 0):
            raise ValueError("mass: needs ascending values")

    def coupling(self, cross_section: FloatArray) -> FloatArray:
        """Limits on g′ from those on σ (S, …), at a branching of 1; NaN if σ/g′² is not known."""
        return np.sqrt((cross_section.T / self.sigma_over_g2).T)

    def write(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write observed.json; what is infinite or unknown there is null."""
        content = _OBSERVATION.dump_python(self, mode="json")
        files.write_json(path, {"provenance": dict(provenance), "bands": BANDS.tolist(), **content})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read observed.json; InputError if the file is absent or holds no observation."""
        with files.read_result(path, "observation", "punzinet limits --unblind") as content:
            found: Self = _OBSERVATION.validate_python(content)
            return found


_OBSERVATION: TypeAdapter[Any] = TypeAdapter(Observation)
