"""The simulation driver: right normalisation, same bytes on any executor, nothing left behind."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
import yaml

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.manifest.manifest import Manifest, load_manifest
from punzinet.analysis.simulation.sampling import simulate_batch
from punzinet.processors.executors import Execution
from punzinet.processors.ntuples.preflight import preflight
from punzinet.processors.simulation import simulate

MASSES = (1.0, 4.0, 7.0)


def small(*datasets: str, seed: int = 1, luminosity: float = 1.0) -> Manifest:
    """Manifest with simulated datasets and whatever else a manifest must have."""
    others: dict[str, Any] = {
        "signal": {"process": "signal", "files": ["none.root"], "generated": 1},
        "tautau": {"process": "tautau", "files": ["none.root"], "luminosity": 1},
    }
    made = {name: {"process": name, "simulate": name} for name in datasets}
    return Manifest.model_validate(
        {
            "hypotheses": {"masses": MASSES},
            "datasets": {**others, **made},
            "simulation": {
                "seed": seed,
                "scales": {"default": {"luminosity": luminosity, "signal_events": 400}},
            },
        }
    )


def columns(path: Path, *names: str) -> list[np.ndarray]:
    with uproot.open(path) as file:
        return [file["variables"][BRANCHES[name]].array(library="np") for name in names]


def results_in(folder: Path) -> list[Path]:
    """All files of an output folder that are results, the ledger left out."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in files if not path.relative_to(folder).parts[0].startswith("."))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> OutputFolder:
    output = OutputFolder(tmp_path_factory.mktemp("made"))
    simulate(small("signal", "tautau"), "default", output, Execution())
    return output


@pytest.fixture(scope="module")
def record(made: OutputFolder) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(made.simulation_record.read_text())
    return content


