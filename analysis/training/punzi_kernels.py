"""Punzi-loss of a batch and its exact gradient, in two passes over blocks in the cache.

The first pass evaluates the network and sums up ε and B of every window; the loss and its
slopes with respect to these sums follow; the second pass turns the slopes into the gradient of
the parameters. It evaluates the network again: activations are never stored beyond a block,
because to fetch them from memory takes as long. A block is loaded once for all networks.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from punzinet.analysis.compiled import njit
from punzinet.analysis.figures_of_merit import (
    BackgroundUncertainty,
    background_variance,
    punzi_numerator,
    variance_slope,
)
from punzinet.analysis.punzi_loss import MIN_EFFICIENCY
from punzinet.analysis.training.elementary import event_loop, exp, kernel
from punzinet.analysis.training.loading import PARTS, blocks_of_part, load_block
from punzinet.analysis.training.network_kernels import BLOCK, Network, backward, forward
from punzinet.analysis.types import FloatArray, IntArray

_numerator: Any = njit(punzi_numerator)
_variance: Any = njit(background_variance)
_slope: Any = njit(variance_slope)


class Networks(NamedTuple):
    """Networks whose Punzi-loss is asked for.

    Attributes:
        parameters: (N, K) weights and biases, in the precision of the passes.
        widths: (layers,) units of each layer, inputs first, 1 last.
        slopes: (N, places) ∂loss/∂(weight · ŷ) of the events of each place, likewise.
    """

    parameters: FloatArray
    widths: IntArray
    slopes: FloatArray


class Sums(NamedTuple):
    """What events add up to; with one more axis in front, what each part of a batch adds up to.

    Attributes:
        weight: (places,) float64 Σ weight.
        selected: (N, places) float64 Σ weight · ŷ.
    """

    weight: FloatArray
    selected: FloatArray


@event_loop
def _evaluate(network: Any, rows: Any) -> None:
    """Forward pass of one block, with the output ŷ in place of the logit."""
    forward(network, rows)
    output = rows[-1]
    one = rows.dtype.type(1)
    for event in range(BLOCK):
        output[event] = one / (one + exp(-output[event]))


@kernel
def sum_parts(worker: Any, workers: Any, batch: Any, networks: Any, work: Any, sums: Any) -> None:
    """First pass over a worker's parts of a batch.

    Args:
        worker: Number of the worker.
        workers: How many there are.
        batch: The `Batch`.
        networks: The `Networks`.
        work: The `Workspace`, with a block for each worker.
        sums: `Sums` of each part; those of the worker's parts are overwritten.
    """
    for part in range(worker, PARTS, workers):
        _sum_part(part, worker, batch, networks, work, sums)


@event_loop
def _sum_part(part: Any, worker: Any, batch: Any, networks: Any, work: Any, sums: Any) -> None:
    """`sum_parts` of one part."""
    rows, weight, place = work.rows[worker], work.weight[worker], work.place[worker]
    output, widths = rows[-1], networks.widths
    weights = sums.weight[part]
    weights[:] = 0
    sums.selected[part, :, :] = 0
    begin, end = blocks_of_part(batch, part)
    for block in range(begin, end):
        load_block(batch, block, work, worker)
        for event in range(BLOCK):
            weights[place[event]] += np.float64(weight[event])
        for n in range(len(networks.parameters)):
            _evaluate(Network(networks.parameters[n], widths), rows)
            selected = sums.selected[part, n]
            for event in range(BLOCK):
                selected[place[event]] += np.float64(weight[event] * output[event])


@kernel
def gradient_parts(
    worker: Any, workers: Any, batch: Any, networks: Any, work: Any, gradients: Any
) -> None:
    """Second pass over a worker's parts of a batch.

    Args:
        worker: Number of the worker.
        workers: How many there are.
        batch: The `Batch`.
        networks: The `Networks`.
        work: The `Workspace`.
        gradients: (PARTS, N, K) float64; those of the worker's parts are overwritten.
    """
    for part in range(worker, PARTS, workers):
        _gradient_part(part, worker, batch, networks, work, gradients)


@event_loop
def _gradient_part(
    part: Any, worker: Any, batch: Any, networks: Any, work: Any, gradients: Any
) -> None:
    """`gradient_parts` of one part."""
    rows, weight, place = work.rows[worker], work.weight[worker], work.place[worker]
    slopes = work.slopes[worker]
    output, slope, one = rows[-1], slopes[-1], rows.dtype.type(1)
    gradients[part, :, :] = 0
    begin, end = blocks_of_part(batch, part)
    for block in range(begin, end):
        load_block(batch, block, work, worker)
        for n in range(len(networks.parameters)):
            network = Network(networks.parameters[n], networks.widths)
            _evaluate(network, rows)
            by_place = networks.slopes[n]
            for event in range(BLOCK):
                by_output = by_place[place[event]] * weight[event]
                slope[event] = by_output * output[event] * (one - output[event])
            backward(network, rows, slopes, gradients[part, n])


class Totals(NamedTuple):
    """What the whole sample sums up to, and the figure of merit.

    Attributes:
        signal: (H,) sums of weights of the signal hypotheses.
        background: (P,) sums of weights of the background processes.
        ranges: (R, 2) ranges of windows, see `Shelf`.
        luminosity: L in fb^-1.
        constants: (3,) constant term, a and b of the figure of merit.
        uncertainty: Systematic uncertainties of the background processes.
        cross_section: Of the signal in the significance loss, fb; 0 for the Punzi-loss.
    """

    signal: FloatArray
    background: FloatArray
    ranges: IntArray
    luminosity: float
    constants: FloatArray
    uncertainty: BackgroundUncertainty
    cross_section: float


class Values(NamedTuple):
    """What losses are made of; see `punzinet.analysis.training.engine.PunziValues`.

    Attributes:
        loss: (N,).
        efficiency: (N, H).
        background: (N, H).
        sigma: (N, H).
    """

    loss: FloatArray
    efficiency: FloatArray
    background: FloatArray
    sigma: FloatArray


@njit(cache=True, error_model="numpy")
def losses_and_slopes(sums: Any, totals: Any, values: Any, slopes: Any) -> None:
    """Punzi-losses of a batch from its sums, as `punzinet.analysis.punzi_loss` defines them.

    Args:
        sums: `Sums` of the batch.
        totals: `Totals` of the sample.
        values: `Values`, overwritten, scaled to the whole sample.
        slopes: (N, places) overwritten, see `Networks`.
    """
    hypotheses, processes = len(totals.signal), len(totals.background)
    scale = np.zeros(processes)
    for process in range(processes):
        held = sums.weight[hypotheses + process :: processes].sum()
        scale[process] = totals.background[process] / held if held > 0 else 0.0
    by_process = np.zeros((processes, hypotheses))
    for n in range(len(sums.selected)):
        selected, background = sums.selected[n], values.background[n]
        _sum_backgrounds(selected, scale, totals.ranges, background, by_process)
        values.loss[n] = _loss_and_slopes(
            selected,
            sums.weight,
            totals,
            (values.efficiency[n], background, by_process, values.sigma[n]),
            slopes[n],
        )
        _spread_slopes(by_process, scale, totals.ranges, slopes[n])


@njit(cache=True, error_model="numpy")
def _loss_and_slopes(selected: Any, weight: Any, totals: Any, values: Any, by_place: Any) -> float:
    """The Punzi-loss of one network, from its backgrounds and its selected signal.

    Args:
        selected: (places,) Σ weight · ŷ.
        weight: (places,) Σ weight.
        totals: `Totals` of the sample.
        values: (H,) efficiencies, overwritten; (H,) backgrounds; (P, H) backgrounds by process,
            overwritten with the slopes of the loss; (H,) σ_min, overwritten.
        by_place: (places,) of which those of signal are overwritten with the slopes of the loss.

    Returns:
        The loss in fb; a pure number for the significance loss.
    """
    efficiency, background, by_process, sigma = values
    hypotheses = len(totals.signal)
    present = 0
    for h in range(hypotheses):
        present += weight[h] > 0
    by_variance = np.zeros(hypotheses)
    loss = 0.0
    for h in range(hypotheses):
        efficiency[h], sigma[h], by_place[h] = 0, 0, 0
        if weight[h] <= 0:
            continue
        scale = totals.signal[h] / weight[h]
        efficiency[h] = scale * selected[h]
        variance = _variance(background[h], by_process[:, h], totals.uncertainty)
        reach = max(efficiency[h], MIN_EFFICIENCY) * totals.luminosity
        if totals.cross_section > 0:
            sigma[h], pull, slope = _inverse_significance(variance, reach, present, totals)
        else:
            sigma[h], pull, slope = _sigma_min(variance, reach, present, totals)
        loss += sigma[h] / present
        if efficiency[h] > MIN_EFFICIENCY:
            by_place[h] = -pull / (efficiency[h] * present) * scale
        by_variance[h] = slope
    for process in range(len(by_process)):
        own = 0.0
        if len(totals.uncertainty.by_process) > 0:
            own = totals.uncertainty.by_process[process]
        for h in range(hypotheses):
            by_process[process, h] = by_variance[h] * _slope(
                background[h], by_process[process, h], totals.uncertainty.overall, own
            )
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
    """1/Z² of `punzinet.analysis.punzi_loss`; arguments and result as of `_sigma_min`."""
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
def _sum_backgrounds(
    selected: Any, scale: Any, ranges: Any, background: Any, by_process: Any
) -> None:
    """Overwrite (H,) B and (P, H) B_p with the sums over the places of each window."""
    hypotheses, processes = len(background), len(scale)
    background[:] = 0
    by_process[:] = 0
    for number in range(len(ranges)):
        for process in range(processes):
            events = scale[process] * selected[hypotheses + number * processes + process]
            for h in range(ranges[number, 0], ranges[number, 1]):
                by_process[process, h] += events
                background[h] += events


@njit(cache=True, error_model="numpy")
def _spread_slopes(by_process: Any, scale: Any, ranges: Any, by_place: Any) -> None:
    """Overwrite the slopes of background places with the sums of (P, H) ∂loss/∂B_p."""
    processes, hypotheses = by_process.shape
    for number in range(len(ranges)):
        for process in range(processes):
            total = 0.0
            for h in range(ranges[number, 0], ranges[number, 1]):
                total += by_process[process, h]
            by_place[hypotheses + number * processes + process] = scale[process] * total
