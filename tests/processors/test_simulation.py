"""The simulation driver: right normalisation, same bytes on any executor, nothing left behind."""

import json

import numpy as np
import pytest
import uproot
from outputs import contents, datasets_of, results_in

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.manifest.sections import DetectorSettings
from punzinet.analysis.simulation.sampling import simulate_batch
from punzinet.processors.executors import Execution
from punzinet.processors.simulation import simulate

MASSES = (1.0, 4.0, 7.0)


def small(*datasets, seed=1, luminosity=1.0):
    """Manifest with simulated datasets, in this order, and whatever else a manifest must have."""
    every = {name: {"process": name, "simulate": name} for name in datasets}
    for name, size in {"signal": {"generated": 1}, "tautau": {"luminosity": 1}}.items():
        every.setdefault(name, {"process": name, "files": ["none.root"], **size})
    scales = {"default": {"luminosity": luminosity, "signal_events": 400}}
    content = {"hypotheses": {"masses": MASSES}, "datasets": every}
    return Manifest.model_validate({**content, "simulation": {"seed": seed, "scales": scales}})


def run(folder, manifest, *execution):
    """Simulate into a folder; everything that is there is said."""
    output = OutputFolder(folder)
    written = simulate(manifest, "default", output, Execution(*execution))
    assert sorted(written) == results_in(folder)
    return output


def columns(path, *names):
    with uproot.open(path) as file:
        return [file["variables"][BRANCHES[name]].array(library="np") for name in names]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run(tmp_path_factory.mktemp("made"), small("signal", "tautau"))


def test_events_are_kept_once(made):
    names = {"ntuples/signal.root", "ntuples/tautau.root", "ntuples/simulation.json"}
    assert contents(made.root).keys() == names | {"simulation/cross_sections.json"}
    records = list((made.ledger("simulate") / "events" / "signal").rglob("*.safetensors"))
    assert len(records) == len(MASSES)
    assert all(path.stat().st_size < 5000 for path in records)  # the events are in the ntuple


def test_signal_has_its_masses_and_efficiencies(made):
    mass, weight = columns(made.ntuple("signal"), "generated_mass", "weight")
    assert sorted(set(mass)) == list(MASSES)
    assert np.all(weight == 1)
    signal = datasets_of(made.simulation_record)["signal"]
    assert signal["generated"] == 400
    assert signal["entries"] == len(mass)
    assert signal["cutflow"][0] == {"step": "generated", "events": 1200, "weight": 1200.0}
    assert signal["strata"] == [
        {"name": f"signal-{m}", "trials": 400, "entries": np.count_nonzero(mass == m)}
        for m in MASSES
    ]


def test_background_has_the_yield_of_its_luminosity(made):
    weight, event = columns(made.ntuple("tautau"), "weight", "event")
    np.testing.assert_array_equal(event, np.arange(len(event)))
    tautau = datasets_of(made.simulation_record)["tautau"]
    assert weight.max() == 1
    assert weight.min() >= 1 / 40
    assert tautau["luminosity"] == 1.0
    assert tautau["entries"] == len(weight)
    assert tautau["cutflow"][-1]["weight"] == pytest.approx(weight.sum())
    section = tautau["cross_section_fb"]
    assert tautau["cutflow"][0]["weight"] == pytest.approx(section["value"] * 1.0, rel=1e-9)
    assert section["value"] == pytest.approx(919_000 * 0.1739**2, rel=0.1)


def test_cross_sections_fall_with_the_mass(made):
    content = json.loads(made.cross_sections.read_text())
    assert list(content) == ["1", "4", "7"]
    values = [entry["sigma_over_g2_fb"] for entry in content.values()]
    assert values == sorted(values, reverse=True)
    assert all(entry["error"] < 0.005 * entry["sigma_over_g2_fb"] for entry in content.values())


def test_workers_do_not_change_a_byte(made, tmp_path):
    output = run(tmp_path, small("signal", "tautau"), "futures", 2)
    assert contents(output.root) == contents(made.root)


def test_strata_whose_largest_weights_the_pilot_run_missed_are_repeated(tmp_path, monkeypatch):
    monkeypatch.setattr("punzinet.analysis.simulation.sampling.needed_trials", lambda *_: [10_000])
    output = run(tmp_path, small("tautau", luminosity=3.0))
    (weight,) = columns(output.ntuple("tautau"), "weight")
    assert weight.max() == 1
    (stratum,) = datasets_of(output.simulation_record)["tautau"]["strata"]
    assert stratum["trials"] > 50_000
    assert not output.cross_sections.exists()  # of signal that is none of ours


