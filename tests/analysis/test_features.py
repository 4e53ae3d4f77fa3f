"""The four features and all observables: definitions by other means, symmetries, limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from small_data import random_muons, to_cms

from punzinet.analysis.constants import MUON_MASS
from punzinet.analysis.features import MuonPairs, dimuon_kinematics
from punzinet.analysis.manifest.sections import Beams
from punzinet.analysis.observables import CANDIDATES, FEATURES, OBSERVABLES

BEAMS = Beams()
#: Beams that collide at rest along z: the laboratory is the centre-of-mass system.
AT_REST = np.array([10.0, 0.0, 0.0, 0.0])
Z = np.array([0.0, 0.0, 1.0])
METRIC = np.array([1.0, -1.0, -1.0, -1.0])


def lab(p1, p2):
    return dimuon_kinematics(p1, p2, BEAMS.total, BEAMS.electron_direction)


def at_rest(p1, p2, z=Z):
    features = dimuon_kinematics(p1, p2, AT_REST, z).features
    return dict(zip(FEATURES, features.T, strict=True))


def test_thrust_axis_is_the_one_that_maximises_the_thrust():
    p1, p2 = random_muons(20)
    pt = at_rest(p1, p2)["pt_thrust"]
    thrust = sum(np.sqrt((p**2).sum(axis=0) - pt**2) for p in (p1, p2))
    # In the plane of the two momenta, where the axis must be, scanned finely.
    u = p1 / np.linalg.norm(p1, axis=0)
    w = p2 - (p2 * u).sum(axis=0) * u
    angle = np.linspace(0, np.pi, 20_001)[:, None, None]
    axis = np.cos(angle) * u + np.sin(angle) * w / np.linalg.norm(w, axis=0)
    found = sum(np.abs((axis * p).sum(axis=1)) for p in (p1, p2))
    np.testing.assert_allclose(found.max(axis=0), thrust, rtol=1e-7)


@pytest.mark.parametrize(
    ("p1", "p2", "expected"),
    [
        ([0, 0, 3], [0, 0, -3], [0, 0, -3, 0]),
        ([0, 0, 3], [0, 0, 1], [0, 0, 3, 0]),
        ([3, 0, 0], [0, 2, 0], [6 / np.sqrt(13), 3, 0, np.sqrt(13)]),
        ([3, 0, 4], [-3, 0, 4], [3, 4.8, 1.4, 0]),
        ([4, 3, 0], [4, -3, 0], [3, 4.8, 1.4, 8]),
        ([1, 0, 1], [0, 0, -2], [2 / np.sqrt(10), np.sqrt(2), -np.sqrt(2), 1]),
    ],
)
def test_events_made_by_hand(p1, p2, expected):
    columns = (np.array(p, float)[:, None] for p in (p1, p2))
    result = dimuon_kinematics(*columns, AT_REST, Z)
    np.testing.assert_allclose(result.features[0], expected, atol=1e-14)
    energy = sum(np.sqrt(MUON_MASS**2 + np.dot(p, p)) for p in (p1, p2))
    recoil = (10 - energy) ** 2 - np.sum((np.array(p1) + p2) ** 2)
    assert result.m2_recoil[0] == pytest.approx(recoil, rel=1e-12)


@given(st.integers(0, 1000))
def test_only_the_dimuon_transverse_momentum_knows_the_beam(seed):
    p1, p2 = random_muons(20, seed)
    rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    before, after = at_rest(p1, p2), at_rest(rotation @ p1, rotation @ p2)
    with_beam = at_rest(rotation @ p1, rotation @ p2, rotation @ Z)
    for name in FEATURES[:3]:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(before["pt_mumu"], np.hypot(*(p1 + p2)[:2]), rtol=1e-12)
    np.testing.assert_allclose(with_beam["pt_mumu"], before["pt_mumu"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("each", [False, True], ids=["the same beams", "beams of each event"])
def test_features_are_those_of_the_boosted_muons(each):
    p1, p2 = random_muons(300)
    beams = np.tile(BEAMS.total, (300, 1))
    if each:
        beams *= 1 + 1e-2 * np.random.default_rng(3).standard_normal(beams.shape)
    result = dimuon_kinematics(p1, p2, beams if each else BEAMS.total, BEAMS.electron_direction)
    muons = {
        f"p{x}{i}": row for i, p in ((1, p1), (2, p2)) for x, row in zip("xyz", p, strict=True)
    }
    boosted = to_cms(muons, beams)
    cms = (np.array([boosted[f"p{x}{i}"] for x in "xyz"]) for i in (1, 2))
    sqrt_s = np.sqrt(beams**2 @ METRIC)
    expected = dimuon_kinematics(*cms, sqrt_s[:, None] * np.eye(4)[0], Z)
    np.testing.assert_allclose(result.features, expected.features, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(result.m2_recoil, expected.m2_recoil, rtol=1e-9, atol=1e-9)
    vectors = (np.stack([np.sqrt(MUON_MASS**2 + (p**2).sum(axis=0)), *p], axis=1) for p in (p1, p2))
    recoil = (beams - sum(vectors)) ** 2 @ METRIC
    np.testing.assert_allclose(result.m2_recoil, recoil, rtol=1e-11, atol=1e-11)
    assert (result.m2_recoil < 0).any()


def test_muons_at_rest_in_the_centre_of_mass_are_defined():
    rest, moving = np.zeros((3, 1)), np.array([[0.3], [0.4], [1.2]])
    np.testing.assert_allclose([*at_rest(moving, rest).values()], [[0], [0], [0], [0.5]])
    np.testing.assert_array_equal([*at_rest(rest, rest).values()], 0)
    for other in (rest, -moving):  # every observable is a number all the same
        assert np.isfinite(list(observe(moving, other).values())).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so_and_harms_no_neighbour(bad):
    p1, p2 = random_muons(5)
    clean = lab(p1, p2)
    p1[1, 2] = bad
    result = lab(p1, p2)
    assert not np.isfinite(result.m2_recoil[2])
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(result.features[others], clean.features[others])


@pytest.mark.parametrize("n", [0, 100])
def test_single_precision_input_is_computed_in_double(n):
    single = [p.astype(np.float32) for p in random_muons(n)]
    result, expected = lab(*single), lab(*(p.astype(np.float64) for p in single))
    assert result.features.dtype == np.float64
    assert result.features.shape == (n, 4)
    np.testing.assert_array_equal(result.features, expected.features)


def observe(p1, p2, beam=AT_REST, z=Z):
    pairs = MuonPairs(p1, p2, beam, z)
    found = {name: observable.compute(pairs) for name, observable in OBSERVABLES.items()}
    assert {values.shape for values in found.values()} == {(p1.shape[1],)}
    return found


def test_the_features_are_among_them_for_beams_of_every_event():
    p1, p2 = random_muons(300)
    found = observe(p1, p2, BEAMS.total, BEAMS.electron_direction)
    kinematics = lab(p1, p2)
    np.testing.assert_allclose(lab(p2, p1).features, kinematics.features, rtol=1e-12, atol=1e-13)
    assert len(CANDIDATES) == 20
    for name, column in zip(FEATURES, kinematics.features.T, strict=True):
        np.testing.assert_array_equal(found[name], column)
    np.testing.assert_array_equal(found["m2_recoil"], kinematics.m2_recoil)
    each = observe(p1, p2, np.tile(BEAMS.total, (300, 1)), BEAMS.electron_direction)
    for name, values in found.items():
        np.testing.assert_allclose(each[name], values, rtol=1e-9, atol=1e-12)


def test_definitions_in_the_centre_of_mass_system():
    p1, p2 = random_muons(500, seed=2)
    found = observe(p1, p2)
    size = np.linalg.norm([p1, p2], axis=1)
    order = size[0] >= size[1]
    largest, smallest = np.where(order, p1, p2), np.where(order, p2, p1)
    energy = np.sqrt(size**2 + MUON_MASS**2)
    total = p1 + p2
    phi = np.arctan2([p1[1], p2[1]], [p1[0], p2[0]])
    apart = np.abs(np.angle(np.exp(1j * (phi[0] - phi[1]))))
    expected = {
        "p_mumax": size.max(axis=0),
        "p_mumin": size.min(axis=0),
        "pt_mumax": np.hypot(largest[0], largest[1]),
        "pt_mumin": np.hypot(smallest[0], smallest[1]),
        "cos_mumax": np.abs(largest[2]) / size.max(axis=0),
        "cos_mumin": np.abs(smallest[2]) / size.min(axis=0),
        "cos_opening": (p1 * p2).sum(axis=0) / size.prod(axis=0),
        "acoplanarity": np.pi - apart,
        "pl_mumin_mumax": (p1 * p2).sum(axis=0) / size.min(axis=0),
        "pt_mumin_mumax": np.linalg.norm(np.cross(p1, p2, axis=0), axis=0) / size.min(axis=0),
        "p_mumu": np.linalg.norm(total, axis=0),
        "cos_mumu": np.abs(total[2]) / np.linalg.norm(total, axis=0),
        "m_mumu": np.sqrt(energy.sum(axis=0) ** 2 - (total**2).sum(axis=0)),
        "energy_asymmetry": np.abs(energy[0] - energy[1]) / energy.sum(axis=0),
    }
    # Energies and momenta along the flight of the pair, boosted to its rest frame by hand.
    flight = total / np.linalg.norm(total, axis=0)
    beta = expected["p_mumu"] / energy.sum(axis=0)
    along = (p1 * flight).sum(axis=0)
    at_rest = (along - beta * energy[0]) / np.sqrt(1 - beta**2)
    across = np.sqrt(size[0] ** 2 - along**2)
    expected["cos_helicity"] = np.abs(at_rest) / np.hypot(at_rest, across)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-10, atol=1e-12, err_msg=name)
    longitudinal = np.hypot(found["pl_mumax_mumin"], found["pt_mumax_mumin"])
    np.testing.assert_allclose(longitudinal, found["p_mumin"], rtol=5e-10)
    # Half of the two-muon momentum at least is along its thrust axis.
    assert ((found["thrust"] >= np.sqrt(0.5) - 1e-12) & (found["thrust"] <= 1 + 1e-12)).all()
    assert (2 * found["pt_thrust"] <= size.sum(axis=0) * (1 + 1e-12)).all()


def test_charges_and_turns_about_the_beams_change_nothing():
    p1, p2 = random_muons(200, seed=3)
    found = observe(p1, p2)
    turn = Rotation.from_rotvec([0, 0, 1.234]).as_matrix()
    turned, swapped = observe(turn @ p1, turn @ p2), observe(p2, p1)
    for name, values in found.items():
        for other in (turned, swapped):
            np.testing.assert_allclose(other[name], values, rtol=1e-6, atol=1e-7, err_msg=name)
