"""Tensors of systematic variations: factors on weights, and samples simulated differently."""

import numpy as np
import polars as pl
import pytest
from outputs import contents, datasets_of
from small_data import GENERATED, make_events, make_manifest, make_signal, varied, write_ntuple
from small_runs import make_features

from punzinet.analysis.io.files import InputError
from punzinet.processors.datasets import MOMENTA

TRIGGER = {"trigger": {"weights": {"up": "trigger_up", "down": "trigger_down"}}}


@pytest.fixture(scope="module")
def files(tmp_path_factory, ntuples):
    """The small files, one of them with factors, and two varied samples."""
    folder = tmp_path_factory.mktemp("varied")
    events = make_events(2, 7000)
    factors = {"trigger_up": np.full(7000, 1.1), "trigger_down": np.full(7000, 0.95)}
    scaled = events | {name: 1.0002 * events[name] for name in MOMENTA}
    signal = make_signal(1, resolution=0.006)
    made = {"factors": events | factors, "scaled": scaled, "smeared": signal}
    return ntuples | {name: write_ntuple(folder / f"{name}.root", e) for name, e in made.items()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory, ntuples):
    return make_features(make_manifest(ntuples), tmp_path_factory.mktemp("plain"))


def small(files, systematics, **datasets):
    nominal = {name: files[name] for name in ("signal", "tautau", "eemumu")}
    return make_manifest(nominal | datasets, systematics=systematics)


def test_factors_are_columns_of_the_tensors_that_have_them(tmp_path, files, plain):
    output = make_features(small({**files, "tautau": files["factors"]}, TRIGGER), tmp_path)
    found, without = (pl.read_parquet(o.tensors / "tautau" / "*.parquet") for o in (output, plain))
    assert found.columns == [*without.columns, "weight:trigger:up", "weight:trigger:down"]
    assert found.select(without.columns).equals(without)
    assert found["weight:trigger:up"].dtype == pl.Float32
    assert found["weight:trigger:up"].unique().to_list() == [np.float32(1.1)]
    assert found["weight:trigger:down"].unique().to_list() == [np.float32(0.95)]
    for name in ("signal", "eemumu"):
        assert contents(output.tensors / name) == contents(plain.tensors / name)
    assert output.windows.read_text() != plain.windows.read_text()  # the provenance says so


def test_varied_samples_change_no_tensor_and_lie_beside_them(tmp_path, files, plain):
    samples = {"tautau": {"up": "scaled"}, "signal": {"up": "smeared"}}
    datasets = {
        "scaled": varied("tautau", files["scaled"], luminosity=200.0),
        "smeared": varied("signal", files["smeared"], generated=2 * GENERATED),
    }
    manifest = small(files, {"momentum": {"samples": samples}}, **datasets)
    output = make_features(manifest, tmp_path)
    assert contents(output.tensors) == contents(plain.tensors)
    make_features(manifest, tmp_path, varied=True)
    assert contents(output.tensors) == contents(plain.tensors)
    assert sorted(path.name for path in output.varied_tensors.iterdir()) == ["scaled", "smeared"]
    nominal, other = (
        pl.read_parquet(folder / name / "*.parquet")
        for folder, name in ((output.tensors, "tautau"), (output.varied_tensors, "scaled"))
    )
    # Half as much weight for twice the luminosity, and the fold of the same event.
    assert 2 * other["weight"][0] == pytest.approx(nominal["weight"][0])
    joint = nominal.join(other, on=["production", "event"], suffix=":varied")
    assert len(joint) > 0.5 * len(nominal)
    assert (joint["fold"] == joint["fold:varied"]).all()
    counts = datasets_of(output.varied_cutflow)["smeared"]["hypotheses"]
    before = datasets_of(output.features_cutflow)["signal"]["hypotheses"]
    for row, nominal_row in zip(counts, before, strict=True):
        assert (row["generated"], nominal_row["generated"]) == (2 * GENERATED, GENERATED)
        assert 0.4 < row["efficiency"] / nominal_row["efficiency"] < 0.5
    assert not datasets_of(output.varied_completeness)["scaled"]["duplicates"]["events"]


def test_the_same_file_may_be_read_by_other_branches(tmp_path, files):
    events = make_events(2, 7000)
    events |= {"px1_up": 1.01 * events["px1"], "px1_down": 0.99 * events["px1"]}
    path = write_ntuple(tmp_path / "both.root", events)
    names = ("up", "down")
    datasets = {
        name: varied("tautau", path, branches={"px1": f"px1_{name}"}, luminosity=100.0)
        for name in names
    }
    systematics = {"momentum": {"samples": {"tautau": dict(zip(names, names, strict=True))}}}
    manifest = small({**files, "tautau": path}, systematics, **datasets)
    output = make_features(manifest, tmp_path / "output")
    make_features(manifest, output.root, varied=True)
    means = [
        pl.read_parquet(output.varied_tensors / name / "*.parquet")["m2_recoil"].mean()
        for name in names
    ]
    assert means[0] != means[1]
    assert not datasets_of(output.varied_completeness)["up"]["duplicates"]["events"]


@pytest.mark.parametrize(
    ("columns", "weights", "sentence"),
    [
        ({}, {"up": "w_up"}, "there is no branch w_up in the files of any simulated dataset"),
        (
            {"a": 1.0},
            {"up": "a", "down": "b"},
            "has no branch b, which `weight:trigger:down` is read",
        ),
        (
            {"a": 1.0},
            {"up": "a", "datasets": ["tautau", "eemumu"]},
            "there is no branch a in the files of dataset eemumu",
        ),
        ({"a": -1.0}, {"up": "a"}, "branch a of .* is negative or no finite number in"),
        ({"a": np.nan}, {"up": "a"}, "branch a of .* is negative or no finite number in"),
    ],
)
def test_factors_that_cannot_be(tmp_path, files, columns, weights, sentence):
    events = make_events(2, 7000)
    events |= {name: np.full(7000, value) for name, value in columns.items()}
    tautau = write_ntuple(tmp_path / "tautau.root", events)
    manifest = small({**files, "tautau": tautau}, {"trigger": {"weights": weights}})
    with pytest.raises(InputError, match=sentence):
        make_features(manifest, tmp_path)
