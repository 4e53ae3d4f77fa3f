"""What tests of generators share: samples, four-vectors as arrays (..., 4), Dirac matrices."""

import numpy as np
from scipy.stats import chi2

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.simulation.detector import Detector
from punzinet.analysis.simulation.events import GeneratedEvents, Generator, momenta

Measured = tuple[float, float]  # a value and its statistical error

SQRT_S = 10.58
BEAMS = Beams()
DETECTOR = Detector(BEAMS)

METRIC = np.diag([1.0, -1.0, -1.0, -1.0])
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
ZERO = np.zeros((2, 2))
ONE = np.eye(2)
UNIT = np.eye(4)
GAMMA = np.array(
    [np.block([[ONE, ZERO], [ZERO, -ONE]])] + [np.block([[ZERO, s], [-s, ZERO]]) for s in PAULI]
)


def sample(generator: Generator, n: int, seed: int) -> GeneratedEvents:
    return generator.generate(np.random.default_rng(seed), np.full(n, SQRT_S))


def mean(weight: np.ndarray) -> Measured:
    return weight.mean(), weight.std() / np.sqrt(len(weight))


def rate(generator: Generator, n: int, seed: int) -> Measured:
    """Mean of the weights and its statistical error, fb."""
    return mean(sample(generator, n, seed).weight)


def add(parts: list[Measured]) -> Measured:
    """Sum of independent values, and its error."""
    values, errors = np.transpose(parts)
    return values.sum(), np.linalg.norm(errors)


def assert_agreement(one: Measured, other: Measured, precision: float) -> None:
    """Two values within four errors, which together are small against the second value."""
    error = np.hypot(one[1], other[1])
    assert error <= precision * other[0]
    assert abs(one[0] - other[0]) < 4 * error


def probability(values, reference, weight, bins: int = 30) -> float:
    """That values follow a weighted reference, by chi^2 in equally filled bins."""
    edges = np.quantile(values, np.linspace(0, 1, bins + 1))
    edges[[0, -1]] = -np.inf, np.inf
    observed = np.histogram(values, edges)[0]
    expected, variance = (np.histogram(reference, edges, weights=w)[0] for w in (weight, weight**2))
    scale = len(values) / expected.sum()
    pull2 = (observed - expected * scale) ** 2 / (variance * scale**2 + observed)
    return chi2.sf(pull2.sum(), bins - 1)


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 0] - (a[..., 1:] * b[..., 1:]).sum(axis=-1)


def mass2(p: np.ndarray) -> np.ndarray:
    return dot(p, p)


def momentum(p: np.ndarray) -> np.ndarray:
    return np.linalg.norm(p[..., 1:], axis=-1)


def cosine(p: np.ndarray) -> np.ndarray:
    return p[..., 3] / momentum(p)


def on_shell(vector: np.ndarray, mass: np.ndarray | float) -> np.ndarray:
    energy = np.sqrt((vector**2).sum(axis=-1) + np.square(mass))
    return np.concatenate([energy[..., np.newaxis], vector], axis=-1)


def boosted(p: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Momenta, given in the rest frame of a system, where that has the momentum `frame`."""
    p, frame = np.broadcast_arrays(p, frame)
    moved = momenta(p).boost_p4(momenta(frame))
    return np.stack([moved.E, moved.px, moved.py, moved.pz], axis=-1).reshape(p.shape)


def at_rest(p: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Inverse of `boosted`."""
    return boosted(p, frame * [1, -1, -1, -1])


def two_body_momentum(mass: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    above = np.maximum(np.square(mass) - np.square(np.add(first, second)), 0.0)
    return np.sqrt(above * (np.square(mass) - np.square(np.subtract(first, second)))) / (2 * mass)


def isotropic(rng: np.random.Generator, n: int) -> np.ndarray:
    """Unit vectors (n, 3)."""
    polar, azimuth = rng.uniform(-1, 1, n), rng.uniform(0, 2 * np.pi, n)
    sine = np.sqrt((1 - polar) * (1 + polar))
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), polar], axis=-1)


def beam_momenta(mass: float) -> np.ndarray:
    """Electron and positron of a mass that collide at `SQRT_S`, (2, 4)."""
    return on_shell(np.outer([1, -1], [0, 0, np.sqrt(SQRT_S**2 / 4 - mass**2)]), mass)


def slash(p: np.ndarray) -> np.ndarray:
    return np.einsum("...a,aij->...ij", p @ METRIC, GAMMA)


def spinors(p: np.ndarray, mass: float, *, antiparticle: bool = False) -> np.ndarray:
    """Both spin states, u or v, in the Dirac representation, (2, 4)."""
    small = np.einsum("k,kij->ij", p[1:], PAULI) / (p[0] + mass)
    parts = (small, ONE) if antiparticle else (ONE, small)
    return np.sqrt(p[0] + mass) * np.concatenate(parts).T


def currents(left: np.ndarray, vertex: np.ndarray, right: np.ndarray) -> np.ndarray:
    """All spin combinations of left-bar vertex^mu right, (2, 2, 4)."""
    return np.einsum("ai,mij,bj->abm", left.conj() @ GAMMA[0], vertex, right)


def propagator(p: np.ndarray, mass: float) -> np.ndarray:
    return (slash(p) + mass * UNIT) / (mass2(p) - mass**2)


def pair_amplitudes(minus: np.ndarray, plus: np.ndarray, boson: np.ndarray) -> np.ndarray:
    """Components of a boson (m), radiated by mu- mu+, and of their photon, and spins, (4, 4, 2, 2).

    Both diagrams, without couplings; a boson of negative energy is absorbed.
    """
    left = spinors(minus, MUON_MASS).conj() @ GAMMA[0]
    right = spinors(plus, MUON_MASS, antiparticle=True)
    inner = propagator(minus + boson, MUON_MASS), propagator(-plus - boson, MUON_MASS)
    tensor = np.einsum("mij,jk,nkl->mnil", GAMMA, inner[0], GAMMA)
    tensor = tensor + np.einsum("nij,jk,mkl->mnil", GAMMA, inner[1], GAMMA)
    return np.einsum("si,mnil,tl->mnst", left, tensor, right)
