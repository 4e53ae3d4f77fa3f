import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.histograms import drawn_quantities, read_spectrum
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.network import PunziNet
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.search import RECOIL, SearchSettings
from punzinet.analysis.windows import Windows
from punzinet.processors.datasets import describe_datasets
from punzinet.processors.executors import Execution
from punzinet.processors.ntuples.preflight import preflight
from punzinet.processors.runs.features import run_features
from punzinet.processors.runs.selection import run_selection
from punzinet.processors.selection import SelectionProcessor

Make = Callable[..., Manifest]


@dataclass
class Stranger:
    """A network with an input that nobody computes."""

    features: tuple[str, ...] = ("pt_mumu", "charm")

    def logit_numpy(self, x: np.ndarray) -> np.ndarray:
        return x[:, 0]


def make_network() -> PunziNet:
    return PunziNet(FEATURES[::-1], [0.0, -5.0, 0.0, 0.0], [5.0] * 4, rng=np.random.default_rng(3))


def outputs_of(table: pl.DataFrame) -> np.ndarray:
    """Outputs of the network before the sigmoid."""
    network = make_network()
    return network.logit_numpy(table[list(network.features)].to_numpy())


@pytest.fixture(scope="module")
def manifest(ntuples: dict[str, Path], make_manifest: Make) -> Manifest:
    return make_manifest(ntuples)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> OutputFolder:
    """Tensors, a network with its inputs in another order, and its selection."""
    output = OutputFolder(tmp_path_factory.mktemp("output"))
    run_features(manifest, output, Execution())
    windows = Windows.read(output.windows)
    # The cut lies on the output of one of the events, as an optimal cut always does.
    outputs = np.sort(outputs_of(pl.read_parquet(output.tensors / "*" / "*.parquet")))
    cut = float(outputs[len(outputs) // 2])
    make_network().save(output.network("punzi"), windows, {}, {}, cut=cut)
    make_network().save(output.network("cutless"), windows, {}, {})
    written = run_selection(manifest, output, Execution(), network="punzi")
    assert written == [output.histograms, output.selection_cutflow]
    return output


def test_selection_agrees_with_the_tensors(done: OutputFolder) -> None:
    windows = Windows.read(done.windows)
    record = json.loads(done.selection_cutflow.read_text())
    assert [row["mass"] for row in record["hypotheses"]] == windows.mass.tolist()
    cut = record["provenance"]["settings"]["cut"]
    table = pl.read_parquet(done.tensors / "*" / "*.parquet")
    passed = pl.Series(outputs_of(table) >= cut)
    assert passed.sum() == len(table) - len(table) // 2
    for stage, events in (("before", table), ("after", table.filter(passed))):
        for m, row in enumerate(record["hypotheses"]):
            inside = events.filter((pl.col("window_start") <= m) & (m < pl.col("window_stop")))
            for process in ("signal", "tautau", "eemumu"):
                expected = inside.filter(pl.col("process") == process)["weight"].sum()
                assert row[stage][process] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_spectra_hold_every_usable_event(done: OutputFolder) -> None:
    record = json.loads(done.selection_cutflow.read_text())["datasets"]
    for variable in drawn_quantities(RECOIL.variable).values():
        backgrounds, signals = read_spectrum(done.histograms, "before", variable)
        for process, entries in (("tautau", 7000), ("eemumu", 3000)):
            contents = backgrounds[process, :].values(flow=True).sum()
            assert contents == pytest.approx(entries * 0.9 * 0.5)
        assert list(signals) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        for signal in signals.values():
            assert signal.values(flow=True).sum() == pytest.approx(0.9)
        backgrounds, signals = read_spectrum(done.histograms, "after", variable)
        for process in ("tautau", "eemumu"):
            kept = record[process]["cutflow"][-1]
            assert kept["step"] == "kept"
            contents = backgrounds[process, :].values(flow=True).sum()
            assert contents == pytest.approx(kept["weight"])
        total = sum(signal.values(flow=True).sum() for signal in signals.values())
        assert total == pytest.approx(record["signal"]["cutflow"][-1]["weight"])


def test_signal_peaks_at_its_mass(done: OutputFolder) -> None:
    _, signals = read_spectrum(done.histograms, "before", RECOIL.variable.mass)
    for mass, signal in signals.items():
        peak = signal.axes[0].centers[np.argmax(signal.values())]
        assert peak == pytest.approx(mass, abs=0.11)


def test_the_cutflow_names_what_the_cut_drops(done: OutputFolder) -> None:
    for dataset in json.loads(done.selection_cutflow.read_text())["datasets"].values():
        lines = {line["step"]: line["entries"] for line in dataset["cutflow"]}
        below = lines["dropped: network output below the cut"]
        assert 0 < below < lines["entries read"]
        assert lines["kept"] == lines["entries read"] - below


def test_processes_on_other_cores_write_the_same_bytes(
    done: OutputFolder, manifest: Manifest
) -> None:
    before = [path.read_bytes() for path in (done.histograms, done.selection_cutflow)]
    run_selection(manifest, done, Execution("futures", 2), network="punzi")
    assert [path.read_bytes() for path in (done.histograms, done.selection_cutflow)] == before


def test_a_network_without_a_cut_selects_nothing(done: OutputFolder, manifest: Manifest) -> None:
    with pytest.raises(InputError, match="network has no cut"):
        run_selection(manifest, done, Execution(), network="cutless")


def test_a_network_of_another_search_is_refused(done: OutputFolder, manifest: Manifest) -> None:
    datasets = describe_datasets(manifest, preflight(manifest)).values()
    windows = Windows.read(done.windows)
    with pytest.raises(InputError, match="trained on pt_mumu, charm in windows of m2_recoil, but"):
        SelectionProcessor(datasets, windows, Stranger(), 0.0)
    of_pairs = replace(windows, search=SearchSettings(variable="m_mumu").resolved)
    with pytest.raises(InputError, match=r"in windows of m_mumu, but .* the variable m2_recoil"):
        SelectionProcessor(datasets, of_pairs, make_network(), 0.0)


def test_luminosity_shrinks_with_what_was_selected(
    tmp_path: Path, ntuples: dict[str, Path], make_manifest: Make
) -> None:
    """3000 of 10000 entries: each of them stands for as many events more."""
    good, bad = tmp_path / "good.root", tmp_path / "bad.root"
    good.write_bytes(ntuples["eemumu"].read_bytes())
    bad.write_bytes(ntuples["tautau"].read_bytes()[:100_000])
    tautau = {"process": "tautau", "files": [str(good), str(bad)], "entries": 10_000}
    manifest = make_manifest({**ntuples, "tautau": tautau})
    output = OutputFolder(tmp_path / "output")
    run_features(manifest, output, Execution(), allow_missing=True)
    make_network().save(output.network("punzi"), Windows.read(output.windows), {}, {}, cut=0.0)
    with pytest.raises(InputError, match=r"bad\.root is truncated"):
        run_selection(manifest, output, Execution(), network="punzi")
    run_selection(manifest, output, Execution(), network="punzi", allow_missing=True)
    record = json.loads(output.selection_cutflow.read_text())
    assert record["provenance"]["settings"]["processed"] == {"tautau": 0.3}
    first = record["datasets"]["tautau"]["cutflow"][0]
    assert first["entries"] == 3000
    assert first["weight"] == pytest.approx(3000 * 0.9 * 50 / (100 * 0.3))
