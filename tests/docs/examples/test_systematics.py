"""The example of systematics: the default data, small, with a network that knows nothing."""

import json

import numpy as np
import pytest
import yaml
from commands import run_here
from outputs import contents
from pages import ROOT
from small_runs import save_network, untrained

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.limits.systematics import read_systematics
from punzinet.analysis.manifest.manifest import load_manifest
from punzinet.processors.runs.limits import run_limits

pytestmark = pytest.mark.slow
EXAMPLE = ROOT / "docs" / "examples" / "systematics.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the example was simulated at four masses, and has tensors and limits."""
    folder = tmp_path_factory.mktemp("systematics")
    content = yaml.safe_load(EXAMPLE.read_text())
    content["hypotheses"]["masses"] = [0.5, 1.5, 4.0, 7.0]
    content["simulation"]["scales"]["default"] = {"luminosity": 3, "signal_events": 1500}
    (folder / "systematics.yaml").write_text(yaml.safe_dump(content))
    options = ["--manifest", folder / "systematics.yaml", "--output", folder / "output"]
    for command in ("simulate", "features"):
        run_here(command, *options)
    output = OutputFolder(folder / "output")
    save_network(output, "punzi-00", -10.0, untrained())
    run_limits(load_manifest(folder / "systematics.yaml", output), output, "punzi-00")
    return folder


def test_photons_make_background_and_momenta_widen_peaks(folder):
    mass, found = read_systematics(OutputFolder(folder / "output").systematics)
    assert mass.tolist() == [0.5, 1.5, 4.0, 7.0]
    photons, momenta = found["photon_inefficiency"], found["momentum_resolution"]
    # A fifth more are lost in the calorimeter, and none more along the beams.
    assert ((photons.factor["mumugamma"][0] > 1.0) & (photons.factor["mumugamma"][0] <= 1.2)).all()
    assert photons.factor["mumugamma"][0, 1] > 1.05
    assert np.abs(photons.factor["tautau"] - 1).max() < 0.05
    assert (photons.factor["signal"] == 1).all()
    # Of a Gaussian peak 95.4 % lie within 2 σ, and 93.1 % if it is wider by a tenth.
    assert ((momenta.factor["signal"][0] <= 1.0) & (momenta.factor["signal"][0] > 0.93)).all()
    assert momenta.factor["signal"][0].mean() < 0.995
    assert momenta.factor["signal"][1] == pytest.approx(1 / momenta.factor["signal"][0])
    assert (photons.error["mumugamma"] < 0.1).all()


def test_another_example_has_the_same_nominal_samples(folder, tmp_path):
    """Without its variations; only provenance says which manifest it was."""
    content = yaml.safe_load((folder / "systematics.yaml").read_text())
    del content["systematics"]
    content["datasets"] = {n: d for n, d in content["datasets"].items() if "variation_of" not in d}
    (tmp_path / "plain.yaml").write_text(yaml.safe_dump(content))
    options = ["--manifest", tmp_path / "plain.yaml", "--output", tmp_path / "output"]
    for command in ("simulate", "features"):
        run_here(command, *options)
    for name in ("ntuples/signal.root", "ntuples/mumugamma.root", "ntuples/tautau.root"):
        one, other = (root / "output" / name for root in (folder, tmp_path))
        assert one.read_bytes() == other.read_bytes()
    tensors = (root / "output" / "tensors" for root in (folder, tmp_path))
    one, other = map(contents, tensors)
    assert one == other


def test_nothing_runs_again_but_what_has_changed(folder):
    """Another size of a normalisation concerns the limits alone."""
    content = yaml.safe_load((folder / "systematics.yaml").read_text())
    content["systematics"]["two_photon_rate"]["normalisation"]["eemumu"] = 0.1
    other = folder / "other.yaml"
    other.write_text(yaml.safe_dump(content))
    options = ["--manifest", other, "--output", folder / "output"]
    said = run_here("features", *options)
    assert "features: up to date" in said
    assert "variations: up to date" in said
    cutflow = json.loads((folder / "output" / "features" / "cutflow.json").read_text())
    assert not any("photons" in name for name in cutflow["datasets"])
