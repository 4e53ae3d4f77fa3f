"""Fits of the window variable around each mass, in bins, beside the counting in its window.

The model is the workspace of the counting experiment, each of whose samples is spread over bins up
to six sigmas to either side: backgrounds are measured beside the window, and what of the signal
lies there counts. All uncertainties stay as they are, but that of the finite simulated sample is
one of each bin. Whatever a process is scaled by in a window, it is scaled by in the bins.

**Peaks** hardly change with the mass if the distance from it is counted in sigmas: those of
neighbouring masses are averaged, also for masses in between.

**Backgrounds** are the simulated ones. Where these are few, bins are joined, lest limits gain by
bins that happen to be empty. The borders of the window stay, so there is no less information than
in counting.

**Systematic parameters** vary the bins of a process against its window, in which its yield changes
as counting has measured it. In it and to either side, neighbouring bins vary by a common factor
until the statistical error of the change is below `PRECISE`, half of that of the events themselves,
or a fifth of what sets it apart from the window's: so fluctuations stay small beside those that the
model has, or beside the effect. A side of which so much cannot be said varies like the window, and
a window of which it cannot is only scaled. Peaks vary as at those of the averaged masses that are
varied.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import TypeAdapter

from punzinet.analysis.io.files import Column, InputError, read_result, to_cells, write_json
from punzinet.analysis.io.histograms import Spectra
from punzinet.analysis.limits.binned import Workspace
from punzinet.analysis.limits.model import UNSEEN
from punzinet.analysis.limits.result import BANDS, check_columns
from punzinet.analysis.limits.systematics import EXTREME, PRECISE
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.manifest.systematics import DIRECTIONS
from punzinet.analysis.types import BoolArray, FloatArray, IntArray
from punzinet.analysis.windows import HALF_WIDTH, Windows

NEIGHBOURS = 3  # masses this many steps away have no part in an averaged peak any more
SIGNIFICANT = 5.0  # a change as many times its error is no fluctuation
SAME = 1e-9  # relative changes of bins below it are rounding
FEWEST = 10.0  # effective number of simulated background events in a bin, unless it is a whole zone


@dataclass(frozen=True, eq=False)
class Templates:
    """Peaks of H masses and spectra of P backgrounds around them, in K bins."""

    windows: Windows
    backgrounds: tuple[str, ...]
    edges: FloatArray  # (K + 1,) in sigmas from the mass
    peaks: FloatArray  # (2, H, K) efficiencies, and sums of squares of weights
    spectra: FloatArray  # (P, H, K) events at the target luminosity
    squares: FloatArray  # (P, H, K) sums of squares of their weights
    #: By process and parameter, (2, 2, H, K): one sigma up and down, what it adds and its variance.
    changes: Mapping[str, Mapping[str, FloatArray]] = field(default_factory=dict)

    @classmethod
    def of(cls, filled: Spectra, windows: Windows) -> Self:
        """Take what is selected around the masses that windows are for, as it is in the file."""
        sums = {name: np.array([one.values(), one.variances()]) for name, one in filled.items()}
        peaks, changes = sums.pop(SIGNAL_PROCESS), dict[str, dict[str, FloatArray]]()
        for name in [name for name in sums if name.endswith(".up")]:
            process, parameter, _ = name.split(".")
            both = [sums.pop(f"{process}.{parameter}.{way}") for way in DIRECTIONS]
            changes.setdefault(process, {})[parameter] = np.array(both)
        names = [name for name, (events, _) in sums.items() if events.any()]
        backgrounds = np.array([sums[name] for name in names]).reshape(len(names), *peaks.shape)
        spectra, squares = np.moveaxis(backgrounds, 1, 0)
        edges = np.asarray(filled[SIGNAL_PROCESS].axes[1].edges)
        return cls(windows, tuple(names), edges, peaks, spectra, squares, changes)

    @property
    def zones(self) -> IntArray:
        """Where each bin lies, (K,): 0 below the window, 1 in it, 2 above."""
        centres = (self.edges[1:] + self.edges[:-1]) / 2
        return np.digitize(centres, [-HALF_WIDTH, HALF_WIDTH])

    @property
    def inside(self) -> BoolArray:
        """Which bins lie in the window, (K,)."""
        return np.equal(self.zones, 1)

    def peak(self, mass: float) -> FloatArray:
        """Signal in each bin over that in the window, (K,), for any mass in GeV.

        NaN where no signal of a mass near by is selected.
        """
        summed = self._near(mass) @ self.peaks[0]
        with np.errstate(invalid="ignore"):
            return np.asarray(summed / summed[self.inside].sum())

    def _near(self, mass: float) -> FloatArray:
        """Weights (H,) of peaks in an average."""
        at = np.interp(mass, self.windows.mass, np.arange(len(self.windows)))
        return np.clip(1 - np.abs(np.arange(len(self.windows)) - at) / NEIGHBOURS, 0, None)

    def joined(self, hypothesis: int) -> list[int]:
        """Which edges (B + 1,) the bins of a fit have.

        There is none where no background at all is selected beside the window.
        """
        total, squares = (of[:, hypothesis].sum(axis=0) for of in (self.spectra, self.squares))
        found: list[tuple[int, int]] = []

        def enough(own: slice) -> bool:
            return bool(total[own].sum() ** 2 >= FEWEST * squares[own].sum() > 0)

        for zone in np.unique(self.zones):
            if zone == 1 or total[self.zones == zone].any():
                start, *_, last = np.flatnonzero(self.zones == zone).tolist() * 2
                found += _joined(start, last + 1, enough) or [(start, last + 1)]
        return [found[0][0], *(stop for _, stop in found)]

    def borders(self, hypothesis: int) -> FloatArray:
        """Edges (B + 1,) of the bins of a fit, in the unit of the variable."""
        at = self.edges[self.joined(hypothesis)]
        return np.asarray(self.windows.centre[hypothesis] + self.windows.sigma[hypothesis] * at)

    def spread(self, hypothesis: int, counting: Sequence[Workspace | None]) -> dict[str, Any]:
        """The workspace of the fit of a hypothesis.

        Counting experiments are those of all hypotheses; its own has to be there. A process that is
        selected around a window but not in it is scaled, and as uncertain, as in the nearest one.
        InputError if the experiment has a background that is none of the templates.
        """
        mass, (*starts, stop) = self.windows.mass, self.joined(hypothesis)

        def join(values: FloatArray) -> FloatArray:
            return np.add.reduceat(values[..., :stop], starts, axis=-1)

        window = np.sign(join(self.inside.astype(float)))
        known = [_samples(one) if one else {} for one in counting]
        signal, own = known[hypothesis]["signal"], counting[hypothesis] or {}
        if strange := known[hypothesis].keys() - {"signal", UNSEEN, *self.backgrounds}:
            raise InputError(
                f"The counting experiment at {mass[hypothesis]:g} GeV has the background "
                f"{min(strange)}, of which no event is selected; run `punzinet select` and "
                "`punzinet limits` again."
            )
        data = signal["data"][0] * join(self.peak(mass[hypothesis]))
        samples = [_binned(signal, data)]
        for name, change in self.changes.get(SIGNAL_PROCESS, {}).items():
            near = self._near(mass[hypothesis]) * change[0, 0].any(axis=-1)  # those that are varied
            weights = np.stack([near, near**2])[:, None]
            nominal, added = (join((weights @ one)[..., 0, :]) for one in (self.peaks, change))
            samples[0]["modifiers"] += _varied(name, data, window, nominal, added)
        for p, name in enumerate(self.backgrounds):
            inside = self.spectra[p] @ self.inside, np.sqrt(self.squares[p] @ self.inside)
            there = [h for h, one in enumerate(known) if name in one and inside[0][h] > 0]
            events, squares = (join(of[p, hypothesis]) for of in (self.spectra, self.squares))
            if there and events.any():
                nearest = min(there, key=lambda h: abs(mass[h] - mass[hypothesis]))
                like = known[nearest][name]
                scale = like["data"][0] / inside[0][nearest]
                data, error = scale * events, np.sqrt(squares) / inside[1][nearest]
                samples.append(_binned(like, data, error))
                nominal = np.array([events, squares])
                for parameter, change in self.changes.get(name, {}).items():
                    added = join(change[:, :, hypothesis])
                    samples[-1]["modifiers"] += _varied(parameter, data, window, nominal, added)
        if unseen := known[hypothesis].get(UNSEEN):
            samples.append(_binned(unseen, unseen["data"][0] * window, window))
        channel, expected = self.windows.search.variable.name, [one["data"] for one in samples[1:]]
        return {
            **own,
            "channels": [{"name": channel, "samples": samples}],
            "observations": [{"name": channel, "data": np.sum(expected, axis=0).tolist()}],
        }


def _samples(workspace: Workspace) -> dict[str, Any]:
    return {one["name"]: one for one in workspace["channels"][0]["samples"]}


def _binned(sample: dict[str, Any], data: FloatArray, error: Any = 0.0) -> dict[str, Any]:
    """A sample of a counting experiment with (B,) events, and errors (B,) in units of its own."""
    modifiers = [
        {**one, "data": (one["data"][0] * error).tolist()} if one["type"] == "shapesys" else one
        for one in sample["modifiers"]
    ]
    return {**sample, "data": data.tolist(), "modifiers": modifiers}


def _varied(
    name: str, data: FloatArray, window: FloatArray, nominal: FloatArray, change: FloatArray
) -> list[dict[str, Any]]:
    """The modifier of a parameter that varies B bins, of which the `window` has 1 and the others 0.

    There is none if they all vary alike, or if no event is in the window. Nominal events and
    squares of their weights are (2, B), what is added to them, and the variance of that, (2, 2, B),
    up and down.
    """
    (events, squares), (added, variance) = nominal, np.moveaxis(change, 1, 0)
    first, *_, last = np.flatnonzero(window).tolist() * 2
    inside = slice(first, last + 1)
    if events[inside].sum() <= 0:
        return []

    def factor(own: slice) -> FloatArray:
        ratio = added[:, own].sum(axis=1, keepdims=True) / events[own].sum()
        return np.asarray((1 + ratio).clip(1 / EXTREME, EXTREME))

    apart = added - events * (factor(inside) - 1)

    def known(own: slice) -> bool:
        large = max(PRECISE * events[own].sum(), np.sqrt(squares[own].sum()) / 2)
        large = np.maximum(large, np.abs(apart[:, own].sum(axis=1)) / SIGNIFICANT)
        error = np.sqrt(variance[:, own].sum(axis=1))
        return bool(events[own].sum() > 0 and (error <= large).all())

    if not known(inside):
        return []
    varied = data * factor(inside)
    for zone in pairwise((0, first, last + 1, len(data))):
        for own in (slice(*ends) for ends in _joined(*zone, known)):
            varied[:, own] = data[own] * factor(own)
    varied *= (data @ window / (varied @ window))[:, None]
    if np.allclose(varied, data, rtol=SAME, atol=0):
        return []
    up, down = varied.tolist()
    return [{"name": name, "type": "histosys", "data": {"hi_data": up, "lo_data": down}}]


def _joined(start: int, stop: int, enough: Callable[[slice], bool]) -> list[tuple[int, int]]:
    """Groups of neighbours that are large enough, if there are any; what is left joins the last."""
    found, first = [], start
    for end in range(start + 1, stop + 1):
        if enough(slice(first, end)):
            found.append((first, end))
            first = end
    return [*found[:-1], (found[-1][0], stop)] if found else []


@dataclass(frozen=True)
class ShapeLimits:
    """Expected asymptotic limits of H hypotheses by counting and by fits of the shape."""

    network: str  # whose single cut it is
    luminosity: float  # target, fb^-1
    confidence_level: float  # such as 0.9
    mass: Column  # (H,) in GeV
    counting: Column  # (H, 5) in fb at `BANDS`, infinite without efficiency
    shape: Column  # (H, 5)
    edges: list[list[float]]  # of the bins of each fit, in the unit of the variable; none without

    @property
    def gain(self) -> FloatArray:
        """How many times stronger the median limit of the fit is, (H,); NaN without limit."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.counting[:, 2] / self.shape[:, 2])

    def write(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write shape.json; what is infinite or unknown there is null."""
        more = {"gain": to_cells(self.gain), "bands": BANDS.tolist()}
        write_json(path, {"provenance": dict(provenance), **_LIMITS.dump_python(self), **more})

    @staticmethod
    def read(path: Path) -> "ShapeLimits":
        """Read shape.json; InputError if the file is absent or does not hold such limits."""
        with read_result(path, "limits of shapes", "punzinet shape") as content:
            found = _LIMITS.validate_python(content)
            check_columns(found, len(found.edges), ("counting", "shape"))
            return found


_LIMITS = TypeAdapter(ShapeLimits)
