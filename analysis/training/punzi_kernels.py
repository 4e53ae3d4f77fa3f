"""Punzi-loss of a batch and its exact gradient, in two passes over blocks in the cache.

The first pass evaluates the network and sums up ε and B of every window; the loss and its
slopes with respect to these sums follow; the second pass turns the slopes into the gradient of
the parameters. If the batch is small its activations are kept in between (they stay in the
second-level cache), otherwise the second pass computes them again: those of the whole sample
are never stored.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from analysis.figures_of_merit import (
    BackgroundUncertainty,
    background_variance,
    punzi_numerator,
    variance_slope,
)
from analysis.punzi_loss import MIN_EFFICIENCY
from analysis.training.elementary import event_loop, exp
from analysis.training.loading import blocks_of_part, load_block
from analysis.training.network_kernels import BLOCK, backward, forward
from analysis.types import FloatArray, IntArray

_numerator: Any = njit(punzi_numerator)
_variance: Any = njit(background_variance)
_slope: Any = njit(variance_slope)


@event_loop
def _evaluate(network: Any, rows: Any) -> None:
    """Forward pass of one block, with the output ŷ in place of the logit."""
    forward(network, rows)
    output = rows[-1]
    one = rows.dtype.type(1)
    for event in range(BLOCK):
        output[event] = one / (one + exp(-output[event]))


@event_loop
def sum_part(part: Any, batch: Any, network: Any, work: Any, sums: Any) -> None:
    """First pass over part of a batch: Σ weight · ŷ by place, see `Runs`.

    Args:
        part: Which part.
        batch: The `Batch`; if it is kept, `open_part` has loaded it.
        network: The `Network`.
        work: The `Workspace`.
        sums: (places,) float64, overwritten.
    """
    sums[:] = 0
    begin, end = blocks_of_part(batch, part)
    for block in range(begin, end):
        slot = block if work.kept else part
        if not work.kept:
            load_block(batch, block, work, slot)
        rows = work.rows[slot]
        _evaluate(network, rows)
        output, weight = rows[-1], work.weight[slot]
        first, last = work.first[slot], work.last[slot]
        for event in range(BLOCK):
            selected = np.float64(weight[event] * output[event])
            sums[first[event]] += selected
            sums[last[event]] -= selected


@event_loop
def gradient_part(part: Any, batch: Any, network: Any, work: Any, gradient: Any) -> None:
    """Second pass over part of a batch: its part of the gradient of the loss.

    Args:
        part: Which part.
        batch: The `Batch`.
        network: The `Network`.
        work: The `Workspace`, as `sum_part` left it, with the slopes `by_place`.
        gradient: (K,) float64, overwritten.
    """
    gradient[:] = 0
    by_place, slopes = work.by_place, work.slopes[part]
    begin, end = blocks_of_part(batch, part)
    for block in range(begin, end):
        slot = block if work.kept else part
        rows = work.rows[slot]
        if not work.kept:
            load_block(batch, block, work, slot)
            _evaluate(network, rows)
        output, weight, slope = rows[-1], work.weight[slot], slopes[-1]
        first, last = work.first[slot], work.last[slot]
        one = rows.dtype.type(1)
        for event in range(BLOCK):
            by_output = (by_place[first[event]] - by_place[last[event]]) * weight[event]
            slope[event] = by_output * output[event] * (one - output[event])
        backward(network, rows, slopes, gradient)


class Tables(NamedTuple):
    """What a batch sums up to, by place (see `Runs`).

    Attributes:
        sums: (places,) Σ weight · ŷ, added at `first` and taken away at `last`.
        weights: (places,) Σ weight, added at `first`.
        counts: (places,) events, added at `first` and taken away at `last`.
    """

    sums: FloatArray
    weights: FloatArray
    counts: IntArray


class Totals(NamedTuple):
    """What the whole sample sums up to, and the figure of merit.

    Attributes:
        signal: (H,) sums of weights of the signal hypotheses.
        background: (P,) sums of weights of the background processes.
        luminosity: L in fb^-1.
        constants: (3,) constant term, a and b of the figure of merit.
        uncertainty: Systematic uncertainties of the background processes.
        cross_section: Of the signal in the significance loss, fb; 0 for the Punzi-loss.
    """

    signal: FloatArray
    background: FloatArray
    luminosity: float
    constants: FloatArray
    uncertainty: BackgroundUncertainty
    cross_section: float


class Values(NamedTuple):
    """What the loss is made of, (H,) each; see `analysis.training.engine.PunziValues`."""

    efficiency: FloatArray
    background: FloatArray
    sigma: FloatArray


@njit(cache=True, error_model="numpy")
def loss_and_slopes(tables: Any, totals: Any, values: Any, by_place: Any) -> float:
    """The Punzi-loss of a batch from its window sums, as `analysis.punzi_loss` defines it.

    Args:
        tables: `Tables` of the batch.
        totals: `Totals` of the sample.
        values: `Values`, overwritten, scaled to the whole sample.
        by_place: (places,) overwritten with the slopes of the loss, see `Workspace`.

    Returns:
        The loss in fb; a pure number for the significance loss.
    """
    hypotheses = len(totals.signal)
    by_process = np.zeros((len(totals.background), hypotheses))
    _sum_backgrounds(tables, totals, values.background, by_process)
    present = 0
    for h in range(hypotheses):
        present += tables.weights[h] > 0
    by_variance = np.zeros(hypotheses)
    loss = 0.0
    for h in range(hypotheses):
        values.efficiency[h], values.sigma[h], by_place[h] = 0, 0, 0
        if tables.weights[h] <= 0:
            continue
        scale = totals.signal[h] / tables.weights[h]
        values.efficiency[h] = scale * tables.sums[h]
        variance = _variance(values.background[h], by_process[:, h], totals.uncertainty)
        reach = max(values.efficiency[h], MIN_EFFICIENCY) * totals.luminosity
        if totals.cross_section > 0:
            values.sigma[h], pull, slope = _inverse_significance(variance, reach, present, totals)
        else:
            values.sigma[h], pull, slope = _sigma_min(variance, reach, present, totals)
        loss += values.sigma[h] / present
        if values.efficiency[h] > MIN_EFFICIENCY:
            by_place[h] = -pull / (values.efficiency[h] * present) * scale
        by_variance[h] = slope
    _to_backgrounds(by_variance, values.background, by_process, totals.uncertainty)
    _spread_slopes(tables, totals, by_process, by_place)
    return loss


@njit(cache=True, error_model="numpy")
def _sigma_min(
    variance: float, reach: float, present: int, totals: Any
) -> tuple[float, float, float]:
    """Value of σ_min, and its slopes.

    Args:
        variance: V of the background.
        reach: εL, fb^-1.
        present: Number of hypotheses in the mean.
        totals: `Totals`.

    Returns:
        σ_min in fb, -ε ∂σ_min/∂ε, and ∂loss/∂V, taken as 0 without background.
    """
    constant, a, b = totals.constants
    root = math.sqrt(variance)
    value = _numerator(root, constant, a, b) / reach
    if root == 0:
        return value, value, 0.0
    by_root = a + b * (a + 2 * root) / math.sqrt(b**2 + 4 * root * (a + root))
    return value, value, by_root / (2 * root * reach * present)


@njit(cache=True, error_model="numpy")
def _inverse_significance(
    variance: float, reach: float, present: int, totals: Any
) -> tuple[float, float, float]:
    """1/Z² of `analysis.punzi_loss.SignificanceLoss`; arguments and result as of `_sigma_min`."""
    signal = reach * totals.cross_section
    value = 1 / signal + variance / signal**2
    return value, value + variance / signal**2, 1 / (signal**2 * present)


@njit(cache=True, error_model="numpy")
def _to_backgrounds(by_variance: Any, background: Any, by_process: Any, uncertainty: Any) -> None:
    """Turn (H,) ∂loss/∂V into (P, H) ∂loss/∂B_p, which overwrite the B_p themselves."""
    for process in range(len(by_process)):
        own = uncertainty.by_process[process] if len(uncertainty.by_process) > 0 else 0.0
        for h in range(len(by_variance)):
            by_process[process, h] = by_variance[h] * _slope(
                background[h], by_process[process, h], uncertainty.overall, own
            )


@njit(cache=True, error_model="numpy")
def _sum_backgrounds(tables: Any, totals: Any, background: Any, by_process: Any) -> None:
    """Overwrite (H,) B and (P, H) B_p: running sums of each process, scaled to the sample.

    Where a window holds no event the running sum is rounding, and B is zero.
    """
    hypotheses = len(background)
    background[:] = 0
    for process in range(len(totals.background)):
        row = (process + 1) * (hypotheses + 1)
        scale = _scale(tables, totals, process)
        running, events = 0.0, 0
        for h in range(hypotheses):
            running += tables.sums[row + h]
            events += tables.counts[row + h]
            if events > 0:
                by_process[process, h] = max(scale * running, 0.0)
                background[h] += by_process[process, h]


@njit(cache=True, error_model="numpy")
def _spread_slopes(tables: Any, totals: Any, by_background: Any, by_place: Any) -> None:
    """Overwrite the slopes by place: sums of (P, H) ∂loss/∂B_p from each window up."""
    hypotheses = len(totals.signal)
    by_place[hypotheses] = 0
    for process in range(len(totals.background)):
        row = (process + 1) * (hypotheses + 1)
        scale = _scale(tables, totals, process)
        by_place[row + hypotheses] = 0
        for h in range(hypotheses - 1, -1, -1):
            by_place[row + h] = by_place[row + h + 1] + scale * by_background[process, h]


@njit(cache=True, error_model="numpy")
def _scale(tables: Any, totals: Any, process: int) -> float:
    """What a background process of a batch is multiplied with: total/subset, 0 if absent."""
    width = len(totals.signal) + 1
    held = 0.0
    for place in range((process + 1) * width, (process + 2) * width):
        held += tables.weights[place]
    return totals.background[process] / held if held > 0 else 0.0
