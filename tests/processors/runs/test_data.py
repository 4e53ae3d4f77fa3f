"""Data made of the simulated mixture: what is seen of it, and what it leaves alone."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import yaml
from outputs import contents, datasets_of, entries_of, read_tensors, settings_of
from pages import ROOT, blocks
from scipy.stats import chi2
from small_data import make_events, make_manifest, write_ntuple
from small_runs import make_features, save_network, untrained

from punzinet.analysis.io.histograms import STAGES, read_comparison, read_spectrum
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.search import RECOIL
from punzinet.processors.executors import Execution
from punzinet.processors.runs.selection import run_selection

BLINDED = "blinded: not to be seen before --unblind"
#: fb^-1 of the data, and what it holds on average of each background of the small manifest, whose
#: samples are of 100 fb^-1 and pass the trigger with 90 %.
LUMINOSITY = 300.0
EXPECTED = {"tautau": 7000 * 3 * 0.9, "eemumu": 3000 * 3 * 0.9}
SHARE = 0.1


def lines(path):
    return entries_of(datasets_of(path)["measured"]["cutflow"])


def events_in(output):
    """Identities of the measured events that were written."""
    table = read_tensors(output.data_tensors)
    assert table["process"].unique().to_list() == ["data"]
    assert table["mass"].is_null().all()
    return set(table.select("production", "event").iter_rows())


def run_on_data(manifest, output, *, unblind=False):
    """What a user does when data, or how much of it is seen, has changed."""
    make_features(manifest, output.root, data=True, unblind=unblind)
    run_selection(manifest, output, Execution(), "punzi", unblind=unblind)


def select_elsewhere(manifest, done, folder):
    """The selection by the same network in another folder."""
    output = OutputFolder(folder)
    output.network("punzi").parent.mkdir(parents=True)
    output.network("punzi").symlink_to(done.network("punzi"))
    if not output.tensors.exists():
        output.tensors.symlink_to(done.tensors)
        output.windows.symlink_to(done.windows)
    run_selection(manifest, output, Execution(), "punzi")
    return output


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A dataset of pseudo-data: other events of the same mixture, without a generated mass."""
    rng = np.random.default_rng(8)
    folder = tmp_path_factory.mktemp("measured")
    files = []
    for seed, (name, mean) in enumerate(EXPECTED.items(), 50):
        events = make_events(seed, int(rng.poisson(mean)))
        events["px1"][:10] = np.nan
        files.append(str(write_ntuple(folder / f"{name}.root", events)))
    return {"process": "data", "files": files, "luminosity": LUMINOSITY}


@pytest.fixture(scope="module")
def manifest(ntuples, measured):
    return make_manifest({**ntuples, "measured": measured})


@pytest.fixture(scope="module")
def done(tmp_path_factory, manifest):
    """Features of simulation and data, a network, and its selection, all of it blinded."""
    output = make_features(manifest, tmp_path_factory.mktemp("output"))
    table = read_tensors(output.tensors, "tautau")
    cut = float(np.median(untrained().perceptron.logit(table[list(FEATURES)].to_numpy())))
    save_network(output, "punzi", cut)
    run_on_data(manifest, output)
    return output


def test_training_tensors_do_not_know_whether_there_is_data(done, ntuples, tmp_path):
    without = make_manifest(ntuples)
    make_features(without, tmp_path)
    other = select_elsewhere(without, done, tmp_path)
    assert contents(other.tensors) == contents(done.tensors)
    processes = pl.read_parquet(done.tensors / "*" / "*.parquet")["process"].unique()
    assert sorted(processes) == ["eemumu", "signal", "tautau"]
    assert "measured" not in datasets_of(done.features_cutflow)
    assert other.histograms.read_bytes() == done.histograms.read_bytes()
    assert not other.comparison.exists()
    assert "data" not in json.loads(other.selection_cutflow.read_text())


def test_every_entry_is_kept_rejected_or_blinded(done):
    complete = datasets_of(done.data_completeness)["measured"]
    found = lines(done.data_cutflow)
    assert complete["read"] == complete["present"] == found["entries read"]
    assert complete["read"] == complete["kept"] + complete["rejected"] + complete["blinded"]
    assert (complete["kept"], complete["blinded"]) == (found["kept"], found[BLINDED])
    usable = found["entries read"] - 20
    assert found["dropped: momentum, beam or weight is no finite number"] == 20
    spread = np.sqrt(usable * SHARE * (1 - SHARE))
    assert found[BLINDED] == pytest.approx((1 - SHARE) * usable, abs=4 * spread)
    assert lines(done.selection_cutflow)[BLINDED] == found[BLINDED]


