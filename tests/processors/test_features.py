"""Peaks, features, observables: the right events and numbers, in tables that everybody can read."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch
from coffea.nanoevents import BaseSchema
from coffea.processor import IterativeExecutor, Runner
from hypothesis import given
from hypothesis import strategies as st
from outputs import entries_of
from small_data import MASSES, kinematics_of, make_events, make_manifest, to_cms, write_ntuple

from punzinet.analysis.folds import IDENTITY, Folds, fold_of
from punzinet.analysis.manifest.datasets import CMS_BRANCHES
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.observables import CANDIDATES, FEATURES
from punzinet.analysis.peak_fit import peak_edges
from punzinet.analysis.search import RECOIL, SearchSettings
from punzinet.processors import features
from punzinet.processors.datasets import DatasetInfo, describe_datasets
from punzinet.processors.duplicates import scan_identities
from punzinet.processors.features import FeatureProcessor, ObservableProcessor, PeakProcessor
from punzinet.processors.preflight import preflight

SCALE = 0.9 / 2000
SIGNAL = DatasetInfo("signal", "signal", np.full(6, SCALE), np.array(MASSES))


def run_processor(processor, files, chunk_size):
    """What a processor makes of a file by dataset in coffea's own runner, as anybody would."""
    executor = IterativeExecutor(status=False)
    runner = Runner(executor, schema=BaseSchema, chunksize=chunk_size, metadata_cache={})
    fileset = {name: [str(path)] for name, path in files.items()}
    return runner(fileset, processor_instance=processor, treename="variables")


@pytest.mark.parametrize("chunk_size", [100_000, 1700])
def test_peaks_are_histograms_of_each_mass(chunk_size, tmp_path):
    """There may be no signal of some mass (4 GeV), and no hypothesis (9 GeV) in the last chunk."""
    rng = np.random.default_rng(1)
    mass = np.append(rng.choice([1.0, 2.0, 3.0, 5.0, 6.0], 5000), np.full(2000, 9.0))
    events = make_events(1, 7000, mass) | {"weight": rng.exponential(size=7000)}
    files = {"signal": write_ntuple(tmp_path / "s.root", events)}
    peaks = run_processor(PeakProcessor([SIGNAL]), files, chunk_size).view()
    assert np.flatnonzero(peaks["value"].sum(axis=1)).tolist() == [0, 1, 2, 4, 5]
    m2, edges = kinematics_of(events).m2_recoil, peak_edges(RECOIL.peak_reach)
    for i, m in enumerate(MASSES):
        own = mass == m
        for name, power in (("value", 1), ("variance", 2)):
            weights = (SCALE * events["weight"][own]) ** power
            expected, _ = np.histogram(m2[own] - m**2, edges, weights=weights)
            np.testing.assert_allclose(peaks[name][i].sum(), expected.sum(), rtol=1e-9)
            # Rounding may move an event on an edge to the next bin.
            moved = np.abs(np.cumsum(peaks[name][i] - expected)).max()
            assert moved <= weights.max(initial=0.0) + 1e-15


def test_peaks_are_of_signal_of_the_same_hypotheses(tmp_path):
    """Background with hypotheses, as a manifest describes it, adds nothing to any peak."""
    background = DatasetInfo("tautau", "tautau", hypotheses=np.array(MASSES))
    files = {"tautau": write_ntuple(tmp_path / "b.root", make_events(2, 3000))}
    peaks = run_processor(PeakProcessor([background, SIGNAL]), files, 700).view()
    assert (len(peaks), peaks["value"].sum()) == (6, 0)
    other = DatasetInfo("more", "signal", np.ones(2), np.array([3.0, 4.0]))
    for datasets in ([SIGNAL, other], [background]):
        with pytest.raises(ValueError, match="that all have one search and hypotheses"):
            PeakProcessor(datasets)