def test_says_what_it_wrote(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    written = simulate(small("signal"), "default", output, Execution())
    there = set(results_in(tmp_path))
    assert set(written) == there
    assert {path.name for path in there} == {
        "signal.root",
        "simulation.json",
        "cross_sections.json",
    }
    records = list((tmp_path / ".ledger" / "simulate" / "events").rglob("*.safetensors"))
    assert len(records) == len(MASSES)
    assert all(path.stat().st_size < 5000 for path in records)  # the events are in the ntuple


def test_a_bit_that_flips_in_simulated_data_is_noticed(made: OutputFolder, tmp_path: Path) -> None:
    output = OutputFolder(tmp_path / "output")
    shutil.copytree(made.root, output.root)
    path = tmp_path / "data_manifest.yaml"
    content = small("signal", "tautau").model_dump(mode="json", exclude_unset=True)
    for dataset in content["datasets"].values():
        del dataset["name"]
    path.write_text(yaml.safe_dump(content))
    assert len(preflight(load_manifest(path, output))) == 2
    ntuple = bytearray(output.ntuple("tautau").read_bytes())
    ntuple[len(ntuple) // 2] ^= 1
    output.ntuple("tautau").write_bytes(ntuple)
    with pytest.raises(InputError, match=r"tautau\.root is damaged or another file"):
        preflight(load_manifest(path, output))


def test_signal_has_its_masses_and_efficiencies(made: OutputFolder, record: dict[str, Any]) -> None:
    mass, weight = columns(made.ntuple("signal"), "generated_mass", "weight")
    assert sorted(set(mass)) == list(MASSES)
    assert np.all(weight == 1)
    signal = record["datasets"]["signal"]
    assert signal["generated"] == 400
    assert signal["entries"] == len(mass)
    assert signal["cutflow"][0] == {"step": "generated", "events": 1200, "weight": 1200.0}
    assert signal["strata"] == [
        {"mass": m, "generated": 400, "entries": np.count_nonzero(mass == m)} for m in MASSES
    ]


def test_background_has_the_yield_of_its_luminosity(
    made: OutputFolder, record: dict[str, Any]
) -> None:
    (weight,) = columns(made.ntuple("tautau"), "weight")
    tautau = record["datasets"]["tautau"]
    assert np.all(weight == 1)
    assert tautau["luminosity"] == 1.0
    assert tautau["cutflow"][-1]["weight"] == weight.sum() == tautau["entries"]
    section = tautau["cross_section_fb"]
    generated = tautau["cutflow"][0]["weight"]
    assert generated == pytest.approx(section["value"] * 1.0, rel=1e-9)
    assert section["value"] == pytest.approx(919_000 * 0.1739**2, rel=0.1)


def test_events_are_numbered(made: OutputFolder) -> None:
    (event,) = columns(made.ntuple("tautau"), "event")
    np.testing.assert_array_equal(event, np.arange(len(event)))


def test_cross_sections_fall_with_the_mass(made: OutputFolder) -> None:
    content = json.loads((made.simulation / "cross_sections.json").read_text())
    assert list(content) == ["1", "4", "7"]
    values = [entry["sigma_over_g2_fb"] for entry in content.values()]
    assert values == sorted(values, reverse=True)
    assert all(entry["error"] < 0.005 * entry["sigma_over_g2_fb"] for entry in content.values())


def test_workers_do_not_change_a_byte(made: OutputFolder, tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    simulate(small("signal", "tautau"), "default", output, Execution("futures", 2))
    for path in results_in(tmp_path):
        assert path.read_bytes() == (made.root / path.relative_to(tmp_path)).read_bytes()


def test_another_seed_makes_other_events(made: OutputFolder, tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    simulate(small("signal", seed=2), "default", output, Execution())
    assert output.ntuple("signal").read_bytes() != made.ntuple("signal").read_bytes()


def test_datasets_do_not_depend_on_one_another(made: OutputFolder, tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    simulate(small("tautau"), "default", output, Execution())
    names = ("event", "production", "px1", "pz2", "weight")
    for alone, together in zip(
        columns(output.ntuple("tautau"), *names),
        columns(made.ntuple("tautau"), *names),
        strict=True,
    ):
        np.testing.assert_array_equal(alone, together)
    assert not (output.simulation / "cross_sections.json").exists()


def test_strata_are_simulated_again_if_the_pilot_run_missed_the_largest_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("punzinet.processors.simulation.needed_trials", lambda *_: 10_000)
    output = OutputFolder(tmp_path)
    simulate(small("tautau", luminosity=3.0), "default", output, Execution())
    (weight,) = columns(output.ntuple("tautau"), "weight")
    assert weight.max() == 1
    (stratum,) = json.loads(output.simulation_record.read_text())["datasets"]["tautau"]["strata"]
    assert stratum["trials"] > 50_000


def test_all_processes_make_events(tmp_path: Path) -> None:
    output = OutputFolder(tmp_path)
    manifest = small("mumugamma", "eemumu", luminosity=1.0)
    simulate(manifest, "default", output, Execution())
    content = json.loads(output.simulation_record.read_text())["datasets"]
    for name in ("mumugamma", "eemumu"):
        assert content[name]["entries"] > 10
        assert len(content[name]["strata"]) > 1


def test_an_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "output").write_text("a file, not a folder")
    with pytest.raises(InputError, match="--output"):
        simulate(
            small("signal"),
            "default",
            OutputFolder(tmp_path / "output"),
            Execution(),
        )


def test_a_killed_run_is_continued(
    made: OutputFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = OutputFolder(tmp_path)
    calls = []

    def interrupted(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return simulate_batch(*arguments)

    monkeypatch.setattr("punzinet.processors.simulation.simulate_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        simulate(small("signal", "tautau"), "default", output, Execution())
    assert not results_in(tmp_path)
    simulate(small("signal", "tautau"), "default", output, Execution())
    undisturbed = len(MASSES) + 2  # signal, a pilot run and its background
    assert len(calls) == undisturbed + 1
    for path in results_in(tmp_path):
        assert path.read_bytes() == (made.root / path.relative_to(tmp_path)).read_bytes()
