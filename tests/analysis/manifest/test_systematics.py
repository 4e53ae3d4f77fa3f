"""Systematics in the manifest: what varied datasets inherit, and every mistake."""

import pytest
import yaml
from pages import ROOT, blocks
from pydantic import ValidationError
from small_data import make_manifest

from punzinet.analysis.io.output import OutputFolder
from punzinet.analysis.manifest.manifest import Manifest, load_manifest
from punzinet.analysis.manifest.systematics import factor_branches

FILES = {"signal": "s.root", "tautau": "t.root", "runs": {"process": "data", "files": ["r.root"]}}
VARIED = {"process": "tautau", "variation_of": "tautau", "files": ["v.root"]}
USED = {"s": {"samples": {"tautau": {"up": "v"}}}}


def test_variations_have_what_is_not_said_from_their_nominal_dataset():
    content = make_manifest(FILES).model_dump(mode="json", exclude_unset=True)
    for dataset in content["datasets"].values():
        del dataset["name"]
    content["datasets"]["tautau"] |= {"tree": "events", "branches": {"px1": "mu_px"}}
    content["datasets"]["v"] = {"variation_of": "tautau", "files": ["v.root"], "luminosity": 3.0}
    manifest = Manifest.model_validate({**content, "systematics": USED})
    nominal, varied = (manifest.datasets[name] for name in ("tautau", "v"))
    for name in ("process", "tree", "branches", "frame"):
        assert getattr(varied, name) == getattr(nominal, name)
    content["datasets"]["v"]["branches"] = {"py1": "mu_py_up"}  # and those of other columns
    varied = Manifest.model_validate({**content, "systematics": USED}).datasets["v"]
    assert varied.branches == {"px1": "mu_px", "py1": "mu_py_up"}
    assert (nominal.luminosity, varied.luminosity) == (100.0, 3.0)
    assert [*manifest.part().datasets] == ["signal", "tautau"]
    assert [*manifest.part(varied=True).datasets] == ["v"]
    assert [*manifest.nominal.datasets] == ["signal", "tautau", "runs"]
    content["datasets"]["v"] = {"variation_of": "tautau", "simulate": "tautau"}
    with pytest.raises(ValidationError, match="has its simulate, None, not 'tautau'"):
        Manifest.model_validate({**content, "systematics": USED})


def test_manifests_without_systematics_are_what_they_were():
    content = make_manifest(FILES).model_dump(mode="json")
    assert "systematics" not in content
    assert not {"variation_of", "detector"} & content["datasets"]["tautau"].keys()


def test_factors_are_of_simulated_nominal_datasets():
    weights = {"weights": {"up": "a", "down": "b"}}
    manifest = make_manifest(FILES | {"v": VARIED}, systematics={**USED, "w": weights})
    found = {n: factor_branches(manifest.systematics, d) for n, d in manifest.datasets.items()}
    columns = {"w": {"weight:w:up": "a", "weight:w:down": "b"}}
    assert found == {"signal": columns, "tautau": columns, "runs": {}, "v": {}}


@pytest.mark.parametrize(
    ("datasets", "systematics", "sentence"),
    [
        ({"v": {**VARIED, "variation_of": "tautu"}}, USED, r"'tautu' is no nominal .*tautau\?"),
        ({"v": {**VARIED, "variation_of": "runs"}}, USED, "'runs' is no nominal simulated"),
        ({"v": VARIED, "w": {**VARIED, "variation_of": "v"}}, USED, "'v' is no nominal simulated"),
        ({"v": VARIED}, {}, "`datasets.v`: this variation of tautau is not used; name it under"),
        ({"v": {**VARIED, "process": "eemumu"}}, USED, "has its process, 'tautau', not 'eemumu'"),
        ({"v": {**VARIED, "period": "2020"}}, USED, "has its period, None, not '2020'"),
        ({"v": {**VARIED, "files": ["t.root"]}}, USED, "variation of tautau holds the same"),
        ({}, {"s": {"weights": {"up": "a", "down": "a"}}}, "`down` is the branch of `up`; leave"),
        ({"v": {**VARIED, "detector": {}}}, USED, "`detector` is for a simulated dataset with"),
        ({}, USED, r"tautau.up`: 'v' is no dataset with `variation_of: tautau` \(there is none\)"),
        ({"v": VARIED}, {"s": {"samples": {"tautau": {"up": "v", "down": "v"}}}}, "v is up of `s`"),
        ({"v": VARIED}, {**USED, "t": USED["s"]}, "t.samples.tautau.up`: v is up of `s`"),
        ({}, {"s": {"samples": {"tautua": {"up": "v"}}}}, "'tautua' is no nominal simulated"),
        ({}, {"s": {"normalisation": {"tautua": 0.1}}}, r"'tautua' is no process .*tautau"),
        ({}, {"s": {"normalisation": {"tautau": 1.5}}}, "less than or equal to 1"),
        ({}, {"s": {"weights": {"up": "a", "datasets": ["runs"]}}}, "'runs' is no nominal"),
        ({}, {"s": {"weights": {"down": "a"}}}, "Field required"),
        ({}, {"s": {}}, "it changes nothing; give it `weights`, `samples` or `normalisation`"),
        (
            {},
            {"luminosity": {"normalisation": {"tautau": 0.1}}},
            "begin the name of a parameter with none of luminosity",
        ),
        ({}, {"r": {"normalisation": {"tautau": 0.1}}}, "datacards call the cross-section r"),
        ({}, {"a b": {"normalisation": {"tautau": 0.1}}}, "use letters, digits, - and _"),
    ],
)
def test_mistakes(datasets, systematics, sentence):
    with pytest.raises(ValidationError, match=sentence):
        make_manifest(FILES | datasets, systematics=systematics)


def test_a_dataset_that_is_none_beside_a_variation_of_none_is_a_mistake():
    datasets = {"a": 5, "v": {"variation_of": "b", "files": ["v.root"]}}
    with pytest.raises(ValidationError, match="'b' is no nominal simulated dataset"):
        Manifest.model_validate({"datasets": datasets})


@pytest.mark.parametrize("number", [0, 1])
def test_the_manifests_of_the_page_are_some(number, tmp_path):
    """The first one is whole, the second a part of the example, which is one."""
    block = blocks("yaml", ROOT / "docs" / "systematics.md")[number]
    content = yaml.safe_load(block)
    example = ROOT / "docs" / "examples" / "systematics.yaml"
    if number == 0:
        manifest = Manifest.model_validate(content | {"hypotheses": {"masses": [1.0]}})
        assert {*manifest.systematics} == {"trigger", "momentum_scale", "two_photon_rate"}
        return
    assert content.items() <= yaml.safe_load(example.read_text())["datasets"].items()
    manifest = load_manifest(example, OutputFolder(tmp_path))
    assert manifest.datasets["tautau_photons"].luminosity == manifest.datasets["tautau"].luminosity
    assert manifest.is_default_data


def test_efficiency_may_be_uncertain_by_mass():
    given = {2.0: 0.02, 1.0: 0.1}
    limits = make_manifest(FILES, limits={"efficiency_uncertainty": given}).limits
    found = [limits.efficiency_uncertainty_at(mass) for mass in (0.5, 1.0, 1.5, 2.0, 9.0)]
    assert found == pytest.approx([0.1, 0.1, 0.06, 0.02, 0.02])
