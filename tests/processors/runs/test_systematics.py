"""Effects of systematic parameters, measured behind a cut of small samples, and their limits."""

import json

import numpy as np
import pyhf
import pytest
from outputs import read_tensors
from small_data import (
    GENERATED,
    MASSES,
    dataset,
    kinematics_of,
    make_events,
    make_manifest,
    make_signal,
    varied,
    write_ntuple,
)
from small_runs import limits_of, linked, make_features, save_network

from punzinet.analysis.io.files import InputError
from punzinet.analysis.io.histograms import read_templates
from punzinet.analysis.io.tensor_events import read_tensor_events
from punzinet.analysis.limits import systematics
from punzinet.analysis.limits.result import Limits
from punzinet.analysis.limits.systematics import read_systematics
from punzinet.analysis.saved_network import load_network
from punzinet.analysis.sensitivity import Sensitivity
from punzinet.analysis.training.data import judging_factors
from punzinet.analysis.windows import Windows
from punzinet.processors.datasets import MOMENTA, describe_datasets
from punzinet.processors.executors import Execution
from punzinet.processors.preflight import preflight
from punzinet.processors.runs.limits import run_limits, run_shape
from punzinet.processors.runs.selection import run_selection
from punzinet.processors.runs.training import run_training

VARIED = {"few": [3.0], "low": [2.0, 3.0], "high": [3.0, 4.0]}  # masses of half of the signal


def with_sample(files, name, of="tautau", **settings):
    """A manifest with a varied sample, whose parameter is called x."""
    datasets = {one: files[one] for one in ("signal", "tautau", "eemumu")}
    datasets[name] = varied(of, files[name], **settings)
    return make_manifest(datasets, systematics={"x": {"samples": {of: {"up": name}}}})


def measure(manifest, folder):
    """Effects by name behind a cut that everything passes, and the folder of all."""
    output = limits_of(manifest, folder)
    return read_systematics(output.systematics)[1], output


def modifiers(output, mass, sample):
    """What a workspace says of a sample, by parameter: factors up and down."""
    workspace = json.loads((output.workspaces / f"{mass:g}.json").read_text())
    pyhf.Workspace(workspace).model()
    samples = {one["name"]: one["modifiers"] for one in workspace["channels"][0]["samples"]}
    return {
        one["name"]: (one["data"]["hi"], one["data"]["lo"])
        for one in samples[sample] if one["type"] == "normsys"
    }  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory, ntuples):
    """Samples with factors, and varied ones: the same events, and others."""
    folder = tmp_path_factory.mktemp("varied")
    events, other = make_events(2, 7000), make_events(7, 14000)
    size = len(events["event"])
    sizes = {"up": 1.1, "down": 0.8, "absolute": 0.01}
    factors = {name: np.full(size, factor) for name, factor in sizes.items()}
    half = {name: column[::2] for name, column in events.items()}
    signal = make_signal(1)
    scaled = events | {name: 1.0002 * events[name] for name in MOMENTA}
    made = {"factors": events | factors, "other": other, "half": half, "scaled": scaled}
    for name, masses in VARIED.items():
        rows = np.flatnonzero(np.isin(signal["generated_mass"], masses))[::2]
        made[name] = {column: values[rows] for column, values in signal.items()}
    return ntuples | {name: write_ntuple(folder / f"{name}.root", e) for name, e in made.items()}


def test_branches_that_hold_no_factors_are_refused(tmp_path, files):
    manifest = make_manifest(
        {"signal": files["signal"], "tautau": files["factors"]},
        systematics={"x": {"weights": {"up": "up", "down": "absolute"}}},
    )
    with pytest.raises(InputError, match=r"weight:x:down is 0[.]01 on average"):
        measure(manifest, tmp_path)


