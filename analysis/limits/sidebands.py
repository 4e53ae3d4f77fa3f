"""Background from sidebands: the simulated spectrum, normalised to data beside each window.

Simulation says how many events lie in a window for every one in its sidebands, and data how many
there are: B = N b / S, with N events counted and S simulated ones in the sidebands, and b simulated
ones in the window. The statistical model has the error of b in any case; those of N and S make the
uncertainty of the normalisation. It is a log-normal factor: the logarithm of a mean that n events
are known of has the variance ψ′(n), which is 1/n where n is large (that of a gamma distribution).

A sideband begins and ends at so many widths σ of the peak from its centre. Where simulation expects
too few events there it ends later, at twice the distance, and so on: by simulation alone, lest
data choose how it is looked at. Signal of other masses in a sideband would count as background, so
windows that hold one can be left out of all sidebands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import polygamma

from punzinet.analysis.folds import Folds
from punzinet.analysis.io.files import rows_of, to_cells, write_json
from punzinet.analysis.io.tensor_events import read_tensor_events
from punzinet.analysis.limits.model import (
    ASSUMED,
    LUMINOSITY,
    UNSEEN,
    CountingExperiment,
    acting,
    log_normal,
)
from punzinet.analysis.manifest.sections import SidebandSettings
from punzinet.analysis.saved_network import Perceptron
from punzinet.analysis.training.data import judging_events
from punzinet.analysis.types import BoolArray, FloatArray, IntArray, divided
from punzinet.analysis.windows import Windows

LISTED = 10  # masses without a normalisation are named one by one, if they are not more
FEWEST = 10.0  # events expected in sidebands, for less than about 35 % of uncertainty
DOUBLINGS = 7  # of their end, at most: a hundred times as far
SUSPICIOUS, MANY = 2.0, 100.0  # times as many events as expected, or half; of so many
SIGNIFICANT = 3.0  # sigmas of an excess that may be a signal in the sidebands of others


class Spectrum(NamedTuple):
    """Events behind the cut, in the order of the variable of the windows."""

    variable: FloatArray  # (n,) ascending
    weight: FloatArray  # (n,)

    @classmethod
    def of(cls, variable: FloatArray, weight: FloatArray | None = None) -> Self:
        """Sort events, which count once each if no weights are given."""
        order = np.argsort(variable, kind="stable")
        weight = np.ones(len(variable)) if weight is None else weight
        return cls(variable[order], np.asarray(weight, dtype=np.float64)[order])

    def scaled(self, factor: float) -> Self:
        """The same at a luminosity that is so many times as large."""
        return self._replace(weight=factor * self.weight)

    def without(self, low: FloatArray, high: FloatArray) -> Self:
        """Those that do not lie in any of the intervals from low to high, (K,) each."""
        inside = (self.variable[:, None] > low) & (self.variable[:, None] < high)
        kept = ~inside.any(axis=1)
        return self._replace(variable=self.variable[kept], weight=self.weight[kept])

    def sums(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums of weights, and of their squares, strictly between edges of any shape."""
        first = np.searchsorted(self.variable, low, side="right")
        last = np.searchsorted(self.variable, high, side="left")
        totals = (np.append(0.0, np.cumsum(self.weight**power)) for power in (1, 2))
        weight, square = (total[np.maximum(last, first)] - total[first] for total in totals)
        return weight, square


