from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uproot

from punzinet.analysis.io.errors import InputError
from punzinet.analysis.manifest.datasets import BRANCHES, Dataset
from punzinet.processors.candidates import read_column
from punzinet.processors.datasets import find_columns, required_columns


def dataset(**settings: object) -> Dataset:
    base = {"name": "tautau", "process": "tautau", "files": ["x.root"], "luminosity": 1.0}
    return Dataset.model_validate(base | settings)


def signal(**settings: object) -> Dataset:
    base = {"name": "signal", "process": "signal", "files": ["x.root"], "generated": 10}
    return Dataset.model_validate(base | settings)


ALL = dict.fromkeys(BRANCHES.values(), "double")


def test_everything_a_file_has_is_used() -> None:
    found = find_columns(signal(), "x.root", {**ALL, "unused": "char*"})
    assert found == BRANCHES


def test_weight_charges_and_beams_may_be_absent() -> None:
    needed = {
        name: "float" for column, name in BRANCHES.items() if column in required_columns(dataset())
    }
    assert set(find_columns(dataset(), "x.root", needed)) == set(required_columns(dataset()))


def test_only_signal_of_several_masses_needs_the_generated_mass() -> None:
    assert "generated_mass" in required_columns(signal())
    assert "generated_mass" not in required_columns(signal(mass=1.0))
    assert "generated_mass" not in required_columns(dataset())


def test_what_the_search_reads_besides_has_to_be_there() -> None:
    branches = {**ALL, "roe": "float", "roeE": "double"}
    assert find_columns(dataset(), "x.root", branches, ["roe"])["roe"] == "roe"
    other = dataset(branches={"roe": "roeE"})
    assert find_columns(other, "x.root", branches, ["roe"])["roe"] == "roeE"
    with pytest.raises(InputError, match="has no branch roe, which `roe` is read from"):
        find_columns(dataset(), "x.root", ALL, ["roe"])
    without = {name: kind for name, kind in ALL.items() if name != BRANCHES["charge1"]}
    with pytest.raises(InputError, match="`charge1` is read from"):
        find_columns(dataset(), "x.root", without, ["charge1"])


def test_aliases_lead_to_other_branches() -> None:
    branches = {**ALL, "mu_px": "double"}
    del branches[BRANCHES["px1"]]
    found = find_columns(dataset(branches={"px1": "mu_px"}), "x.root", branches)
    assert found["px1"] == "mu_px"
    assert found["py1"] == BRANCHES["py1"]


def test_a_missing_branch_is_named_with_its_nearest_neighbours() -> None:
    branches = {name: kind for name, kind in ALL.items() if name != BRANCHES["px1"]}
    branches["daughter__bo0__cm__sppx"] = "double"
    with pytest.raises(
        InputError,
        match=r"Dataset tautau: tree variables of x\.root has no branch "
        r"daughter__bo0__cm__sppx__bc, which `px1` is read from; nearest are "
        r"daughter__bo0__cm__sppx; name",
    ):
        find_columns(dataset(), "x.root", branches)


def test_nothing_near_is_no_suggestion() -> None:
    with pytest.raises(InputError, match=r"`experiment` is read from; name the right one"):
        find_columns(dataset(), "x.root", {"Q": "double"})


@pytest.mark.parametrize("column", ["beam_py", "charge2"])
def test_half_of_a_group_is_an_error(column: str) -> None:
    branches = {name: kind for name, kind in ALL.items() if name != BRANCHES[column]}
    with pytest.raises(InputError, match=f"has no branch {BRANCHES[column]}"):
        find_columns(dataset(), "x.root", branches)


def test_what_the_manifest_names_has_to_be_there() -> None:
    with pytest.raises(InputError, match="has no branch w8"):
        find_columns(dataset(branches={"weight": "w8"}), "x.root", ALL)


@pytest.mark.parametrize("kind", ["std::vector<double>", "double[3]", "char*"])
def test_a_branch_has_to_hold_one_number_an_entry(kind: str) -> None:
    with pytest.raises(InputError, match="has to be one number for every entry"):
        find_columns(dataset(), "x.root", {**ALL, BRANCHES["pz2"]: kind})


def test_momenta_in_the_cms_have_other_names() -> None:
    cms = dataset(frame="cms", branches={"pz2": "mine"}).branch_of
    assert cms["px1"] == "daughter__bo0__cm__spuseCMSFrame__bopx__bc__bc"
    assert cms["py2"] == "daughter__bo1__cm__spuseCMSFrame__bopy__bc__bc"
    assert cms["pz2"] == "mine"
    assert cms["charge1"] == BRANCHES["charge1"]


class Column(dict[str, np.ndarray]):
    """A branch in memory."""

    fields = ("b",)

    @property
    def metadata(self) -> dict[str, object]:
        return {"dataset": "d", "filename": "x.root", "entrystart": 10, "entrystop": 14}


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_numbers_that_stand_for_a_missing_value_are_none(kind: type) -> None:
    column = np.array([1, -999, 7, 2], dtype=kind)
    np.testing.assert_array_equal(read_column(Column(b=column), "b"), column)
    found = read_column(Column(b=column), "b", (-999.0, 1e300, 2.0))
    np.testing.assert_array_equal(found, [1, np.nan, 7, np.nan])


def test_a_sentinel_is_recognised_in_single_precision() -> None:
    column = np.array([3.4e38, 0.1, 3.0, 1.0], dtype=np.float32)
    np.testing.assert_array_equal(
        read_column(Column(b=column), "b", (3.4e38, 0.1)), [np.nan, np.nan, 3.0, 1.0]
    )


class Damaged(Column):
    """Events whose columns cannot be read."""

    def __getitem__(self, name: str) -> np.ndarray:
        raise OSError("expected 100 bytes\nand much more")


def test_damage_inside_of_a_file_is_located() -> None:
    with pytest.raises(
        InputError,
        match=r"^x.root: branch b cannot be read between entries 10 and 14 "
        r"\(expected 100 bytes\); the file is damaged",
    ):
        read_column(Damaged(), "b")


def test_a_branch_that_is_not_there_and_a_file_that_has_become_shorter_are_named() -> None:
    with pytest.raises(InputError, match=r"^Dataset d: x\.root has no branch c\.$"):
        read_column(Column(b=np.zeros(4)), "c")
    with pytest.raises(InputError, match="holds 3 instead of 4 entries from entry 10 on"):
        read_column(Column(b=np.zeros(3)), "b")


def test_types_of_real_files_are_understood(
    tmp_path: Path,
    write_ntuple: Callable[..., Path],
    make_events: Callable[..., dict[str, np.ndarray]],
) -> None:
    path = write_ntuple(tmp_path / "x.root", make_events(1, 10))
    with uproot.open(path) as file:
        found = find_columns(dataset(), "x.root", file["variables"].typenames())
    assert set(found) == set(required_columns(dataset()))