def test_windows_in_another_variable_are_refused(wide_windows):
    of_pairs = replace(SIGNAL, name="pairs", search=SearchSettings(variable="m_mumu").resolved)
    with pytest.raises(ValueError, match="windows are in m2_recoil, not in m_mumu"):
        FeatureProcessor([of_pairs], wide_windows)
    with pytest.raises(ValueError, match="one search"):
        PeakProcessor([SIGNAL, of_pairs])


def test_signal_of_some_masses_only_lies_in_their_windows(wide_windows, tmp_path):
    """Its hypotheses are fewer than the windows: they are tied by mass, and not by rank."""
    mass = np.repeat([2.0, 4.0, 7.0], 500)
    files = {"signal": write_ntuple(tmp_path / "s.root", make_events(1, 1500, mass))}
    dataset = DatasetInfo("signal", "signal", np.full(3, 1 / 500), np.array([2.0, 4.0, 7.0]))
    found = run_processor(FeatureProcessor([dataset], wide_windows), files, 700)["signal"]
    table = pl.from_arrow(found["table"]).group_by("mass", "window_start", "window_stop").len()
    assert sorted(table.rows()) == [(2.0, 1, 2, 500), (4.0, 3, 4, 500)]
    assert found["hypotheses"][:, 1].tolist() == [500, 500, 0]


@pytest.mark.parametrize("how", [{"columns": {"px1": "mu_px", "run": "mu_run"}}, {"in_cms": True}])
def test_branches_that_are_not_said_are_those_of_basf2(wide_windows, tmp_path, how):
    """Such as a weight beside those of other names, and momenta in the CMS beside the others."""
    events = make_events(2, 2000) | {"weight": np.linspace(0.5, 2.0, 2000)}
    cms = to_cms(events, np.tile(Beams().total, (2000, 1)))
    events |= {CMS_BRANCHES[name]: cms[name] for name in CMS_BRANCHES}
    found = []
    for options in ({}, how):
        path = write_ntuple(tmp_path / f"{len(options)}.root", events, names=options.get("columns"))
        processor = FeatureProcessor([DatasetInfo("tautau", "tautau", **options)], wide_windows)
        found.append(run_processor(processor, {"tautau": path}, 2000)["tautau"])
    one, other = (made["cutflow"] for made in found)
    assert one == other
    assert one[0]["weight"] == pytest.approx(events["weight"].sum())
    tables = (pl.from_arrow(made["table"]) for made in found)
    np.testing.assert_allclose(*(table["m2_recoil"].to_numpy() for table in tables), rtol=1e-9)


def test_hypotheses_that_would_lose_all_signal_are_refused():
    for scale, masses in ((np.ones(6), MASSES[::-1]), (np.ones(5), MASSES), (np.ones(1), MASSES)):
        with pytest.raises(ValueError, match="ascending hypotheses, and 6 factors"):
            DatasetInfo("signal", "signal", scale, np.array(masses))


@pytest.fixture
def run(tmp_path, wide_windows):
    """Function (columns, process, chunk_size) that makes the features of an ntuple."""

    def make(columns, process, chunk_size=700, **where):
        files = {process: write_ntuple(tmp_path / f"{process}.root", columns)}
        dataset = SIGNAL
        if process != "signal":
            dataset = DatasetInfo(process, process, np.array([0.45]), wide_windows.mass)
        processor = FeatureProcessor([dataset], wide_windows, **where)
        return run_processor(processor, files, chunk_size)[process]

    return make


