"""Counts behind the cut, of data and of pseudo-data, and when nothing of data is seen."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
from outputs import contents, settings_of
from small_data import GENERATED, make_events, make_manifest, write_ntuple
from small_runs import linked, make_features, save_network, untrained

from punzinet.analysis.evaluation import Judge
from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.limits.global_p import global_p_value
from punzinet.analysis.limits.model import measure_yields
from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.limits.scan import Scan, draw_pseudo_data
from punzinet.analysis.limits.sidebands import Spectrum
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.training.data import judging_column, load_sample
from punzinet.analysis.windows import Windows
from punzinet.processors.executors import Execution
from punzinet.processors.runs import observation
from punzinet.processors.runs.limits import run_limits
from punzinet.processors.runs.observation import read_injected
from punzinet.processors.runs.selection import run_selection

MASSES = (2.0, 2.1, 2.2, 2.3, 4.0, 6.0)  # GeV; the windows of the first four overlap
LUMINOSITY = 30.0  # fb^-1 of the data, less than the target
SETTINGS = {
    "limits": {"experiments": 200, "background_uncertainty": 0.01},
    "hypotheses": {"masses": MASSES},
}


@pytest.fixture(scope="module")
def simulated(ntuples, tmp_path_factory):
    """Signal of masses that lie close together, and backgrounds."""
    mass = np.repeat(MASSES, GENERATED)
    path = tmp_path_factory.mktemp("signal") / "signal.root"
    return {**ntuples, "signal": write_ntuple(path, make_events(1, len(mass), mass))}


@pytest.fixture(scope="module")
def manifest(simulated, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "runs.root"
    write_ntuple(path, make_events(70, 2700))
    data = {"process": "data", "files": [str(path)], "luminosity": LUMINOSITY}
    return make_manifest({**simulated, "runs": data}, **SETTINGS)


@pytest.fixture(scope="module")
def done(manifest, tmp_path_factory):
    """Features of simulation and of all data, a network, and its selection."""
    output = make_features(manifest, tmp_path_factory.mktemp("observed"))
    make_features(manifest, output.root, data=True, unblind=True)
    table = pl.read_parquet(output.tensors / "tautau" / "*.parquet")
    cut = float(np.quantile(untrained().perceptron.logit(table[list(FEATURES)].to_numpy()), 0.8))
    save_network(output, "punzi-00", cut)
    run_selection(manifest, output, Execution(), "punzi-00", unblind=True)
    return output


@pytest.fixture(scope="module")
def judged(manifest, done):
    """Judge, scan, network, yields of hypotheses, and the variable of the events that judge."""
    windows, folds = Windows.read(done.windows), manifest.training.folds
    sample = load_sample(done.tensors, windows, folds, every_mass=True)
    judge = Judge(sample, windows.training, manifest.figure_of_merit, manifest.luminosity)
    content = json.loads((done.network("punzi-00") / "network.json").read_text())
    variable = judging_column(done.tensors, windows, folds, windows.search.variable.name)
    network = untrained().perceptron
    cut = np.full(len(windows), content["cut"])
    known = measure_yields(judge.judging_fold, network, cut)
    return judge, Scan.of(windows), network, known, variable


def observe(manifest, output, *inject, **how):
    run_limits(manifest, output, "punzi-00", inject=inject, **how)
    return Observation.read(output.observed)


@pytest.fixture(scope="module")
def observed(manifest, done):
    return observe(manifest, done, unblind=True)


def test_counts_are_those_of_the_selection(observed, done):
    selection = json.loads(done.selection_cutflow.read_text())["data"]
    own = observed.hypothesis
    assert observed.mass[own].tolist() == list(MASSES)
    assert observed.count[own].tolist() == selection["in_windows"]["after"]
    assert observed.luminosity == selection["luminosity"] == LUMINOSITY
    assert observed.source == "data"
    assert settings_of(done.observed)["unblind"] is True


def test_what_is_expected_has_the_luminosity_of_the_data(observed, done):
    single, own = Limits.read(done.limits).selections["single"], observed.hypothesis
    np.testing.assert_allclose(observed.background[own], single.background * LUMINOSITY / 50)
    np.testing.assert_array_equal(observed.efficiency[own], single.efficiency)
    # The data is of the simulated mixture, 9000 events for 100 fb^-1.
    scatter = np.sqrt(observed.background + observed.background_error**2)
    assert (np.abs(observed.count - observed.background) < 4 * scatter).all()
    assert observed.global_p_value > 0.01


def test_between_hypotheses_test_events_are_counted_one_by_one(judged, done, manifest):
    judge, scan, network, known, variable = judged
    yields = scan.yields(judge, known, network, variable)
    for name in ("efficiency", "efficiency_error", "background", "background_error", "unseen"):
        column = getattr(yields, name)[..., scan.hypothesis]
        np.testing.assert_array_equal(column, getattr(known, name))
    assert np.setdiff1d(scan.mass, MASSES).tolist() == [2.05, 2.15, 2.25]
    table = pl.read_parquet(done.tensors / "tautau" / "*.parquet")
    behind = network.logit(table[list(FEATURES)].to_numpy()) >= known.cut[0]
    tested = table["fold"].to_numpy() == manifest.training.folds.judging
    weight, value = (table[name].to_numpy() for name in ("weight", "m2_recoil"))
    scale = weight.sum() / weight[tested].sum()
    row = yields.backgrounds.index("tautau")
    for i, (low, high) in enumerate(zip(scan.windows.low, scan.windows.high, strict=True)):
        rows = behind & tested & (low < value) & (value < high)
        assert yields.background[row, i] == pytest.approx(scale * weight[rows].sum(), rel=1e-5)


def test_cells_sum_up_to_windows(judged):
    judge, scan, network, known, variable = judged
    cells, background, error = scan.cells(judge, network, known.cut[0], variable)
    yields = scan.yields(judge, known, network, variable)
    np.testing.assert_allclose(cells.windows(background), yields.background.sum(axis=0), rtol=1e-6)
    assert (error[background > 0] > 0).all()


def test_pseudo_data_is_what_is_expected_on_average_and_background_does_not_know_of_signal(judged):
    judge, scan, network, known, variable = judged
    yields, own = scan.yields(judge, known, network, variable), scan.hypothesis[1]
    behind = network.logit(judge.judging_fold.events.features.T) >= known.cut[0]

    def count(signal, seed):
        times = draw_pseudo_data(judge, 50.0, signal, seed) * behind
        return Spectrum.of(np.repeat(variable, times)).sums(scan.windows.low, scan.windows.high)[0]

    counts = []
    for seed in range(200):
        alone, more = (count(signal, seed) for signal in ({}, {1: 40.0}))
        assert (more >= alone).all()
        assert not (more - alone)[scan.mass >= 4].any()  # whose windows lie apart
        counts.append((alone, more - alone))
    background, signal = np.mean(counts, axis=0)
    expected = yields.background.sum(axis=0)
    np.testing.assert_allclose(background, expected, atol=4 * np.sqrt(expected.max() / 200))
    mean = 40.0 * 50.0 * yields.efficiency[own]
    assert signal[own] == pytest.approx(mean, abs=4 * np.sqrt(mean / 200))


def test_pseudo_data_needs_no_data_and_says_what_it_is(simulated, done, tmp_path):
    output = OutputFolder(shutil.copytree(done.root, tmp_path / "output"))
    shutil.rmtree(output.root / "data")
    alone = make_manifest(simulated, **SETTINGS)
    nothing = observe(alone, output, "none")
    assert (nothing.source, nothing.injected) == ("pseudo-data", {})
    assert settings_of(output.observed)["source"] == "pseudo-data"
    assert nothing.significance.max() < 4
    assert nothing.global_p_value > 0.01
    row = nothing.mass.tolist().index(2.2)
    scatter = np.hypot(np.sqrt(nothing.background[row]), nothing.background_error[row])
    found = observe(alone, output, f"2.2:{5 * scatter / (50 * nothing.efficiency[row]):.0f}fb")
    (mass,) = found.injected
    best = np.argmin(found.p_value)
    assert mass == 2.2
    assert abs(found.mass[best] - mass) <= 0.05
    assert found.significance[best] > 4
    assert found.global_p_value < 0.01
    assert found.limit[row] > nothing.limit[row]
    assert (found.count >= nothing.count).all()


@pytest.mark.parametrize("how", [{}, {"inject": ("2:10fb",)}])
def test_blinded_nothing_of_data_is_read(manifest, done, tmp_path, how):
    """Files that nobody can read, and others, give the same results."""
    results = []
    for damage in (True, False):
        output = OutputFolder(shutil.copytree(done.root, tmp_path / f"{damage}"))
        shutil.rmtree(output.observed.parent, ignore_errors=True)
        for path in output.root.glob("data/**/*.*") if damage else ():
            path.write_bytes(b"damaged")
        run_limits(manifest, output, "punzi-00", **how)
        seen = {path.suffix for path in output.root.glob("limits/**/observed*")}
        assert seen == ({".json", ".csv", ".tex", ".yaml"} if how else set())
        results.append(contents(output.observed.parent))
    assert results[0] == results[1]


def test_hidden_data_is_not_observed(manifest, done, tmp_path):
    output = OutputFolder(shutil.copytree(done.root, tmp_path / "output"))
    make_features(manifest, output.root, data=True)
    shutil.rmtree(output.observed.parent)
    with pytest.raises(InputError, match="run `punzinet features --unblind` first"):
        run_limits(manifest, output, "punzi-00", unblind=True)
    assert not output.observed.exists()


def test_weighted_data_cannot_be_counted(done, tmp_path, simulated):
    weighted = {**make_events(70, 300), "weight": np.repeat([1.0, 2.0], 150)}
    path = write_ntuple(tmp_path / "weighted.root", weighted)
    data = {"process": "data", "files": [str(path)], "luminosity": LUMINOSITY}
    manifest = make_manifest({**simulated, "runs": data}, **SETTINGS)
    output = OutputFolder(shutil.copytree(done.root, tmp_path / "output"))
    make_features(manifest, output.root, data=True, unblind=True)
    with pytest.raises(InputError, match="measured events have a weight such as 2"):
        run_limits(manifest, output, "punzi-00", unblind=True)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["2.5"], r"should read like 2\.5:30fb.*`--inject none` alone"),
        (["2.5:30"], "should read like"),
        (["2.5:30pb"], "should read like"),
        (["2.5:-1fb"], "should read like"),
        (["2.5:nanfb"], "should read like"),
        (["none", "2:1fb"], "none should read like"),
        (
            ["2.5:30fb"],
            "2.5 GeV is none of the masses .* inject 2.3 or 4 GeV instead",
        ),
        (["9:30fb"], "inject 6 GeV instead"),
        (["2:30fb", "2.0:1e1fb"], "2 GeV is there twice"),
    ],
)
def test_what_cannot_be_injected_is_refused(texts, sentence):
    with pytest.raises(InputError, match=sentence):
        read_injected(texts, np.array(MASSES))


def test_more_signal_than_can_be_is_refused(judged):
    judge, *_ = judged
    with pytest.raises(InputError, match=r"1e\+90 fb at 2.1 GeV would be"):
        draw_pseudo_data(judge, 50.0, {1: 1e90}, 1)


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_bytes(manifest, done, tmp_path):
    output = make_features(manifest, tmp_path, "futures", 2)
    make_features(manifest, tmp_path, "futures", 2, data=True, unblind=True)
    shutil.copytree(done.network("punzi-00"), output.network("punzi-00"))
    for how in ({"unblind": True}, {"inject": ("2:10fb", "4:5fb")}):
        for folder in (done, output):
            run_limits(manifest, folder, "punzi-00", **how)
        assert contents(output.observed.parent) == contents(done.observed.parent)


def test_sidebands_of_data_normalise_what_is_expected(observed, done, manifest, tmp_path):
    limits = manifest.limits.model_copy(update={"background": "sidebands"})
    mine, output = manifest.model_copy(update={"limits": limits}), linked(done, tmp_path)
    found = observe(mine, output, unblind=True)
    rows = json.loads(output.sidebands.read_text())["rows"]
    assert [row["mass"] for row in rows] == found.mass.tolist()
    factor = [row["factor"] for row in rows]
    np.testing.assert_allclose(found.background, factor * observed.background)
    assert (np.abs(np.array(factor) - 1) < 0.5).all()
    table = pl.read_parquet(done.data_tensors / "*" / "*.parquet")
    behind = untrained().perceptron.logit(table[list(FEATURES)].to_numpy()) >= found.cut
    value = table["m2_recoil"].to_numpy()[behind]
    windows = Scan.of(Windows.read(done.windows)).windows
    for i, row in enumerate(rows):
        away = np.abs(value - windows.centre[i]) / windows.sigma[i]
        assert row["count"] == ((away > 3) & (away < row["outer"])).sum() >= 5
    observe(mine, output, "2.2:3000fb")
    said = json.loads(output.sidebands.read_text())["said"]
    assert said[-1] == "What is near 2.2 GeV is left out of all sidebands."


def test_pseudo_experiments_expect_one_spectrum_in_all_windows(
    done, manifest, tmp_path, monkeypatch
):
    """Also with sidebands, whose factors differ where windows share events."""
    limits = manifest.limits.model_copy(update={"background": "sidebands"})
    mine, output, given = manifest.model_copy(update={"limits": limits}), linked(done, tmp_path), []

    def spy(models, cells, background, *rest, **settings):
        given.append(([one.background for one in models], cells.windows(background)))
        return global_p_value(models, cells, background, *rest, **settings)

    monkeypatch.setattr(observation, "global_p_value", spy)
    observe(mine, output, unblind=True)
    np.testing.assert_allclose(*given[0], rtol=1e-6)
