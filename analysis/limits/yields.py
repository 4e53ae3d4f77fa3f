"""Yields: what a selection leaves in the window of every hypothesis.

All events of the tensors count, whatever fold they are in. A single cut is the same for all of
them. The best cut of each mass, though, would follow the fluctuations of the very events that
it is judged by; therefore every fold is judged by the cuts that were best on the others.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from punzinet.analysis.cuts import RankedEvents, optimal_cuts, selected
from punzinet.analysis.evaluation import ScaledEvents
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.network import PunziNet
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import Events, load_folds
from punzinet.analysis.types import BoolArray, FloatArray
from punzinet.analysis.windows import Windows


@dataclass(frozen=True, eq=False)
class Yields:
    """Signal and backgrounds of H hypotheses, each in its own window.

    Attributes:
        backgrounds: Names of the P background processes.
        efficiency: (H,) signal efficiency.
        efficiency_error: (H,) its uncertainty from the finite simulated sample.
        background: (P, H) events at the target luminosity.
        background_error: (P, H) their uncertainty from the finite simulated samples.
        typical_weight: (H,) weight of a typical simulated background event of the window before
            the selection, Σw²/Σw, in events; that of all windows where one has no background.
    """

    backgrounds: tuple[str, ...]
    efficiency: FloatArray
    efficiency_error: FloatArray
    background: FloatArray
    background_error: FloatArray
    typical_weight: FloatArray


def measure_yields(
    tensors: Path,
    windows: Windows,
    networks: Mapping[str, tuple[PunziNet, float | None]],
    figure_of_merit: FigureOfMerit,
    luminosity: float,
) -> dict[str, Yields]:
    """Count signal and background behind cuts.

    Args:
        tensors: Folder of the tensors.
        windows: The windows that the tensors were made with.
        networks: By name, networks with their one cut on the output before the sigmoid; None for
            the best cut for every training mass, interpolated between them for the others.
        figure_of_merit: What the best cuts minimise.
        luminosity: Target luminosity in fb^-1.

    Raises:
        InputError: If the tensors cannot be read, or a fold lacks signal or background.
    """
    events, samples = load_folds(tensors, windows)
    with ThreadPoolExecutor(2) as pool:  # numpy does not hold Python's lock
        logits = list(
            pool.map(lambda one: one[0].logit_numpy(events.features.T), networks.values())
        )
    folds = []
    for sample, validates in samples:
        names = sample.backgrounds
        shape = len(names), len(windows)
        sums = [_select(sample.validation, np.zeros(validates.sum()), -np.inf, *shape)]
        for logit, (_, cut) in zip(logits, networks.values(), strict=True):
            cuts: FloatArray | float
            if cut is None:
                ranked = ScaledEvents.of(sample, "training").rank(logit[~validates])
                best = optimal_cuts(ranked, figure_of_merit, luminosity, names)
                cuts = interpolate_cuts(windows.mass, best, windows.training)
            else:
                cuts = cut
            sums.append(_select(sample.validation, logit[validates], cuts, *shape))
        folds.append(np.array(sums))
    before, *after = np.sum(folds, axis=0)
    weight, squares = before[:, :SIGNAL].sum(axis=1)
    typical = np.full_like(weight, squares.sum() / weight.sum())
    np.divide(squares, weight, out=typical, where=weight > 0)
    return {
        name: Yields(
            names,
            sums[SIGNAL],
            np.sqrt(variances[SIGNAL]),
            sums[:SIGNAL],
            np.sqrt(variances[:SIGNAL]),
            typical,
        )
        for name, (sums, variances) in zip(networks, after, strict=True)
    }


def interpolate_cuts(mass: FloatArray, cut: FloatArray, training: BoolArray) -> FloatArray:
    """Cuts (H,) for all masses from the finite ones of the training masses, linear in between.

    They are infinite, selecting nothing, where no training mass has one.
    """
    known = training & np.isfinite(cut)
    if not known.any():
        return np.full(len(mass), np.inf)
    return np.interp(mass, mass[known], cut[known])


def _select(
    events: Events, logit: FloatArray, cut: FloatArray | float, processes: int, hypotheses: int
) -> FloatArray:
    """Sums of weights and of their squares of what passes a cut, (2, P + 1, H), signal last."""
    columns = events.weight, events.process, events.start, events.stop
    ranked = RankedEvents.rank(logit, *columns, processes=processes, hypotheses=hypotheses)
    return np.stack(selected(ranked, cut))