def test_background_is_kept_in_any_window_and_written_between_them(wide_windows, run):
    events = make_events(5, 3000) | {"weight": np.linspace(0.5, 2.0, 3000)}
    expected, m2 = kinematics_of(events)
    mask = (m2[:, None] > wide_windows.low) & (m2[:, None] < wide_windows.high)
    kept = mask.any(axis=1)
    assert 0 < kept.sum() < 3000
    assert (mask.sum(axis=1) > 1).any()
    result = run(events, "tautau")
    everything, inside = (
        pl.from_arrow(result["table"]),
        pl.col("window_start") < pl.col("window_stop"),
    )
    between = ~kept & (m2 > wide_windows.low[0]) & (m2 < wide_windows.high[-1])
    assert between.any()
    np.testing.assert_array_equal(everything.filter(~inside)["event"], np.flatnonzero(between))
    table = everything.filter(inside)
    np.testing.assert_array_equal(table["event"], np.flatnonzero(kept))
    start, stop = table["window_start"].to_numpy(), table["window_stop"].to_numpy()
    index = np.arange(6)
    np.testing.assert_array_equal((index >= start[:, None]) & (index < stop[:, None]), mask[kept])
    np.testing.assert_array_equal(table["m2_recoil"], m2[kept])
    for i, name in enumerate(FEATURES):
        np.testing.assert_array_equal(table[name], expected[kept, i].astype(np.float32))
    np.testing.assert_allclose(table["weight"], 0.9 * 0.5 * events["weight"][kept], rtol=1e-15)
    identity = [events[name] for name in IDENTITY]
    np.testing.assert_array_equal(table["fold"], fold_of(*identity, "tautau")[kept])
    assert table["mass"].null_count() == len(table)
    assert set(table["dataset"]) == set(table["process"]) == {"tautau"}
    entries = entries_of(result["cutflow"])
    assert entries["entries read"] == 3000
    assert entries[features.NO_WINDOW.format("recoil mass")] == 3000 - kept.sum()
    assert result["cutflow"][-1]["weight"] == pytest.approx(table["weight"].sum())


def test_signal_is_kept_in_its_own_window_only(wide_windows, run):
    mass = np.random.default_rng(1).choice(MASSES, 3000)
    events = make_events(6, 3000, mass, resolution=0.05)
    m2, own = kinematics_of(events).m2_recoil, (mass - 1).astype(int)
    mask = (m2[:, None] > wide_windows.low) & (m2[:, None] < wide_windows.high)
    kept = mask[np.arange(3000), own]
    in_another = mask.any(axis=1) & ~kept
    assert in_another.any()
    result = run(events, "signal")
    table = pl.from_arrow(result["table"])
    np.testing.assert_array_equal(table["event"], np.flatnonzero(kept))
    np.testing.assert_array_equal(table["window_start"], own[kept])
    np.testing.assert_array_equal(table["window_stop"], own[kept] + 1)
    np.testing.assert_array_equal(table["mass"], mass[kept])
    entries = entries_of(result["cutflow"])
    assert entries[features.NOT_ITS_WINDOW.format("recoil mass")] == in_another.sum()
    for m, (usable, inside, efficiency, *_) in enumerate(result["hypotheses"]):
        assert usable == (own == m).sum()
        assert inside == (kept & (own == m)).sum()
        assert efficiency == pytest.approx(inside * SCALE)


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 4), min_size=1, max_size=20))
def test_identities_are_compared_like_tuples(identities):
    pairs = list(itertools.pairwise(identities))
    expected = sum(a == b for a, b in pairs), all(a <= b for a, b in pairs)
    assert scan_identities(*np.array(identities).T) == expected


def test_what_is_written_is_read_by_everybody(run, tmp_path):
    """One file a chunk, of two groups of rows, and what repeats takes no space."""
    events, folder = make_events(8, 100_000), tmp_path / "tensors" / "tautau"
    expected = run(events, "tautau", 60_000)["table"].to_pandas()
    folder.mkdir(parents=True)
    assert "table" not in run(events, "tautau", 60_000, folder=folder.parent)
    paths = sorted(folder.iterdir())
    names = [["tautau", "0-50000.parquet"], ["tautau", "50000-100000.parquet"]]
    assert [path.name.split("-", 2)[::2] for path in paths] == names
    assert pq.read_schema(paths[0]).remove_metadata().equals(features.tensor_schema(RECOIL))
    read = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    also = pl.read_parquet(paths)
    for name in expected.columns:
        np.testing.assert_array_equal(read[name], expected[name])
        np.testing.assert_array_equal(also[name].to_pandas(), expected[name])
    assert torch.from_numpy(also[list(FEATURES)].to_numpy(writable=True)).dtype == torch.float32
    metadata = pq.ParquetFile(paths[0]).metadata
    assert metadata.num_row_groups == 2
    group = metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    for name in ("experiment", "run", "dataset", "process", "mass", "window_start", "fold"):
        assert columns[name].total_compressed_size < group.num_rows, name


