"""Fits of the window variable around each mass, in bins, beside the counting in its window.

The model is the workspace of the counting experiment, each of whose samples is spread over bins up
to six sigmas to either side: backgrounds are measured beside the window, and what of the signal
lies there counts. All uncertainties stay as they are, but that of the finite simulated sample is
one of each bin. Nothing else is uncertain about the shape of a background. Whatever a process is
scaled by in a window, it is scaled by in the bins.

**Peaks** hardly change with the mass if the distance from it is counted in sigmas: those of
neighbouring masses are averaged, also for masses in between.

**Backgrounds** are the simulated ones. Where these are few, bins are joined, lest limits gain by
bins that happen to be empty. The borders of the window stay, so there is no less information than
in counting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import TypeAdapter

from punzinet.analysis.io.files import Column, InputError, read_result, write_json
from punzinet.analysis.io.histograms import Spectra
from punzinet.analysis.limits.binned import Workspace
from punzinet.analysis.limits.model import UNSEEN
from punzinet.analysis.limits.result import BANDS, check_columns
from punzinet.analysis.manifest.datasets import SIGNAL_PROCESS
from punzinet.analysis.types import BoolArray, FloatArray, IntArray
from punzinet.analysis.windows import HALF_WIDTH, Windows

NEIGHBOURS = 3  # masses this many steps away have no part in an averaged peak any more
FEWEST = 10.0  # effective number of simulated background events in a bin, unless it is a whole zone


@dataclass(frozen=True, eq=False)
class Templates:
    """Peaks of H masses and spectra of P backgrounds around them, in K bins."""

    windows: Windows
    backgrounds: tuple[str, ...]
    edges: FloatArray  # (K + 1,) in sigmas from the mass
    peaks: FloatArray  # (H, K) efficiencies
    spectra: FloatArray  # (P, H, K) events at the target luminosity
    squares: FloatArray  # (P, H, K) sums of squares of their weights

    @classmethod
    def of(cls, filled: Spectra, windows: Windows) -> Self:
        """Take what is selected around the masses that windows are for, by process."""
        names = [name for name in filled if name != SIGNAL_PROCESS and filled[name].values().any()]
        signal = filled[SIGNAL_PROCESS]
        sums = np.array([[filled[name].values(), filled[name].variances()] for name in names])
        spectra, squares = np.moveaxis(sums.reshape(len(names), 2, *signal.shape), 1, 0)
        edges = np.asarray(signal.axes[1].edges)
        return cls(windows, tuple(names), edges, np.asarray(signal.values()), spectra, squares)

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
        at = np.interp(mass, self.windows.mass, np.arange(len(self.windows)))
        near = np.clip(1 - np.abs(np.arange(len(self.windows)) - at) / NEIGHBOURS, 0, None)
        summed = near @ self.peaks
        with np.errstate(invalid="ignore"):
            return np.asarray(summed / summed[self.inside].sum())

    def joined(self, hypothesis: int) -> BoolArray:
        """The bins (B, K) of a fit: which of the K bins each of them joins.

        There is none where no background at all is selected beside the window.
        """
        total = self.spectra[:, hypothesis].sum(axis=0)
        squares = self.squares[:, hypothesis].sum(axis=0)
        found: list[tuple[int, int]] = []
        for zone in np.unique(self.zones):
            start, *_, last = np.flatnonzero(self.zones == zone).tolist() * 2
            own = []
            for stop in range(start + 1, last + 2):
                if total[start:stop].sum() ** 2 >= FEWEST * squares[start:stop].sum() > 0:
                    own.append((start, stop))
                    start = stop
            own[-1:] = [(own[-1][0] if own else start, last + 1)]
            if zone == 1 or total[self.zones == zone].any():
                found += own
        bins = np.arange(len(total))
        return np.array([(start <= bins) & (bins < stop) for start, stop in found])

    def borders(self, hypothesis: int) -> FloatArray:
        """Edges (B + 1,) of the bins of a fit, in the unit of the variable."""
        bins = self.joined(hypothesis).any(axis=0)
        starts = self.joined(hypothesis).argmax(axis=1)
        at = self.edges[[*starts, np.flatnonzero(bins)[-1] + 1]]
        return np.asarray(self.windows.centre[hypothesis] + self.windows.sigma[hypothesis] * at)

    def spread(self, hypothesis: int, counting: Sequence[Workspace | None]) -> dict[str, Any]:
        """The workspace of the fit of a hypothesis.

        Counting experiments are those of all hypotheses; its own has to be there. A process that is
        selected around a window but not in it is scaled, and as uncertain, as in the nearest one.
        InputError if the experiment has a background that is none of the templates.
        """
        mass, join = self.windows.mass, self.joined(hypothesis).astype(float)
        known = [_samples(one) if one else {} for one in counting]
        signal, own = known[hypothesis]["signal"], counting[hypothesis] or {}
        if strange := known[hypothesis].keys() - {"signal", UNSEEN, *self.backgrounds}:
            raise InputError(
                f"The counting experiment at {mass[hypothesis]:g} GeV has the background "
                f"{min(strange)}, of which no event is selected; run `punzinet select` and "
                "`punzinet limits` again."
            )
        samples = [_binned(signal, signal["data"][0] * join @ self.peak(mass[hypothesis]))]
        for p, name in enumerate(self.backgrounds):
            window = self.spectra[p] @ self.inside, np.sqrt(self.squares[p] @ self.inside)
            there = [h for h, one in enumerate(known) if name in one and window[0][h] > 0]
            events, squares = join @ self.spectra[p, hypothesis], join @ self.squares[p, hypothesis]
            if there and events.any():
                nearest = min(there, key=lambda h: abs(mass[h] - mass[hypothesis]))
                like = known[nearest][name]
                scale = like["data"][0] / window[0][nearest]
                samples.append(_binned(like, scale * events, np.sqrt(squares) / window[1][nearest]))
        if unseen := known[hypothesis].get(UNSEEN):
            window_bin = np.sign(join @ self.inside)
            samples.append(_binned(unseen, unseen["data"][0] * window_bin, window_bin))
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
        gain = [one if np.isfinite(one) else None for one in self.gain.tolist()]
        content = {"provenance": dict(provenance), **_LIMITS.dump_python(self), "gain": gain}
        write_json(path, {**content, "bands": BANDS.tolist()})

    @staticmethod
    def read(path: Path) -> "ShapeLimits":
        """Read shape.json; InputError if the file is absent or does not hold such limits."""
        with read_result(path, "limits of shapes", "punzinet shape") as content:
            found = _LIMITS.validate_python(content)
            check_columns(found, len(found.edges), ("counting", "shape"))
            return found


_LIMITS = TypeAdapter(ShapeLimits)
