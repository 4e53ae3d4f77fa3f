"""Samples with less background, or more of one, to see what a result depends on."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import Events, Sample


def thin_background(sample: Sample, share: float, rng: np.random.Generator) -> Sample:
    """Keep only a share of the training background, weighted up to stand for all of it.

    Args:
        sample: All events; those of the validation stay.
        share: What to keep, in (0, 1].
        rng: Decides which.
    """
    events = sample.training
    signal = events.process == SIGNAL
    kept = np.flatnonzero(signal | (rng.random(len(events)) < share))
    thinned = events[kept]
    weight = np.where(thinned.process == SIGNAL, thinned.weight, thinned.weight / share)
    training = Events(
        thinned.features,
        weight.astype(events.weight.dtype),
        thinned.process,
        thinned.start,
        thinned.stop,
    )
    return replace(sample, training=training)


def scale_background(sample: Sample, factors: Mapping[str, float]) -> Sample:
    """Let there be more, or less, of some backgrounds, with the same events.

    Args:
        sample: All events.
        factors: What to multiply the weights of a process with; others stay.
    """
    factor = np.array([*(factors.get(name, 1.0) for name in sample.backgrounds), 1.0])
    parts = (
        replace(part, weight=part.weight * factor[part.process].astype(part.weight.dtype))
        for part in (sample.training, sample.validation)  # signal is -1, the last factor
    )
    training, validation = parts
    return replace(sample, training=training, validation=validation)