def test_factors_that_are_equal_everywhere_are_the_factors_of_the_model(tmp_path, files):
    """Also multiplied by a normalisation, mirrored, and of signal; limits are wider for them."""
    nominal = {"signal": files["signal"], "eemumu": files["eemumu"], "tautau": files["factors"]}
    manifest = make_manifest(
        nominal,
        systematics={
            "trigger": {"weights": {"up": "up", "down": "down"}, "normalisation": {"tautau": 0.2}},
            "mirrored": {"weights": {"up": "up"}},
            "rate": {"normalisation": {"eemumu": 0.05, "signal": 0.03}},
        },
    )
    effects, output = measure(manifest, tmp_path / "with")
    expected = {
        "tautau": {"trigger": (1.1 * 1.2, 0.8 / 1.2), "mirrored": (1.1, 1 / 1.1)},
        "eemumu": {"rate": (1.05, 1 / 1.05)},
        "signal": {"rate": (1.03, 1 / 1.03)},
    }
    for mass in MASSES:
        for sample, factors in expected.items():
            found = modifiers(output, mass, sample)
            for name in ("trigger", "mirrored", "rate"):
                assert (name in found) == (name in factors)
            for name, both in factors.items():
                assert found[name] == pytest.approx(both, rel=1e-6)
    share = effects["trigger"].background[0] - 1
    assert ((share > 0) & (share <= 1.1 * 1.2 - 1 + 1e-6)).all()
    assert (effects["trigger"].error["tautau"] < 1e-6).all()
    for one in effects.values():
        assert (one.impact > 0).all()
    run_limits(make_manifest(nominal), plain := linked(output, tmp_path), "punzi-00")
    assert not plain.systematics.exists()
    before, after = (Limits.read(of.limits).selections["single"] for of in (plain, output))
    assert (after.background == before.background).all()
    for limits in ("asymptotic", "counting"):
        assert (getattr(after, limits)[:, 2] > 1.02 * getattr(before, limits)[:, 2]).all()


def test_half_of_the_same_events_are_half_of_the_yield(tmp_path, files):
    effects, _ = measure(with_sample(files, "half", luminosity=100.0), tmp_path)
    factor, error = effects["x"].factor["tautau"], effects["x"].error["tautau"]
    # Every second event is missing, which fluctuates like a binomial number.
    assert (np.abs(factor[0] - 0.5) < 4 * error[0]).all()
    assert (error[0] < 0.06).all()
    assert factor[1] == pytest.approx(1 / factor[0])
    assert (effects["x"].factor["signal"] == 1).all()


def test_candidates_of_the_same_events_are_the_same_candidates(tmp_path, ntuples):
    """What only their weights change does not fluctuate, however many an event has."""
    events = make_events(2, 20_000)
    events["event"] //= np.array(3, dtype=np.uint32)
    weight = 1 + 0.05 * np.clip(kinematics_of(events).m2_recoil, 0, 40) / 40
    files = {
        name: write_ntuple(tmp_path / f"{name}.root", events | {"weight": one})
        for name, one in (("tautau", np.ones(20_000)), ("heavier", weight))
    }
    manifest = with_sample(ntuples | files, "heavier", luminosity=100.0)
    effects, output = measure(manifest, tmp_path)
    factor, error = effects["x"].factor["tautau"][0], effects["x"].error["tautau"][0]
    table = read_tensors(output.tensors, "tautau").filter(fold=manifest.training.folds.judging)
    m2, windows = table["m2_recoil"].to_numpy()[:, None], Windows.read(output.windows)
    count = ((m2 > windows.low) & (m2 < windows.high)).sum(axis=0)
    alone = count > 1.5 / systematics.PRECISE  # windows that need no neighbours
    assert alone.sum() > 2
    assert (error < 1.5 / count)[alone].all()
    assert factor[alone] == pytest.approx(1 + 0.05 * windows.centre[alone] / 40, abs=0.002)


def test_fluctuations_of_another_sample_do_not_pose_as_an_effect(tmp_path, files, monkeypatch):
    """Independent events of the same physics: no effect, within the error that is given."""
    manifest = with_sample(files, "other", luminosity=200.0)
    effects, output = measure(manifest, tmp_path)
    (of, *_), (error, *_) = effects["x"].factor["tautau"], effects["x"].error["tautau"]
    assert np.abs((of - 1) / error).max() < 4
    monkeypatch.setattr(systematics, "PRECISE", np.inf)  # each window by itself
    run_limits(manifest, output, "punzi-00")
    alone = read_systematics(output.systematics)[1]["x"]
    assert (np.abs((alone.factor["tautau"] - 1) / alone.error["tautau"]) < 4).all()
    assert (alone.error["tautau"][0] > error).all()
    assert np.abs(alone.factor["tautau"][0] - 1).max() > np.abs(of - 1).max()


