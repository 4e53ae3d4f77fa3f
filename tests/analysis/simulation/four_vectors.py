"""What tests of generators share: arithmetic of four-vectors as arrays (..., 4)."""

import numpy as np

from punzinet.analysis.simulation.events import components, momenta


def dot(a, b):
    return a[..., 0] * b[..., 0] - (a[..., 1:] * b[..., 1:]).sum(axis=-1)


def mass2(p):
    return dot(p, p)


def cosine(p):
    return p[..., 3] / np.linalg.norm(p[..., 1:], axis=-1)


def on_shell(vector, mass):
    energy = np.sqrt((vector**2).sum(axis=-1) + np.square(mass))
    return np.concatenate([energy[..., np.newaxis], vector], axis=-1)


def boosted(p, frame):
    """Momenta, given in the rest frame of a system, where that has the momentum `frame`."""
    p, frame = np.broadcast_arrays(p, frame)
    return components(momenta(p).boost_p4(momenta(frame))).reshape(p.shape)


def at_rest(p, frame):
    return boosted(p, frame * [1, -1, -1, -1])


def two_body_momentum(mass, first, second):
    above = np.maximum(np.square(mass) - np.square(np.add(first, second)), 0.0)
    return np.sqrt(above * (np.square(mass) - np.square(np.subtract(first, second)))) / (2 * mass)


def isotropic(rng, n):
    polar, azimuth = rng.uniform(-1, 1, n), rng.uniform(0, 2 * np.pi, n)
    sine = np.sqrt((1 - polar) * (1 + polar))
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), polar], axis=-1)
