"""Counts behind the cut, of data and of pseudo-data, and when nothing of data is seen."""

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from outputs import contents, read_tensors, settings_of
from small_data import make_events, write_ntuple
from small_runs import linked, make_features, save_network, untrained, with_data

from punzinet.analysis.evaluation import Judge
from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.limits.model import Effect, measure_yields
from punzinet.analysis.limits.observed import Observation
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.limits.scan import Scan, draw_pseudo_data, global_p_value
from punzinet.analysis.limits.sidebands import Spectrum
from punzinet.analysis.observables import FEATURES
from punzinet.analysis.training.data import judging_events, load_sample
from punzinet.analysis.windows import Windows
from punzinet.processors.executors import Execution
from punzinet.processors.runs.limits import read_injected, run_limits
from punzinet.processors.runs.selection import run_selection

MASSES = (2.0, 2.1, 2.2, 2.3, 3.0)  # GeV; the windows of the first four overlap
LUMINOSITY = 30.0  # fb^-1 of the data, less than the target


@pytest.fixture(scope="module")
def manifest(ntuples, tmp_path_factory):
    """Signal of masses that lie close together, backgrounds, and data."""
    limits = {"experiments": 200, "background_uncertainty": 0.01}
    return with_data(tmp_path_factory.mktemp("files"), ntuples, MASSES, limits=limits)


@pytest.fixture(scope="module")
def done(manifest, tmp_path_factory):
    """Features of simulation and of all data, a network, and its selection."""
    output = make_features(manifest, tmp_path_factory.mktemp("observed"))
    make_features(manifest, output.root, data=True, unblind=True)
    table = read_tensors(output.tensors, "tautau")
    cut = float(np.quantile(untrained().perceptron.logit(table[list(FEATURES)].to_numpy()), 0.8))
    save_network(output, "punzi-00", cut)
    run_selection(manifest, output, Execution(), "punzi-00", unblind=True)
    return output


@pytest.fixture(scope="module")
def judged(manifest, done):
    """Scan, yields of hypotheses, events that judge, and the network's output of these."""
    windows, folds = Windows.read(done.windows), manifest.training.folds
    sample = load_sample(done.tensors, windows.every, folds)
    judge = Judge(sample, windows.training, manifest.figure_of_merit, manifest.luminosity)
    content = json.loads((done.network("punzi-00") / "network.json").read_text())
    network, events = untrained().perceptron, judging_events(done.tensors, windows, folds)
    known = measure_yields(judge.judging_fold, network, np.full(len(windows), content["cut"]))
    return Scan.of(windows), known, events, network.logit(events.features)


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


def test_background_is_counted_also_between_the_windows_of_hypotheses(judged, done, manifest):
    scan, known, events, logit = judged
    yields, own = scan.yields(known, events, logit), scan.windows.training
    for name in ("efficiency", "efficiency_error", "background", "background_error", "unseen"):
        np.testing.assert_array_equal(getattr(yields, name)[..., own], getattr(known, name))
    table = pl.read_parquet(done.tensors / "tautau" / "*.parquet")
    behind = untrained().perceptron.logit(table[list(FEATURES)].to_numpy()) >= known.cut[0]
    tested = table["fold"].to_numpy() == manifest.training.folds.judging
    weight, value, start, stop = (
        table[name].to_numpy() for name in ("weight", "m2_recoil", "window_start", "window_stop")
    )
    inside = start < stop
    scale = weight[inside].sum() / weight[inside & tested].sum()
    row, beyond = yields.backgrounds.index("tautau"), 0
    for i, (low, high) in enumerate(zip(scan.windows.low, scan.windows.high, strict=True)):
        rows = behind & tested & (low < value) & (value < high)
        beyond += (rows & ~inside).sum()
        assert yields.background[row, i] == pytest.approx(scale * weight[rows].sum(), rel=1e-5)
        error = scale * np.sqrt((weight[rows] ** 2).sum())
        assert yields.background_error[row, i] == pytest.approx(error, rel=0.1)
    assert beyond > 5


def test_a_background_between_windows_only_is_counted_like_any_other(judged, done):
    """Its systematic effects are not known, as those are measured in windows."""
    scan, known, events, logit = judged
    start, stop = Windows.read(done.windows).assign(events.variable)
    between = (start == stop) & (events.process == "tautau")
    named = replace(events, process=np.where(between, "resonance", events.process))
    both = np.full((2, len(known.efficiency)), 1.1)
    effects = {"a": Effect(dict.fromkeys([*known.backgrounds, "signal"], both), {})}
    found, before = (
        scan.yields(replace(known, effects=effects), one, logit) for one in (named, events)
    )
    assert found.backgrounds == (*before.backgrounds, "resonance")
    np.testing.assert_allclose(found.background.sum(axis=0), before.background.sum(axis=0))
    assert found.background[-1].any()
    factors = found.effects["a"].factor
    assert factors.keys() == {*known.backgrounds, "signal"}
    assert all((of == 1.1).all() for of in factors.values())


