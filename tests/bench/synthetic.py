"""Events with the shape of the real ones and nothing of their physics, in any number."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from punzinet.analysis.observables import FEATURES
from punzinet.analysis.punzi_loss import SIGNAL
from punzinet.analysis.training.data import Events, Sample
from punzinet.analysis.windows import Windows

BACKGROUNDS = ("tautau", "eemumu", "mumugamma")
SHARES = (0.83, 0.14, 0.03)
ACCEPTANCE = 0.38


def synthetic_windows(hypotheses=44):
    """Windows as wide as the published ones, or as it takes to leave no gap; all masses train."""
    mass = np.linspace(0.1, 8.7, hypotheses)
    sigma = np.interp(mass, [0.1, 1.7, 4.1, 6.5, 8.1, 8.7], [0.23, 0.30, 0.27, 0.18, 0.10, 0.09])
    sigma = np.maximum(sigma, np.gradient(mass**2) / 4)
    every = np.ones(hypotheses, bool)
    return Windows(mass, sigma, every, every, (None,) * hypotheses)


def synthetic_sample(events, hypotheses=44, seed=1, signal_share=0.1):
    """Make a sample of which a fifth validates.

    The recoil mass squared is uniform for background; windows are as wide as the published
    ones. Features are Gaussians around means that move with the recoil mass, for signal and
    background on different paths that come close at low mass, so that no cut is free.
    """
    rng = np.random.default_rng(seed)
    windows = synthetic_windows(hypotheses)
    mass, low, high = windows.mass, windows.low, windows.high

    signal = rng.random(events) < signal_share
    own = rng.integers(0, hypotheses, events)
    recoil = np.where(signal, mass[own] ** 2, rng.uniform(low[0], high[-1], events))
    process = np.where(signal, SIGNAL, rng.choice(len(BACKGROUNDS), events, p=SHARES))
    start, stop = windows.assign(recoil)
    start, stop = np.where(signal, own, start), np.where(signal, own + 1, stop)

    path = np.clip(recoil / mass[-1] ** 2, 0, 1)
    mean = np.stack([1 + path, 2 - path, 3 * path, path * (1 - path)])
    shift = np.array([0.9, -0.5, 0.4, 0.8])[:, np.newaxis] * (0.3 + path)
    features = mean + np.where(signal, shift, 0) + rng.normal(0, 0.5, (4, events))
    mean_weight = ACCEPTANCE * hypotheses / (signal_share * events), 2e5 / events
    weight = rng.uniform(0.5, 1.5, events) * np.where(signal, *mean_weight)
    columns = features, weight, process, start, stop
    types = np.float32, np.float32, np.int8, np.int16, np.int16
    table = Events(*(column.astype(of) for column, of in zip(columns, types, strict=True)))
    used, validation = stop > start, rng.random(events) < 0.2
    parts = table[used & ~validation], table[used & validation], table[:0]
    return Sample(FEATURES, mass, BACKGROUNDS, 1.0, *parts)


def write_tensors(folder, events, hypotheses=44, chunk=500_000):
    """Write a synthetic sample as the features stage writes tensors, in files of a chunk."""
    sample, windows = synthetic_sample(events, hypotheses), synthetic_windows(hypotheses)
    names = np.array([*sample.backgrounds, "signal"])  # SIGNAL is -1, the last
    for part, fold in ((sample.training, 0), (sample.validation, 4)):
        dataset = folder / f"fold{fold}"
        dataset.mkdir(parents=True)
        for start in range(0, len(part), chunk):
            rows = part[np.arange(start, min(start + chunk, len(part)))]
            mass = np.where(rows.process == SIGNAL, windows.mass[rows.start], np.nan)
            middle = 0.5 * (windows.low[rows.start] + windows.high[rows.stop - 1])
            columns = dict(zip(FEATURES, rows.features, strict=True)) | {
                "window_start": rows.start,
                "window_stop": rows.stop,
                "weight": rows.weight.astype(np.float64),
                "m2_recoil": np.where(rows.process == SIGNAL, mass**2, middle),
                "mass": mass,
                "fold": np.full(len(rows), fold, np.int8),
            }
            arrays = {name: pa.array(column) for name, column in columns.items()}
            arrays["process"] = pa.array(names[rows.process]).dictionary_encode()
            path = dataset / f"events-{start}-{start + len(rows)}.parquet"
            pq.write_table(pa.table(arrays), path, compression="zstd")