def test_signal_that_is_varied_up_and_down_at_other_masses_is_refused():
    datasets = {"signal": "s.root", "tautau": "t.root"}
    datasets |= {
        w: varied("signal", f"{w}.root", generated={m: 9}) for w, m in (("u", 2), ("d", 3))
    }
    given = {"x": {"samples": {"signal": {"up": "u", "down": "d"}}}}
    manifest = make_manifest(datasets, systematics=given)
    with pytest.raises(InputError, match=r"systematics.x` hold no mass .* both up and down"):
        systematics.shifts(manifest, manifest.hypotheses.mass)


def test_signal_of_a_mass_that_the_nominal_sample_has_not_is_refused(files):
    """It is that of another dataset, whose place the varied one does not take."""
    datasets = {
        "one": dataset("signal", files["few"], generated={3.0: 9}),
        "other": dataset("signal", files["signal"], generated=dict.fromkeys(MASSES, 9)),
        "tautau": files["tautau"],
    }
    datasets["low"] = varied("one", files["low"], process="signal", generated={2.0: 9, 3.0: 9})
    given = {"x": {"samples": {"one": {"up": "low"}}}}
    manifest = make_manifest(datasets, systematics=given)
    with pytest.raises(InputError, match=r"low: one, .* no `generated` events of 2 GeV; take"):
        describe_datasets(manifest, preflight(manifest)[0])


@pytest.mark.parametrize("ways", [{"up": "few"}, {"up": "low", "down": "high"}])
def test_signal_that_was_varied_at_one_mass_stands_for_its_neighbours(tmp_path, files, ways):
    """That is the mass which all samples hold: what one of them holds beside it does not count."""
    datasets = {name: files[name] for name in ("signal", "tautau")}
    for name in ways.values():
        generated = dict.fromkeys(VARIED[name], GENERATED)
        datasets[name] = varied("signal", files[name], generated=generated)
    manifest = make_manifest(datasets, systematics={"x": {"samples": {"signal": ways}}})
    up, down = measure(manifest, tmp_path)[0]["x"].factor["signal"]
    down = down if "down" in ways else 1 / down
    for factor in (up, down):
        assert factor == pytest.approx(np.full(len(MASSES), up[2]))
        assert factor[2] == pytest.approx(0.5, abs=0.07)


def test_templates_and_what_changes_them_are_those_of_the_varied_samples(tmp_path, files):
    """Nominal templates with their changes are those of the varied sample as if it were nominal.

    What is nominal is the same without variations.
    """
    nominal = {"signal": files["signal"], "eemumu": files["eemumu"], "tautau": files["factors"]}
    both = {
        "momentum": {"samples": {"tautau": {"up": "scaled"}}},
        "trigger": {"weights": {"up": "up", "down": "down"}},
    }
    other = varied("tautau", files["scaled"], luminosity=100.0)
    manifests = (
        make_manifest(nominal | {"scaled": other}, systematics=both),
        make_manifest(nominal),
        make_manifest(nominal | {"tautau": files["scaled"]}),
    )
    outputs, found = [], []
    for number, manifest in enumerate(manifests):
        outputs.append(output := make_features(manifest, tmp_path / str(number)))
        save_network(output, "punzi-00", -10.0)
        run_selection(manifest, output, Execution(), "punzi-00")
        windows, folds = Windows.read(output.windows), manifest.training.folds
        factor = judging_factors(output.tensors, windows, folds)[0]["tautau"]
        found.append(
            {name: one * (1 / factor) for name, one in read_templates(output.histograms).items()}
        )
    with_changes, plain, alone = found
    assert {name: with_changes[name] for name in plain} == plain
    records = [json.loads(output.selection_cutflow.read_text()) for output in outputs[:2]]
    assert records[0]["hypotheses"] == records[1]["hypotheses"]
    assert records[0]["datasets"] == records[1]["datasets"]
    events, change = plain["tautau"], with_changes["tautau.momentum.up"]
    assert events.values() + change.values() == pytest.approx(alone["tautau"].values(), abs=1e-9)
    assert with_changes["tautau.momentum.down"].values() == pytest.approx(-change.values())
    assert 0 < change.variances().sum() < 0.5 * events.variances().sum()  # the same events
    for way, size in (("up", 0.1), ("down", -0.2)):
        trigger = with_changes[f"tautau.trigger.{way}"]
        assert trigger.values() == pytest.approx(size * events.values(), rel=1e-4)
        assert trigger.variances() == pytest.approx(size**2 * events.variances(), rel=1e-4)
    make_features(manifests[0], outputs[0].root, varied=True)
    run_limits(manifests[0], outputs[0], "punzi-00")
    run_shape(manifests[0], outputs[0])
    workspace = json.loads((outputs[0].shapes / "3.json").read_text())
    pyhf.Workspace(workspace).model()
    (tautau,) = (s for s in workspace["channels"][0]["samples"] if s["name"] == "tautau")
    kinds = {(one["name"], one["type"]) for one in tautau["modifiers"]}
    assert {("momentum", "histosys"), ("trigger", "normsys")} <= kinds
    assert ("trigger", "histosys") not in kinds  # it is the same everywhere