def test_pseudo_data_is_what_is_expected_on_average_and_background_does_not_know_of_signal(judged):
    scan, known, events, logit = judged
    yields, behind = scan.yields(known, events, logit), logit >= known.cut[0]
    own = int(np.flatnonzero(scan.windows.mass == 2.1)[0])

    def count(signal, seed):
        times = draw_pseudo_data(events, 50.0, signal, seed) * behind
        seen = Spectrum.of(np.repeat(events.variable, times))
        return seen.sums(scan.windows.low, scan.windows.high)[0]

    counts = []
    for seed in range(200):
        alone, more = (count(signal, seed) for signal in ({}, {2.1: 40.0}))
        assert (more >= alone).all()
        assert not (more - alone)[scan.windows.mass >= 3].any()  # whose windows lie apart
        counts.append((alone, more - alone))
    background, signal = np.mean(counts, axis=0)
    expected = yields.background.sum(axis=0)
    np.testing.assert_allclose(background, expected, atol=4 * np.sqrt(expected.max() / 200))
    mean = 40.0 * 50.0 * yields.efficiency[own]
    assert signal[own] == pytest.approx(mean, abs=4 * np.sqrt(mean / 200))


def test_pseudo_data_needs_no_data_and_says_what_it_is(manifest, done, tmp_path):
    output = OutputFolder(shutil.copytree(done.root, tmp_path / "output"))
    shutil.rmtree(output.root / "data")
    alone = manifest.part()
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
    assert found.significance[best] > 3
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
    shutil.rmtree(output.observed.parent, ignore_errors=True)
    with pytest.raises(InputError, match="run `punzinet features --unblind` first"):
        run_limits(manifest, output, "punzi-00", unblind=True)
    assert not output.observed.exists()


def test_weighted_data_cannot_be_counted(done, tmp_path, manifest):
    weighted = {**make_events(70, 300), "weight": np.repeat([1.0, 2.0], 150)}
    path = write_ntuple(tmp_path / "weighted.root", weighted)
    runs = manifest.datasets["runs"].model_copy(update={"files": (str(path),)})
    manifest = manifest.model_copy(update={"datasets": {**manifest.datasets, "runs": runs}})
    output = OutputFolder(shutil.copytree(done.root, tmp_path / "output"))
    make_features(manifest, output.root, data=True, unblind=True)
    with pytest.raises(InputError, match="measured events have a weight such as 2"):
        run_limits(manifest, output, "punzi-00", unblind=True)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["2.5"], r"should read like 2\.5:3fb.*`--inject none` alone"),
        (["2.5:30"], "should read like"),
        (["2.5:30pb"], "should read like"),
        (["2.5:-1fb"], "should read like"),
        (["2.5:nanfb"], "should read like"),
        (["none", "2:1fb"], "none should read like"),
        (["2.5:30fb"], "2.5 GeV is none of the masses .* inject 2.3 or 3 GeV instead"),
        (["9:30fb"], "inject 3 GeV instead"),
        (["2:30fb", "2.0:1e1fb"], "2 GeV is there twice"),
    ],
)
def test_what_cannot_be_injected_is_refused(texts, sentence):
    with pytest.raises(InputError, match=sentence):
        read_injected(texts, np.array(MASSES))


def test_a_mass_is_said_as_it_has_to_be_typed():
    with pytest.raises(InputError, match=r"3\.09692 GeV is none .* inject 3\.096916 GeV instead"):
        read_injected(["3.09692:1fb"], np.array([3.096916]))


def test_more_signal_than_can_be_is_refused(judged):
    _, _, events, _ = judged
    with pytest.raises(InputError, match=r"1e\+90 fb at 2.1 GeV would be"):
        draw_pseudo_data(events, 50.0, {2.1: 1e90}, 1)


def test_sidebands_of_data_normalise_what_is_expected(observed, done, manifest, tmp_path):
    limits = manifest.limits.model_copy(update={"background": "sidebands"})
    mine, output = manifest.model_copy(update={"limits": limits}), linked(done, tmp_path)
    found = observe(mine, output, unblind=True)
    rows = json.loads(output.sidebands.read_text())["rows"]
    assert [row["mass"] for row in rows] == found.mass.tolist()
    factor = [row["factor"] for row in rows]
    known = found.effective_events > 0  # what is unseen stays
    np.testing.assert_allclose(found.background[known], (factor * observed.background)[known])
    # Simulation in the window is of the same luminosity as what is beside it.
    inside = [row["found"] for row in rows]
    np.testing.assert_allclose(np.array(inside)[known], observed.background[known], rtol=1e-4)
    error = np.log1p([row["uncertainty"] for row in rows])
    assert (np.abs(np.log(factor)) < 4 * error).all()
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
        unseen = cells.windows(background) == 0
        expected = [one.background for one in models] * ~unseen
        given.append((expected, cells.windows(background)))
        return global_p_value(models, cells, background, *rest, **settings)

    monkeypatch.setattr("punzinet.processors.runs.limits.global_p_value", spy)
    observe(mine, output, unblind=True)
    np.testing.assert_allclose(*given[0], rtol=1e-6)