def test_files_of_one_name_in_several_folders_do_not_overwrite_each_other(wide_windows, tmp_path):
    """Nor those of a fileset with a name of its own; one without entries leaves none."""
    files = [
        write_ntuple(tmp_path / f"run{n}" / "t.root", make_events(n, n * 250)) for n in range(3)
    ]
    fileset = {
        "treename": "variables", "files": [*map(str, files)], "metadata": {"name": "tau pairs"}
    }  # fmt: skip
    tautau = DatasetInfo("tautau", "tautau", np.array([0.45]), wide_windows.mass)
    processor = FeatureProcessor([tautau], wide_windows, folder=tmp_path / "tensors")
    runner = Runner(IterativeExecutor(status=False), schema=BaseSchema, metadata_cache={})
    found = runner({"tautau": fileset}, processor_instance=processor)
    assert found["tautau"]["cutflow"][0]["entries"] == 750
    assert len([*(tmp_path / "tensors" / "tautau").iterdir()]) == 2


def test_no_rows_can_be_written_and_the_same_rows_are_the_same_bytes(run, tmp_path):
    table = run(make_events(8, 500), "tautau")["table"]
    for name, rows in (("a", table), ("b", table), ("none", table[:0])):
        features.write_table(tmp_path / name, rows, RECOIL)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert pq.read_table(tmp_path / "none").num_rows == 0


@pytest.fixture
def datasets(ntuples):
    manifest = make_manifest(ntuples)
    return describe_datasets(manifest, preflight(manifest)[0])


@pytest.fixture
def observe(datasets, ntuples, wide_windows):
    """Observables of a share of the small ntuples."""

    def run(share=1.0, chunk_size=1900):
        shares = dict.fromkeys(datasets, share)
        processor = ObservableProcessor(datasets.values(), wide_windows, shares)
        return run_processor(processor, ntuples, chunk_size)

    return run


def test_networks_train_on_the_same_events(observe, datasets, ntuples, wide_windows, tmp_path):
    from punzinet.analysis.training.data import load_sample  # noqa: PLC0415 - slow to import

    for name in datasets:
        (tmp_path / name).mkdir()
    run_processor(FeatureProcessor(datasets.values(), wide_windows, tmp_path), ntuples, 1000)
    folds = Folds(validation=4, test=3)
    sample, observed = load_sample(tmp_path, wide_windows, folds), observe()
    assert observed.observables.shape == (len(observed.weight), len(CANDIDATES))
    parts = sample.training, sample.validation, sample.test
    for events, rows in zip(parts, folds.rows(observed.fold), strict=True):
        assert len(events) == np.count_nonzero(rows)
        mine = observed.observables[rows][:, : len(FEATURES)]
        order, others = np.lexsort(mine.T), np.lexsort(events.features)
        np.testing.assert_array_equal(mine[order], events.features.T[others])
        weight = observed.weight[rows][order].astype(np.float32)
        np.testing.assert_array_equal(weight, events.weight[others])
    assert np.isfinite(observed.observables).all()
    assert observed.signal.any()
    assert wide_windows.training[observed.hypothesis[observed.signal]].all()


def test_a_share_is_the_same_in_all_chunks(observe):
    everything, some, again = observe(), observe(0.3), observe(0.3, chunk_size=1100)
    np.testing.assert_array_equal(some.observables, again.observables)
    n = len(everything.weight)
    assert len(some.weight) == pytest.approx(0.3 * n, abs=5 * np.sqrt(n))
