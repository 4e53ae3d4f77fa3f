from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from punzinet.analysis.features import dimuon_kinematics
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.peak_fit import peak_edges
from punzinet.analysis.search import RECOIL
from punzinet.processors.datasets import DatasetInfo
from punzinet.processors.features import PeakProcessor

Events = Callable[..., dict[str, np.ndarray]]
MASSES = np.arange(1.0, 7.0)
SCALE = 0.9 / 2000


def peaks_of(path: Path, chunk_size: int, run_processor: Callable[..., Any]) -> np.ndarray:
    dataset = DatasetInfo("signal", "signal", np.full(6, SCALE), MASSES)
    return run_processor(PeakProcessor([dataset]), {"signal": path}, chunk_size).view()


@pytest.mark.parametrize("chunk_size", [100_000, 1700])
def test_peaks_are_histograms_of_each_mass(
    *, chunk_size: int, tmp_path: Path, make_events: Events, write_ntuple: Callable[..., Path],
    run_processor: Callable[..., Any],
) -> None:  # fmt: skip
    rng = np.random.default_rng(1)
    mass = rng.choice(MASSES, 5000)
    events = make_events(1, 5000, mass) | {"weight": rng.exponential(size=5000)}
    peaks = peaks_of(write_ntuple(tmp_path / "s.root", events), chunk_size, run_processor)
    m2 = dimuon_kinematics(
        (events["px1"], events["py1"], events["pz1"]),
        (events["px2"], events["py2"], events["pz2"]),
        Beams().total,
        Beams().electron_direction,
    ).m2_recoil
    edges = peak_edges(RECOIL.peak_reach)
    for i, m in enumerate(MASSES):
        own = mass == m
        for name, power in (("value", 1), ("variance", 2)):
            weights = (SCALE * events["weight"][own]) ** power
            expected, _ = np.histogram(m2[own] - m**2, edges, weights=weights)
            np.testing.assert_allclose(peaks[name][i].sum(), expected.sum(), rtol=1e-9)
            # Rounding may move an event on an edge to the next bin.
            moved = np.abs(np.cumsum(peaks[name][i] - expected)).max()
            assert moved <= weights.max() + 1e-15


@pytest.mark.parametrize("chunk_size", [1000, 100])
def test_without_signal_of_a_mass_its_peak_stays_empty(
    *, chunk_size: int, tmp_path: Path, make_events: Events, write_ntuple: Callable[..., Path],
    run_processor: Callable[..., Any],
) -> None:  # fmt: skip
    """The last chunk may hold no hypothesis at all."""
    events = make_events(1, 300, np.repeat([1.0, 3.0, 9.0], 100))
    peaks = peaks_of(write_ntuple(tmp_path / "s.root", events), chunk_size, run_processor)
    assert np.flatnonzero(peaks["value"].sum(axis=1)).tolist() == [0, 2]
