"""What tests of generators share: beams, samples, and how values agree."""

import numpy as np
from four_vectors import on_shell
from scipy.stats import chi2

from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.simulation.detector import Detector

Measured = tuple[float, float]  # a value and its statistical error

SQRT_S = 10.58
BEAMS = Beams()
DETECTOR = Detector(BEAMS)


def beam_momenta(mass):
    """Electron and positron of a mass that collide at `SQRT_S`, (2, 4)."""
    return on_shell(np.outer([1, -1], [0, 0, np.sqrt(SQRT_S**2 / 4 - mass**2)]), mass)


def sample(generator, n, seed):
    return generator.generate(np.random.default_rng(seed), np.full(n, SQRT_S))


def mean(weight):
    return weight.mean(), weight.std() / np.sqrt(len(weight))


def rate(generator, n, seed):
    """Mean of the weights and its statistical error, fb."""
    return mean(sample(generator, n, seed).weight)


def add(parts):
    values, errors = np.transpose(parts)
    return values.sum(), np.linalg.norm(errors)


def assert_agreement(one, other, precision):
    """Two values within four errors, which together are small against the second value."""
    error = np.hypot(one[1], other[1])
    assert error <= precision * other[0]
    assert abs(one[0] - other[0]) < 4 * error


def probability(values, reference, weight, bins=30):
    """That values follow a weighted reference, by chi^2 in equally filled bins."""
    edges = np.quantile(values, np.linspace(0, 1, bins + 1))
    edges[[0, -1]] = -np.inf, np.inf
    observed = np.histogram(values, edges)[0]
    expected, variance = (np.histogram(reference, edges, weights=w)[0] for w in (weight, weight**2))
    scale = len(values) / expected.sum()
    pull2 = (observed - expected * scale) ** 2 / (variance * scale**2 + observed)
    return chi2.sf(pull2.sum(), bins - 1)
