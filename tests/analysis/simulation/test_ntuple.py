"""Ntuples: basf2's names and types, every event once, and the same bytes for the same events."""

import time
from pathlib import Path

import numpy as np
import pytest
import uproot

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.simulation.ntuple import TREE, create_ntuple
from punzinet.analysis.simulation.sampling import EVENT


def random_events(n: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    events = np.empty(n, EVENT)
    events["p_plus"] = rng.normal(size=(n, 3))
    events["p_minus"] = rng.normal(size=(n, 3))
    events["weight"] = rng.uniform(1, 2, n)
    events["mass"] = 0.1
    return events


def write(path: Path, parts: list[np.ndarray], signal: bool = True, identity: str = "a") -> None:
    with create_ntuple(path, identity, 3, Beams(), signal=signal) as ntuple:
        for part in parts:
            ntuple.append(part)
        assert ntuple.entries == sum(map(len, parts))


def test_holds_what_was_given(tmp_path: Path) -> None:
    events = random_events(1000)
    write(tmp_path / "t.root", [events])
    with uproot.open(tmp_path / "t.root") as file:
        tree = file[TREE]
        assert tree.classname == "TTree"
        assert set(BRANCHES.values()) <= set(tree.keys())
        branch = {key: tree[name].array(library="np") for key, name in BRANCHES.items()}
        energy = tree["daughter__bo0__cm__spE__bc"].array(library="np")
    for i, axis in enumerate("xyz"):
        np.testing.assert_array_equal(branch[f"p{axis}1"], events["p_plus"][:, i])
        np.testing.assert_array_equal(branch[f"p{axis}2"], events["p_minus"][:, i])
    np.testing.assert_array_equal(branch["weight"], events["weight"])
    np.testing.assert_array_equal(branch["generated_mass"], events["mass"])
    np.testing.assert_array_equal(branch["event"], np.arange(1000))
    assert branch["event"].dtype == np.uint32  # as basf2 has it
    assert set(branch["charge1"]) == {1.0}
    assert set(branch["charge2"]) == {-1.0}
    assert set(branch["production"]) == {3}
    beam = [branch[f"beam_{axis}"][0] for axis in ("E", "px", "py", "pz")]
    np.testing.assert_array_equal(beam, Beams().total)
    expected = np.sqrt((events["p_plus"].astype(float) ** 2).sum(axis=1) + MUON_MASS**2)
    np.testing.assert_allclose(energy, expected, rtol=1e-7)


def test_background_has_no_generated_mass(tmp_path: Path) -> None:
    write(tmp_path / "t.root", [random_events(10)], signal=False)
    with uproot.open(tmp_path / "t.root") as file:
        assert BRANCHES["generated_mass"] not in file[TREE].keys()  # noqa: SIM118 - no mapping


def test_bytes_depend_on_nothing_but_the_events(tmp_path: Path) -> None:
    events = random_events(150_000)
    (tmp_path / "elsewhere").mkdir()
    first, second = tmp_path / "a.root", tmp_path / "elsewhere" / "longer-name.root"
    write(first, [events])
    time.sleep(1.1)  # ROOT's times are in seconds
    write(second, np.array_split(events, 7))
    assert first.read_bytes() == second.read_bytes()


def test_files_of_different_identity_have_different_uuids(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.root", [random_events(10)], identity=name)
    with uproot.open(tmp_path / "a.root") as a, uproot.open(tmp_path / "b.root") as b:
        assert a.file.uuid != b.file.uuid


def test_baskets_are_large_and_no_event_is_lost_between_them(tmp_path: Path) -> None:
    events = random_events(200_000)
    write(tmp_path / "t.root", [events[:3], events[3:140_000], events[140_000:]])
    with uproot.open(tmp_path / "t.root") as file:
        branch = file[TREE][BRANCHES["px1"]]
        sizes = [branch.basket(i).uncompressed_bytes for i in range(branch.num_baskets)]
        read = branch.array(library="np")
    assert min(sizes[:-1]) >= 100_000
    np.testing.assert_array_equal(read, events["p_plus"][:, 0])


def test_no_events_make_an_empty_tree(tmp_path: Path) -> None:
    write(tmp_path / "t.root", [])
    with uproot.open(tmp_path / "t.root") as file:
        assert file[TREE].num_entries == 0


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    def fail() -> None:
        with create_ntuple(tmp_path / "t.root", "a", 1, Beams(), signal=True) as ntuple:
            ntuple.append(random_events(10))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert list(tmp_path.iterdir()) == []