@dataclass(frozen=True, eq=False)
class Sidebands:
    """What lies beside M windows: columns (M,)."""

    outer: FloatArray  # where they end, in widths of the peak
    expected: FloatArray  # events by simulation
    effective: FloatArray  # number of simulated events behind that
    count: FloatArray  # events of data, or the expectation again
    counted: FloatArray  # number of events behind that
    group: IntArray  # windows of one number lie in each other's sidebands, roughly
    holds: BoolArray  # (M, M) whether the sidebands of a window hold the centre of another one

    @property
    def usable(self) -> BoolArray:
        """Where a normalisation follows: enough is expected, and something is found, (M,)."""
        return (self.expected >= FEWEST) & (self.count > 0)

    @property
    def factor(self) -> FloatArray:
        """Background over the simulated one, (M,); 1 where none follows."""
        return np.where(self.usable, divided(self.count, self.expected), 1.0)

    @property
    def uncertainty(self) -> FloatArray:
        """Relative uncertainty of the factor, upwards, (M,); NaN where none follows."""
        known = (np.where(self.usable, n, np.nan) for n in (self.counted, self.effective))
        return np.expm1(np.sqrt(sum(polygamma(1, n) for n in known)))

    def normalise(
        self, experiments: Sequence[CountingExperiment | None]
    ) -> list[CountingExperiment | None]:
        """Models of the M windows with backgrounds that are scaled, and as uncertain as that.

        Where no factor follows, or no simulated event lies in the window, they stay as they are.
        Of what other parameters do to backgrounds, the part cancels that they do beside them, too.
        """
        found, beside = list(experiments), self._effects(experiments)
        for i, one in enumerate(experiments):
            if one is None or not self.usable[i] or one.backgrounds[0].name == UNSEEN:
                continue
            backgrounds = tuple(
                replace(own, events=float(self.factor[i]) * own.events) for own in one.backgrounds
            )
            factors = {name: dict(of) for name, of in one.factors.items()
                       if not name.startswith(ASSUMED)}  # fmt: skip
            for name, of in factors.items():
                for b in backgrounds:
                    mine = of.get(b.name, (1.0, 1.0))
                    # Data beside a window is of the same luminosity as that in it.
                    up, down = np.divide(mine, mine if name == LUMINOSITY else beside[name][i])
                    of[b.name] = float(up), float(down)
            own = log_normal(float(self.uncertainty[i]))
            factors[f"sidebands_{self.group[i]}"] = dict.fromkeys(
                (b.name for b in backgrounds), own
            )
            found[i] = replace(one, backgrounds=backgrounds, factors=acting(factors))
        return found

    def _effects(self, experiments: Sequence[CountingExperiment | None]) -> dict[str, FloatArray]:
        """Factors of parameters, up and down, on all background beside windows, (M, 2) each.

        They are those of the windows that lie there, or, where none does, of the neighbours.
        """
        found, count = {}, len(experiments)
        neighbours = np.eye(count, k=1) + np.eye(count, k=-1)
        beside = np.where(self.holds.any(axis=1, keepdims=True), self.holds, neighbours)
        known = [(i, one) for i, one in enumerate(experiments) if one is not None]
        for name in dict.fromkeys(name for _, one in known for name in one.factors):
            sums = np.zeros((count, 3))  # nominal, up and down
            for i, one in known:
                for b in one.backgrounds:
                    up, down = one.factors.get(name, {}).get(b.name, (1.0, 1.0))
                    sums[i] += b.events * np.array([1.0, up, down])
            nominal, varied = np.split(beside @ sums, [1], axis=1)
            found[name] = divided(varied, nominal, 1.0)
        return found


def measure_sidebands(
    windows: Windows,
    settings: SidebandSettings,
    simulated: Spectrum,
    data: Spectrum | None = None,
) -> Sidebands:
    """Count events in the sidebands of M windows, by default as many as are expected.

    Both spectra are behind the same cut, the simulated one is scaled to the luminosity of the
    other. What lies near masked masses is left out of both.
    """
    centre = windows.search.centre(np.array(settings.masked, dtype=np.float64))
    near = settings.inner * np.interp(centre, windows.centre, windows.sigma)
    simulated = simulated.without(centre - near, centre + near)
    tried = settings.outer * 2.0 ** np.arange(DOUBLINGS + 1)
    weight, square = _beside(simulated, windows, settings.inner, tried[:, None])
    first = np.minimum((weight < FEWEST).sum(axis=0), DOUBLINGS)
    expected, squares = (sums[first, np.arange(len(windows))] for sums in (weight, square))
    count = counted = expected
    if data is not None:
        seen = data.without(centre - near, centre + near)
        count, of_data = _beside(seen, windows, settings.inner, tried[first])
        counted = divided(count**2, of_data)
    reach = tried[first] * windows.sigma
    steps = np.diff(windows.centre, prepend=windows.centre[0]) / reach
    group = np.cumsum(steps).astype(np.int64)
    away = np.abs(windows.centre - windows.centre[:, None]) / windows.sigma[:, None]
    holds = (away > settings.inner) & (away < tried[first, None])
    effective = divided(expected**2, squares)
    return Sidebands(tried[first], expected, effective, count, counted, group, holds)


