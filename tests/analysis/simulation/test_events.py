"""Arithmetic of compiled loops agrees with `vector`; ntuples hold every event, as basf2's do."""

import numpy as np
import pytest
import uproot
from collisions import BEAMS
from four_vectors import at_rest, boosted, on_shell
from hypothesis import given
from hypothesis import strategies as st

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.manifest.datasets import BRANCHES
from punzinet.analysis.simulation import events
from punzinet.analysis.simulation.sampling import EVENT, TREE, write_ntuple

COMPONENT = st.floats(-5, 5).filter(lambda x: x == 0 or abs(x) > 1e-6)
VECTOR = st.tuples(COMPONENT, COMPONENT, COMPONENT)


@given(VECTOR, VECTOR)
def test_boosts_agree_with_vector(p, frame):
    a, b = on_shell(np.array(p), 0.1), on_shell(np.array(frame), 3.0)
    one, system = tuple(a.tolist()), tuple(b.tolist())
    np.testing.assert_allclose(events.to_rest_frame(one, system), at_rest(a, b), atol=1e-12)
    np.testing.assert_allclose(events.from_rest_frame(one, system), boosted(a, b), atol=1e-12)
    np.testing.assert_allclose(events.to_rest_frame(system, system), [3, 0, 0, 0], atol=1e-12)


@given(VECTOR.filter(any), VECTOR)
def test_rotation_brings_z_onto_the_axis_and_can_be_undone(axis, p):
    unit = tuple((np.array(axis) / np.linalg.norm(axis)).tolist())
    x, y, z = (np.array(events.rotate_to(unit, (1.0, *row))) for row in np.eye(3).tolist())
    np.testing.assert_allclose(z, (1, *unit), atol=1e-14)
    assert y[3] == 0  # the turned y axis stays across the z axis
    np.testing.assert_allclose(np.cross(x[1:], y[1:]), unit, atol=1e-14)
    a = tuple(on_shell(np.array(p), 1.0).tolist())
    turned = events.rotate_to(unit, a)
    assert turned[0] == a[0]
    assert np.dot(turned[1:], unit) == pytest.approx(p[2], abs=1e-12)
    np.testing.assert_allclose(events.rotate_from(unit, turned), a, atol=1e-12)


def random_events(n):
    rng = np.random.default_rng(1)
    events = np.empty(n, EVENT)
    events["p_plus"] = rng.normal(size=(n, 3))
    events["p_minus"] = rng.normal(size=(n, 3))
    events["weight"] = rng.uniform(1, 2, n)
    events["mass"], events["number"] = 0.1, np.arange(n)
    return events


def write(path, *parts, signal=True, identity="a"):
    write_ntuple(path, identity, 3, BEAMS, parts, signal=signal)
    return uproot.open(path)


def test_holds_what_was_given(tmp_path):
    events = random_events(1000)
    with write(tmp_path / "t.root", events) as file:
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
    for key, value in (("charge1", 1.0), ("charge2", -1.0), ("production", 3)):
        assert set(branch[key]) == {value}
    beam = [branch[f"beam_{axis}"][0] for axis in ("E", "px", "py", "pz")]
    np.testing.assert_array_equal(beam, BEAMS.total)
    expected = np.sqrt((events["p_plus"].astype(float) ** 2).sum(axis=1) + MUON_MASS**2)
    np.testing.assert_allclose(energy, expected, rtol=1e-7)


def test_background_has_no_generated_mass_and_no_events_make_an_empty_tree(tmp_path):
    with write(tmp_path / "t.root", signal=False) as file:
        assert BRANCHES["generated_mass"] not in file[TREE].keys()  # noqa: SIM118 - no mapping
        assert file[TREE].num_entries == 0


def test_bytes_and_uuid_depend_on_nothing_but_events_and_identity(tmp_path):
    events = random_events(150_000)
    (tmp_path / "elsewhere").mkdir()
    first, second = tmp_path / "a.root", tmp_path / "elsewhere" / "longer-name.root"
    one = write(first, events)
    write(second, *np.array_split(events, 7))
    assert first.read_bytes() == second.read_bytes()
    assert write(second, events[:10], identity="b").file.uuid != one.file.uuid


def test_baskets_are_large_and_no_event_is_lost_between_them(tmp_path):
    events = random_events(200_000)
    with write(tmp_path / "t.root", events[:3], events[3:140_000], events[140_000:]) as file:
        branch = file[TREE][BRANCHES["px1"]]
        sizes = [branch.basket(i).uncompressed_bytes for i in range(branch.num_baskets)]
        read = branch.array(library="np")
    assert min(sizes[:-1]) >= 100_000
    np.testing.assert_array_equal(read, events["p_plus"][:, 0])
