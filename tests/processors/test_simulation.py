"""The simulation driver: right normalisation, same bytes on any executor, nothing left behind."""

import json

import numpy as np
import pytest
import uproot
from outputs import contents, datasets_of, results_in

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.manifest.manifest import Manifest
from punzinet.analysis.simulation.sampling import simulate_batch
from punzinet.processors.executors import Execution
from punzinet.processors.simulation import simulate

MASSES = (1.0, 4.0, 7.0)


def small(*datasets, seed=1, luminosity=1.0):
    """Manifest with simulated datasets and whatever else a manifest must have."""
    sizes = {"signal": {"generated": 1}, "tautau": {"luminosity": 1}}
    every = {n: {"process": n, "files": ["none.root"], **size} for n, size in sizes.items()}
    every |= {name: {"process": name, "simulate": name} for name in datasets}
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
        {"mass": m, "generated": 400, "entries": np.count_nonzero(mass == m)} for m in MASSES
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


def test_datasets_do_not_depend_on_one_another(made, tmp_path):
    output = run(tmp_path, small("tautau"))
    names = ("event", "production", "px1", "pz2", "weight")
    alone, together = (columns(one.ntuple("tautau"), *names) for one in (output, made))
    np.testing.assert_array_equal(alone, together)
    assert not output.cross_sections.exists()


def test_strata_whose_largest_weights_the_pilot_run_missed_are_repeated(tmp_path, monkeypatch):
    monkeypatch.setattr("punzinet.analysis.simulation.sampling.needed_trials", lambda *_: [10_000])
    output = run(tmp_path, small("tautau", luminosity=3.0))
    (weight,) = columns(output.ntuple("tautau"), "weight")
    assert weight.max() == 1
    (stratum,) = datasets_of(output.simulation_record)["tautau"]["strata"]
    assert stratum["trials"] > 50_000
    assert 0.7 < stratum["largest_expectation"] < 1


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
    assert len(calls) == len(MASSES) + 2 + 1  # signal, a pilot run, its background, what was lost
    assert contents(tmp_path) == contents(made.root)