def _beside(
    spectrum: Spectrum, windows: Windows, inner: float, outer: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Sums of weights and of their squares on both sides, (..., M) as the ends."""
    far = outer * windows.sigma
    near = np.broadcast_to(inner * windows.sigma, far.shape)
    below = spectrum.sums(windows.centre - far, windows.centre - near)
    above = spectrum.sums(windows.centre + near, windows.centre + far)
    return below[0] + above[0], below[1] + above[1]


class Closure(NamedTuple):
    """Background of M windows that one simulation predicts from the sidebands of another one."""

    predicted: FloatArray  # (M,) events; NaN where no prediction follows
    predicted_error: FloatArray  # (M,) statistical
    found: FloatArray  # (M,) events of the other one in the window
    found_error: FloatArray  # (M,)

    @property
    def pull(self) -> FloatArray:
        """Difference over its error, (M,); NaN where no prediction follows."""
        return (self.predicted - self.found) / np.hypot(self.predicted_error, self.found_error)


def close(
    windows: Windows, settings: SidebandSettings, simulated: Spectrum, other: Spectrum
) -> Closure:
    """Predict another spectrum in each window from its sidebands, as if it were data."""
    bands = measure_sidebands(windows, settings, simulated, other)
    (inside, square), (found, found_square) = (
        one.sums(windows.low, windows.high) for one in (simulated, other)
    )
    usable = bands.usable & (inside > 0)
    known = (np.where(usable, n, np.nan)
             for n in (bands.counted, bands.effective, divided(inside**2, square)))  # fmt: skip
    relative = np.sqrt(sum(1 / n for n in known))
    predicted = np.where(usable, bands.factor * inside, np.nan)
    return Closure(predicted, predicted * relative, found, np.sqrt(found_square))


def read_spectra(
    tensors: Path, windows: Windows, folds: Folds, network: Perceptron, cut: float
) -> tuple[Spectrum, Spectrum]:
    """Simulated background behind a cut, of events that judge and of those that trained.

    Each is scaled to the whole sample. InputError if tensors cannot be read.
    """
    every = read_tensor_events(tensors, windows.search, between=True)
    trains = every.standing_for_all(folds.rows(every.fold)[0])
    spectra = []
    for part in (judging_events(tensors, windows, folds), trains):
        behind = ~part.signal & (network.logit(part.features) >= cut)
        spectra.append(Spectrum.of(part.variable[behind], part.weight[behind]))
    judging, training = spectra
    return judging, training


def write_sidebands(
    path: Path,
    windows: Windows,
    settings: SidebandSettings,
    bands: Sidebands,
    spectra: tuple[Spectrum, Spectrum],
    *,
    about: Mapping[str, Any],
    significance: FloatArray | None = None,
) -> None:
    """Write what lies beside M windows, and how well simulation predicts itself there.

    Events that trained predict those that judge; `spectra` are of both, the latter first. The
    significance, (M,), is that of what is observed in the windows.
    """
    judging, training = spectra
    check = close(windows, settings, training, judging)
    pull, far = check.pull[np.isfinite(check.pull)], bands.outer[bands.outer > settings.outer]
    said = [f"Sidebands normalise the background at {bands.usable.sum()} of {len(windows)} masses."]
    expected, count = bands.expected.sum(), bands.count.sum()
    alike = expected / SUSPICIOUS <= count <= SUSPICIOUS * expected
    if max(expected, count) > MANY and not alike:
        said.append(
            f"Added up over masses they hold {count:.3g} events, where simulation expects "
            f"{expected:.3g}: if that is not how wrong it is, the luminosity of the data is, and "
            "all limits with it."
        )
    if len(far):
        said.append(
            f"At {len(far)} of them fewer than {FEWEST:g} events are expected up to "
            f"{settings.outer:g} σ; they end farther out, at {far.max():g} σ at most."
        )
    if not bands.usable.all():
        lost = windows.mass[~bands.usable]
        masses = ", ".join(f"{mass:g}" for mass in lost)
        if len(lost) > LISTED:
            masses = f"{len(lost)} masses from {lost.min():g} to {lost.max():g}"
        said.append(
            f"At {masses} GeV nothing is found in them, or too little expected: the simulation "
            "with `background_uncertainty` stays."
        )
    if len(pull):
        said.append(
            "Events that trained predict those that judge with a mean pull of "
            f"{round(pull.mean(), 2) + 0:.2f} and a width of {pull.std():.2f}."
        )
    if settings.masked:
        masses = ", ".join(f"{mass:g}" for mass in settings.masked)
        said.append(f"What is near {masses} GeV is left out of all sidebands.")
    if significance is not None and significance.max() >= SIGNIFICANT:
        best = int(significance.argmax())
        others = int(bands.holds[:, best].sum())
        mass, sigma = windows.mass[best], windows.sigma[best]
        masked = windows.search.centre(np.array(settings.masked)) - windows.centre[best]
        if others and not (np.abs(masked) < settings.inner * sigma).any():
            said.append(
                f"{mass:g} GeV with {significance[best]:.1f} σ lies in the sidebands of {others} "
                "other masses, where it raises the background expected; if it may be a signal, "
                f"leave it out there by `limits.sidebands.masked: [{mass:g}]`."
            )
    columns = {
        "mass": windows.mass, "outer": bands.outer, "expected": bands.expected,
        "count": bands.count, "factor": np.where(bands.usable, bands.factor, np.nan),
        "uncertainty": bands.uncertainty, **check._asdict(), "pull": check.pull,
    }  # fmt: skip
    rows = rows_of({name: to_cells(column) for name, column in columns.items()})
    write_json(path, {"provenance": dict(about), "said": said, "rows": rows})
