import numpy as np
import pytest
from small_data import InMemory, kinematics_of, make_events, make_manifest, to_cms, with_beams

from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.sections import Beams
from punzinet.processors import candidates
from punzinet.processors.candidates import KEPT, READ, SAME_CHARGE, read_candidates, read_column
from punzinet.processors.datasets import describe_datasets
from punzinet.processors.preflight import InputFile


def read(columns, process="tautau", search=None, **settings):
    """Candidates of columns, read as from a file whose branches are named like the columns."""
    files = {name: {"files": ["x.root"]} for name in ("signal", "tautau")}
    files[process] |= settings
    if "mass" in settings:
        files["others"] = {"files": ["o.root"], "process": "signal", "generated": 1}
    branches = {name: name for name in columns}
    found = [InputFile(name, "x", "t", 1, branches, "x") for name in files]
    described = describe_datasets(make_manifest(files, search=search or {}), found)
    return read_candidates(described[process], InMemory(columns))


def lines_of(found):
    return {line["step"]: line for line in found.cutflow}


@pytest.mark.parametrize("column", ["px1", "pz2", "weight", "beam_E", "beam_px"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_is_dropped_and_counted(column, value):
    events = with_beams(make_events(1, 50)) | {"weight": np.full(50, 2.0)}
    events[column][[7, 30]] = value
    found = read(events)
    assert np.flatnonzero(~found.alive).tolist() == [7, 30]
    lines, scale = lines_of(found), 2.0 * 0.9 * 50 / 100
    assert lines[candidates.NOT_FINITE]["entries"] == 2
    assert lines[KEPT]["weight"] == pytest.approx(48 * scale)
    assert lines[READ]["weight"] == pytest.approx((48 if column == "weight" else 50) * scale)


def test_muons_of_the_same_charge_are_dropped():
    events = make_events(1, 6)
    events["charge1"] = np.array([1.0, 1, -1, -1, 0, np.nan])
    events["charge2"] = np.array([-1.0, 1, -1, 1, 1, 1])
    found = read(events)
    assert found.alive.tolist() == [True, False, False, True, False, False]
    assert lines_of(found)[SAME_CHARGE]["entries"] == 4


def test_background_is_scaled_to_the_target_luminosity():
    events, weight = make_events(1, 4), np.array([1.0, 2.0, 10.0, 0.5])
    found = read(events | {"weight": weight}, luminosity=200.0)
    np.testing.assert_allclose(found.weight, weight * 0.9 * 50 / 200)
    np.testing.assert_allclose(read(events, luminosity=200.0).weight, 0.9 * 50 / 200)


def test_signal_is_scaled_to_one_generated_event_of_its_mass():
    """In single precision as well; and what is missing or another mass is no hypothesis."""
    mass = np.array([1.0, 2.0, 6.0, 1.5, np.nan])
    events = make_events(1, 5, np.nan_to_num(mass, nan=1.0))
    generated = {1.0: 100, 2.0: 200, 3.0: 10, 4.0: 10, 5.0: 10, 6.0: 600}
    for kind in (np.float64, np.float32):
        found = read(events | {"generated_mass": mass.astype(kind)}, "signal", generated=generated)
        np.testing.assert_allclose(found.weight, [0.009, 0.0045, 0.0015, 0.0, 0.0])
        assert found.hypothesis.tolist() == [0, 1, 5, -1, -1]
        assert found.alive.tolist() == [True, True, True, False, False]
        assert lines_of(found)[candidates.NO_HYPOTHESIS]["entries"] == 2
    events = make_events(1, 6, np.arange(1, 7, dtype=np.float32))
    assert read(events, "signal").hypothesis.tolist() == [0, 1, 2, 3, 4, 5]
    assert read(make_events(1, 5), "signal", mass=3.0).hypothesis.tolist() == [2] * 5
    assert read(make_events(1, 5), "signal", mass=3.5).hypothesis.tolist() == [-1] * 5
    with pytest.raises(InputError, match=r"5 entries .* have `mass` = 3\.00001 GeV, nearly a mass"):
        read(make_events(1, 5), "signal", mass=3.00001)


@pytest.mark.parametrize(
    "factor", [np.linspace(0.99, 1.01, 500), np.full(500, 1.001), np.append(np.full(499, 1.001), 1)]
)
def test_beams_of_the_event_win_over_those_of_the_manifest(factor):
    """Never one beam for all there: which events share a chunk must not change a single bit."""
    events, beams = make_events(1, 500), Beams().total * factor[:, None]
    for own, found in ((None, read(events)), (beams, read(with_beams(events, beams)))):
        expected = kinematics_of(events, own)
        np.testing.assert_array_equal(found.variable, expected.m2_recoil)
        np.testing.assert_array_equal(found.features, expected.features)


@pytest.mark.parametrize("of_each_event", [False, True])
def test_momenta_in_the_cms_give_the_same_as_in_the_laboratory(of_each_event):
    events, beams = make_events(1, 200), np.tile(Beams().total, (200, 1))
    if of_each_event:
        beams = beams * np.linspace(0.99, 1.01, 200)[:, None]
        events = with_beams(events, beams)
    laboratory, cms = read(events), read(to_cms(events, beams), frame="cms")
    np.testing.assert_allclose(cms.variable, laboratory.variable, atol=1e-10)
    np.testing.assert_allclose(cms.features, laboratory.features, atol=1e-10)


def test_old_conventions_for_missing_values_are_dropped_and_counted():
    one = np.ones(50)
    events = make_events(1, 50) | {"weight": one.copy(), "charge1": one, "charge2": -one}
    wrong = {"px1": -999, "pz2": 1e30, "weight": -999, "charge2": -999}
    for row, (column, value) in enumerate(wrong.items()):
        events[column][row] = value
    found = read(events, missing=[-999, 1e30])
    assert np.flatnonzero(~found.alive).tolist() == [0, 1, 2, 3]
    assert lines_of(found)[candidates.NOT_FINITE]["entries"] == 3
    assert lines_of(found)[SAME_CHARGE]["entries"] == 1


def test_columns_that_the_search_names_are_features_and_may_be_missing():
    events = make_events(1, 50) | {"roe": np.linspace(0.0, 1.0, 50)}
    events["roe"][[3, 4]] = np.nan, -999
    search = {"features": ["pt_mumu", "roe"], "columns": {"roe": {}}}
    found = read(events, search=search, missing=[-999])
    assert np.flatnonzero(~found.alive).tolist() == [3, 4]
    assert lines_of(found)[candidates.NOT_FINITE_COLUMN]["entries"] == 2
    np.testing.assert_array_equal(found.features[found.alive, 1], events["roe"][found.alive])
    np.testing.assert_array_equal(found.features[:, 0], read(make_events(1, 50)).features[:, 3])
    # One may be the variable of the windows as well.
    search = {"variable": "roe", "columns": {"roe": {"unit": "GeV"}}}
    np.testing.assert_array_equal(read(events, search=search).variable, events["roe"])


def column(values, kind=InMemory):
    """Values of branch b of entries 10 to 13."""
    return kind({"b": np.array(values)}, 10, 14)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_numbers_that_stand_for_a_missing_value_are_none(kind):
    events = column(np.array([1, -999, 7, 2], dtype=kind))
    np.testing.assert_array_equal(read_column(events, "b"), events["b"])
    found = read_column(events, "b", (-999.0, 1e300, 2.0))
    np.testing.assert_array_equal(found, [1, np.nan, 7, np.nan])
    rounded = column(np.array([3.4e38, 0.1, 3.0, 1.0], dtype=np.float32))
    found = read_column(rounded, "b", (3.4e38, 0.1))
    np.testing.assert_array_equal(found, [np.nan, np.nan, 3, 1])


class Damaged(InMemory):
    """Events whose columns cannot be read."""

    def __getitem__(self, name):
        raise OSError("expected 100 bytes\nand much more")


@pytest.mark.parametrize(
    ("events", "branch", "sentence"),
    [
        (column(np.zeros(4), Damaged), "b", r"^x.root: branch b cannot be read between entries "
         r"10 and 14 \(expected 100 bytes\); the file is damaged, make or fetch it again\.$"),
        (column(np.zeros(4)), "c", r"^Dataset d: x\.root has no branch c\.$"),
        (column(np.zeros(3)), "b", "holds 3 instead of 4 entries from entry 10 on"),
    ],
)  # fmt: skip
def test_damage_inside_of_a_file_is_located(events, branch, sentence):
    with pytest.raises(InputError, match=sentence):
        read_column(events, branch)
