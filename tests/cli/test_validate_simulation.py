"""The validation command, where Pythia is not installed and where stages have not run."""

import json

import pytest
import yaml
from commands import run_here

from punzinet.analysis.io.files import InputError

SMALL = {
    "hypotheses": {"masses": {"start": 0.9, "stop": 4.1, "step": 0.8}},
    "corrections": {"trigger_efficiency": 0.9},
    "datasets": {name: {"process": name, "simulate": name} for name in ("signal", "tautau")},
    "simulation": {"scales": {"default": {"luminosity": 1.0, "signal_events": 1500}}},
}


def test_a_small_sample_is_validated_on_a_machine_without_pythia(tmp_path, monkeypatch):
    (tmp_path / "data_manifest.yaml").write_text(yaml.safe_dump(SMALL))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("punzinet.stages.validate.find_spec", lambda _name: None)
    with pytest.raises(InputError, match="`punzinet simulate` has not run in output"):
        run_here("validate-simulation")
    run_here("simulate", "--executor", "iterative")
    run_here("features", "--executor", "iterative")
    said = " ".join(run_here("validate-simulation").split())
    assert "--group dev" in said
    assert "sigma_min" in said
    results = tmp_path / "output" / "simulation"
    content = json.loads((results / "validation.json").read_text())
    assert {"versions", "manifest", "settings"} <= set(content["provenance"])
    assert "pythia8mc" in json.loads((results / "spectra.json").read_text())["missing"]
    # a small sample of the default data is the default data but for its statistics
    assert content["weighted_sigma_0.9_GeV2"]["met"]
    assert content["cross_section_tautau_nb"]["met"]
    assert content["background_tautau"]["ours"] > 0
    assert content["background_eemumu"]["ours"] is None
    for suffix in ("pdf", "png"):
        assert (results / f"validation_ratios.{suffix}").exists()
    assert "up to date" in run_here("validate-simulation")
