"""The section `search` of the manifest, and what it stands for."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from punzinet.analysis.features import MuonPairs
from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.observables import FEATURES, OBSERVABLES, Quantity
from punzinet.analysis.search import RECOIL, SearchSettings


@pytest.fixture
def pairs():
    rng = np.random.default_rng(1)
    one, two = (tuple(rng.normal(0, 2, (3, 100))) for _ in range(2))
    columns = {"roe": rng.uniform(size=100)}
    return MuonPairs(one, two, Beams().total, Beams().electron_direction, columns)


def test_the_default_is_the_search_of_the_paper(pairs):
    features, variable = RECOIL.evaluate(pairs)
    np.testing.assert_array_equal(features, pairs.kinematics.features)
    np.testing.assert_array_equal(variable, pairs.kinematics.m2_recoil)
    assert RECOIL.feature_names == FEATURES
    assert RECOIL.columns == ()
    assert RECOIL.centre(np.array([0.1, 8.7])).tolist() == [0.1**2, 8.7**2]
    SearchSettings().require_recoil("punzinet paper")


def test_windows_lie_around_the_mass_in_the_unit_of_the_variable(pairs):
    search = SearchSettings(variable="m_mumu", features=("pt_mumu", "cos_mumu")).resolved
    mass = np.array([2.0, 3.0])
    np.testing.assert_array_equal(search.centre(mass), mass)
    assert search.variable.mass is search.variable
    features, variable = search.evaluate(pairs)
    assert features.shape == (100, 2)
    np.testing.assert_array_equal(variable, OBSERVABLES["m_mumu"].compute(pairs))
    assert search.peak_reach == 0.6


def test_columns_of_the_ntuples_are_taken_as_they_are(pairs):
    columns = {"roe": {"label": "$E$", "unit": "GeV"}}
    content = {"features": ["roe", "pt_mumu"], "columns": columns}
    search = SearchSettings.model_validate(content).resolved
    assert search.columns == ("roe",)
    assert search.features[0].axis_label == "$E$ [GeV]"
    np.testing.assert_array_equal(search.evaluate(pairs)[0][:, 0], pairs.columns["roe"])


def test_what_cannot_be_computed_is_no_number_and_no_warning():
    broken = np.array([1.0, np.nan, np.inf, 1e308])
    momenta = (broken, np.ones(4), np.ones(4))
    pairs = MuonPairs(momenta, momenta, Beams().total, Beams().electron_direction)
    search = replace(RECOIL, features=tuple(o.quantity for o in OBSERVABLES.values()))
    features, _ = search.evaluate(pairs)
    assert np.isfinite(features[0]).all()
    assert not np.isfinite(features[1:]).all(axis=1).any()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"features": ["pt_mumo"]}, "'pt_mumo', which is no observable .* mean pt_mumu"),
        ({"features": []}, "at least 1"),
        ({"features": ["pt_mumu", "pt_mumu"]}, "names something twice"),
        ({"features": ["m2_recoil"]}, "the variable of the windows, by which"),
        ({"variable": "charm"}, "`variable` names 'charm', which is no observable"),
        ({"variable": "cos_mumu"}, "cos_mumu is neither a mass nor a squared mass"),
        ({"columns": {"m_mumu": {}}}, "'m_mumu', which is an observable"),
        ({"columns": {"weight": {}}}, "'weight', .* a column of the tensors"),
        ({"columns": {"not a name": {}}}, "no plain name"),
        ({"columns": {"punzinet_output": {}}}, "or of friend trees"),
        ({"columns": {"x": {"unit": "MeV"}}}, "unit"),
        ({"peak_reach": 0}, "greater than 0"),
    ],
)
def test_mistakes(settings, sentence):
    with pytest.raises(ValidationError, match=sentence):
        SearchSettings.model_validate(settings)


def test_only_the_search_of_the_paper_reproduces_the_paper():
    for settings in (SearchSettings(variable="m_mumu"), SearchSettings(features=("m_mumu",))):
        with pytest.raises(InputError, match="`punzinet paper` is about the recoil-mass search"):
            settings.require_recoil("punzinet paper")


def test_a_squared_mass_keeps_its_sign_as_a_mass():
    squared = Quantity("x2", "$x^2$", 2, "squared x")
    np.testing.assert_array_equal(squared.signed_mass(np.array([-4.0, 0.0, 9.0])), [-2, 0, 3])
    assert squared.mass.axis_label == r"$\sqrt{x^2}$ [GeV]"
    assert RECOIL.variable.mass.name == "m_recoil"
