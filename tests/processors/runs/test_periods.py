"""Samples of two periods in one analysis, against numbers counted by hand."""

import numpy as np
import pytest
from outputs import contents, datasets_of
from small_data import GENERATED, dataset, make_events, make_manifest, make_signal, write_ntuple
from small_runs import make_features

from punzinet.analysis.io.files import InputError, read_json

LUMINOSITY = {"a": 30, "b": 20}


@pytest.fixture(scope="module")
def samples(ntuples, tmp_path_factory):
    """The small sample as period a; b has fewer masses' events, of which 40 % cannot be used."""
    folder, generated = tmp_path_factory.mktemp("b"), 1500
    signal = make_signal(4, generated)
    signal["px1"][np.arange(6 * generated) % 5 < 2] = np.nan
    events = {"signal": signal, "tautau": make_events(5, 4000)}
    b = {name: write_ntuple(folder / f"{name}.root", one) for name, one in events.items()}
    return {
        "signal_a": dataset("signal", ntuples["signal"], period="a"),
        "signal_b": dataset("signal", b["signal"], period="b", generated=generated),
        "tautau_a": dataset("tautau", ntuples["tautau"], period="a"),
        "tautau_b": dataset("tautau", b["tautau"], period="b", luminosity=80.0),
        "eemumu": ntuples["eemumu"],
    }


def test_yields_are_sums_over_periods_and_efficiencies_means_by_luminosity(samples, tmp_path):
    output = make_features(make_manifest(samples, luminosity=LUMINOSITY), tmp_path)
    found = datasets_of(output.features_cutflow)
    a, b = (found[name]["hypotheses"] for name in ("signal_a", "signal_b"))
    for one, other in zip(a, b, strict=True):
        inside = one["in_own_window"] / GENERATED, other["in_own_window"] / 1500
        assert inside[0] > 1.5 * inside[1]
        efficiency = 0.9 * (30 * inside[0] + 20 * inside[1]) / 50
        assert one["efficiency"] + other["efficiency"] == pytest.approx(efficiency, rel=1e-12)
        assert one["generated"] == other["generated"] == GENERATED + 1500
    for name, target, made in (("tautau_a", 30, 100), ("tautau_b", 20, 80), ("eemumu", 50, 100)):
        kept = found[name]["cutflow"][-1]
        assert kept["weight"] == pytest.approx(0.9 * kept["entries"] * target / made, rel=1e-12)
    assert read_json(output.completeness, "")["twice"] == []


def test_one_period_is_no_period(ntuples, tmp_path):
    plain = make_features(make_manifest(ntuples), tmp_path / "plain")
    given = {name: dataset(name, file, period="all") for name, file in ntuples.items()}
    manifest = make_manifest(given, luminosity={"all": 50})
    periodic = make_features(manifest, tmp_path / "periodic")
    assert contents(periodic.tensors) == contents(plain.tensors)


def test_an_efficiency_above_one_in_one_period_is_refused(samples, tmp_path):
    """Also where that of both together is not."""
    wrong = samples["signal_b"] | {"generated": 800}  # of which 900 are usable
    manifest = make_manifest(samples | {"signal_b": wrong}, luminosity=LUMINOSITY)
    with pytest.raises(InputError, match=r"signal_b: .* sum up to 900, but only 800"):
        make_features(manifest, tmp_path)


def test_two_samples_at_the_full_luminosity_are_said(ntuples, samples, tmp_path):
    other = dataset("tautau", *samples["tautau_b"]["files"], luminosity=80.0)
    output = make_features(make_manifest({**ntuples, "other": other}), tmp_path)
    (said,) = read_json(output.completeness, "")["twice"]
    assert said.startswith("Process tautau is the sum of the datasets tautau, other, each")
