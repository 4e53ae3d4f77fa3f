"""Yields: what a selection leaves in the window of every hypothesis.

All events of the tensors count, whatever fold they are in. A single cut is the same for all of
them. The best cut of each mass, though, would follow the fluctuations of the very events that
it is judged by; therefore every fold is judged by the cuts that were best on the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from punzinet.analysis.cuts import RankedEvents, optimal_cuts, selected
from punzinet.analysis.evaluation import ScaledEvents
from punzinet.analysis.figures_of_merit import FigureOfMerit
from punzinet.analysis.folds import FOLDS
from punzinet.analysis.network import PunziNet
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import Events, load_sample
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
            the selection, in events.
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
    *,
    single: Mapping[str, tuple[PunziNet, float]],
    best: Mapping[str, PunziNet],
    figure_of_merit: FigureOfMerit,
    luminosity: float,
) -> dict[str, Yields]:
    """Count signal and background behind single cuts and behind the best cuts of each mass.

    Args:
        tensors: Folder of the tensors.
        windows: The windows that the tensors were made with.
        single: Networks with their one cut on the output before the sigmoid.
        best: Networks that get the best cut for every training mass, interpolated between them
            for the others. No name may be in both.
        figure_of_merit: What the best cuts minimise.
        luminosity: Target luminosity in fb^-1.

    Returns:
        The yields by the names of the networks.

    Raises:
        InputError: If the tensors cannot be read, or a fold lacks signal or background.
    """
    every = replace(windows, training=np.ones(len(windows), dtype=bool))
    sums: dict[str, list[FloatArray]] = {name: [] for name in (*single, *best)}
    before: list[FloatArray] = []
    names: tuple[str, ...] = ()
    for fold in range(FOLDS):
        sample = load_sample(tensors, every, fold)
        names = sample.backgrounds
        others = ScaledEvents.of(sample, "training")
        events = sample.validation
        for name, (network, cut) in single.items():
            sums[name].append(_select(events, network, cut, len(names), len(windows)))
        for name, network in best.items():
            ranked = others.rank(network.logit_numpy(others.features))
            cuts = interpolate_cuts(
                windows.mass,
                optimal_cuts(ranked, figure_of_merit, luminosity, names),
                windows.training,
            )
            sums[name].append(_select(events, network, cuts, len(names), len(windows)))
        before.append(_select(events, None, -np.inf, len(names), len(windows)))
    typical = _typical_weight(np.sum(before, axis=0))
    return {name: _yields(names, np.sum(parts, axis=0), typical) for name, parts in sums.items()}


def interpolate_cuts(mass: FloatArray, cut: FloatArray, training: BoolArray) -> FloatArray:
    """Cuts for all masses from those of the training masses, linear in between.

    Args:
        mass: (H,) masses in GeV, sorted.
        cut: (H,) cuts; only those of training masses are used, and of these only the finite.
        training: (H,) which masses the networks were trained on.

    Returns:
        (H,) cuts; infinite, selecting nothing, where no training mass has one.
    """
    known = training & np.isfinite(cut)
    if not known.any():
        return np.full(len(mass), np.inf)
    return np.interp(mass, mass[known], cut[known])


def _select(
    events: Events,
    network: PunziNet | None,
    cut: FloatArray | float,
    processes: int,
    hypotheses: int,
) -> FloatArray:
    """Sum weights and squares of weights of the events that pass a cut.

    Args:
        events: The events, their windows counting all hypotheses.
        network: Judges them; None lets all of them pass.
        cut: Cut on the output before the sigmoid, one for all or (H,).
        processes: Number of background processes P.
        hypotheses: Number of hypotheses H.

    Returns:
        (2, P + 1, H), the last row of each the signal.
    """
    logit = np.zeros(len(events), np.float32)
    if network is not None:
        logit = network.logit_numpy(events.features.T)
    ranked = RankedEvents.rank(
        logit,
        events.weight,
        events.process,
        events.start,
        events.stop,
        processes=processes,
        hypotheses=hypotheses,
    )
    return np.stack(selected(ranked, cut))


def _typical_weight(sums: FloatArray) -> FloatArray:
    """Weight of a typical background event, Σw²/Σw.

    Args:
        sums: (2, P + 1, H) sums of weights and of squares.

    Returns:
        (H,) weights from the window, or from all windows where one has no background.
    """
    weight, squares = sums[:, :SIGNAL].sum(axis=1)
    anywhere: FloatArray = np.full_like(weight, squares.sum() / weight.sum())
    np.divide(squares, weight, out=anywhere, where=weight > 0)
    return anywhere


def _yields(names: tuple[str, ...], sums: FloatArray, typical_weight: FloatArray) -> Yields:
    """Turn sums, (2, P + 1, H), into yields and their uncertainties."""
    weight, error = sums[0], np.sqrt(sums[1])
    return Yields(
        backgrounds=names,
        efficiency=weight[SIGNAL],
        efficiency_error=error[SIGNAL],
        background=weight[:SIGNAL],
        background_error=error[:SIGNAL],
        typical_weight=typical_weight,
    )
