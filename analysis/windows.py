"""Windows: which hypotheses an event speaks to.

The window of a hypothesis of mass m is m² ± 2σ(m) in the squared recoil mass, strict at both
ends; other searches have other variables, and m ± 2σ(m) where that is a mass. Windows overlap, but
both edges grow with the mass: those an event lies in are a half-open range of indices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy

from punzinet.analysis.io.compiled import njit
from punzinet.analysis.io.files import InputError, read_result, rows_of, write_json
from punzinet.analysis.manifest.sections import MASS_TOLERANCE, ROLES, read_hypotheses
from punzinet.analysis.peak_fit import PEAK_FIT, PeakFit
from punzinet.analysis.search import RECOIL, SEARCH, Search
from punzinet.analysis.types import BoolArray, FloatArray, IntArray

HALF_WIDTH = 2.0  # a window reaches this many weighted sigmas to either side of its centre
_LARGEST = 1e150  # masses in GeV and widths in GeV² stay below, so that their squares are numbers
SINGLE_PRECISION = 1e-7  # relative rounding of a mass that a branch of floats holds, and more
CELLS = 4096  # of equal width, into which the range of all windows is cut to look them up quickly
SPLINE_POINTS = 5  # fewer fits cannot carry a smoothing spline and are interpolated linearly


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of all hypotheses, sorted by mass; columns are (H,)."""

    mass: FloatArray  # of each hypothesis in GeV
    sigma: FloatArray  # weighted sigma of its peak, in the unit of the variable
    training: BoolArray  # whether the network trains on it; the others check generalisation
    fitted: BoolArray  # whether sigma is its own fit's, and not interpolated between others'
    fits: tuple[PeakFit | None, ...]  # fit of each peak, None where there was nothing to fit
    search: Search = RECOIL  # whose windows they are, and in which variable

    def __post_init__(self) -> None:
        """Raise ValueError if lengths differ, a width is not positive, or the edges do not grow."""
        columns = self.mass, self.sigma, self.training, self.fitted, self.fits
        if len({len(column) for column in columns}) != 1 or len(self.mass) == 0:
            raise ValueError("windows need the same, non-zero number of entries in every column")
        if not np.all((self.sigma > 0) & (self.sigma < _LARGEST)):
            raise ValueError("window widths must be positive and finite")
        if not np.all(np.abs(self.mass) < _LARGEST):
            raise ValueError("masses must be finite")
        if len(nested := _disordered(self.centre, self.sigma)):
            one, other = self.mass[nested[0] : nested[0] + 2]
            nested_ones = f"the windows of masses {one:g} and {other:g} GeV are nested"
            raise ValueError(f"{nested_ones}: the edges of windows must grow with the mass")

    def __len__(self) -> int:
        return len(self.mass)

    @property
    def centre(self) -> FloatArray:
        """Centres (H,), in the unit of the variable, as `low` and `high`."""
        return self.search.centre(self.mass)

    @property
    def low(self) -> FloatArray:
        """Lower edges (H,)."""
        return self.centre - HALF_WIDTH * self.sigma

    @property
    def high(self) -> FloatArray:
        """Upper edges (H,)."""
        return self.centre + HALF_WIDTH * self.sigma

    @property
    def resolution(self) -> FloatArray:
        """Weighted sigmas (H,) as those of the mass in GeV: σ(m²)/2m where the variable is m²."""
        power = self.search.variable.dimension
        return self.sigma / (power * self.mass ** (power - 1))

    def assign(self, variable: FloatArray) -> tuple[IntArray, IntArray]:
        """Find the windows each event lies in, by (n,) values of the variable; NaN lies nowhere.

        Two (n,) int16 arrays: it lies strictly inside windows start..stop-1, in none if equal.
        """
        low, high = self.low, self.high
        borders = np.linspace(low[0], high[-1], CELLS, endpoint=False)
        first = np.searchsorted(high, borders, side="right")
        last = np.searchsorted(low, borders, side="left")
        return _assign(np.ascontiguousarray(variable, dtype=np.float64), low, high, first, last)

    def index_of(self, mass: FloatArray) -> IntArray:
        """Hypotheses of (n,) generated masses; see `mass_index`."""
        return mass_index(self.mass, mass)

    @property
    def every(self) -> Self:
        """The same with all masses trained, so that what counts trained ones counts all."""
        return replace(self, training=np.ones(len(self), dtype=bool))

    def to_training(self, start: IntArray, stop: IntArray) -> tuple[IntArray, IntArray]:
        """Express (n,) ranges over all hypotheses as ranges over the training hypotheses alone.

        They are equal where an event lies in no training window.
        """
        before = np.concatenate(([0], np.cumsum(self.training))).astype(np.int16)
        return before[start], before[stop]

    def write(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write windows.json."""
        columns = {name: getattr(self, name).tolist() for name in ("mass", "sigma", "low", "high")}
        columns["source"] = np.where(self.fitted, "fitted", "interpolated").tolist()
        columns["role"] = np.where(self.training, *ROLES).tolist()
        columns["fit"] = [PEAK_FIT.dump_python(fit) for fit in self.fits]
        search = SEARCH.dump_python(self.search, mode="json")
        content = {"provenance": dict(provenance), "search": search, "hypotheses": rows_of(columns)}
        write_json(path, content)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read windows.json; InputError if the file is absent or does not hold windows."""
        with read_result(path, "windows", "punzinet features") as content:
            rows = content["hypotheses"]
            mass, training = read_hypotheses(rows)
            sigma = np.array([row["sigma"] for row in rows], dtype=np.float64)
            fitted = np.array([row["source"] == "fitted" for row in rows], dtype=bool)
            fits = tuple(PEAK_FIT.validate_python(row["fit"]) for row in rows)
            search = SEARCH.validate_python(content["search"])
            return cls(mass, sigma, training, fitted, fits, search)


@njit(cache=True, nogil=True, error_model="numpy")
def _assign(
    variable: FloatArray, low: FloatArray, high: FloatArray, first: IntArray, last: IntArray
) -> tuple[IntArray, IntArray]:
    """Guess by the windows at the lower border of each of the `CELLS`; comparisons correct it."""
    count, highest = len(low), len(first) - 1.0
    bottom, top = low[0], high[-1]
    cells_per_unit = len(first) / (top - bottom)
    starts, stops = np.empty(len(variable), np.int16), np.empty(len(variable), np.int16)
    for i, value in enumerate(variable):
        if value <= bottom:
            starts[i] = stops[i] = 0
        elif not value < top:  # what is no number is not below either
            starts[i] = stops[i] = count
        else:
            cell = int(min((value - bottom) * cells_per_unit, highest))
            start, stop = first[cell], last[cell]
            while start > 0 and high[start - 1] > value:
                start -= 1
            while start < count and high[start] <= value:
                start += 1
            while stop > 0 and low[stop - 1] >= value:
                stop -= 1
            while stop < count and low[stop] < value:
                stop += 1
            starts[i], stops[i] = start, stop
    return starts, stops


def mass_index(
    hypotheses: FloatArray, mass: FloatArray, relative: float = SINGLE_PRECISION
) -> IntArray:
    """Find hypotheses, (H,) sorted masses, by the value of their mass, never by rank.

    Indices (n,) are -1 where no hypothesis has this mass, but for rounding, or it is NaN.
    """
    halfway = hypotheses[:-1] + np.diff(hypotheses) / 2
    nearest = np.searchsorted(halfway, mass, side="right")
    tolerance = np.maximum(MASS_TOLERANCE, relative * hypotheses[nearest])
    return np.where(np.abs(hypotheses[nearest] - mass) < tolerance, nearest, -1)


def _disordered(centre: FloatArray, sigma: FloatArray) -> IntArray:
    """Indices i for which window i + 1 does not lie above window i with both edges."""
    step, change = np.diff(centre), HALF_WIDTH * np.diff(sigma)
    return np.flatnonzero(~((step - change > 0) & (step + change > 0)))


def windows_from_fits(
    mass: FloatArray, training: BoolArray, fits: Sequence[PeakFit | None], search: Search = RECOIL
) -> Windows:
    """Turn fitted peaks into windows, filling in where there is no good fit.

    Where fluctuations nest the windows of two neighbouring fits in one another, the less precise of
    the two counts as not good, for the widths of true peaks change slowly with the mass. InputError
    if not one fit is good, a good one lies outside of its window, or the windows stay nested after
    interpolation.
    """
    fits = list(fits)
    _check_means(mass, fits, search)
    columns = [(fit.sigma, fit.sigma_error) if fit else (np.nan, np.nan) for fit in fits]
    while True:
        good = np.array([fit is not None and fit.problem is None for fit in fits], dtype=bool)
        if not np.any(good):
            raise InputError(
                "Not one of the signal peaks could be fitted: check that the signal datasets hold "
                f"enough events whose {search.variable.title} is near their generated mass, and "
                "that `frame`, `branches` and `beams` are those of the files."
            )
        sigma, error = np.array(columns).T
        sigma[~good] = interpolate_sigma(mass[good], sigma[good], error[good], mass[~good])
        nested = _disordered(search.centre(mass), sigma)
        if len(nested) == 0:
            return Windows(mass, sigma, training, good, tuple(fits), search)
        pair = nested[0] + np.arange(2)
        if not np.any(good[pair]):
            raise InputError(
                f"The windows of masses {mass[pair[0]]:g} and {mass[pair[1]]:g} GeV are nested: "
                "give these signals more events, or drop one of the two hypotheses."
            )
        worst = int(pair[np.argmax(np.where(good[pair], error[pair] / sigma[pair], -1.0))])
        if (fit := fits[worst]) is not None:
            fits[worst] = replace(fit, problem="window nested in its neighbour's")


def _check_means(mass: FloatArray, fits: Sequence[PeakFit | None], search: Search) -> None:
    """Raise InputError if a well fitted peak lies outside of its own window."""
    for m, fit in zip(mass, fits, strict=True):
        if fit is not None and fit.problem is None and abs(fit.mean) > HALF_WIDTH * fit.sigma:
            raise InputError(
                f"The peak of generated mass {m:g} GeV lies {abs(fit.mean) / fit.sigma:.1f} sigmas "
                f"{'above' if fit.mean > 0 else 'below'} that mass in {search.variable.title}, "
                "outside of its window: check `mass` or the branch of the generated mass, and that "
                "`frame`, `branches` and `beams` are those of the files."
            )


def interpolate_sigma(
    known_mass: FloatArray, sigma: FloatArray, error: FloatArray, mass: FloatArray
) -> FloatArray:
    """Interpolate weighted sigmas (K,) and their errors smoothly from sorted to other masses (n,).

    The logarithm of sigma is interpolated, so that widths stay positive, by a natural cubic
    smoothing spline that weights each fit by its precision and takes its stiffness from
    generalised cross-validation. Outside the fitted masses the width of the nearest end holds.
    """
    inside = np.clip(mass, known_mass[0], known_mass[-1])
    if len(known_mass) < SPLINE_POINTS:
        return np.exp(np.interp(inside, known_mass, np.log(sigma)))
    precision = (sigma / error) ** 2
    # Its module takes half a second to import, which scipy does when it is first used.
    spline = scipy.interpolate.make_smoothing_spline(known_mass, np.log(sigma), w=precision)
    return np.exp(np.asarray(spline(inside)))
