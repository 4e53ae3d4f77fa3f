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
from punzinet.analysis.training.fast_math import event_loop, exp, kernel
from punzinet.analysis.training.network_kernels import (
    BLOCK,
    PARTS,
    Network,
    backward,
    blocks_of_part,
    forward,
    load_block,
)
from punzinet.analysis.types import FloatArray, IntArray

_numerator: Any = njit(punzi_numerator)
_variance: Any = njit(background_variance)
_slope: Any = njit(variance_slope)


class Networks(NamedTuple):
    """Networks, and the slopes of their Punzi-loss.

    Attributes:
        parameters: (N, K) weights and biases, in the precision of the passes.
        widths: (layers,) units of each layer, inputs first, 1 last.
        slopes: (N, cells) ∂loss/∂(weight · ŷ) of the events of each cell, likewise.
    """

    parameters: FloatArray
    widths: IntArray
    slopes: FloatArray


class Sums(NamedTuple):
    """What events add up to; with one more axis in front, what each part of a batch adds up to.

    Attributes:
        weight: (cells,) float64 Σ weight.
        selected: (N, cells) float64 Σ weight · ŷ.
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
    """First pass over a worker's parts of a batch, whose `Sums` are overwritten."""
    for part in range(worker, PARTS, workers):
        _sum_part(part, worker, batch, networks, work, sums)


@event_loop
def _sum_part(part: Any, worker: Any, batch: Any, networks: Any, work: Any, sums: Any) -> None:
    """`sum_parts` of one part."""
    rows, weight, cell = work.rows[worker], work.weight[worker], work.cell[worker]
    output, widths = rows[-1], networks.widths
    weights = sums.weight[part]
    weights[:] = 0
    sums.selected[part, :, :] = 0
    begin, end = blocks_of_part(batch, part)
    for block in range(begin, end):
        load_block(batch, block, work, worker)
        for event in range(BLOCK):
            weights[cell[event]] += np.float64(weight[event])
        for n in range(len(networks.parameters)):
            _evaluate(Network(networks.parameters[n], widths), rows)
            selected = sums.selected[part, n]
            for event in range(BLOCK):
                selected[cell[event]] += np.float64(weight[event] * output[event])


@kernel
def gradient_parts(
    worker: Any, workers: Any, batch: Any, networks: Any, work: Any, gradients: Any
) -> None:
    """Second pass over a worker's parts of a batch: (PARTS, N, K) gradients are overwritten."""
    for part in range(worker, PARTS, workers):
        _gradient_part(part, worker, batch, networks, work, gradients)


@event_loop
def _gradient_part(
    part: Any, worker: Any, batch: Any, networks: Any, work: Any, gradients: Any
) -> None:
    """`gradient_parts` of one part."""
    rows, weight, cell = work.rows[worker], work.weight[worker], work.cell[worker]
    slopes = work.slopes[worker]
    output, slope, one = rows[-1], slopes[-1], rows.dtype.type(1)
    gradients[part, :, :] = 0
    begin, end = blocks_of_part(batch, part)
    for block in range(begin, end):
        load_block(batch, block, work, worker)
        for n in range(len(networks.parameters)):
            network = Network(networks.parameters[n], networks.widths)
            _evaluate(network, rows)
            by_cell = networks.slopes[n]
            for event in range(BLOCK):
                by_output = by_cell[cell[event]] * weight[event]
                slope[event] = by_output * output[event] * (one - output[event])
            backward(network, rows, slopes, gradients[part, n])


class Totals(NamedTuple):
    """What the whole sample sums up to, and the figure of merit.

    Attributes:
        signal: (H,) sums of weights of the signal hypotheses.
        background: (P,) sums of weights of the background processes.
        ranges: (R, 2) ranges of windows, see `PackedEvents`.
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


class PunziValues(NamedTuple):
    """Punzi-losses of N networks, and what they are made of.

    Attributes:
        loss: (N,) in fb; pure numbers for the significance loss.
        efficiency: (N, H) ε of each hypothesis.
        background: (N, H) B of each hypothesis.
        sigma: (N, H) σ_min in fb, or 1/Z²; 0 where there is no signal.
    """

    loss: FloatArray
    efficiency: FloatArray
    background: FloatArray
    sigma: FloatArray


@njit(cache=True, error_model="numpy")
def losses_and_slopes(sums: Any, totals: Any, values: Any, slopes: Any) -> None:
    """Punzi-losses of a batch from its `Sums`, as `punzinet.analysis.punzi_loss` defines them.

    The `PunziValues`, scaled to the whole sample, and the slopes of `Networks` are overwritten.
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
def _loss_and_slopes(selected: Any, weight: Any, totals: Any, values: Any, by_cell: Any) -> float:
    """The Punzi-loss of one network, from its backgrounds and its selected signal.

    Of the `values`, ε and σ_min, (H,) each, are overwritten, and (P, H) backgrounds by process
    become ∂loss/∂B_p; of the (cells,) slopes, those of signal are.
    """
    efficiency, background, by_process, sigma = values
    hypotheses = len(totals.signal)
    present = 0
    for h in range(hypotheses):
        present += weight[h] > 0
    by_variance = np.zeros(hypotheses)
    loss = 0.0
    for h in range(hypotheses):
        efficiency[h], sigma[h], by_cell[h] = 0, 0, 0
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
            by_cell[h] = -pull / (efficiency[h] * present) * scale
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
    """σ_min in fb, -ε ∂σ_min/∂ε, and ∂loss/∂V, taken as 0 without background.

    They follow from the variance V of the background, the reach εL (fb^-1), and the number of
    hypotheses that are present in the mean.
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
def _sum_backgrounds(
    selected: Any, scale: Any, ranges: Any, background: Any, by_process: Any
) -> None:
    """Overwrite (H,) B and (P, H) B_p with the sums over the cells of each window."""
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
def _spread_slopes(by_process: Any, scale: Any, ranges: Any, by_cell: Any) -> None:
    """Overwrite the slopes of background cells with the sums of (P, H) ∂loss/∂B_p."""
    processes, hypotheses = by_process.shape
    for number in range(len(ranges)):
        for process in range(processes):
            total = 0.0
            for h in range(ranges[number, 0], ranges[number, 1]):
                total += by_process[process, h]
            by_cell[hypotheses + number * processes + process] = scale[process] * total