def test_what_is_measured_reaches_cut_loss_and_sensitivity_if_asked_for(
    tmp_path, files, monkeypatch
):
    """Weights, a varied sample and normalisations, against sums over the events themselves."""
    monkeypatch.setattr(systematics, "PRECISE", np.inf)  # each window by itself
    datasets = {name: files[name] for name in ("signal", "eemumu")} | {"tautau": files["factors"]}
    datasets["half"] = varied("tautau", files["half"], luminosity=100.0)
    sizes = {"eemumu": 0.05, "tautau": 0.1}
    few = {"finish": 3, "pretraining": {"epochs": 3}, "punzi": {"epochs": 3}}
    about = {"training": few, "systematics": {
        "trigger": {"weights": {"up": "up", "down": "down"}},
        "generator": {"samples": {"tautau": {"up": "half"}}},
        "rate": {"normalisation": sizes},
    }}  # fmt: skip
    found = {}
    for asked in (0.0, "measured"):
        figure = {"background_uncertainty": asked}
        manifest = make_manifest(datasets, figure_of_merit=figure, **about)
        output = make_features(manifest, tmp_path / str(asked))
        make_features(manifest, output.root, varied=True)
        found[asked] = run_training(manifest, output)[1:]
    (plain, without), (result, sensitivity) = found.values()
    assert result.punzi[0].loss > 1.1 * plain.punzi[0].loss
    judged, other = (one.networks["punzi-00"].single for one in (sensitivity, without))
    assert judged.cut[0] != other.cut[0]

    windows, merit = Windows.read(output.windows), sensitivity.figure_of_merit
    events = read_tensor_events(output.tensors, windows.search)
    others = read_tensor_events(output.varied_tensors, windows.search)

    def sums(events, rows):
        """In each window, and of what lies in any."""
        below, above = (edge[:, None] for edge in (windows.high, windows.low))
        inside = (events.variable < below) & (events.variable > above)
        weight = np.where(rows, events.weight, 0.0)
        return inside.astype(float) @ weight, weight[inside.any(axis=0)].sum()

    folds = manifest.training.folds
    trains = [folds.rows(one.fold)[0] & (one.process == "tautau") for one in (events, others)]
    half = sums(others, trains[1])[0] / sums(events, trains[0])[0]
    rates = {name: (1 + size - 1 / (1 + size)) / 2 for name, size in sizes.items()}
    shifts = {"trigger": {"tautau": 0.15}, "generator": {"tautau": (half - 1 / half) / 2}}
    shifts["rate"] = rates
    logit = load_network(output.network("punzi-00")).network.logit(events.features)
    passes, tests = logit >= judged.cut[0], events.fold == folds.test
    background, variance = {}, 0.0
    for name in ("tautau", "eemumu"):
        ours = events.process == name
        scale = sums(events, ours)[1] / sums(events, ours & tests)[1]
        background[name] = scale * sums(events, ours & tests & passes)[0]
        variance = variance + background[name]
    for parameter, by_process in shifts.items():
        for name, size in by_process.items():
            measured = merit.shifts[parameter][name]
            assert list(measured.values()) == pytest.approx(size * np.ones(len(MASSES)), rel=1e-6)
        variance = variance + sum(size * background[name] for name, size in by_process.items()) ** 2
    assert judged.background == pytest.approx(sum(background.values()), rel=1e-6)
    root = np.sqrt(variance)
    signal = (
        merit.b**2 / 2 + 3 * root + merit.b / 2 * np.sqrt(merit.b**2 + 12 * root + 4 * variance)
    )
    assert judged.sigma_min == pytest.approx(signal / (judged.efficiency * 50), rel=1e-6)
    assert Sensitivity.read(output.sensitivity).figure_of_merit == merit
