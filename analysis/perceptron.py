"""What a trained network computes, without torch, which takes a second to import."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from punzinet.analysis.types import FloatArray

_BLOCK = 8192  # events that are evaluated together: all activations of a layer fit into the cache


class Perceptron(NamedTuple):
    """Scaled inputs, tanh layers, and one output before the sigmoid; everything float64."""

    low: FloatArray  # (F,) value of each feature that is mapped to 0
    high: FloatArray  # and to 1
    layers: Sequence[Sequence[FloatArray]]  # weights (outputs, inputs) and biases (outputs,) each

    def logit(self, x: FloatArray) -> FloatArray:
        """Output before the sigmoid, (n,) float32, of (n, F) unscaled features.

        Element-wise operations, unlike a matrix product, give the same to the last bit for any
        chunking, so that a cut placed on one event's output holds everywhere. In single precision,
        weights of order ten would turn the rounding of the first layer into 1e-5 of the output, and
        other programs, which evaluate an exported network, would not agree.
        """
        scale = self.high - self.low
        logit = np.empty(len(x), dtype=np.float32)
        for start in range(0, len(x), _BLOCK):
            block = np.asarray(x[start : start + _BLOCK], dtype=np.float32).T.astype(np.float64)
            units = [(block[i] - self.low[i]) / scale[i] for i in range(len(scale))]
            for depth, (weight, bias) in enumerate(self.layers):
                if depth > 0:
                    units = [np.tanh(unit) for unit in units]
                units = [_affine(units, weight[row], bias[row]) for row in range(len(bias))]
            logit[start : start + _BLOCK] = units[0]
        return logit


def _affine(units: Sequence[FloatArray], weight: FloatArray, bias: np.float64) -> FloatArray:
    """One neuron's input, always added in the same order."""
    total: FloatArray = units[0] * weight[0]
    for unit, factor in zip(units[1:], weight[1:], strict=True):
        total += unit * factor
    total += bias
    return total
