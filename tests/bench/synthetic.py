"""Events with the shape of the real ones and nothing of their physics, in any number."""

import numpy as np

from analysis.kinematics import FEATURES
from analysis.punzi_loss import SIGNAL
from analysis.training.sample import Events, Sample

BACKGROUNDS = ("tautau", "eemumu", "mumugamma")
SHARES = (0.83, 0.14, 0.03)
ACCEPTANCE = 0.38


def synthetic_sample(
    events: int, hypotheses: int = 44, seed: int = 1, signal_share: float = 0.1
) -> Sample:
    """Make a sample of which a fifth validates.

    The recoil mass squared is uniform for background; windows are as wide as the published
    ones. Features are Gaussians around means that move with the recoil mass, for signal and
    background on different paths that come close at low mass, so that no cut is free.

    Args:
        events: Number of events, training and validation together.
        hypotheses: Number of masses, between 0.1 and 8.7 GeV.
        seed: Of the random numbers.
        signal_share: Share of signal among the events.
    """
    rng = np.random.default_rng(seed)
    mass = np.linspace(0.1, 8.7, hypotheses)
    sigma = np.interp(mass, [0.1, 1.7, 4.1, 6.5, 8.1, 8.7], [0.23, 0.30, 0.27, 0.18, 0.10, 0.09])
    sigma = np.maximum(sigma, np.gradient(mass**2) / 4 if hypotheses > 1 else sigma)
    low, high = mass**2 - 2 * sigma, mass**2 + 2 * sigma

    signal = rng.random(events) < signal_share
    own = rng.integers(0, hypotheses, events)
    recoil = np.where(signal, mass[own] ** 2, rng.uniform(low[0], high[-1], events))
    process = np.where(signal, SIGNAL, rng.choice(len(BACKGROUNDS), events, p=SHARES))
    start = np.where(signal, own, np.searchsorted(high, recoil, side="right"))
    stop = np.where(signal, own + 1, np.searchsorted(low, recoil, side="left"))

    path = np.clip(recoil / mass[-1] ** 2, 0, 1)
    mean = np.stack([1 + path, 2 - path, 3 * path, path * (1 - path)])
    shift = np.array([0.9, -0.5, 0.4, 0.8])[:, np.newaxis] * (0.3 + path)
    features = mean + np.where(signal, shift, 0) + rng.normal(0, 0.5, (4, events))
    weight = rng.uniform(0.5, 1.5, events) * np.where(
        signal, ACCEPTANCE * hypotheses / (signal_share * events), 2e5 / events
    )
    columns = Events(
        features.astype(np.float32),
        weight.astype(np.float32),
        process.astype(np.int8),
        start.astype(np.int16),
        stop.astype(np.int16),
    )
    used = stop > start
    validation = rng.random(events) < 0.2
    return Sample(
        FEATURES, mass, BACKGROUNDS, columns[used & ~validation], columns[used & validation]
    )
