"""Periods of the luminosity: what each dataset is scaled to, and mistakes that would be numbers."""

import re

import pytest
from small_data import make_manifest

from punzinet.analysis.manifest.manifest import Manifest

LUMINOSITY = {2019: 30, 2020: 20}


def manifest(luminosity=LUMINOSITY, **datasets):
    """Two masses and two backgrounds, with a dataset for each period or settings in a list."""
    default = {"signal": [None], "tautau": [None], "eemumu": [None]}
    files = {}
    for process, given in (default | datasets).items():
        for number, one in enumerate(given):
            settings = one if isinstance(one, dict) else {"period": one} if one else {}
            files[f"{process}{number}"] = {
                "process": process,
                "files": [f"{process}{number}.root"],
                **settings,
            }
    return make_manifest(files, luminosity=luminosity, hypotheses={"masses": [1.0, 2.0]})


BOTH = [2019, "2020"]


def test_a_dataset_is_scaled_to_its_period_and_one_without_to_the_sum():
    found = manifest(signal=BOTH, tautau=BOTH, eemumu=[None])
    assert (found.luminosity, found.periods) == (50.0, {"2019": 30.0, "2020": 20.0})
    targets = {name: found.luminosity_of(name) for name in found.datasets}
    expected = {"signal0": 30, "signal1": 20, "tautau0": 30, "tautau1": 20, "eemumu0": 50}
    assert targets == expected
    assert Manifest.model_validate(found.model_dump(exclude_unset=True)) == found
    assert found.digest != manifest({2019: 20, 2020: 30}, signal=BOTH, tautau=BOTH).digest
    written = manifest(50).model_dump()
    assert "periods" not in written
    assert all("period" not in dataset for dataset in written["datasets"].values())


@pytest.mark.parametrize(
    ("luminosity", "datasets", "sentence"),
    [
        (50, {"tautau": [2019]}, r"tautau0.period`: '2019' is no .* one number; .*\{2019: 20\}"),
        (LUMINOSITY, {"tautau": [2019, 2021]}, r"tautau1.period`: '2021' .* mean 2020 or 2019"),
        (LUMINOSITY, {}, "periods that no dataset names"),
        (LUMINOSITY, {"tautau": [2019]}, "process tautau has no sample of 2020, but of other"),
        (LUMINOSITY, {"eemumu": [None, 2020]}, "process eemumu has no sample of 2019"),
        (LUMINOSITY, {"signal": [2019]}, "signal of 1 GeV has no sample of 2020"),
        (LUMINOSITY, {"signal": [None, *BOTH]}, "signal of 1 GeV .* and others without"),
        (LUMINOSITY, {"signal": [2019, {"period": 2020, "mass": 1.0}]}, "signal of 2 GeV has no"),
        ({2019: -1, 2020: 20}, {"tautau": BOTH}, r"periods.2019\n.* greater than 0"),
        ({2019: "much"}, {"tautau": [2019]}, r"periods.2019\n.* valid number"),
        ({}, {"tautau": [2019]}, r"luminosity\n.* greater than 0"),
    ],
)
def test_mistakes(luminosity, datasets, sentence):
    with pytest.raises(ValueError, match=sentence):
        manifest(luminosity, **datasets)


def test_periods_are_given_once():
    given = manifest(LUMINOSITY, tautau=BOTH).model_dump() | {"luminosity": LUMINOSITY}
    with pytest.raises(ValueError, match="in `luminosity` already"):
        Manifest.model_validate(given)


def test_signal_of_each_mass_has_periods_or_none():
    one, other = ({"mass": mass} for mass in (1.0, 2.0))
    manifest(signal=[*({"period": period} | one for period in BOTH), other])


@pytest.mark.parametrize(
    ("luminosity", "datasets", "sentences"),
    [
        (50, {"signal": [{"mass": 1.0}, {"mass": 2.0}]}, []),
        (50, {"tautau": [None, None]}, ["Process tautau is the sum .* tautau0, tautau1, each"]),
        (LUMINOSITY, {"tautau": BOTH}, []),
        (LUMINOSITY, {"signal": BOTH, "tautau": [None] * 2}, ["tautau is the sum .* luminosity:"]),
        (LUMINOSITY, {"tautau": [*BOTH, 2020]}, ["tautau of 2020 is .* tautau1, tautau2, each"]),
        (
            LUMINOSITY, {"tautau": [*BOTH, None]},
            ["of 2019 is .* tautau0, tautau2", "of 2020 is .* tautau1, tautau2"],
        ),
        (LUMINOSITY, {"tautau": BOTH, "data": [{"luminosity": 12}]}, []),
        (
            LUMINOSITY, {"data": [{"period": 2019, "luminosity": 15}] * 2},
            ["Data of 2020 is 0 fb⁻¹, but `luminosity` has 20"],
        ),
        (
            LUMINOSITY, {"data": [{"period": p, "luminosity": 20} for p in BOTH]},
            ["Data of 2019 is 20 fb⁻¹, but `luminosity` has 30"],
        ),
    ],
)  # fmt: skip
def test_what_may_be_a_mistake_is_said(luminosity, datasets, sentences):
    said = manifest(luminosity, **datasets).remarks
    assert len(said) == len(sentences)
    for line, sentence in zip(said, sentences, strict=True):
        assert re.search(sentence, line)