def test_nothing_is_written_of_what_is_blinded(done, manifest):
    assert len(events_in(done)) == lines(done.data_cutflow)["kept"]
    found = lines(done.selection_cutflow)
    for stage in STAGES:
        visible = found["kept"]
        if stage == "before":
            visible += found["dropped: network output below the cut"]
        for variable in ("m_recoil", *FEATURES):
            data, _ = read_comparison(done.comparison, stage, variable)
            assert data.values(flow=True).sum() == visible
    settings = settings_of(done.data_cutflow)
    assert settings["blinding"] == manifest.blinding.model_dump(mode="json")
    assert "unblind" not in settings


def compatibility(output, stage, variable):
    """Probability of a χ² between data and simulation at least as large as the one found."""
    data, backgrounds = read_comparison(output.comparison, stage, variable)
    simulated = backgrounds.project(variable)
    variance = data.variances(flow=True) + simulated.variances(flow=True)
    filled = simulated.values(flow=True) > 5
    distance = (data.values(flow=True) - simulated.values(flow=True))[filled] ** 2
    return float(chi2.sf((distance / variance[filled]).sum(), filled.sum()))


def assert_closure(output, share):
    """Data of the simulated mixture agrees with the simulation, in size and in shape."""
    record = json.loads(output.selection_cutflow.read_text())["data"]
    assert record["luminosity"] == pytest.approx(share * LUMINOSITY)
    for stage in STAGES:
        for variable in ("m_recoil", *FEATURES):
            data, backgrounds = read_comparison(output.comparison, stage, variable)
            seen, expected = data.sum(flow=True), backgrounds.sum(flow=True)
            spread = np.sqrt(seen.variance + expected.variance)
            assert seen.value == pytest.approx(expected.value, abs=3 * spread)
            assert compatibility(output, stage, variable) > 0.001


def test_unblinding_shows_all_and_blinding_hides_it_again(done, manifest):
    assert_closure(done, SHARE)
    places = (done.root / "data", done.root / "selection")
    blind, before = events_in(done), [contents(place) for place in places]
    run_on_data(manifest, done, unblind=True)
    assert blind < events_in(done)
    assert BLINDED not in lines(done.data_cutflow)
    assert BLINDED not in lines(done.selection_cutflow)
    data, _ = read_comparison(done.comparison, "before", "m_recoil")
    assert data.values(flow=True).sum() == lines(done.data_cutflow)["entries read"] - 20
    for path in (done.data_cutflow, done.data_completeness, done.selection_cutflow):
        settings = settings_of(path)
        assert settings["unblind"] is True
        assert "blinding" not in settings
    assert_closure(done, 1.0)
    record = json.loads(done.selection_cutflow.read_text())
    assert "data" not in record["hypotheses"][0]["before"]
    backgrounds, _ = read_spectrum(done.histograms, "before", RECOIL.variable.mass)
    assert list(backgrounds.axes["process"]) == ["eemumu", "tautau"]
    for stage in STAGES:
        for m, row in enumerate(record["hypotheses"]):
            expected = sum(row[stage][name] for name in ("tautau", "eemumu")) * LUMINOSITY / 50
            seen = record["data"]["in_windows"][stage][m]
            assert seen == pytest.approx(expected, abs=4 * np.sqrt(1.4 * expected) + 3)
    run_on_data(manifest, done)
    assert [contents(place) for place in places] == before


def test_another_name_shows_no_other_events(done, ntuples, measured, tmp_path):
    shutil.copy(done.windows, tmp_path)
    renamed = make_manifest({**ntuples, "later": measured})
    assert events_in(make_features(renamed, tmp_path, data=True)) == events_in(done)


def test_a_wrong_luminosity_does_not_close(done, ntuples, measured, tmp_path):
    wrong = make_manifest({**ntuples, "measured": {**measured, "luminosity": 1.5 * LUMINOSITY}})
    assert compatibility(select_elsewhere(wrong, done, tmp_path), "before", "m_recoil") < 1e-6


def test_a_signal_region_is_empty_in_data_and_simulation(done, ntuples, measured, tmp_path):
    files = {**ntuples, "measured": measured}
    sideband = make_manifest(files, blinding={"signal_region": [2.0, 6.0]})
    output = select_elsewhere(sideband, done, tmp_path)
    for stage in STAGES:
        data, backgrounds = read_comparison(output.comparison, stage, "m_recoil")
        edges = data.axes[0].edges
        hidden = (edges[:-1] > 1.99) & (edges[1:] < 6.01)
        for histogram in (data, backgrounds.project("m_recoil")):
            assert not histogram.values()[hidden].any()
            assert histogram.values()[~hidden].sum() > 0
    assert_closure(output, 1.0)


def test_the_manifest_of_the_page_is_one():
    (block,) = blocks("yaml", ROOT / "docs" / "data.md")
    manifest = Manifest.model_validate(yaml.safe_load(block) | {"hypotheses": {"masses": [1.0]}})
    assert manifest.seen_of_data(unblind=False)["blinding"]["fraction"] == SHARE
