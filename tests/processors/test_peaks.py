from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from punzinet.analysis.beams import Beams
from punzinet.analysis.features import dimuon_kinematics
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.peak_fit import peak_edges
from punzinet.processors.candidates import make_samples
from punzinet.processors.executors import Execution, open_executor
from punzinet.processors.ledger import Ledger
from punzinet.processors.peaks import PeakProcessor, merge_peaks
from punzinet.processors.preflight import preflight
from punzinet.processors.runner import plan_chunks, run_processor

Make = Callable[..., Manifest]
Events = Callable[..., dict[str, np.ndarray]]


def peaks_of(manifest: Manifest, chunk_size: int, folder: Path) -> np.ndarray:
    files = preflight(manifest)
    signal = [file for file in files if file.dataset == "signal"]
    processor = PeakProcessor(make_samples(manifest, files))
    with open_executor(Execution()) as executor:
        parts = run_processor(
            processor, signal, plan_chunks(signal, chunk_size), executor, Ledger(folder),
            step="peaks", title="Peaks",
        )  # fmt: skip
    return merge_peaks(parts.values(), len(manifest.hypotheses.mass))


@pytest.mark.parametrize("chunk_size", [100_000, 1700])
def test_peaks_are_histograms_of_each_mass(
    *, chunk_size: int, tmp_path: Path, make_manifest: Make, make_events: Events,
    write_ntuple: Callable[..., Path], ntuples: dict[str, Path],
) -> None:  # fmt: skip
    rng = np.random.default_rng(1)
    mass = rng.choice(np.arange(1.0, 7.0), 5000)
    events = make_events(1, 5000, mass) | {"weight": rng.exponential(size=5000)}
    path = write_ntuple(tmp_path / "signal.root", events)
    manifest = make_manifest({"signal": path, "tautau": ntuples["tautau"]})
    peaks = peaks_of(manifest, chunk_size, tmp_path / "ledger")
    m2 = dimuon_kinematics(
        (events["px1"], events["py1"], events["pz1"]),
        (events["px2"], events["py2"], events["pz2"]),
        Beams().total,
        Beams().electron_direction,
    ).m2_recoil
    scale = 0.9 / 2000
    edges = peak_edges(manifest.search.resolved.peak_reach)
    for i, m in enumerate(manifest.hypotheses.mass):
        own = mass == m
        for power in (1, 2):
            weights = (scale * events["weight"][own]) ** power
            expected, _ = np.histogram(m2[own] - m**2, edges, weights=weights)
            np.testing.assert_allclose(peaks[i, power - 1].sum(), expected.sum(), rtol=1e-9)
            # Rounding may move an event on an edge to the next bin.
            moved = np.abs(np.cumsum(peaks[i, power - 1] - expected)).max()
            assert moved <= weights.max() + 1e-15


def test_without_signal_of_a_mass_its_peak_stays_empty(
    tmp_path: Path, make_manifest: Make, make_events: Events,
    write_ntuple: Callable[..., Path], ntuples: dict[str, Path],
) -> None:  # fmt: skip
    path = write_ntuple(
        tmp_path / "signal.root", make_events(1, 300, np.repeat([1.0, 3.0, 9.0], 100))
    )
    peaks = peaks_of(
        make_manifest({"signal": path, "tautau": ntuples["tautau"]}), 1000, tmp_path / "ledger"
    )
    assert np.flatnonzero(peaks[:, 0].sum(axis=1)).tolist() == [0, 2]