def test_a_killed_run_is_continued(made, tmp_path, monkeypatch):
    calls = []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return simulate_batch(*arguments)

    monkeypatch.setattr("punzinet.analysis.simulation.sampling.simulate_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, small("signal", "tautau"))
    assert not results_in(tmp_path)
    run(tmp_path, small("signal", "tautau"))
    # Signal, a pilot run, two batches of its background, and what was lost.
    assert len(calls) == len(MASSES) + 1 + 2 + 1
    assert contents(tmp_path) == contents(made.root)


VARIATIONS = {
    "tautau_momenta": ("tautau", {"momentum_resolution": 2.0}),
    "signal_momenta": ("signal", {"momentum_resolution": 2.0}),
    "mumugamma_photons": ("mumugamma", {"photon_loss": 1.2}),
}


@pytest.fixture(scope="module")
def varied(tmp_path_factory):
    """Three processes, one variation each, in another order than without variations."""
    manifest = small("mumugamma", "tautau", "signal")
    content = manifest.model_dump(mode="json", exclude_unset=True)
    content["systematics"] = {}
    for name in content["datasets"]:
        del content["datasets"][name]["name"]
    for name, (nominal, detector) in VARIATIONS.items():
        content["datasets"][name] = {"variation_of": nominal, "detector": detector}
        content["systematics"][name] = {"samples": {nominal: {"up": name}}}
    return run(tmp_path_factory.mktemp("varied"), Manifest.model_validate(content))


def shared(output, name):
    """Columns of nominal and varied events that are the same ones, and their shares of both."""
    names = ("event", "production", "weight", "px1", "py1", "pz1")
    nominal, other = (columns(output.ntuple(of), *names) for of in (VARIATIONS[name][0], name))
    assert len(set(other[0].tolist())) == len(other[0])
    assert set(nominal[1].tolist()) == set(other[1].tolist())  # one production
    _, mine, theirs = np.intersect1d(nominal[0], other[0], return_indices=True)
    one, two = (
        [column[rows] for column in of[2:]] for of, rows in ((nominal, mine), (other, theirs))
    )
    return one, two, len(mine) / min(len(nominal[0]), len(other[0]))


def test_samples_do_not_depend_on_other_datasets_and_variations(varied, made):
    for name in ("signal", "tautau"):
        nominal, other = (o.ntuple(name).read_bytes() for o in (varied, made))
        assert nominal == other


@pytest.mark.parametrize("name", ["tautau_momenta", "signal_momenta"])
def test_another_resolution_moves_the_momenta_of_the_same_events(varied, name):
    (weight, *nominal), (other, *momenta), share = shared(varied, name)
    assert share > 0.97
    assert (weight == other).all()
    size, moved = (
        np.sqrt(sum(np.square(axis, dtype=float) for axis in of)) for of in (nominal, momenta)
    )
    relative = np.abs(moved / size - 1)
    # The error is doubled, so that momenta move by one more error: some per mille in the median.
    assert 0.001 < np.median(relative) < 0.01


def test_more_lost_photons_are_larger_weights_of_the_same_events(varied):
    (weight, *nominal), (other, *momenta), share = shared(varied, "mumugamma_photons")
    assert share == 1.0
    for one, two in zip(nominal, momenta, strict=True):
        assert (one == two).all()
    ratio = other / weight
    assert ratio.min() == pytest.approx(1.0)
    assert ratio.max() < 1.2**4 + 1e-9
    assert np.average(ratio, weights=weight) > 1.02
    flow = datasets_of(varied.simulation_record)["mumugamma_photons"]["cutflow"]
    assert flow[-1]["weight"] == pytest.approx(other.sum(), rel=1e-6)


@pytest.mark.slow
def test_a_varied_detector_is_what_all_of_the_simulation_can_have(varied, tmp_path):
    """Varied events add up to what an independent simulation in that detector expects."""
    manifest = small("mumugamma", seed=5)
    detector = DetectorSettings(photon_loss=1.2)
    simulation = manifest.simulation.model_copy(update={"detector": detector})
    other = run(tmp_path, manifest.model_copy(update={"simulation": simulation}))
    (mine,), (theirs,) = (
        columns(output.ntuple(name), "weight")
        for output, name in ((varied, "mumugamma_photons"), (other, "mumugamma"))
    )
    error = np.sqrt((mine**2).sum() + (theirs**2).sum())
    assert mine.sum() == pytest.approx(theirs.sum(), abs=4 * error)
