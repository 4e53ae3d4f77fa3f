"""Less simulated background to train on, to see what its statistics are worth."""

from dataclasses import replace

import numpy as np

from analysis.punzi_loss import SIGNAL
from analysis.training.sample import Events, Sample


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
