import numpy as np
import pytest
from small_data import InMemory

from punzinet.analysis.io.files import InputError
from punzinet.analysis.manifest.datasets import BRANCHES, Dataset
from punzinet.processors.candidates import read_column
from punzinet.processors.ntuples.preflight import find_columns

ALL = dict.fromkeys(BRANCHES.values(), "double")


def dataset(process="tautau", **settings):
    base = {"name": process, "process": process, "files": ["x.root"]}
    base |= {"generated": 10} if process == "signal" else {"luminosity": 1.0}
    return Dataset.model_validate(base | settings)


def without(column):
    return {name: kind for name, kind in ALL.items() if name != BRANCHES[column]}


def test_only_signal_of_several_masses_needs_the_generated_mass():
    for other in (dataset("signal", mass=1.0), dataset()):
        find_columns(other, "x.root", without("generated_mass"))
    with pytest.raises(InputError, match="`generated_mass` is read from"):
        find_columns(dataset("signal"), "x.root", without("generated_mass"))


def test_aliases_lead_to_other_branches_also_of_what_the_search_reads_besides():
    branches = {**without("px1"), "mu_px": "double", "roe": "float", "roeE": "double"}
    found = find_columns(dataset(branches={"px1": "mu_px"}), "x.root", branches, ["roe"])
    assert (found["px1"], found["py1"], found["roe"]) == ("mu_px", BRANCHES["py1"], "roe")
    other = dataset(branches={"px1": "mu_px", "roe": "roeE"})
    assert find_columns(other, "x.root", branches, ["roe"])["roe"] == "roeE"


@pytest.mark.parametrize(
    ("branches", "further", "aliases", "sentence"),
    [
        ({**without("px1"), "daughter__bo0__cm__sppx": "double"}, [], {},
         r"Dataset tautau: tree variables of x\.root has no branch daughter__bo0__cm__sppx__bc, "
         r"which `px1` is read from; nearest are daughter__bo0__cm__sppx; name"),
        ({"Q": "double"}, [], {}, r"`experiment` is read from; name the right one"),
        # Half of a group is an error.
        (without("beam_py"), [], {}, "has no branch beamPy"),
        (without("charge2"), [], {}, f"has no branch {BRANCHES['charge2']}"),
        # What the search reads or the manifest names has to be there.
        (without("charge1"), ["charge1"], {}, "`charge1` is read from"),
        (ALL, ["roe"], {}, "has no branch roe, which `roe` is read from"),
        (ALL, [], {"weight": "w8"}, "has no branch w8"),
        *(({**ALL, BRANCHES["pz2"]: kind}, [], {}, "has to be one number for every entry")
          for kind in ("std::vector<double>", "double[]", "double[3]", "char*")),
    ],
)  # fmt: skip
def test_a_branch_that_is_missing_or_no_number_is_named(branches, further, aliases, sentence):
    with pytest.raises(InputError, match=sentence):
        find_columns(dataset(branches=aliases), "x.root", branches, further)


def test_branches_have_the_names_of_basf2_and_momenta_in_the_cms_others():
    charge = "daughter__bo0__cm__spcharge__bc"
    cms = dataset(frame="cms", branches={"pz2": "mine"}).branch_of
    assert cms["py2"] == "daughter__bo1__cm__spuseCMSFrame__bopy__bc__bc"
    assert (BRANCHES["pz2"], BRANCHES["charge1"]) == ("daughter__bo1__cm__sppz__bc", charge)
    assert (cms["pz2"], cms["charge1"]) == ("mine", charge)


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
